"""What PostgreSQL's own store promises beyond the contract: durability, order under locks, chunks."""

import runpy
import sys
import threading

import pytest
from stores.postgres_samples import LONGEST_TOKEN_MS, asking, opened, refuses
from stores.sqlite_samples import draft, eventually, sign_in

from sojourn.errors import ConfigurationError
from sojourn.model import Cutoff, Event, Kind, Session
from sojourn.stores.postgres import (
    AsyncPostgresStore,
    PostgresDatabase,
    PostgresStore,
    connection as postgres_connection,
    driver as postgres_driver,
    statements as sessions,
)
from sojourn.stores.postgres.sql_ending import CHUNK_SESSIONS
from sojourn.stores.postgres.url import POOL_CONNECTIONS, parse_url


@pytest.fixture
def url(shared_postgres):
    return shared_postgres.new_schema()


def insert_many(connection, count, *, dies_at):
    """Make sessions of one subject that nobody reads."""
    connection.execute(
        "INSERT INTO sojourn_sessions SELECT 'sid-' || n, 'ada', 0, n, %s, 1, '', '' "
        "FROM generate_series(1, %s) AS n",
        (dies_at, count),
    )


# --- the URL ------------------------------------------------------------------------------------


def test_a_url_is_libpqs_and_takes_a_pool():
    """Every parameter is libpq's own but `pool`; what is not given has a default for our purpose."""
    place = parse_url("postgresql://ada:p%20w@a,b:7/app?sslmode=require&pool=3&connect_timeout=9")
    assert 3 == place.pool
    assert "a:5432,b:7/app" == parse_url("postgresql://ada@a:5432,b:7/app").name
    for word in ("sslmode=require", "connect_timeout=9", "target_session_attrs=read-write"):
        assert word in place.conninfo
    assert "pool=" not in place.conninfo
    plain = parse_url("postgres:///app?host=/run/pg")
    assert (POOL_CONNECTIONS, "/run/pg:5432/app") == (plain.pool, plain.name)
    assert "connect_timeout=2" in plain.conninfo


@pytest.mark.parametrize("query", ["pool=0", "pool=x", "pool=", "pool=1&pool=2"])
def test_a_pool_is_a_number(query):
    """Anything else is refused."""
    with pytest.raises(ConfigurationError, match=r"one \?pool=N"):
        PostgresStore(f"postgresql://localhost/app?{query}")


@pytest.mark.parametrize(
    "url", ["postgresql://u:s3cr3t@h/d?sslmod=x", "postgresql://u:s3cr3t@h:x/d?%"]
)
def test_a_wrong_url_is_not_quoted(url):
    """A password may stand anywhere in what cannot be understood."""
    with pytest.raises(ConfigurationError, match="cannot be understood") as caught:
        AsyncPostgresStore(url)
    assert "s3cr3t" not in f"{caught.value}{caught.value.__cause__}"


@pytest.mark.parametrize(
    "url",
    [
        "postgresql://u:p@s3cr3t@h/d",
        "postgresql://u:p@s3cr3t:x@h:1/d",
        "postgresql://u:p/s3cr3t@h/d",
        "postgresql://u:12/s3cr3t@h/d",
        "postgresql://u:s3cr3t@h:s3cr3t/d",
    ],
)
def test_a_password_that_was_not_escaped_is_not_told(url):
    """Part of it would stand for a host, a port or a database, and in messages."""
    with pytest.raises(ConfigurationError, match="in the password as %40 %2F %3A") as caught:
        PostgresStore(url)
    assert "s3cr3t" not in f"{caught.value}{caught.value.__cause__}"


def test_a_missing_driver_is_named(monkeypatch):
    """Without psycopg the message says which extra to install."""
    monkeypatch.setitem(sys.modules, "psycopg", None)
    with pytest.raises(ConfigurationError, match=r"pip install 'sojourn\[postgres\]'"):
        runpy.run_path(postgres_driver.__file__)


# --- durability and isolation -------------------------------------------------------------------


def seen_at_commit(url, setting, change="INSERT ON sojourn_feed"):
    """Have each change of a kind say what a setting is in its transaction at its end."""
    with asking(url) as connection:
        connection.execute("CREATE TABLE seen (value text)")
        connection.execute(
            "CREATE FUNCTION note() RETURNS trigger LANGUAGE plpgsql SET search_path FROM CURRENT AS "
            f"$$ BEGIN INSERT INTO seen SELECT current_setting('{setting}'); RETURN NULL; END $$"
        )
        connection.execute(
            f"CREATE CONSTRAINT TRIGGER note AFTER {change} DEFERRABLE INITIALLY DEFERRED "
            "FOR EACH ROW EXECUTE FUNCTION note()"
        )


@pytest.mark.parametrize(("given", "used"), [("off", "on"), ("local", "local")])
def test_what_is_acknowledged_survives_a_crash(url, given, used):
    """`synchronous_commit = off` of a role or database is not ours; other choices are the operator's."""
    with opened(f"{url}%20-csynchronous_commit%3D{given}") as store:
        seen_at_commit(url, "synchronous_commit")
        store.append(0, (Event(kind=Kind.RING),))
    with asking(url) as connection:
        assert [(used,)] == connection.execute("SELECT value FROM seen").fetchall()


def test_every_chunk_and_every_purge_survives_a_crash(url):
    """So do the later steps of what takes several: a crash must not bring back what was revoked."""
    with opened(f"{url}%20-csynchronous_commit%3Doff") as store, asking(url) as connection:
        seen_at_commit(url, "synchronous_commit", "DELETE ON sojourn_sessions")
        insert_many(connection, CHUNK_SESSIONS + 1, dies_at=2**60)
        store.delete_subject("ada", keep=None, reason="x")
        insert_many(connection, 1, dies_at=1)
        store.purge()
        assert [("on", CHUNK_SESSIONS + 2)] == connection.execute(
            "SELECT value, count(*) FROM seen GROUP BY 1"
        ).fetchall()


@pytest.mark.parametrize(("given", "used"), [("off", "on"), ("local", "local")])
def test_a_change_of_other_tables_survives_a_crash(url, given, used):
    """The server's accounts are as durable as the sessions, and so is what a migration made."""
    database = PostgresDatabase(f"{url}%20-csynchronous_commit%3D{given}")
    database.open()

    def asked(db):
        return db.execute("SHOW synchronous_commit").fetchall()

    for way in (database.write, database.set_up, database.set_up_soon):
        assert [(used,)] == way(asked)
    assert [(given,)] == database.read(asked)
    database.close()


def test_isolation_is_ours(url):
    """A role's default isolation, under which a cutoff could be missed, is not taken over."""
    strict = f"{url}%20-cdefault_transaction_isolation%3Dserializable"
    with opened(strict) as store:
        sign_in(store)


def test_behind_a_pooler_nothing_is_set(url, monkeypatch):
    """Where the process id is not the server's, no setting and no prepared statement is left behind."""
    settings = postgres_connection._settings

    def elsewhere(connection):
        sql, parameters = settings(connection)
        return sql, (*parameters[:-1], 0)

    monkeypatch.setattr(postgres_connection, "_settings", elsewhere)
    with opened(url + "&pool=1") as store:
        for _ in range(10):
            store.append(0, (Event(kind=Kind.RING),))
        left = store.database.read(
            lambda db: db.execute(
                "SELECT current_setting('statement_timeout'), "
                "(SELECT count(*) FROM pg_prepared_statements)"
            ).fetchall()
        )
        assert [("0", 0)] == left
    with opened(f"{url}%20-cdefault_transaction_isolation%3Dserializable") as store:
        refuses(lambda: sign_in(store), "SQLSTATE P0001")


# --- order under locks --------------------------------------------------------------------------


def test_a_late_login_waits_for_a_revoke_all(url):
    """A login that arrives while a revoke-all commits sees its cutoff, and is refused."""
    with opened(url) as store, asking(url) as other:
        outcomes = []
        late = draft(position=1)

        def login():
            outcomes.append(store.create(late, limit=None, on_excess="refuse").outcome)

        thread = threading.Thread(target=login)
        with other.transaction():
            other.execute("SELECT sojourn_delete_subject(NULL, 'ada', NULL, 'test', NULL)")
            thread.start()
            with asking(url) as third:
                eventually(lambda: is_waiting(third))
        thread.join()
        assert ["superseded"] == outcomes
        assert None is store.get(late.sid).record


def is_waiting(connection):
    waits = (
        "SELECT 1 FROM pg_stat_activity WHERE wait_event_type = 'Lock' AND query ~ 'sojourn_create'"
    )
    return connection.execute(waits).fetchall()


def test_a_put_and_a_logout_leave_no_data(url):
    """A put that waits for a logout writes nothing; a logout that waits for a put takes it along."""
    with opened(url) as store, asking(url) as other:
        session = sign_in(store)
        thread = threading.Thread(
            target=lambda: store.delete(session.sid, subject="ada", reason="x")
        )
        with other.transaction():
            other.execute("SELECT sojourn_put_data(NULL, %s, 'x', 0)", (session.sid,))
            thread.start()
        thread.join()
        assert None is store.get_data(session.sid)


# --- many rows ----------------------------------------------------------------------------------


def test_a_subject_with_many_sessions_ends_in_chunks(url):
    """However many there are, all end, but the kept one and what signs in meanwhile."""
    with opened(url) as store, asking(url) as connection:
        count = 2 * CHUNK_SESSIONS + 7
        insert_many(connection, count, dies_at=2**60)
        kept = sign_in(store)
        deleted = store.delete_subject("ada", keep=kept.sid, reason="test")
        assert count == len(deleted.ended)
        entry = deleted.entries[0]
        assert Cutoff(0, entry.id, kept.sid) == Cutoff(
            entry.event.floor, entry.id, entry.event.keep
        )
        assert [kept] == store.list("ada")


def test_a_login_between_two_chunks_lives(url):
    """Later chunks take only what began before the cutoff."""
    with opened(url) as store, asking(url) as connection:
        insert_many(connection, CHUNK_SESSIONS, dies_at=2**60)
        steps = sessions.delete_subject(None, "ada", keep=None, reason="test")
        first = store.run(next(steps))
        later = draft(position=store.head(0).id)
        store.create(later, limit=None, on_excess="refuse")
        second = store.run(steps.send(first))
        with pytest.raises(StopIteration) as end:
            steps.send(second)
        assert CHUNK_SESSIONS == len(end.value.value.ended)
        assert isinstance(store.get(later.sid).record, Session)


def test_a_purge_takes_what_it_can_in_chunks(url):
    """However many are dead, all go; what somebody else is at is left for the next time."""
    with opened(url) as store, asking(url) as connection:
        insert_many(connection, 2507, dies_at=1)
        with asking(url) as other, other.transaction():
            other.execute("SELECT * FROM sojourn_sessions WHERE sid = 'sid-7' FOR UPDATE")
            assert 2506 == store.purge()
        assert 1 == store.purge()


async def test_awaited_steps(url):
    """What takes several steps does so in an event loop, too."""
    store = AsyncPostgresStore(url)
    await store.open(longest_token_ms=LONGEST_TOKEN_MS)
    with asking(url) as connection:
        insert_many(connection, CHUNK_SESSIONS + 1, dies_at=2**60)
        deleted = await store.delete_subject("ada", keep=None, reason="test")
        assert CHUNK_SESSIONS + 1 == len(deleted.ended)
        insert_many(connection, 1001, dies_at=1)
    assert 1001 == await store.purge()
    await store.close()


def test_a_record_that_cannot_be_understood_is_said(url):
    """A damaged row is a failure with a remedy, not a stranger's exception."""
    with opened(url) as store, asking(url) as connection:
        insert_many(connection, 1, dies_at=2**60)
        refuses(lambda: store.get("sid-1"), "cannot be understood")


# --- a database for other tables ----------------------------------------------------------------


def test_a_change_is_one_transaction(url):
    """What a function changed is committed when write returns, and undone where it raises."""
    database = PostgresDatabase(url)
    database.open()
    database.write(lambda db: db.execute("CREATE TABLE t (x integer)"))

    def half(db, value):
        db.execute("INSERT INTO t VALUES (%s)", (value,))
        raise KeyError(value)

    with pytest.raises(KeyError):
        database.write(half, 1)
    refuses(lambda: database.write(lambda db: db.execute("INSERT INTO t VALUES ('x')")), "22P02")
    database.write(lambda db, value: db.execute("INSERT INTO t VALUES (%s)", (value,)), 2)
    assert [(2,)] == database.read(lambda db: db.execute("SELECT * FROM t").fetchall())
    database.close()
    database.close()
    refuses(lambda: database.read(lambda db: db.execute("SELECT 1")), r"call open\(\) first")
    database.open()
    database.open()
    assert [(2,)] == database.read(lambda db: db.execute("SELECT * FROM t").fetchall())
    database.close()


def test_what_is_in_use_is_closed_when_it_comes_back(url):
    """Closing waits for nobody; a connection in use is closed after its use, and a waiter is told."""
    database = PostgresDatabase(f"{url}&pool=1")
    database.open()
    refused = []

    def ask():
        refused.append(
            refuses(lambda: database.read(lambda db: db.execute("SELECT 1")), "closed meanwhile")
        )

    def use(connection):
        waiting = threading.Thread(target=ask)
        waiting.start()
        eventually(lambda: database._pool._waiters)
        pool = database._pool
        database.close()
        waiting.join()
        assert "closed meanwhile" in str(pool.take().result())
        return connection

    assert database.read(use).closed
    assert 1 == len(refused)
