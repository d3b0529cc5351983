"""What the network and the server do to a store in Redis: silence, restarts, forks, no memory."""

import asyncio
import os
import socket
import threading
import time

import pytest
from proxy import Proxy
from services import new_namespace
from services_processes import wait_until
from services_valkey import running_valkey, shared_valkey
from stores.redis_samples import LONGEST_TOKEN_MS, client, draft, ends_well, fork, node_port

from sojourn.errors import StoreError
from sojourn.model import Event, Kind, Session, Tombstone
from sojourn.stores.redis import (
    DEADLINE_SECONDS,
    AsyncRedisStore,
    RedisStore,
    loop as redis_loop,
    wire as redis_wire,
)
from sojourn.stores.redis.calls import Exchange, Failed, Step
from sojourn.stores.redis.loop import AwaitedWire
from sojourn.stores.redis.place import parse_place
from sojourn.stores.redis.wire import BlockingWire

pytestmark = pytest.mark.filterwarnings("ignore:.*fork:DeprecationWarning")
RING = (Event(kind=Kind.RING),)
PATIENCE_SECONDS = DEADLINE_SECONDS + 1.5
"""The time that an operation has, and what a busy machine adds."""


@pytest.fixture
def proxy():
    with Proxy(node_port(shared_valkey().url)) as proxy:
        yield proxy


@pytest.fixture
def url(proxy):
    return f"redis://127.0.0.1:{proxy.port}/0?prefix={new_namespace()}"


@pytest.fixture
def store(url):
    store = RedisStore(url)
    store.open(longest_token_ms=LONGEST_TOKEN_MS)
    yield store
    store.close()


@pytest.fixture
async def awaited(url):
    store = AsyncRedisStore(url)
    await store.open(longest_token_ms=LONGEST_TOKEN_MS)
    yield store
    await store.close()


def sign_in(store, **changes):
    session = draft(**changes)
    assert "created" == store.create(session, limit=None, on_excess="refuse").outcome
    return session


class TestBlackHole:
    def test_nothing_waits_for_ever(self, store, proxy):
        """A read and a write end within their time, with or without a connection, and say how."""
        session = sign_in(store)
        proxy.cut()
        for _ in range(2):
            started = time.monotonic()
            with pytest.raises(StoreError, match="did not do it within its time"):
                store.get(session.sid)
            assert time.monotonic() - started < PATIENCE_SECONDS
        proxy.heal()
        assert session == store.get(session.sid).record
        proxy.cut()
        started = time.monotonic()
        with pytest.raises(StoreError, match="may or may not have done it"):
            store.append(0, RING)
        assert time.monotonic() - started < PATIENCE_SECONDS

    async def test_nothing_is_awaited_for_ever(self, awaited, proxy):
        """The same, awaited."""
        session = draft()
        await awaited.create(session, limit=None, on_excess="refuse")
        proxy.cut()
        for _ in range(2):
            started = time.monotonic()
            with pytest.raises(StoreError, match=r"within its time.*no answer within 1 s"):
                await awaited.get(session.sid)
            assert time.monotonic() - started < PATIENCE_SECONDS
        proxy.heal()
        assert session == (await awaited.get(session.sid)).record
        proxy.cut()
        with pytest.raises(StoreError, match="may or may not have done it"):
            await awaited.append(0, RING)

    def test_opening_ends_too(self, url, proxy):
        """Open has its time, as everything."""
        proxy.cut()
        started = time.monotonic()
        with pytest.raises(StoreError, match="does not answer"):
            RedisStore(url).open(longest_token_ms=1)
        assert time.monotonic() - started < PATIENCE_SECONDS

    def test_a_write_is_not_sent_twice(self, store, proxy):
        """A write whose answer is lost is left to the caller, and what was held arrives once."""
        before = store.append(0, RING).entries[0].id
        proxy.cut()
        with pytest.raises(StoreError, match="may or may not"):
            store.append(0, RING)
        proxy.heal()
        direct = RedisStore(f"{shared_valkey().url}?prefix={store._core.place.prefix}")
        direct.open(longest_token_ms=1)
        wait_until(lambda: direct.head(0).id > before, what="the append that was held")
        assert 1 == len(direct.read(0, after=before).entries)
        direct.close()

    def test_all_connections_in_use(self, url):
        """When none comes free in time, that is what is said."""
        store = RedisStore(f"{url}&pool=1")
        store.open(longest_token_ms=1)
        (pool,) = store._wire._pools.values()
        pool.free.acquire()
        with pytest.raises(StoreError, match="all 1 connections to it are in use"):
            store.append(0, RING)
        pool.free.release()
        assert 0 == store.head(0).id
        store.close()

    async def test_all_awaited_connections_in_use(self, url):
        """The same, awaited."""
        store = AsyncRedisStore(f"{url}&pool=1")
        await store.open(longest_token_ms=1)
        (pool,) = store._wire._pools.values()
        await pool.free.acquire()
        with pytest.raises(StoreError, match="all 1 connections to it are in use"):
            await store.append(0, RING)
        pool.free.release()
        assert 0 == (await store.head(0)).id
        await store.close()


class TestRestarts:
    def test_a_dead_connection_is_replaced(self, store, proxy):
        """A connection that ended while it was idle is not sent anything; another one is made."""
        session = sign_in(store)
        proxy.drop()
        proxy.heal()
        store.append(0, RING)
        assert session == store.get(session.sid).record

    async def test_a_dead_awaited_connection_is_replaced(self, awaited, proxy):
        """The same, awaited."""
        session = draft()
        await awaited.create(session, limit=None, on_excess="refuse")
        proxy.drop()
        proxy.heal()
        await asyncio.sleep(0)  # the loop takes notice
        await asyncio.sleep(0)
        assert (await awaited.append(0, RING)).entries
        assert session == (await awaited.get(session.sid)).record

    async def test_a_refused_connection_is_tried_again(self, url, store, awaited, proxy):
        """Within its time an operation waits for a server that comes back."""
        for run in (
            lambda: asyncio.to_thread(store.head, 0),
            lambda: awaited.head(0),
        ):
            proxy.drop()
            asking = asyncio.ensure_future(run())
            await asyncio.sleep(0)
            proxy.heal()
            assert 0 == (await asking).id

    def test_a_restart_with_its_data(self):
        """A server that persists comes back with sessions, feed and scripts to be sent anew."""
        with running_valkey(appendonly="yes", appendfsync="always") as service:
            store = RedisStore(service.url)
            store.open(longest_token_ms=LONGEST_TOKEN_MS)
            session = sign_in(store)
            service.restart()
            assert session == store.get(session.sid).record
            store.delete(session.sid, subject="ada", reason="logout")
            assert isinstance(store.get(session.sid).record, Tombstone)
            service.kill()
            with pytest.raises(StoreError, match="within its time"):
                store.get(session.sid)
            store.close()

    def test_a_flushed_script_cache(self, store):
        """Scripts that the server has forgotten are sent in full, once."""
        server = client(shared_valkey().url)
        session = sign_in(store)
        server.script_flush()
        store.delete(session.sid, subject="ada", reason="logout")
        assert 1 == len(store.read(0, after=0).entries)

    @pytest.mark.parametrize("kind", ["blocking", "awaited"])
    def test_a_server_that_is_loading(self, kind):
        """A server that still reads its data has done nothing; it is asked again."""
        with socket.create_server(("127.0.0.1", 0)) as listener:

            def answer():
                peer, _ = listener.accept()
                with peer:
                    peer.recv(1000)  # the client's name
                    peer.sendall(b"+OK\r\n")
                    peer.recv(1000)
                    peer.sendall(b"-LOADING Redis is loading the dataset in memory\r\n")

            thread = threading.Thread(target=answer)
            thread.start()
            place = parse_place(f"redis://127.0.0.1:{listener.getsockname()[1]}")
            step = Step((Exchange(place.addresses[0], (("PING",),)),), time.monotonic() + 5)
            if kind == "blocking":
                (outcome,) = BlockingWire(place)._perform(step)
            else:
                (outcome,) = asyncio.run(AwaitedWire(place)._perform(step))
            thread.join()
        assert isinstance(outcome, Failed)
        assert not outcome.was_sent

    def test_a_bug_is_not_a_failure_of_the_store(self, url, monkeypatch):
        """What is neither the network's nor Redis's is raised as it is, and frees its connection."""
        store = RedisStore(f"{url}&pool=1")
        store.open(longest_token_ms=1)
        broken = store._wire._pools[store._core.place.addresses[0]].idle
        broken[:] = []
        monkeypatch.setattr(redis_wire, "blocking_connection", None)
        for _ in range(2):
            with pytest.raises(TypeError):
                store.head(0)
        monkeypatch.undo()
        assert 0 == store.head(0).id
        store.close()

    def test_what_breaks_while_it_is_sent(self, store, monkeypatch):
        """A connection that ends amid the sending may have carried all of it."""
        pool = store._wire._pools[store._core.place.addresses[0]]
        pool.idle[-1]._sock.shutdown(socket.SHUT_WR)
        monkeypatch.setattr(pool.idle[-1], "is_usable", lambda: True)
        with pytest.raises(StoreError, match="may or may not"):
            store.append(0, RING)
        assert 0 == store.head(0).id


class TestAwaiting:
    async def test_a_cancelled_operation_takes_its_connection_along(self, awaited, proxy):
        """Whoever goes away leaves no reply behind for the next."""
        await awaited.append(0, RING)
        proxy.cut()
        asking = asyncio.ensure_future(awaited.read(0, after=0))
        await asyncio.sleep(0.01)
        asking.cancel()
        with pytest.raises(asyncio.CancelledError):
            await asking
        proxy.heal()
        assert 0 < (await awaited.head(0)).id

    async def test_closing_amid_an_operation(self, awaited):
        """What is in use is finished, then closed."""
        await awaited.append(0, ())
        asking = asyncio.ensure_future(awaited.append(0, RING))
        await asyncio.sleep(0)
        await awaited.close()
        assert (await asking).entries

    async def test_a_cancelled_connect(self, url, proxy):
        """A connection under way is closed with whoever wanted it."""
        store = AsyncRedisStore(url)
        proxy.cut()
        opening = asyncio.ensure_future(store.open(longest_token_ms=1))
        await asyncio.sleep(0.01)
        opening.cancel()
        with pytest.raises(asyncio.CancelledError):
            await opening
        proxy.heal()
        await store.open(longest_token_ms=1)
        await store.close()


def test_closing_amid_a_blocking_operation(store, proxy):
    """What is in use is finished, then closed."""
    store.append(0, ())
    proxy.cut()
    written = []
    thread = threading.Thread(target=lambda: written.append(store.append(0, RING)))
    thread.start()
    (pool,) = store._wire._pools.values()
    wait_until(lambda: not pool.idle, what="a connection in use")
    store.close()
    proxy.heal()
    thread.join()
    assert 1 == len(written[0].entries)
    assert not pool.idle


class TestMemory:
    def test_a_full_server_still_revokes(self):
        """Where no session can be stored any more, sessions still end, and the feed says so."""
        with running_valkey() as service:
            store = RedisStore(service.url)
            store.open(longest_token_ms=LONGEST_TOKEN_MS)
            one, other = sign_in(store), sign_in(store)
            client(service.url).config_set("maxmemory", "1mb")
            with pytest.raises(StoreError, match="OutOfMemoryError"):
                store.create(draft(), limit=None, on_excess="refuse")
            assert (one.sid,) == store.delete(one.sid, subject="ada", reason="logout").ended
            assert (other.sid,) == store.delete_subject("ada", keep=None, reason="x").ended
            assert 2 == len(store.read(0, after=0).entries)
            store.close()


class TestForks:
    def test_a_child_has_connections_of_its_own(self, store):
        """After a fork both sides read and write; neither reads the other's replies."""
        session = sign_in(store)
        reader = store.feed()
        reader.read({0: 0})

        def work():
            for _ in range(50):
                assert session == store.get(session.sid).record
            sign_in(store)
            own = store.feed()
            assert 0 == own.read({0: 0})[0].head.id
            own.close()
            store.close()

        children = [fork(work) for _ in range(3)]
        for _ in range(50):
            assert session == store.get(session.sid).record
        assert [True] * 3 == [ends_well(child) for child in children]
        assert 4 == len(store.list("ada"))
        store.append(0, RING)
        reader.wait(60)
        assert 1 == len(reader.read({0: 0})[0].entries)
        reader.close()

    def test_a_child_of_a_loop(self, url):
        """A child that runs a loop of its own takes nothing from its parent's."""
        store = AsyncRedisStore(url)
        session = draft()

        async def main():
            await store.open(longest_token_ms=1)
            await store.create(session, limit=None, on_excess="refuse")
            child = fork(lambda: asyncio.run(look()))
            for _ in range(50):
                assert session == (await store.get(session.sid)).record
            assert ends_well(child)
            assert session == (await store.get(session.sid)).record
            await store.close()

        async def look():
            assert any(redis_loop._abandoned)
            for _ in range(50):
                assert session == (await store.get(session.sid)).record
            await store.close()

        asyncio.run(main())


def test_four_processes_make_one_chain(url):
    """A thousand appends of four processes are one chain, each entry in it once."""
    prefix = url.rpartition("=")[2]
    direct = f"{shared_valkey().url}?prefix={prefix}"
    store = RedisStore(direct)
    store.open(longest_token_ms=1)

    def work():
        mine = RedisStore(direct)
        mine.open(longest_token_ms=1)

        def some():
            for _ in range(50):
                mine.append(0, (Event(kind=Kind.ENDED, sid=str(os.getpid())),))

        threads = [threading.Thread(target=some) for _ in range(5)]
        for thread in threads:
            thread.start()
        for thread in threads:
            thread.join()
        mine.close()

    assert [True] * 4 == [ends_well(child) for child in [fork(work) for _ in range(4)]]
    entries = store.read(0, after=0, limit=2000).entries
    assert 1000 == len(entries)
    assert [250] * 4 == sorted(
        [entry.event.sid for entry in entries].count(pid)
        for pid in {entry.event.sid for entry in entries}
    )
    tag, last = 0, 0
    for entry in entries:
        assert (tag, True) == (entry.previous_tag, entry.id > last)
        tag, last = entry.tag, entry.id
    assert (last, tag) == (store.head(0).id, store.head(0).tag)
    assert not isinstance(store.get(draft().sid).record, Session)
    store.close()
