"""Migrations: numbered, once, by any number of processes, and never in doubt."""

import pytest
from stores.sqlite_samples import finish, raw, start_process

from sojourn.errors import ConfigurationError, StoreError
from sojourn.stores.sqlite import Database, SqliteStore, apply_migrations
from sojourn.stores.sqlite.migrations import STORE_MIGRATIONS

ONE = """
    CREATE TABLE one (text TEXT DEFAULT 'a;b');  -- a semicolon; in a comment
    INSERT INTO one VALUES ('c;d');
"""
TWO = "ALTER TABLE one ADD COLUMN number INTEGER"


@pytest.fixture
def database(tmp_path):
    database = Database(tmp_path / "app.db")
    database.open()
    yield database
    database.close()


def migrate(database, *migrations, namespace="tests"):
    database.write(apply_migrations, namespace=namespace, migrations=migrations)


def rows(database):
    return database.read(lambda db: db.execute("SELECT * FROM one").fetchall())


def test_each_migration_is_applied_once(database):
    """New migrations are applied in order, known ones not again; statements may hold semicolons."""
    migrate(database, ONE)
    migrate(database, ONE, TWO)
    migrate(database, ONE, TWO)
    assert [("c;d", None)] == rows(database)


def test_namespaces_do_not_meet(database):
    """Two owners of tables number their migrations apart."""
    migrate(database, ONE)
    migrate(database, "CREATE TABLE other (x)", namespace="others")
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


def test_a_store_from_the_future_is_refused(tmp_path):
    """The store itself refuses to open a newer store's file, and leaves it as it is."""
    path = tmp_path / "app.db"
    store = SqliteStore(path)
    store.open(longest_token_ms=1)
    store.close()
    other = raw(path)
    number = len(STORE_MIGRATIONS) + 1
    other.execute("INSERT INTO sojourn_migrations VALUES ('store', ?, 'x')", (number,))
    with pytest.raises(ConfigurationError, match=f"migration {number}"):
        store.open(longest_token_ms=2)
    store.close()
    assert [(1,)] == other.execute("SELECT longest_token_ms FROM sojourn_meta").fetchall()
    other.close()


def test_a_failing_migration_leaves_nothing(database):
    """Migrations of one call are one step: all of them are applied, or none."""
    with pytest.raises(StoreError, match="syntax error"):
        migrate(database, ONE, "CREATE TABEL two (x)")
    with pytest.raises(StoreError, match="no such table"):
        rows(database)
    migrate(database, ONE, TWO)


def test_processes_migrate_at_the_same_time(tmp_path):
    """Four processes that open a new file at once agree on one store."""
    path = tmp_path / "new" / "app.db"
    processes = [start_process("open", path) for _ in range(4)]
    keys = {word for process in processes for word in finish(process)}
    assert len(keys) == 1
    connection = raw(path)
    assert len(STORE_MIGRATIONS) == len(
        connection.execute("SELECT * FROM sojourn_migrations").fetchall()
    )
    connection.close()
