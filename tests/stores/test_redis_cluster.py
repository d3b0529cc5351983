"""A cluster that changes under the store: slots that move, nodes that go."""

import asyncio

import pytest
from redis.exceptions import AskError, MovedError
from services import new_namespace
from services_processes import wait_until
from services_valkey import ask, running_valkey_cluster, shared_valkey_cluster
from stores.redis_samples import client, draft

from sojourn.errors import StoreError
from sojourn.model import Event, Kind, Tombstone
from sojourn.stores.redis import AsyncRedisStore, RedisStore
from sojourn.stores.redis.calls import Call, Shape

SHARD = 5


@pytest.fixture
def store():
    store = RedisStore(f"{shared_valkey_cluster().url}?prefix={new_namespace()}")
    store.open(longest_token_ms=3_600_000)
    yield store
    store.close()


def sign_in(store, **changes):
    session = draft(shard=SHARD, **changes)
    assert "created" == store.create(session, limit=None, on_excess="refuse").outcome
    return session


class Move:
    """A slot on its way from its node to another, as `CLUSTER SETSLOT` moves it."""

    def __init__(self, store):
        shape = store._core.router.shape
        self.slot = store._core.router.keys.slots[SHARD]
        self.nodes = sorted(set(shape.nodes))
        self.source = shape.nodes[SHARD]
        self.target = next(node for node in self.nodes if node != self.source)
        self.ids = {node: ask(node[1], "CLUSTER", "MYID") for node in self.nodes}

    def begin(self):
        setslot = ("CLUSTER", "SETSLOT", self.slot)
        ask(self.target[1], *setslot, "IMPORTING", self.ids[self.source])
        ask(self.source[1], *setslot, "MIGRATING", self.ids[self.target])

    def keys(self):
        return ask(self.source[1], "CLUSTER", "GETKEYSINSLOT", self.slot, 1000)

    def carry(self, *keys):
        ask(self.source[1], "MIGRATE", *self.target, "", 0, 5000, "KEYS", *keys)

    def finish(self):
        for node in (self.target, self.source, *self.nodes):
            ask(node[1], "CLUSTER", "SETSLOT", self.slot, "NODE", self.ids[self.target])

    def back(self):
        self.source, self.target = self.target, self.source
        self.begin()
        if keys := self.keys():
            self.carry(*keys)
        self.finish()


@pytest.fixture
def move(store):
    move = Move(store)
    home = move.source
    yield move
    if move.target != home:
        move.finish()
        move.back()


def test_a_moved_slot_is_followed(store, move):
    """MOVED is followed by reads, writes and the reader, and remembered."""
    session = sign_in(store)
    reader = store.feed()
    reader.read({SHARD: 0})
    move.begin()
    move.carry(*move.keys())
    move.finish()
    assert session == store.get(session.sid).record
    assert move.target == store._core.router.shape.nodes[SHARD]
    store.delete(session.sid, subject="ada", reason="logout")
    assert 1 == len(reader.read({SHARD: 0})[SHARD].entries)
    reader.close()


def test_a_write_meets_a_moved_slot(store, move):
    """A write that is refused with MOVED was not done, and is done elsewhere."""
    sign_in(store)
    move.begin()
    move.carry(*move.keys())
    move.finish()
    assert 1 == len(store.append(SHARD, (Event(kind=Kind.RING),)).entries)
    assert 1 == len(store.read(SHARD, after=0).entries)


def test_a_slot_that_is_moving(store, move):
    """While a slot moves, what is together is served where it is: before at home, after by ASK."""
    session = sign_in(store)
    store.append(SHARD, (Event(kind=Kind.RING),))
    before = store.head(SHARD)
    move.begin()
    assert session == store.get(session.sid).record
    move.carry(*move.keys())
    assert session == store.get(session.sid).record
    assert before == store.head(SHARD)
    assert 1 == len(store.append(SHARD, (Event(kind=Kind.RING),)).entries)
    assert 2 == len(store.read(SHARD, after=0).entries)
    assert move.source == store._core.router.shape.nodes[SHARD]
    move.finish()
    assert session == store.get(session.sid).record


def test_halves_are_not_mistaken(store, move):
    """While its keys are on two nodes, a session is unknown to neither: the answer is a failure."""
    session = sign_in(store)
    head, key = store._core.keys.named(SHARD, f"s:{session.sid}")
    move.begin()
    move.carry(key)
    with pytest.raises(StoreError, match=r"within its time.*TryAgain"):
        store.get(session.sid)
    with pytest.raises(StoreError, match="within its time"):
        store.delete(session.sid, subject="ada", reason="logout")
    move.carry(head)
    assert session == store.get(session.sid).record
    rest = move.keys()
    move.carry(*rest)
    move.finish()
    store.delete(session.sid, subject="ada", reason="logout")
    assert isinstance(store.get(session.sid).record, Tombstone)


def test_a_script_stops_before_it_writes(store, move):
    """A script that meets a key on the other node has written nothing yet."""
    session, other = sign_in(store), sign_in(store)
    _, index, key = store._core.keys.named(SHARD, "u:ada", f"s:{other.sid}")
    assert index
    move.begin()
    move.carry(key)
    for refused in (
        lambda: store.create(draft(shard=SHARD), limit=1, on_excess="end_oldest"),
        lambda: store.delete_subject(_subject_of(store), keep=None, reason="x"),
    ):
        with pytest.raises(StoreError, match="within its time"):
            refused()
    assert 0 == store.head(SHARD).id
    move.carry(*move.keys())
    move.finish()
    assert [session, other] == [store.get(one.sid).record for one in (session, other)]


def _subject_of(store):
    return next(str(n) for n in range(1000) if store._core.shard_of(str(n)) == SHARD)


async def test_many_meet_a_moved_slot(store, move):
    """A hundred look-ups that meet MOVED look for the nodes together, not each."""
    sessions = [sign_in(store) for _ in range(100)]
    awaited = AsyncRedisStore(f"{shared_valkey_cluster().url}?prefix={store._core.place.prefix}")
    await awaited.open(longest_token_ms=1)
    move.begin()
    move.carry(*move.keys())
    move.finish()
    questions = sum(_slots_asked(url) for url in shared_valkey_cluster().urls)
    founds = await asyncio.gather(
        *[awaited.get(session.sid) for session in sessions],
        *[awaited.append(SHARD, ()) for _ in range(20)],
    )
    assert sessions == [found.record for found in founds[:100]]
    asked = sum(_slots_asked(url) for url in shared_valkey_cluster().urls) - questions
    assert 1 <= asked <= 3
    await awaited.close()


def _slots_asked(url):
    stats = client(url).info("commandstats")
    return stats.get("cmdstat_cluster|slots", {"calls": 0})["calls"]


class TestFailover:
    def test_a_replica_takes_over(self):
        """When a primary dies, its replica is found, checked and used, reader included."""
        with running_valkey_cluster(replicas=2, node_timeout_ms=1_000) as cluster:
            store = RedisStore(f"{cluster.url}?replicas=1&wait_ms=2000")
            store.open(longest_token_ms=3_600_000)
            session = sign_in(store)
            reader = store.feed()
            heads = dict.fromkeys(range(16), 0)
            assert 0 not in {page.beat for page in reader.read(heads).values()}
            home = store._core.router.shape.nodes[SHARD]
            node = next(node for node in cluster.primaries if node.port == home[1])
            node.kill()
            wait_until(
                lambda: _works(lambda: store.append(SHARD, (Event(kind=Kind.RING),))),
                what="a replica that has taken over",
            )
            assert home != store._core.router.shape.nodes[SHARD]
            assert session == store.get(session.sid).record
            wait_until(lambda: _works(lambda: reader.read(heads)), what="a reader that reads on")
            assert reader.read(heads)[SHARD].entries
            reader.close()
            store.close()


def _works(operation):
    try:
        operation()
    except StoreError:
        return False
    return True


def test_a_new_node_is_checked(store, move):
    """A node that becomes responsible and evicts is not used; the operation says why."""
    session = sign_in(store)
    url = f"redis://{move.target[0]}:{move.target[1]}/0"
    client(url).config_set("maxmemory-policy", "allkeys-lru")
    try:
        move.begin()
        move.carry(*move.keys())
        move.finish()
        with pytest.raises(StoreError, match=r"within its time.*maxmemory-policy noeviction"):
            store.get(session.sid)
    finally:
        client(url).config_set("maxmemory-policy", "noeviction")
    assert session == store.get(session.sid).record


def test_a_refusal_without_a_name():
    """ASK and MOVED that name a port alone mean it on the node that answered."""
    router = RedisStore("redis+cluster://a:1")._core.router
    router.shape = Shape((("a", 1), ("b", 2)), has_replicas=False, is_cluster=True)
    steps = router.do([Call(1, (("GET", "x"),))])
    assert [("b", 2)] == [exchange.address for exchange in next(steps).exchanges]
    step = steps.send([[AskError("1 :6380")]])
    assert [("b", 6380)] == [exchange.address for exchange in step.exchanges]
    step = steps.send([[b"OK", AskError("1 c:6381")]])
    assert [("c", 6381)] == [exchange.address for exchange in step.exchanges]
    step = steps.send([[b"OK", MovedError("1 :6382")]])
    assert [("c", 6382)] == [exchange.address for exchange in step.exchanges]
    assert (("CLUSTER", "SLOTS"),) == step.exchanges[0].commands
    steps.close()


def test_a_cluster_beats_whether_it_has_replicas_or_not(store):
    """Replicas may join a cluster at any time, so a reader always asks for heartbeats."""
    reader = store.feed()
    assert 0 not in {page.beat for page in reader.read(dict.fromkeys(range(16), 0)).values()}
    reader.close()


def test_an_append_waits_for_its_feed(store, move):
    """While the head has moved and the feed has not, nothing is appended: no second feed begins."""
    store.append(SHARD, (Event(kind=Kind.RING),))
    head, feed = store._core.keys.named(SHARD, "f")
    move.begin()
    move.carry(head)
    with pytest.raises(StoreError, match="within its time"):
        store.append(SHARD, (Event(kind=Kind.RING),))
    move.carry(feed)
    assert 1 == len(store.append(SHARD, (Event(kind=Kind.RING),)).entries)
    assert 2 == len(store.read(SHARD, after=0).entries)
    if rest := move.keys():
        move.carry(*rest)
    move.finish()


def test_a_node_without_a_name():
    """A node that does not know its own name is called what it was asked under."""
    from sojourn.stores.redis.keys import Keys
    from sojourn.stores.redis.topology import _everybody, _owners

    rows = [[0, 16_383, [None, 7000, b"id"], [b"b", 7001, b"id"]]]
    assert {("a", 7000)} == set(_owners(Keys("x", 16), rows, ("a", 1)))
    assert (("a", 7000), ("b", 7001)) == _everybody(rows, ("a", 1))
