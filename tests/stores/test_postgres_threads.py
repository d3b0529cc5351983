"""Blocking queries for coroutines: few threads, a bounded queue, and time that runs from asking."""

import asyncio
import threading
import time

import pytest
from proxy import Proxy
from stores.postgres_samples import LONGEST_TOKEN_MS, asking, port_of, refuses, through
from stores.sqlite_samples import ends_well, eventually, fork

from sojourn.errors import StoreError
from sojourn.stores.postgres import (
    DEADLINE_SECONDS,
    AsyncPostgresStore,
    PostgresDatabase,
    PostgresStore,
    PostgresThreads,
    database as postgres_database,
    migrations,
    threads as postgres_threads,
)
from sojourn.stores.postgres.driver import psycopg

LATEST_SECONDS = DEADLINE_SECONDS * 2


@pytest.fixture
def url(shared_postgres):
    return shared_postgres.new_database()


@pytest.fixture
def threads(url):
    threads = PostgresThreads(PostgresDatabase(url))
    threads.database.open()
    yield threads
    threads.close()
    threads.close()
    threads.database.close()


def one(db):
    return db.execute("SELECT 1").fetchall()


async def test_a_black_hole_is_told_in_time_to_everybody(url):
    """However many ask, each is answered by its own deadline; who waited for a thread is not begun."""
    with Proxy(port_of(url)) as proxy:
        threads = PostgresThreads(PostgresDatabase(through(url, proxy)))
        threads.database.open()
        assert [(1,)] == await threads.read(one)
        proxy.cut()
        begun = []

        def noted(db):
            begun.append(db)
            return one(db)

        started = time.monotonic()
        answers = await asyncio.gather(
            *(threads.read(noted) for _ in range(60)),
            *(threads.write(noted) for _ in range(60)),
            return_exceptions=True,
        )
        assert time.monotonic() - started < LATEST_SECONDS
        assert {StoreError} == {type(answer) for answer in answers}
        assert {503} == {answer.status for answer in answers}
        assert len(begun) <= postgres_threads.MOST_THREADS
        proxy.heal()
        before = len(begun)
        assert [(1,)] == await threads.write(one)
        assert before == len(begun)
        threads.close()
        threads.database.close()


async def test_a_full_queue_is_told_at_once(threads, monkeypatch):
    """Beyond so many, nobody waits."""
    monkeypatch.setattr(postgres_threads, "MOST_WAITING", 2)
    answers = await asyncio.gather(*(threads.read(one) for _ in range(3)), return_exceptions=True)
    assert [(1,)] == answers[0] == answers[1]
    assert "too many wait" in str(answers[2])
    assert [(1,)] == await threads.read(one)


async def test_who_goes_away_is_not_begun(url):
    """A cancelled question leaves the queue; so does one whose time was over before its turn."""
    threads = PostgresThreads(PostgresDatabase(f"{url}?pool=1"))
    threads.database.open()
    may_go, begun = threading.Event(), []

    def busy(db):
        begun.append("busy")
        may_go.wait(10)
        return one(db)

    first = asyncio.create_task(threads.read(busy))
    while not begun:  # noqa: ASYNC110 - there is no event to wait for
        await asyncio.sleep(0.001)
    gone = asyncio.create_task(threads.read(begun.append))
    await asyncio.sleep(0.01)
    gone.cancel()
    late = asyncio.create_task(threads.read(begun.append))
    await asyncio.sleep(0.01)
    time.sleep(DEADLINE_SECONDS)  # noqa: ASYNC251 - the loop itself is late
    may_go.set()
    while threads._executor._work_queue.qsize():
        time.sleep(0.05)  # noqa: ASYNC251 - the thread goes on while the loop does not
    await asyncio.wait({first, gone, late})
    assert gone.cancelled()
    assert "others were before" in str(late.exception())
    assert ["busy"] == begun
    threads.close()
    threads.database.close()


def test_a_child_has_threads_of_its_own(threads):
    """After a fork the parent's threads are not there."""
    assert [(1,)] == asyncio.run(threads.read(one))

    def in_the_child():
        assert [(1,)] == asyncio.run(threads.read(one))

    assert ends_well(fork(in_the_child))
    assert [(1,)] == asyncio.run(threads.read(one))


# --- opening ------------------------------------------------------------------------------------


async def test_those_that_open_at_once_share_one_opening(url, monkeypatch):
    """Forty first uses of a store are one attempt, and one failure; the next asks anew."""
    made = []
    connect = postgres_database.connect

    def counted(conninfo):
        made.append(conninfo)
        time.sleep(0.1)
        return connect(conninfo)

    monkeypatch.setattr(postgres_database, "connect", counted)
    store = AsyncPostgresStore(url)
    infos = await asyncio.gather(
        *(store.open(longest_token_ms=LONGEST_TOKEN_MS) for _ in range(40))
    )
    assert 1 == len({info.placement_key for info in infos})
    assert 1 == len(made)

    def refused(conninfo):
        made.append(conninfo)
        time.sleep(0.1)
        raise psycopg.OperationalError("Connection refused")

    monkeypatch.setattr(postgres_database, "connect", refused)
    for count in (2, 3):
        answers = await asyncio.gather(
            *(store.open(longest_token_ms=LONGEST_TOKEN_MS) for _ in range(40)),
            return_exceptions=True,
        )
        assert {StoreError} == {type(answer) for answer in answers}
        assert count == len(made)
    await store.close()


async def test_an_opening_waits_behind_nothing_else(url):
    """The threads that others share may all be busy."""
    may_go = threading.Event()
    busy = [asyncio.create_task(asyncio.to_thread(may_go.wait, 20)) for _ in range(64)]
    await asyncio.sleep(0.05)
    store = AsyncPostgresStore(url)
    async with asyncio.timeout(10):
        await store.open(longest_token_ms=LONGEST_TOKEN_MS)
    await store.close()
    may_go.set()
    await asyncio.wait(busy)


def test_a_request_does_not_wait_long_for_a_migration(url, monkeypatch):
    """Who opens a store while somebody migrates is told so soon; who migrates waits."""
    monkeypatch.setattr(postgres_database, "OPENING_LOCK_MS", 200)
    store = PostgresStore(url)
    with asking(url) as other, other.transaction():
        other.execute("SELECT pg_advisory_xact_lock(%s)", (migrations._LOCK,))
        started = time.monotonic()
        refuses(lambda: store.open(longest_token_ms=LONGEST_TOKEN_MS), "kept a lock")
        assert time.monotonic() - started < LATEST_SECONDS
        thread = threading.Thread(
            target=lambda: store.database.set_up(
                migrations.apply_postgres_migrations, namespace="x", migrations=("SELECT 1",)
            )
        )
        thread.start()
        time.sleep(1)
        assert thread.is_alive()
    thread.join()
    with asking(url) as connection:
        rows = eventually(lambda: connection.execute("SELECT * FROM sojourn_migrations").fetchall())
    assert "x" == rows[0][0]
