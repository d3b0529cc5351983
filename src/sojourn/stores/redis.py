"""Sessions in Redis (7.0 and later) or Valkey (7.2 and later): alone, behind Sentinel, or a cluster.

Each operation is one script on one slot, so it is one step; a subject's sessions, cutoff and feed
lie together. Both stores here are the same flows, driven over blocking or awaited connections.

Expired sessions, tombstones and cutoffs go by Redis's own expiry (sessions an hour after their end, so
that an expired one is told from an unknown one), so `purge` takes feed entries only.
"""

from __future__ import annotations

import time
from collections.abc import Awaitable, Callable, Coroutine
from functools import wraps
from typing import Any, Concatenate, ParamSpec, TypeVar

from sojourn.errors import ConfigurationError

try:
    import redis
except ImportError as error:  # pragma: no cover - run in a process of its own
    raise ConfigurationError(
        "a store in Redis or Valkey needs the package redis: pip install 'sojourn[redis]'"
    ) from error

from sojourn.model import AuditRecord
from sojourn.ports import AuditLine, Clock, Found, StoreInfo
from sojourn.stores import redis_facts, redis_feeds, redis_sessions
from sojourn.stores.redis_calls import Flow, Steps
from sojourn.stores.redis_core import Core
from sojourn.stores.redis_feed import RedisFeed
from sojourn.stores.redis_lookups import Lookups
from sojourn.stores.redis_lua import LINGER_SECONDS
from sojourn.stores.redis_place import parse_place
from sojourn.stores.redis_router import DEADLINE_SECONDS
from sojourn.stores.redis_wire import AwaitedWire, BlockingWire

__all__ = ["DEADLINE_SECONDS", "LINGER_SECONDS", "AsyncRedisStore", "RedisStore"]

P = ParamSpec("P")
T = TypeVar("T")
