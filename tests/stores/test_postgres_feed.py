"""The follower's reader of PostgreSQL, and the chain as other processes see it."""

import asyncio
import gc
import os
import threading
from itertools import pairwise

import pytest
from stores.postgres_samples import (
    append_many,
    asking,
    opened,
    refuses,
    start_process,
    terminate_others,
)
from stores.sqlite_samples import PATIENCE_SECONDS, ends_well, finish, fork, sign_in

from sojourn.model import Event, Kind
from sojourn.stores.postgres import AsyncPostgresStore, PostgresStore
from sojourn.stores.postgres.connection import connect
from sojourn.stores.postgres.driver import psycopg

RING = (Event(kind=Kind.RING),)


@pytest.fixture
def url(shared_postgres):
    return shared_postgres.new_schema()


def test_processes_append_to_one_chain(url):
    """Of 1,000 entries by four processes a polling reader misses none, and none comes out of order."""
    processes = [start_process("append", url, name, 250) for name in "abcd"]
    with opened(url) as store:
        feed = store.feed()
        seen = []
        while len(seen) < 1000:
            after = seen[-1].id if seen else 0
            page = feed.read({0: after}, limit=100)[0]
            seen.extend(page.entries)
            if page.entries and len(page.entries) < 100:
                assert (page.head.id, page.head.tag) == (seen[-1].id, seen[-1].tag)
            feed.wait(1)
        feed.close()
        for before, entry in pairwise(seen):
            assert entry.id > before.id
            assert entry.previous_tag == before.tag
        assert 1000 == len({entry.event.subject for entry in seen})
        assert seen == list(store.read(0, after=0, limit=10_000).entries)
    for process in processes:
        finish(process)


def test_stores_of_one_database_do_not_meet(shared_postgres):
    """Two stores in two schemas neither see nor wake each other, nor wait for each other's subjects."""
    with opened(shared_postgres.new_schema()) as one, opened(shared_postgres.new_schema()) as two:
        session = sign_in(one)
        assert None is two.get(session.sid).record
        feed = two.feed()
        feed.read({0: 0})
        one.append(0, RING)
        feed.wait(0.2)
        assert not feed._has_news
        with asking(one_url(one)) as other, other.transaction():
            other.execute("SELECT sojourn_lock_subject('ada')")
            sign_in(two, "ada")
        two.append(0, RING)
        feed.wait(PATIENCE_SECONDS)
        assert feed._has_news
        feed.close()


def one_url(store):
    return store.database.place.conninfo


def test_what_is_heard_while_reading_ends_the_wait(url):
    """A notification that arrives with the answer of a read is of something the read may not show."""
    with opened(url) as store:
        feed = store.feed()
        feed.read({0: 0})
        store.append(0, RING)
        feed._ask("SELECT 1")  # hears it in passing
        feed.wait(PATIENCE_SECONDS * 100)
        assert 1 == len(feed.read({0: 0})[0].entries)
        feed.wait(0)
        feed.close()
        feed.close()
        feed.wait(PATIENCE_SECONDS * 100)
        refuses(lambda: feed.read({0: 0}), "cannot be reached")


def test_a_lost_connection_ends_the_wait(shared_postgres):
    """The follower is told, and opens another reader."""
    url = shared_postgres.new_database()
    with opened(url) as store:
        feed = store.feed()
        waiting = threading.Thread(target=lambda: refuses(lambda: wait_twice(feed), "reached"))
        waiting.start()
        terminate_others(url)
        waiting.join(PATIENCE_SECONDS)
        assert not waiting.is_alive()
        feed.close()


def wait_twice(feed):
    while True:
        feed.wait(PATIENCE_SECONDS)


def test_a_reader_needs_a_store(url):
    """Where there are no tables yet, the reader says so and leaves no connection behind."""
    store = PostgresStore(url)
    refuses(store.feed, "42883")


def test_a_forked_child_has_connections_of_its_own(url):
    """The child opens anew; the parent's connections, in the child's hands, are not touched."""
    with opened(f"{url}&pool=1") as store:
        session = sign_in(store)
        feed = store.feed()
        pid = pid_of(store)

        def child():
            gc.collect()
            assert session == store.get(session.sid).record
            append_many(store, "child", 1)
            assert pid != pid_of(store)
            store.close()

        assert ends_well(fork(child))
        assert pid == pid_of(store)
        feed.wait(PATIENCE_SECONDS)
        assert ["child-0"] == [e.event.subject for e in feed.read({0: 0})[0].entries]
        feed.close()


def test_an_event_loops_store_crosses_a_fork(url):
    """What a child's loop asks travels by connections of the child."""
    store = AsyncPostgresStore(url)

    async def ask():
        await store.open(longest_token_ms=1)
        return (await store.get("x")).record

    async def ask_and_close():
        assert None is await ask()
        await store.close()

    asyncio.run(ask())
    assert ends_well(fork(lambda: asyncio.run(ask_and_close())))
    asyncio.run(ask_and_close())
    assert ends_well(fork(lambda: asyncio.run(ask_and_close())))


def test_a_store_not_opened_crosses_a_fork(url):
    """A store that was never opened is opened by the child."""
    store = PostgresStore(url)

    def child():
        store.open(longest_token_ms=1)
        append_many(store, "child", 1)
        store.close()

    assert ends_well(fork(child))


def pid_of(store):
    return store.database.read(lambda db: db.execute("SELECT pg_backend_pid()").fetchall())


def test_a_wait_at_the_end_of_descriptors(url):
    """Descriptors above 1024, which select() cannot take, are waited for all the same."""
    with opened(url) as store:
        held = [os.dup(0) for _ in range(1100)]
        try:
            feed = store.feed()
            feed.read({0: 0})
            store.append(0, RING)
            feed.wait(PATIENCE_SECONDS)
            assert 1 == len(feed.read({0: 0})[0].entries)
            feed.close()
        finally:
            for descriptor in held:
                os.close(descriptor)


def test_a_connection_refused_has_a_reason(url):
    """Connecting raises what libpq says."""
    with pytest.raises(psycopg.OperationalError, match="does not exist"):
        connect(url.replace("/postgres?", "/nowhere?"))


def test_what_is_restored_stands_above_what_was_there(url):
    """After a failover to a slower clock no id is given that a lost entry had."""
    with opened(url) as store:
        above = store.append(0, RING).entries[0].id + 600_000
        feed = store.feed()
        feed.restore(0, (Event(kind=Kind.CUTOFF, subject="ada"),), above=above)
        entries = feed.read({0: above - 1})[0].entries
        feed.close()
        assert Kind.CUTOFF == entries[-1].event.kind
        assert all(entry.id > above for entry in entries)
        assert entries[-1].event.floor == entries[-1].id
