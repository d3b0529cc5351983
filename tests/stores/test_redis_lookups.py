"""Look-ups that arrive together travel together, and never join what has been sent."""

import asyncio

import pytest
from proxy import Proxy
from services import new_namespace
from services_processes import wait_until
from services_valkey import running_valkey, shared_valkey, shared_valkey_cluster
from stores.redis_samples import client, draft, node_port

from sojourn.errors import StoreError
from sojourn.handles import shard_of_subject
from sojourn.model import Session, Tombstone
from sojourn.stores.redis import AsyncRedisStore


@pytest.fixture(scope="module")
def own():
    with running_valkey() as service:
        yield service.url


@pytest.fixture
async def store(own):
    store = AsyncRedisStore(f"{own}?prefix={new_namespace()}")
    await store.open(longest_token_ms=1)
    yield store
    await store.close()


async def sign_in(store, **changes):
    session = draft(**changes)
    await store.create(session, limit=None, on_excess="refuse")
    return session


def calls(url, command):
    return client(url).info("commandstats").get(f"cmdstat_{command}", {"calls": 0})["calls"]


async def test_one_turn_is_one_request(store, own):
    """Fifty look-ups of one turn of the loop are one command, answered each with its own."""
    sessions = [await sign_in(store) for _ in range(50)]
    before = calls(own, "mget")
    founds = await asyncio.gather(*[store.get(session.sid) for session in sessions])
    assert sessions == [found.record for found in founds]
    assert 1 == calls(own, "mget") - before
    assert 1 == len({found.now_ms for found in founds})
    await store.get(sessions[0].sid)
    assert 2 == calls(own, "mget") - before


async def test_a_batch_in_flight_is_not_joined(own):
    """A look-up that begins while another is in flight is sent by itself, and sees what came since."""
    with Proxy(node_port(own)) as proxy:
        url = f"redis://127.0.0.1:{proxy.port}/0?prefix={new_namespace()}"
        store = AsyncRedisStore(url)
        await store.open(longest_token_ms=1)
        session = await sign_in(store)
        direct = AsyncRedisStore(f"{own}?prefix={store._core.place.prefix}")
        await direct.open(longest_token_ms=1)
        await store.get(session.sid)
        proxy.delay_seconds = 0.05
        before = calls(own, "mget")
        first = asyncio.ensure_future(store.get(session.sid))
        # It is answered, and the answer is on its way.
        await asyncio.to_thread(
            wait_until, lambda: calls(own, "mget") > before, what="an answered look-up"
        )
        await direct.delete(session.sid, subject="ada", reason="logout")
        second = asyncio.ensure_future(store.get(session.sid))
        records = [found.record for found in await asyncio.gather(first, second)]
        assert [Session, Tombstone] == [type(record) for record in records]
        await store.close()
        await direct.close()


async def test_a_cancelled_member_harms_nobody(store):
    """Whoever goes away leaves the others their answers."""
    sessions = [await sign_in(store) for _ in range(3)]
    asking = [asyncio.ensure_future(store.get(session.sid)) for session in sessions]
    await asyncio.sleep(0)
    asking[1].cancel()
    results = await asyncio.gather(*asking, return_exceptions=True)
    assert [sessions[0], sessions[2]] == [results[0].record, results[2].record]
    assert isinstance(results[1], asyncio.CancelledError)


async def test_a_failure_reaches_each_member():
    """Each is told of a failure, by an error of its own, also one that has gone away."""
    with Proxy(node_port(shared_valkey().url)) as proxy:
        store = AsyncRedisStore(f"redis://127.0.0.1:{proxy.port}/0?prefix={new_namespace()}")
        await store.open(longest_token_ms=1)
        proxy.cut()
        asking = [asyncio.ensure_future(store.get(draft().sid)) for _ in range(3)]
        await asyncio.sleep(0)
        asking[0].cancel()
        _, *errors = await asyncio.gather(*asking, return_exceptions=True)
        assert [StoreError] * 2 == [type(error) for error in errors]
        assert errors[0] is not errors[1]
        await store.close()


async def test_a_bug_reaches_each_member(store, monkeypatch):
    """What is no failure of the store is raised as it is, and nobody waits for ever."""
    monkeypatch.setattr(store._wire, "drive", None)
    for error in await asyncio.gather(
        *[store.get(draft().sid) for _ in range(2)], return_exceptions=True
    ):
        assert isinstance(error, TypeError)


async def test_nodes_are_asked_apart():
    """On a cluster a turn of the loop is one pipeline a node."""
    url = shared_valkey_cluster().url
    store = AsyncRedisStore(f"{url}?prefix={new_namespace()}")
    info = await store.open(longest_token_ms=1)
    sessions = []
    for number in range(60):
        shard = shard_of_subject(str(number), placement_key=info.placement_key, shards=16)
        sessions.append(await sign_in(store, subject=str(number), shard=shard))
    drives = []
    drive = store._wire.drive

    async def counted(steps):
        drives.append(1)
        return await drive(steps)

    store._wire.drive = counted
    founds = await asyncio.gather(*[store.get(session.sid) for session in sessions])
    assert sessions == [found.record for found in founds]
    assert 3 == len(drives)
    await store.close()


def test_a_turn_that_never_came(own):
    """What waited in a loop that has ended is not sent from the next one."""
    store = AsyncRedisStore(f"{own}?prefix={new_namespace()}")
    ended = asyncio.new_event_loop()
    future = ended.create_future()
    store._lookups._loop, store._lookups._waiting = ended, {0: [(draft().sid, future)]}
    ended.close()

    async def look():
        await store.open(longest_token_ms=1)
        found = await store.get(draft().sid)
        await store.close()
        return found.record

    assert None is asyncio.run(look())
    assert not future.done()
