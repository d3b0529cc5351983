"""What is refused when a store in Redis is opened, and what is when its data goes away."""

import asyncio

import pytest
from services import new_namespace
from services_valkey import (
    running_valkey,
    running_valkey_sentinel,
    shared_valkey,
    shared_valkey_cluster,
    shared_valkey_sentinel,
)
from stores.redis_samples import LONGEST_TOKEN_MS, client, draft, every_key, node_urls

from sojourn.errors import ConfigurationError, StoreError
from sojourn.model import Event, Kind
from sojourn.stores.redis import AsyncRedisStore, RedisStore
from sojourn.stores.redis.keys import Keys


def opened(url, **options):
    store = RedisStore(url, **options)
    store.open(longest_token_ms=LONGEST_TOKEN_MS)
    return store


@pytest.fixture(scope="module")
def own():
    with running_valkey() as service:
        yield service.url


@pytest.fixture
def url():
    return f"{shared_valkey().url}?prefix={new_namespace()}"


class TestRefusals:
    def test_an_evicting_server(self, own):
        """Eviction would take revocations; the policy and the remedy are named."""
        client(own).config_set("maxmemory-policy", "allkeys-lru")
        with pytest.raises(ConfigurationError, match=r"allkeys-lru.*set maxmemory-policy noevic"):
            opened(own)
        client(own).config_set("maxmemory-policy", "noeviction")

    def test_a_primary_that_goes_on_alone(self):
        """Where there are replicas, `min-replicas-to-write` is asked for by name."""
        with running_valkey_sentinel(min_replicas=0) as sentinels:
            for place in (sentinels.url, f"redis://127.0.0.1:{sentinels.primary.port}"):
                with pytest.raises(ConfigurationError, match="set min-replicas-to-write 1"):
                    opened(place)

    def test_replicas_that_are_asked_for(self, url):
        """`?replicas=` asks for the same, though no replica is connected at the moment."""
        with pytest.raises(ConfigurationError, match="set min-replicas-to-write 1"):
            opened(f"{url}&replicas=1")

    def test_a_replica(self):
        """A replica's own address is refused: what it says may be old, and it takes no writes."""
        primary = client(node_urls(shared_valkey_sentinel().url)[0])
        replica = primary.info("replication")["slave0"]
        with pytest.raises(StoreError, match="is a replica; give the primary"):
            opened(f"redis://{replica['ip']}:{replica['port']}")

    def test_an_unknown_service(self):
        """Sentinels that know no such service are named."""
        url = shared_valkey_sentinel().url.rpartition("/")[0]
        with pytest.raises(StoreError, match="it knows no service 'other'"):
            opened(f"{url}/other")

    def test_an_old_server(self, own, monkeypatch):
        """A version without what scripts need is refused."""
        monkeypatch.setattr("sojourn.stores.redis.topology.OLDEST", (99, 0))
        with pytest.raises(ConfigurationError, match=r"is version 7\.2\.\d+; use Redis 7\.0"):
            opened(own)

    def test_a_wrong_password(self, own):
        """Redis's refusal is passed on, and the password is not."""
        server = client(own)
        server.config_set("requirepass", "right")
        try:
            for given in (own, own.replace("//", "//:wr0ng@")):
                with pytest.raises(StoreError, match=r"NOAUTH|WRONGPASS|uthentication") as refused:
                    opened(given)
                assert "wr0ng" not in f"{refused.value} {refused.value.__cause__!r}"
            store = opened(own.replace("//", "//default:right@"))
            assert None is store.get(draft().sid).record
            store.close()
        finally:
            server.config_set("requirepass", "")

    def test_nobody_there(self):
        """A closed port is a failure of the store, with its address."""
        for url in ("redis://127.0.0.1:1", "redis+sentinel://127.0.0.1:1/x"):
            with pytest.raises(StoreError, match=r"127\.0\.0\.1:1"):
                opened(url)
        with pytest.raises(StoreError, match="no node of the cluster"):
            opened("redis+cluster://127.0.0.1:1")


class TestKinds:
    def test_a_node_of_a_cluster_is_recognised(self):
        """A plain URL of any node opens the whole cluster, with its sixteen shards."""
        cluster = shared_valkey_cluster()
        prefix = new_namespace()
        places = ",".join(url.removeprefix("redis://").partition("/")[0] for url in cluster.urls)
        infos = []
        for url in (*cluster.urls, f"redis+cluster://{places}"):
            store = opened(f"{url}?prefix={prefix}")
            infos.append(store.open(longest_token_ms=1))
            store.close()
        assert (16, 1) == (infos[0].shards, len(set(map(repr, infos))))

    def test_shards_are_spread_evenly(self):
        """Sixteen shards over three primaries: four to six each."""
        store = opened(f"{shared_valkey_cluster().url}?prefix={new_namespace()}")
        nodes = store._core.router.shape.nodes[:16]
        counts = [nodes.count(node) for node in set(nodes)]
        assert (3, 16, True) == (len(counts), sum(counts), min(counts) >= 4)
        store.close()

    def test_a_numbered_database_on_a_cluster(self):
        """A cluster has one database; where a Valkey has more, they are not used."""
        with running_valkey(cluster_enabled="yes", cluster_databases=2) as service:
            with pytest.raises(ConfigurationError, match="database 0 only"):
                opened(service.url.replace("/0", "/1"))
            with pytest.raises(StoreError, match="some slots have no node"):
                opened(service.url)

    def test_a_store_that_changed_its_kind(self):
        """A store of one shard is not opened with sixteen: subjects would be looked for elsewhere."""
        url = f"{shared_valkey_cluster().url}?prefix={new_namespace()}"
        store = RedisStore(url)
        store._core.router.keys = Keys(store._core.place.prefix, 1)
        store.open(longest_token_ms=1)
        with pytest.raises(ConfigurationError, match=r"created with 1 shard.*have 16"):
            opened(url)
        store.close()

    def test_databases_are_apart(self, own):
        """A numbered database is a place of its own."""
        one, other = opened(f"{own}"), opened(own.replace("/0", "/5"))
        session = draft()
        one.create(session, limit=None, on_excess="refuse")
        assert None is other.get(session.sid).record
        one.close()
        other.close()


class TestOpenAndClosed:
    def test_a_closed_store_says_so(self, url):
        """Before `open` and after `close` every operation asks for it; a reader, too."""
        store = RedisStore(url)
        for _ in range(2):
            for ask in (
                lambda: store.get(draft().sid),
                lambda: store.head(0),
                lambda: store.list("ada"),
                lambda: store.feed().read({0: 0}),
            ):
                with pytest.raises(StoreError, match=r"not open; call open\(\) first"):
                    ask()
            store.open(longest_token_ms=1)
            store.close()

    async def test_a_closed_asynchronous_store_says_so(self, url):
        """The same for look-ups that would have travelled together."""
        store = AsyncRedisStore(url)
        await store.open(longest_token_ms=1)
        await store.close()
        with pytest.raises(StoreError, match="not open"):
            await store.get(draft().sid)
        store._core.has_opened(await store.open(longest_token_ms=1))
        store._core.router.shape = None
        with pytest.raises(StoreError, match="not open"):
            await store.get(draft().sid)
        await store.close()

    def test_a_store_serves_one_loop_after_another(self, url):
        """Each event loop gets connections of its own."""
        store = AsyncRedisStore(url)

        async def once():
            await store.open(longest_token_ms=1)
            found = await asyncio.gather(*[store.get(draft().sid) for _ in range(3)])
            await store.close()
            return [one.record for one in found]

        assert [[None] * 3] * 2 == [asyncio.run(once()) for _ in range(2)]


class TestLoss:
    def test_a_flushed_store_fails(self, url):
        """When its record is gone, nothing is answered and nothing made anew until it is reopened."""
        store = opened(url)
        session = draft()
        store.create(session, limit=None, on_excess="refuse")
        reader = store.feed()
        reader.read({0: 0})
        for node, key in every_key([shared_valkey().url], store._core.place.prefix):
            node.delete(key)
        asks = (
            lambda: store.get(session.sid),
            lambda: store.head(0),
            lambda: store.create(draft(), limit=None, on_excess="refuse"),
            lambda: store.append(0, (Event(kind=Kind.RING),)),
            lambda: store.delete(session.sid, subject="ada", reason="x"),
            lambda: store.get_data(session.sid),
            lambda: store.get_document("ring"),
            store.read_audit,
            lambda: reader.read({0: 0}),
        )
        for ask in asks:
            with pytest.raises(StoreError, match="gone from Redis"):
                ask()
        other = opened(url)
        for ask in asks:
            with pytest.raises(StoreError, match="gone from Redis"):
                ask()
        store.open(longest_token_ms=1)
        assert None is store.get(session.sid).record
        for one in (reader, store, other):
            one.close()

    def test_remains_are_not_built_upon(self, url):
        """Where the record alone is gone, or a shard is another store's, a backup is asked for."""
        opened(url).close()
        prefix = url.rpartition("=")[2]
        keys = Keys(prefix, 1)
        server = client(shared_valkey().url)
        record, (head,) = server.get(keys.meta), keys.named(0)
        server.delete(keys.meta)
        with pytest.raises(StoreError, match="Restore a backup, or choose another"):
            opened(url)
        server.set(keys.meta, record)
        server.setrange(head, 0, b"another!")
        with pytest.raises(StoreError, match="Restore a backup, or choose another"):
            opened(url)

    def test_a_record_that_is_not_understood(self, url):
        """Damaged bytes are a failure, never a missing session."""
        store = opened(url)
        keys, server = store._core.keys, client(shared_valkey().url)
        session = draft()
        (_, key, feed) = keys.named(0, f"s:{session.sid}", "f")
        for damaged in (b"S", b"Sdamaged" * 10, b"T", b""):
            server.set(key, damaged)
            with pytest.raises(StoreError, match="cannot be understood"):
                store.get(session.sid)
        server.xadd(feed, {"e": b"\0" * 28 + b"damaged"}, id="1-0")
        with pytest.raises(StoreError, match="cannot be understood"):
            store.read(0, after=0)
        store.close()

    def test_a_feed_that_is_gone(self, url):
        """Without its feed, which a purge leaves, a store says so: it would not know what is revoked."""
        now = [1_800_000_000_000]
        store = opened(url, clock=lambda: now[0])
        ring = (Event(kind=Kind.RING),)
        assert () == store.read(0, after=0).entries  # there is none yet, and nothing is missing
        head = store.append(0, ring).entries[0]
        now[0] += 86_400_000
        assert (1, 0) == (store.purge(), store.purge())
        assert ((), head.id) == (store.read(0, after=0).entries, store.read(0, after=0).head.id)
        session = draft(expires_at_ms=now[0] + 86_400_000)
        store.create(session, limit=None, on_excess="refuse")
        client(shared_valkey().url).delete(store._core.keys.named(0, "f")[1])
        reader, other = store.feed(), opened(url)
        asks = (
            lambda: store.read(0, after=0),
            lambda: other.read(0, after=head.id),
            lambda: reader.read({0: 0}),
            lambda: store.append(0, ring),  # it would begin a feed that lacks what was in this
            lambda: store.delete(session.sid, subject="ada", reason="x"),
            lambda: store.delete_subject("ada", keep=None, reason="x"),
        )
        for ask in asks:
            with pytest.raises(StoreError, match="feed of revocations is gone from Redis"):
                ask()
        assert session == store.get(session.sid).record  # they have done nothing
        for one in (reader, store, other):
            one.close()

    def test_a_stray_sid_is_not_found(self, url):
        """A sid that no store ever gave is nothing."""
        store = opened(url)
        for sid in ("", "s", "?" * 22, "_" * 22):
            assert None is store.get(sid).record
        store.close()


def test_a_store_that_could_not_be_opened(url, monkeypatch):
    """After a failure amid opening it is not open, and says so."""

    def fail(*args, **kwargs):
        raise StoreError("amid")
        yield

    monkeypatch.setattr("sojourn.stores.redis.facts.open_store", fail)
    store = RedisStore(url)
    with pytest.raises(StoreError, match="amid"):
        store.open(longest_token_ms=1)
    for ask in (lambda: store.head(0), lambda: store.append(0, ())):
        with pytest.raises(StoreError, match="not open"):
            ask()
