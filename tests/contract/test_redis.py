"""Both Redis stores keep the contract: on one server, behind Sentinel, and on a cluster.

Each store has a prefix of its own on servers that all tests share.
"""

import pytest
import services_valkey
from services import new_namespace
from stores.redis_samples import every_key, node_urls

from sojourn.testing.contract import StoreContract

stores = pytest.importorskip("sojourn.stores.redis", exc_type=ModuleNotFoundError)


def on_one():
    return services_valkey.shared_valkey().url


def behind_sentinel():
    return services_valkey.shared_valkey_sentinel().url


def on_a_cluster():
    return services_valkey.shared_valkey_cluster().url


class _OnServers(StoreContract):
    lingers_seconds = stores.LINGER_SECONDS

    @pytest.fixture(autouse=True)
    def _prefix(self):
        self.url = type(self).place()
        self.prefix = new_namespace()

    def make_store(self, clock):
        """Make one in the test's namespace."""
        return self.kind(f"{self.url}?prefix={self.prefix}", clock=clock)

    def make_another(self, store, clock):
        """Make a second one in the same."""
        return self.make_store(clock)

    def age(self, store, seconds):
        """Bring Redis's own expiry so much nearer."""
        for client, key in every_key(node_urls(self.url), self.prefix):
            left_ms = client.pttl(key)
            if left_ms > 0:
                client.pexpire(key, max(left_ms - round(seconds * 1000), 0))


class TestOne(_OnServers):
    """The blocking store on one server, raced on threads."""

    kind, place = stores.RedisStore, staticmethod(on_one)


class TestAsyncOne(_OnServers):
    """The asynchronous store on one server, raced in tasks."""

    kind, place = stores.AsyncRedisStore, staticmethod(on_one)


class TestSentinel(_OnServers):
    """The blocking store on a primary with a replica, found through sentinels."""

    kind, place = stores.RedisStore, staticmethod(behind_sentinel)


class TestAsyncSentinel(_OnServers):
    """The asynchronous store on a primary with a replica, found through sentinels."""

    kind, place = stores.AsyncRedisStore, staticmethod(behind_sentinel)


class TestCluster(_OnServers):
    """The blocking store on a cluster of three primaries."""

    kind, place = stores.RedisStore, staticmethod(on_a_cluster)


class TestAsyncCluster(_OnServers):
    """The asynchronous store on a cluster of three primaries."""

    kind, place = stores.AsyncRedisStore, staticmethod(on_a_cluster)
