"""A connection, a server or a primary that is gone: the PostgreSQL store goes on with another."""

import asyncio
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
from stores.sqlite_samples import sign_in

from sojourn.errors import StoreError
from sojourn.model import Event, Kind
from sojourn.stores.postgres import (
    DEADLINE_SECONDS,
    AsyncPostgresStore,
    PostgresStore,
    connection as postgres_connection,
    database as postgres_database,
    loop as postgres_loop,
)
from sojourn.stores.postgres.driver import psycopg
from sojourn.stores.postgres.pool import Pool

LATEST_SECONDS = DEADLINE_SECONDS * 3
"""An operation is over after this on a loaded machine; without a deadline it never is."""


@pytest.fixture
def url(shared_postgres):
    """A database of one's own: sessions in it are ended here."""
    return shared_postgres.new_database()


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
