"""Sessions in Redis or Valkey: one server, Sentinel or a Cluster."""

from importlib.util import find_spec

from sojourn.errors import ConfigurationError

if find_spec("redis") is None:
    raise ConfigurationError(
        "a store in Redis or Valkey needs the package redis: pip install 'sojourn[redis]'"
    )

from sojourn.stores.redis.lua import LINGER_SECONDS
from sojourn.stores.redis.router import DEADLINE_SECONDS
from sojourn.stores.redis.store import AsyncRedisStore, RedisStore

__all__ = ["DEADLINE_SECONDS", "LINGER_SECONDS", "AsyncRedisStore", "RedisStore"]
