"""What a network and a server can do to the PostgreSQL store: in time, told why, and over when it is."""

import asyncio
import signal
import time
from concurrent.futures import Future

import pytest
from proxy import Proxy
from services_keeper import HOST, reserve_port
from services_postgres import running_postgres
from stores.postgres_samples import (
    LONGEST_TOKEN_MS,
    asking,
    opened,
    port_of,
    refuses,
    terminate_others,
    through,
)
from stores.sqlite_samples import draft, sign_in

from sojourn.errors import StoreError
from sojourn.model import Event, Kind
from sojourn.stores import postgres_connection, postgres_database, postgres_loop
from sojourn.stores.postgres import (
    DEADLINE_SECONDS,
    AsyncPostgresStore,
    PostgresDatabase,
    PostgresStore,
)
from sojourn.stores.postgres_driver import psycopg
from sojourn.stores.postgres_pool import Pool

LATEST_SECONDS = DEADLINE_SECONDS * 3
"""An operation is over after this on a loaded machine; without a deadline it never is."""


@pytest.fixture
def url(shared_postgres):
    """A database of one's own: sessions in it are ended here."""
    return shared_postgres.new_database()


def in_time(work, match="no answer within 1 s"):
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


def test_a_pool_of_one_survives_its_connection(url):
    """A session ended at the server is replaced before anything is sent, whatever is asked next."""
    with opened(f"{url}?pool=1") as store:
        session = sign_in(store)
        terminate_others(url)
        assert 1 == len(store.append(0, (Event(kind=Kind.RING),)).entries)
        terminate_others(url)
        assert session == store.get(session.sid).record


async def test_an_awaited_pool_of_one_survives_its_connection(url):
    """So does the pool of an event loop."""
    store = AsyncPostgresStore(f"{url}?pool=1")
    await store.open(longest_token_ms=LONGEST_TOKEN_MS)
    for _ in range(2):
        assert 1 == len((await store.append(0, (Event(kind=Kind.RING),))).entries)
        terminate_others(url)
    await store.close()


def lose_first(monkeypatch, module, name):
    """Have the first connections die when they are used for something other than their settings."""
    made = []
    original = getattr(module, name)

    def blocking(conninfo):
        connection = original(conninfo)
        made.append(connection)
        if len(made) == 1:
            connection.execute("SELECT 1")
            connection.cursor_factory = dying(connection.cursor_factory)
        return connection

    async def awaited(conninfo):
        connection = await original(conninfo)
        made.append(connection)
        if len(made) == 1:
            connection.cursor_factory = dying(connection.cursor_factory)
        return connection

    monkeypatch.setattr(module, name, awaited if name == "connect_async" else blocking)
    return made


def dying(factory):
    class Dying(factory):
        def execute(self, *args, **kwargs):
            self.connection.pgconn.finish()
            return super().execute(*args, **kwargs)

    return Dying


def test_a_read_is_asked_again_on_another_connection(url, monkeypatch):
    """A connection lost under a read costs nobody anything; a write that was lost is told."""
    with opened(url) as store:
        made = lose_first(monkeypatch, postgres_database, "connect")
        assert 0 == store.head(0).id
        assert 2 == len(made)
        made.clear()
        store.close()
        store.database.open()
        refuses(lambda: store.append(0, ()), "cannot be reached")


async def test_an_awaited_read_is_asked_again(url, monkeypatch):
    """So it is in an event loop."""
    store = AsyncPostgresStore(url)
    await store.open(longest_token_ms=LONGEST_TOKEN_MS)
    made = lose_first(monkeypatch, postgres_loop, "connect_async")
    assert 0 == (await store.head(0)).id
    assert 2 == len(made)
    made.clear()
    await store.close()
    store.database.open()
    with pytest.raises(StoreError, match="cannot be reached"):
        await store.append(0, ())
    await store.close()


def test_a_server_that_restarts_is_used_again():
    """While it is down, everybody is told at once; when it is back, the next call is answered."""
    with running_postgres(fsync=False) as service, opened(service.url) as store:
        session = sign_in(store)
        feed = store.feed()
        service.kill()
        started = time.monotonic()
        error = refuses(lambda: store.get(session.sid), "cannot be reached; check that it runs")
        assert "refused" in str(error)
        assert time.monotonic() - started < DEADLINE_SECONDS
        refuses(lambda: feed.read({0: 0}), "cannot be reached")
        feed.close()
        refuses(store.feed, "cannot be reached")
        service.restart()
        assert session == store.get(session.sid).record
        store.feed().close()


def test_a_demoted_primary_is_left():
    """A server that may not be written any more is given up, so that the next host is looked for."""
    with running_postgres(fsync=False) as service, opened(service.url + "?pool=1") as store:
        store.append(0, ())
        service.execute("ALTER SYSTEM SET default_transaction_read_only = on")
        service.execute("SELECT pg_reload_conf()")
        error = refuses(lambda: append_until_refused(store), "read-only")
        assert "sojourn@" not in str(error)
        service.execute("ALTER SYSTEM RESET default_transaction_read_only")
        service.execute("SELECT pg_reload_conf()")
        assert 1 == len(append_until_done(store).entries)


def append_until_refused(store):
    deadline = time.monotonic() + LATEST_SECONDS
    while time.monotonic() < deadline:
        store.append(0, (Event(kind=Kind.RING),))


def append_until_done(store):
    deadline = time.monotonic() + LATEST_SECONDS
    while True:
        try:
            return store.append(0, (Event(kind=Kind.RING),))
        except StoreError:
            assert time.monotonic() < deadline


async def test_a_standby_is_not_believed(shared_postgres):
    """A read of a server in recovery is refused: it does not know what it lacks."""
    url = shared_postgres.new_schema() + "%2Cpg_catalog"  # what is shadowed here is asked first
    store = AsyncPostgresStore(url)
    await store.open(longest_token_ms=LONGEST_TOKEN_MS)
    feed = await asyncio.to_thread(store.feed)
    blocking = PostgresStore(url)
    blocking.open(longest_token_ms=LONGEST_TOKEN_MS)
    with asking(url) as connection:
        connection.execute(
            "CREATE FUNCTION pg_is_in_recovery() RETURNS boolean LANGUAGE sql AS 'SELECT true'"
        )
    for work in (store.head(0), store.get("x" * 22), store.read(0, after=0)):
        with pytest.raises(StoreError, match="a standby or a demoted primary"):
            await work
    refuses(lambda: blocking.get("x" * 22), "a standby or a demoted primary")
    refuses(lambda: feed.read({0: 0}), "a standby or a demoted primary")
    feed.close()
    blocking.close()
    await store.close()


def test_the_second_host_is_found(url):
    """Of several hosts the first may be down, or swallow everything."""
    there = f"{HOST}:{port_of(url)}"
    with opened(url.replace(there, f"{HOST}:{reserve_port()},{there}")) as store:
        session = sign_in(store)
        assert session == store.get(session.sid).record
    with Proxy(port_of(url)) as proxy:
        proxy.cut()
        many = url.replace(there, f"{HOST}:{proxy.port},{there}")
        with opened(many) as store:
            # The first operation may end before the second host is tried; the attempt goes on.
            deadline = time.monotonic() + 10 * DEADLINE_SECONDS
            while True:
                try:
                    assert session == store.get(session.sid).record
                    break
                except StoreError:
                    assert time.monotonic() < deadline


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


def test_what_is_given_at_the_last_moment_is_not_lost(url):
    """Who gives up just when the connection comes passes it on."""
    pool = Pool(1, start=lambda _: None, new_waiter=Future)
    late, next_one = pool.take(), pool.take()
    connection = postgres_connection.connect(url)
    pool.made(connection)
    assert connection is late.result()
    pool.give_up(late)
    assert connection is next_one.result()
    pool.give_back(connection)
    assert connection is pool.take()
    pool.close()
    pool.give_back(connection)
    assert connection.closed
    too_late = postgres_connection.connect(url)
    pool.made(too_late)
    assert too_late.closed


def test_nothing_is_given_where_nothing_could_be_made():
    """Who is told why there is no connection has none to pass on."""
    pool = Pool(1, start=lambda _: None, new_waiter=Future)
    told, gone = pool.take(), pool.take()
    gone.cancel()
    pool.failed(psycopg.OperationalError("no"))
    for waiter in (told, gone):
        pool.give_up(waiter)
    assert "no" == str(told.result())


def test_a_loop_may_end_while_it_connects(url):
    """A store whose event loop ended in the middle of connecting serves the next loop."""
    with Proxy(port_of(url)) as proxy, opened(url):
        store = AsyncPostgresStore(through(url, proxy))
        store.database.open()

        async def leave():
            asked = asyncio.create_task(store.head(0))
            async with asyncio.timeout(LATEST_SECONDS):
                while not proxy.connection_count():  # noqa: ASYNC110 - the proxy is a thread
                    await asyncio.sleep(0.001)
            asked.cancel()

        async def come():
            head = await store.head(0)
            await store.close()
            return head.id

        proxy.cut()
        asyncio.run(leave())
        proxy.heal()
        assert 0 == asyncio.run(come())


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


def test_a_value_that_cannot_be_kept_is_named_as_such(url):
    """NUL in a text is the caller's mistake, and not the server's."""
    with opened(url) as store:
        refuses(lambda: store.get("\0"), "cannot keep this value")
