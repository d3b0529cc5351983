"""The URL of a Redis, taken apart; the names of its keys, and where they lie."""

import importlib.util

import pytest

from sojourn.errors import ConfigurationError
from sojourn.stores.redis import AsyncRedisStore, RedisStore
from sojourn.stores.redis.keys import CLUSTER_SHARDS, SLOTS, Keys, slot_of
from sojourn.stores.redis.place import Place, parse_place

HOME = ("127.0.0.1", 6379)


@pytest.mark.parametrize(
    ("url", "expected"),
    [
        ("redis://127.0.0.1", Place("node", (HOME,))),
        ("redis://127.0.0.1:7000/3", Place("node", (("127.0.0.1", 7000),), db=3)),
        ("valkey://[::1]:7000/", Place("node", (("::1", 7000),))),
        ("rediss://a.example", Place("node", (("a.example", 6379),), is_encrypted=True)),
        ("valkeys://a.example", Place("node", (("a.example", 6379),), is_encrypted=True)),
        ("redis://:p%40ss@127.0.0.1", Place("node", (HOME,), password="p@ss")),
        (
            "redis://ann:a/b%2Fc@127.0.0.1".replace("a/b", "ab"),
            Place("node", (HOME,), username="ann", password="ab/c"),
        ),
        ("redis+cluster://a:1,b", Place("cluster", (("a", 1), ("b", 6379)))),
        ("rediss+cluster://a/0", Place("cluster", (("a", 6379),), is_encrypted=True)),
        (
            "redis+sentinel://a,b:2/my%20service",
            Place("sentinel", (("a", 26379), ("b", 2)), service="my service"),
        ),
        (
            "valkey+sentinel://u:p@a/main/4",
            Place("sentinel", (("a", 26379),), "u", "p", db=4, service="main"),
        ),
        (
            "redis://127.0.0.1/?prefix=app:1&replicas=2&wait_ms=70&pool=3",
            Place("node", (HOME,), prefix="app:1", replicas=2, wait_ms=70, pool=3),
        ),
    ],
)
def test_a_url_is_taken_apart(url, expected):
    """Every form gives its place; users and passwords are percent-decoded."""
    assert expected == parse_place(url)


@pytest.mark.parametrize(
    ("url", "why"),
    [
        ("unix:///tmp/redis.sock", "no URL of a Redis"),
        ("redis+mirror://a", "no URL of a Redis"),
        ("redis://", "a host of the Redis URL"),
        ("redis://a:b", "a host of the Redis URL"),
        ("redis://a:70000", "a host of the Redis URL"),
        ("redis://a,b", "several hosts are a cluster"),
        ("redis://a/x", "database of a Redis URL is a number"),
        ("redis+cluster://a/1", "a cluster has database 0 only"),
        ("redis+sentinel://a", "need the name of the service"),
        ("redis+sentinel://a/main/x", "database of a Redis URL is a number"),
        ("redis://a?db=1", "no parameter 'db'; it takes prefix, replicas, wait_ms, pool"),
        ("redis://a?pool=0", "pool= of a Redis URL is a number from 1 to 1000"),
        ("redis://a?replicas=many", "replicas= of a Redis URL is a number from 0 to 16"),
        ("redis://a?prefix={x}", "prefix= of a Redis URL is 1 to 64"),
        ("redis://a?prefix=", "prefix= of a Redis URL is 1 to 64"),
    ],
)
def test_another_url_is_refused(url, why):
    """What is not understood is refused with what would be."""
    for kind in (RedisStore, AsyncRedisStore):
        with pytest.raises(ConfigurationError, match=why):
            kind(url)


def test_no_password_is_shown():
    """Neither a refusal nor a representation holds what stands before the host."""
    for url in ("redis://u:s3cret@a:b", "x://u:s3cret@a", "redis://u:s3cret@a?pool=0"):
        with pytest.raises(ConfigurationError) as refused:
            parse_place(url)
        assert "s3cret" not in str(refused.value)
    place = parse_place("redis://u:s3cret@a")
    assert "s3cret" not in repr(place) + repr(RedisStore("redis://u:s3cret@a")._core)


def test_slots_are_the_clusters():
    """The slot of a tag is the one the cluster computes (the specification's own examples)."""
    assert 0x31C3 % SLOTS == slot_of("123456789")
    assert 12182 == slot_of("foo")


@pytest.mark.parametrize("prefix", ["sojourn", "x", "a:b.c-d_e", "z" * 64])
def test_shards_lie_apart(prefix):
    """Shard n of 16 lies in the n-th sixteenth of the slots, whatever the prefix."""
    keys = Keys(prefix, CLUSTER_SHARDS)
    assert list(range(16)) == [slot // (SLOTS // 16) for slot in keys.slots[:16]]
    for shard in range(16):
        head, session = keys.named(shard, "s:x")
        tag = head[1 : head.index("}")]
        assert (keys.slots[shard], True) == (slot_of(tag), session.startswith(head[:-1]))


def test_one_shard_has_a_short_tag():
    """A single server's keys carry the prefix and the shard."""
    keys = Keys("sojourn", 1)
    assert ["{sojourn:0}:h", "{sojourn:0}:s:x"] == keys.named(0, "s:x")
    assert "{sojourn:meta}:meta" == keys.meta


def test_the_extra_is_named(monkeypatch):
    """Without the package, the remedy stands in the error."""
    spec = importlib.util.find_spec("sojourn.stores.redis")
    monkeypatch.setattr(importlib.util, "find_spec", lambda _: None)
    with pytest.raises(ConfigurationError, match=r"pip install 'sojourn\[redis\]'"):
        spec.loader.exec_module(importlib.util.module_from_spec(spec))
