"""Migrations of PostgreSQL: numbered, once, by any number of processes, and never in doubt."""

import pytest
from stores.postgres_samples import asking, opened, start_process
from stores.sqlite_samples import finish

from sojourn.errors import ConfigurationError, StoreError
from sojourn.stores.postgres import PostgresDatabase, PostgresStore, apply_postgres_migrations
from sojourn.stores.postgres.schema import STORE_MIGRATIONS

ONE = """
    CREATE TABLE one (text text DEFAULT 'a;b');  -- a semicolon; 100 % in a comment
    CREATE FUNCTION say() RETURNS text LANGUAGE plpgsql AS $$ BEGIN RETURN '$;'; END $$;
    INSERT INTO one VALUES ('c;d');
"""
TWO = "ALTER TABLE one ADD COLUMN number integer"


@pytest.fixture
def url(shared_postgres):
    return shared_postgres.new_schema()


@pytest.fixture
def database(url):
    database = PostgresDatabase(url)
    database.open()
    yield database
    database.close()


def migrate(database, *migrations, namespace="tests"):
    database.set_up(apply_postgres_migrations, namespace=namespace, migrations=migrations)


def rows(database):
    return database.read(lambda db: db.execute("SELECT * FROM one").fetchall())


def test_each_migration_is_applied_once(database):
    """New migrations are applied in order, known ones not again; scripts hold what they like."""
    migrate(database, ONE)
    migrate(database, ONE, TWO)
    migrate(database, ONE, TWO)
    assert [("c;d", None)] == rows(database)


def test_opening_may_migrate(url):
    """Whoever has tables of their own opens and migrates in one call."""
    database = PostgresDatabase(url)
    database.open(namespace="tests", migrations=(ONE,))
    database.open(namespace="tests", migrations=(ONE, TWO))
    assert [("c;d", None)] == rows(database)
    database.close()


def test_namespaces_do_not_meet(database):
    """Two owners of tables number their migrations apart."""
    migrate(database, ONE)
    migrate(database, "CREATE TABLE other (x integer)", namespace="others")
    migrate(database, ONE, TWO)
    assert [("c;d", None)] == rows(database)


def test_an_altered_migration_is_refused(database):
    """A migration that differs from what was applied is refused by name; white space is no change."""
    migrate(database, ONE, TWO)
    migrate(database, "\n".join(line.strip() for line in ONE.splitlines()), TWO)
    with pytest.raises(ConfigurationError, match="'tests' migration 2 is not what was applied"):
        migrate(database, ONE, TWO + " DEFAULT 7")


def test_a_newer_database_is_refused(database):
    """A database that a newer version used is refused at start, with the remedy."""
    migrate(database, ONE, TWO)
    with pytest.raises(ConfigurationError, match="install that one or a later one"):
        migrate(database, ONE)
    assert [("c;d", None)] == rows(database)


def test_a_store_from_the_future_is_refused(url):
    """The store itself refuses to open a newer store's tables, and leaves them as they are."""
    with opened(url) as store, asking(url) as connection:
        number = len(STORE_MIGRATIONS) + 1
        connection.execute("INSERT INTO sojourn_migrations VALUES ('store', %s, 'x')", (number,))
        with pytest.raises(ConfigurationError, match=f"migration {number}"):
            store.open(longest_token_ms=10**12)
        longest = connection.execute("SELECT longest_token_ms FROM sojourn_shards").fetchall()
    assert [(3_600_000,)] == longest


def test_a_failing_migration_leaves_nothing(database):
    """Migrations of one call are one step: all of them are applied, or none."""
    with pytest.raises(StoreError, match="SQLSTATE 42601"):
        migrate(database, ONE, "CREATE TABEL two (x integer)")
    with pytest.raises(StoreError, match=r"tables are not there.*42P01"):
        rows(database)
    migrate(database, ONE, TWO)


def test_processes_migrate_at_the_same_time(url):
    """Eight processes that open a new store at once agree on one."""
    processes = [start_process("open", url) for _ in range(8)]
    keys = {word for process in processes for word in finish(process)}
    assert len(keys) == 1
    with asking(url) as connection:
        assert len(STORE_MIGRATIONS) == len(
            connection.execute("SELECT * FROM sojourn_migrations").fetchall()
        )


def test_using_a_store_takes_no_right_to_create(url):
    """Where the tables are up to date, a role with rights on them alone opens and uses the store."""
    with opened(url), asking(url) as connection:
        ((schema,),) = connection.execute("SELECT current_schema()").fetchall()
        for statement in (
            f"CREATE ROLE {schema}_user LOGIN",
            f"GRANT USAGE ON SCHEMA {schema} TO {schema}_user",
            f"GRANT SELECT, INSERT, UPDATE, DELETE ON ALL TABLES IN SCHEMA {schema} TO {schema}_user",
        ):
            connection.execute(statement)
        theirs = PostgresStore(url.replace("sojourn@", f"{schema}_user@"))
        theirs.open(longest_token_ms=1)
        assert 1 == len(theirs.append(0, ()).entries) + 1
        theirs.close()
        connection.execute(f"DROP OWNED BY {schema}_user")
        connection.execute(f"DROP ROLE {schema}_user")
