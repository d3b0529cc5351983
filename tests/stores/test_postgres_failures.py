"""What a network and a server can do to the PostgreSQL store: in time, told why, and over when it is."""

import asyncio
import signal
import time

import pytest
from proxy import Proxy
from services_keeper import HOST, reserve_port
from stores.postgres_samples import (
    LONGEST_TOKEN_MS,
    asking,
    opened,
    port_of,
    refuses,
    through,
)
from stores.sqlite_samples import draft, sign_in

from sojourn.errors import StoreError
from sojourn.model import Event, Kind
from sojourn.stores.postgres import (
    DEADLINE_SECONDS,
    AsyncPostgresStore,
    PostgresDatabase,
    PostgresStore,
    connection as postgres_connection,
)
from sojourn.stores.postgres.driver import psycopg

LATEST_SECONDS = DEADLINE_SECONDS * 3
"""An operation is over after this on a loaded machine; without a deadline it never is."""


@pytest.fixture
def url(shared_postgres):
    """A database of one's own: sessions in it are ended here."""
    return shared_postgres.new_database()


def in_time(work, match="no answer within 1 s|timeout expired"):
    """Fail unless work is refused by its deadline."""
    started = time.monotonic()
    refuses(work, match)
    assert time.monotonic() - started < LATEST_SECONDS


def test_a_black_hole_ends_blocking_operations_in_time(url):
    """A network that swallows everything costs a deadline and no more; after it all is well."""
    with Proxy(port_of(url)) as proxy, opened(through(url, proxy) + "?pool=2") as store:
        session = sign_in(store)
        feed = store.feed()
        proxy.cut()
        in_time(lambda: store.get(session.sid))
        in_time(lambda: store.append(0, (Event(kind=Kind.RING),)))
        in_time(lambda: store.create(draft(), limit=1, on_excess="refuse"))
        in_time(lambda: feed.read({0: 0}))
        feed.close()
        proxy.heal()
        assert session == store.get(session.sid).record


async def test_a_black_hole_ends_awaited_operations_in_time(url):
    """So it is in an event loop, for each of many; a new connection is no way around."""
    with Proxy(port_of(url)) as proxy:
        store = AsyncPostgresStore(through(url, proxy) + "?pool=2")
        await store.open(longest_token_ms=LONGEST_TOKEN_MS)
        session = draft()
        await store.create(session, limit=None, on_excess="refuse")
        proxy.cut()
        for _ in range(2):
            started = time.monotonic()
            answers = await asyncio.gather(
                *(store.get(session.sid) for _ in range(5)),
                *(store.delete(draft().sid, subject="ada", reason="x") for _ in range(5)),
                *(store.append(0, (Event(kind=Kind.RING),)) for _ in range(5)),
                return_exceptions=True,
            )
            assert {StoreError} == {type(answer) for answer in answers}
            assert time.monotonic() - started < LATEST_SECONDS
        proxy.heal()
        assert session == (await store.get(session.sid)).record
        await store.close()


async def test_a_cancelled_operation_lets_go_at_once(url):
    """Who waits no longer is not kept by a network that does not answer, nor keeps a connection."""
    with Proxy(port_of(url)) as proxy:
        store = AsyncPostgresStore(through(url, proxy) + "?pool=1")
        await store.open(longest_token_ms=LONGEST_TOKEN_MS)
        head = await store.head(0)
        proxy.cut()
        asked = [asyncio.create_task(store.head(0)) for _ in range(2)]
        await asyncio.sleep(0)
        await asyncio.sleep(0)
        started = time.monotonic()
        for task in asked:
            task.cancel()
        await asyncio.wait(asked)
        assert time.monotonic() - started < DEADLINE_SECONDS
        assert all(task.cancelled() for task in asked)
        proxy.heal()
        assert head == await store.head(0)
        await store.close()


def test_a_locked_row_is_no_reason_to_hang(url):
    """Where somebody else holds a row, the server gives up first, and says so."""
    with opened(url) as store, asking(url) as connection:
        session = sign_in(store)
        with connection.transaction():
            connection.execute("SELECT * FROM sojourn_sessions FOR UPDATE")
            in_time(
                lambda: store.delete(session.sid, subject="ada", reason="x"),
                "transaction kept a lock",
            )
        assert (session.sid,) == store.delete(session.sid, subject="ada", reason="x").ended


def test_a_full_pool_is_waited_for_in_time(url):
    """With every connection in use, a call waits for one, and not for ever."""
    database = PostgresDatabase(f"{url}?pool=1")
    database.open()

    def nested(connection):
        in_time(lambda: database.read(lambda other: other.execute("SELECT 1")))
        return 1

    assert 1 == database.read(nested)
    database.close()


def test_an_interrupted_wait_leaves_the_pool_whole(url):
    """A signal that ends a wait for a connection takes none with it."""
    database = PostgresDatabase(f"{url}?pool=1")
    database.open()

    def interrupt(*_):
        raise KeyboardInterrupt

    def nested(connection):
        signal.setitimer(signal.ITIMER_REAL, 0.05)
        with pytest.raises(KeyboardInterrupt):
            database.read(lambda other: other.execute("SELECT 1"))
        return connection

    before = signal.signal(signal.SIGALRM, interrupt)
    try:
        database.read(nested)
    finally:
        signal.signal(signal.SIGALRM, before)
    assert [(1,)] == database.read(lambda db: db.execute("SELECT 1").fetchall())
    database.close()


async def test_an_event_loop_is_told_why_there_is_no_connection():
    """A server that is down is said at once."""
    store = AsyncPostgresStore(f"postgresql://ada:s3cr3t@{HOST}:{reserve_port()}/app")
    store.database.open()
    with pytest.raises(StoreError, match="refused") as caught:
        await store.head(0)
    assert "s3cr3t" not in str(caught.value)
    await store.close()


def test_no_password_is_told(url):
    """Whatever fails, no message, cause or representation holds the password."""
    bad = f"postgresql://ada:s3cr3t@{HOST}:{reserve_port()}/app?connect_timeout=3"
    store = PostgresStore(bad)
    error = refuses(lambda: store.open(longest_token_ms=1), f"{HOST}:[0-9]+/app cannot be reached")
    store.database.open()
    other = refuses(lambda: store.head(0), "cannot be reached")
    told = [
        f"{text}{one!r}"
        for one in (error, other, error.__cause__, other.__cause__)
        for text in (str(one),)
    ]
    assert "s3cr3t" not in "".join([*told, repr(store.database.place), repr(vars(store))])
    store.close()


@pytest.mark.parametrize(
    ("state", "remedy"),
    [
        ("28P01", "correct user and password"),
        ("3D000", "create it"),
        ("42501", "grant"),
        ("42883", "call open"),
        ("53300", "lower"),
        ("57P01", "retry"),
        ("XX000", "see the cause"),
    ],
)
def test_a_servers_refusal_names_the_remedy(state, remedy):
    """Each SQLSTATE we know has a remedy; the server's text, which may quote values, is left out."""
    error = psycopg.errors.lookup(state) if state != "XX000" else psycopg.InternalError
    made = error("what the server said")
    made.sqlstate = state
    told = str(postgres_connection.store_error(made, "db:5432/app"))
    assert remedy in told
    assert state in told
    assert "what the server said" not in told


def test_libpqs_own_text_is_not_told():
    """It may name what was part of a password; the kind of failure is told."""
    for said, told in (
        ("is s3cr3t? Connection refused", "Connection refused"),
        ("s3cr3t", "OperationalError"),
    ):
        error = postgres_connection.store_error(psycopg.OperationalError(said), "db:5432/app")
        assert f"({told})" in str(error)
        assert "s3cr3t" not in str(error)


def test_a_value_that_cannot_be_kept_is_named_as_such(url):
    """NUL in a text is the caller's mistake, and not the server's."""
    with opened(url) as store:
        refuses(lambda: store.get("\0"), "cannot keep this value")
