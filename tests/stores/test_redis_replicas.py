"""Replicas: who has a write before it is acknowledged, and what an isolated primary may not claim."""

import asyncio
from dataclasses import replace

import msgspec
import pytest
from proxy import Proxy
from services import new_namespace
from services_processes import wait_until
from services_valkey import ask, running_valkey, running_valkey_sentinel
from stores.redis_samples import client, draft, node_port

from sojourn.engine.picture import Picture, Stamp, monotonic_ms
from sojourn.errors import StoreError
from sojourn.model import Event, Kind, Session
from sojourn.stores.memory import system_clock
from sojourn.stores.redis import AsyncRedisStore, RedisStore, router

RING = (Event(kind=Kind.RING),)


@pytest.fixture(scope="module")
def sentinels():
    with running_valkey_sentinel() as service:
        yield service


@pytest.fixture
def url(sentinels):
    return f"{sentinels.url}?prefix={new_namespace()}&replicas=1&wait_ms=5000"


@pytest.fixture
def store(url):
    store = RedisStore(url)
    store.open(longest_token_ms=3_600_000)
    yield store
    store.close()


@pytest.fixture
def impatient(store, url):
    """The same store, for which a replica has a moment only."""
    other = RedisStore(url.replace("wait_ms=5000", "wait_ms=50"))
    other._core.router.keys = store._core.router.keys
    other._core.router.shape = store._core.router.shape
    other._core.has_opened(store._core.info)
    yield other
    other.close()


@pytest.fixture
def lonely(sentinels):
    """Stop the replica, so that the primary writes on and nobody acknowledges; until called."""
    replica = sentinels.replicas[0]
    # Otherwise the primary would refuse to write after two seconds, which is another answer.
    ask(sentinels.primary.port, "CONFIG", "SET", "min-replicas-max-lag", 3600)
    paused = []

    def pause():
        replica.pause()
        paused.append(1)

    def resume():
        if paused:
            paused.clear()
            replica.resume()
            sentinels.wait_until_whole()

    yield pause, resume
    resume()
    ask(sentinels.primary.port, "CONFIG", "SET", "min-replicas-max-lag", 2)


def replaced(session):
    return msgspec.structs.replace(session, revision=session.revision + 1)


def test_what_is_acknowledged_is_on_a_replica(sentinels, store):
    """With `?replicas=1` the replica has a session before its creation is answered."""
    replica = client(f"redis://127.0.0.1:{sentinels.replicas[0].port}/0")
    for _ in range(50):
        session = draft()
        store.create(session, limit=None, on_excess="refuse")
        (_, key) = store._core.keys.named(0, f"s:{session.sid}")
        assert replica.exists(key)
        store.delete(session.sid, subject="ada", reason="x")
        assert replica.get(key)[:1] == b"T"


def test_too_few_is_no_success(store, impatient, lonely):
    """Without an acknowledgement every operation that revokes or rotates fails, and may be repeated."""
    pause, resume = lonely
    session = draft()
    store.create(session, limit=None, on_excess="refuse")
    pause()
    operations = (
        lambda: impatient.create(draft(), limit=None, on_excess="refuse"),
        lambda: impatient.replace(replaced(session), expected_revision=1),
        lambda: impatient.delete(session.sid, subject="ada", reason="logout"),
        lambda: impatient.delete_subject("ada", keep=None, reason="all"),
        lambda: impatient.append(0, RING),
        lambda: impatient.put_document("ring", b"x", expected_version=0),
    )
    for operation in operations:
        with pytest.raises(StoreError, match=r"only 0 of 1 replicas.*repeating it is safe"):
            operation()
    resume()
    assert 1 == len(store.delete_subject("ada", keep=None, reason="all").entries)
    assert [] == store.list("ada")
    assert not isinstance(store.get(session.sid).record, Session)


def test_an_older_write_satisfies_nobody(store, impatient, lonely):
    """What changes nothing has to reach a replica, too: it decided on what may not be there."""
    pause, _ = lonely
    session = draft()
    store.create(session, limit=None, on_excess="refuse")
    store.put_document("ring", b"x", expected_version=0)
    cutoff = store.delete_subject("grace", keep=None, reason="all").entries[0].id
    pause()
    nothing = (
        lambda: impatient.replace(session, expected_revision=99),
        lambda: impatient.replace(draft(), expected_revision=1),
        lambda: impatient.create(draft(), limit=1, on_excess="refuse"),
        lambda: impatient.create(draft("grace", position=cutoff - 1), limit=1, on_excess="refuse"),
        lambda: impatient.put_document("ring", b"y", expected_version=0),
        lambda: impatient.append(0, ()),
    )
    for operation in nothing:
        with pytest.raises(StoreError, match="only 0 of 1 replicas"):
            operation()
    assert session == store.get(session.sid).record


async def test_the_awaited_store_waits_too(url, lonely):
    """The same over awaited connections."""
    pause, resume = lonely
    store = AsyncRedisStore(url)
    await store.open(longest_token_ms=1)
    await store.append(0, RING)
    pause()
    store._core.router.place = replace(store._core.place, wait_ms=50)
    with pytest.raises(StoreError, match="only 0 of 1 replicas"):
        await store.append(0, RING)
    store._core.router.place = store._core.place
    await asyncio.to_thread(resume)
    await store.append(0, RING)
    assert 3 == len((await store.read(0, after=0)).entries)
    await store.close()


class Reading:
    """A picture that follows a store, on a clock in the test's hand."""

    def __init__(self, reader):
        self.reader = reader
        self.clock_ms = system_clock()
        self.picture = Picture(
            shards=1, clock=lambda: self.clock_ms, monotonic_ms=lambda: 0.0, on_keys=lambda: None
        )

    def read(self, *, after_seconds=0.0):
        self.clock_ms += round(after_seconds * 1000)
        start = self.picture.cursor(0)
        sent = Stamp(self.clock_ms, monotonic_ms())
        page = self.reader.read({0: start.id if start else 0})[0]
        self.picture.take(0, start=start, page=page, sent=sent)
        return page


def test_a_heartbeat_a_second(url, sentinels):
    """Readers of an idle feed write a heartbeat each second, not more, however many they are."""
    now = [system_clock()]
    store = RedisStore(url, clock=lambda: now[0])
    store.open(longest_token_ms=1)
    readers = [store.feed() for _ in range(3)]
    beats = []
    for _ in range(20):
        now[0] += 250
        beats += [reader.read({0: 0})[0].beat for reader in readers]
    assert 20 * 250 // 1000 == len(set(beats))
    assert sorted(beats) == beats
    store.append(0, RING)
    now[0] += 999
    assert beats[-1] == readers[0].read({0: 0})[0].beat
    now[0] += 1
    assert now[0] == readers[0].read({0: 0})[0].beat
    now[0] -= 3_600_000  # the clock is set back: heartbeats go on, from the last
    assert now[0] + 3_600_001 == readers[0].read({0: 0})[0].beat
    assert now[0] + 3_600_002 == store.read(0, after=0).beat
    for one in (*readers, store):
        one.close()


def test_an_isolated_primary_is_never_fresh():
    """What goes on alone, out of its replicas' hearing, answers and proves nothing."""
    proxies = []

    def through(port):
        proxies.append(Proxy(port).__enter__())
        return proxies[0].port

    with running_valkey_sentinel(through=through) as sentinels:
        (proxy,) = proxies
        port = sentinels.primary.port
        store = RedisStore(f"redis://127.0.0.1:{port}/0")  # on the primary's side of the partition
        store.open(longest_token_ms=1)
        reading = Reading(store.feed())
        reading.read()
        wait_until(
            lambda: reading.read(after_seconds=0.01) and reading.picture.lag_ms() < 5_000,
            what="freshness",
        )
        proxy.cut()
        wait_until(lambda: _refuses(port), what="a primary that notices")
        last = reading.read().beat
        for _ in range(20):
            assert last == reading.read(after_seconds=1).beat
        assert reading.picture.lag_ms() >= 20_000
        with pytest.raises(StoreError, match="NOREPLICAS"):
            store.append(0, RING)
        proxy.heal()
        reading.reader.close()
        store.close()
    proxy.__exit__()


def _refuses(port):
    return "min_slaves_good_slaves:0" in ask(port, "INFO", "replication")


def test_the_next_primary_is_found():
    """When the primary dies, sentinels name the next, which has what was acknowledged."""
    with running_valkey_sentinel(replicas=2) as sentinels:
        store = RedisStore(f"{sentinels.url}?replicas=1&wait_ms=2000")
        store.open(longest_token_ms=3_600_000)
        session = draft()
        store.create(session, limit=None, on_excess="refuse")
        store.put_data(session.sid, b"data", expected_version=0)
        reader = store.feed()
        reader.read({0: 0})
        before = store._core.router.shape.nodes[0]
        sentinels.primary.kill()

        def works():
            try:
                return store.append(0, RING)
            except StoreError:
                return None

        wait_until(works, what="the next primary")
        assert before != store._core.router.shape.nodes[0]
        assert session == store.get(session.sid).record
        reader.wait(60)
        wait_until(lambda: _reads(reader), what="a reader that reads on")
        assert store._core.router.shape.nodes[0] == reader._subscription.address
        reader.close()
        store.close()


def test_a_silent_primary_is_left():
    """A primary that takes connections and says nothing costs an operation its time, not every one."""
    with running_valkey_sentinel(replicas=2) as sentinels:
        store = RedisStore(sentinels.url)
        store.open(longest_token_ms=3_600_000)
        store.append(0, RING)
        before = store._core.router.shape.nodes[0]
        sentinels.primary.pause()
        with pytest.raises(StoreError, match="may or may not have done it"):
            store.append(0, RING)

        def works():
            try:
                return store.append(0, RING)
            except StoreError:
                return None

        wait_until(works, what="the next primary")
        assert before != store._core.router.shape.nodes[0]
        sentinels.primary.resume()
        store.close()


class TestChecksWhileReading:
    """What a server becomes after `open` is noticed by the reader."""

    @pytest.fixture(autouse=True)
    def _often(self, monkeypatch):
        monkeypatch.setattr(router, "CHECK_SECONDS", 0.0)

    @pytest.fixture
    def pair(self):
        with running_valkey(repl_diskless_sync_delay=0) as one, running_valkey() as other:
            yield one.url, other.url

    @pytest.fixture
    def reader(self, pair):
        store = RedisStore(pair[0])
        store.open(longest_token_ms=1)
        reader = store.feed()
        assert None is reader.read({0: 0})[0].beat
        yield reader
        reader.close()
        store.close()

    @staticmethod
    def join(replica, primary):
        ask(node_port(replica), "REPLICAOF", "127.0.0.1", node_port(primary))
        wait_until(
            lambda: "state=online" in ask(node_port(primary), "INFO", "replication"),
            what="a replica that follows",
        )

    def test_a_replica_that_may_be_left_behind(self, pair, reader):
        """A reader fails from when a replica is there without the setting until it is made."""
        primary, replica = pair
        self.join(replica, primary)
        with pytest.raises(StoreError, match="set min-replicas-to-write 1"):
            reader.read({0: 0})
        # Cut off from it, the primary says that it has none, which proves nothing.
        ask(node_port(replica), "REPLICAOF", "NO", "ONE")
        wait_until(
            lambda: "connected_slaves:0" in ask(node_port(primary), "INFO", "replication"),
            what="a primary that is alone",
        )
        for read in (lambda: reader.read({0: 0}), lambda: reader._store.read(0, after=0)) * 2:
            with pytest.raises(StoreError, match="set min-replicas-to-write 1"):
                read()
        self.join(replica, primary)
        ask(node_port(primary), "CONFIG", "SET", "min-replicas-to-write", 1)
        wait_until(lambda: _beat(reader), what="a heartbeat")
        assert reader._store.read(0, after=0).beat

    def test_a_replica_that_joins(self, pair, reader):
        """Heartbeats begin with the setting, are written with a replica, and refused without."""
        primary, replica = pair
        ask(node_port(primary), "CONFIG", "SET", "min-replicas-to-write", 1)
        assert 0 == reader.read({0: 0})[0].beat
        self.join(replica, primary)
        wait_until(lambda: _beat(reader), what="a heartbeat")
        ask(node_port(replica), "REPLICAOF", "NO", "ONE")
        reading = Reading(reader)
        for _ in range(10):
            reading.read(after_seconds=1)
        assert reading.picture.lag_ms() > 8_000

    def test_a_policy_that_evicts(self, pair, reader):
        """A policy that is made an evicting one stops the reader, and a better one lets it go on."""
        client(pair[0]).config_set("maxmemory-policy", "allkeys-lru")
        for _ in range(2):
            with pytest.raises(StoreError, match=r"allkeys-lru.*set maxmemory-policy noevic"):
                reader.read({0: 0})
        client(pair[0]).config_set("maxmemory-policy", "noeviction")
        assert () == reader.read({0: 0})[0].entries

    def test_a_primary_that_becomes_a_replica(self, pair, reader):
        """What has been made a replica may be behind, and is not read."""
        self.join(*pair)
        for _ in range(2):
            with pytest.raises(StoreError, match="is a replica; give the primary"):
                reader.read({0: 0})
        reader._core.router._looking_until = monotonic_ms()  # somebody else is looking
        with pytest.raises(StoreError, match="is a replica; give the primary"):
            reader.read({0: 0})

    def test_the_check_is_now_and_then(self, pair, reader, monkeypatch):
        """The server is asked about itself every few seconds, not with each read."""
        monkeypatch.setattr(router, "CHECK_SECONDS", 60.0)
        client(pair[0]).config_set("maxmemory-policy", "allkeys-lru")
        assert () == reader.read({0: 0})[0].entries

    def test_a_successor_is_found(self, sentinels, store):
        """Where the node is no primary any more, the sentinels are asked for the one that is."""
        reader = store.feed()
        shape = store._core.router.shape
        host, port = shape.nodes[0]
        old = (host, sentinels.replicas[0].port)
        store._core.router.shape = replace(shape, nodes=(old, old))
        assert () == reader.read({0: 0})[0].entries
        assert (host, port) == store._core.router.shape.nodes[0]
        reader.close()


def _beat(reader):
    try:
        return reader.read({0: 0})[0].beat
    except StoreError:
        return None


def _reads(reader):
    try:
        return reader.read({0: 0})[0].entries
    except StoreError:
        return None
