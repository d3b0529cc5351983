"""Sessions in Redis (7.0 and later) or Valkey (7.2 and later): alone, behind Sentinel, or a cluster.

Each operation is one script on one slot, so it is one step; a subject's sessions, cutoff and feed
lie together. Both stores here are the same flows, driven over blocking or awaited connections.

Expired sessions, tombstones and cutoffs go by Redis's own expiry (sessions an hour after their end, so
that an expired one is told from an unknown one), so `purge` takes feed entries only.
"""

from __future__ import annotations

import time
from collections.abc import Callable, Coroutine
from functools import wraps
from typing import Any, Concatenate, ParamSpec, TypeVar

from sojourn.ports import Clock, Found, StoreInfo
from sojourn.stores.redis import (
    facts,
    journal,
    sessions,
)
from sojourn.stores.redis.calls import Flow, Steps
from sojourn.stores.redis.core import Core
from sojourn.stores.redis.feed import RedisFeed
from sojourn.stores.redis.lookups import Lookups
from sojourn.stores.redis.loop import AwaitedWire
from sojourn.stores.redis.place import parse_place
from sojourn.stores.redis.router import DEADLINE_SECONDS
from sojourn.stores.redis.wire import BlockingWire

P = ParamSpec("P")
T = TypeVar("T")


def _opening(core: Core, *, longest_token_ms: int) -> Steps[StoreInfo]:
    deadline = time.monotonic() + DEADLINE_SECONDS
    yield from core.router.connect(deadline=deadline)
    info = yield from core.router.run(facts.open_store(core, longest_token_ms=longest_token_ms))
    core.has_opened(info)
    return info


# --- blocking -------------------------------------------------------------------------------------


def _blocking(
    operation: Callable[Concatenate[Core, P], Flow[T]],
) -> Callable[Concatenate[RedisStore, P], T]:
    @wraps(operation)
    def method(self: RedisStore, /, *args: P.args, **kwargs: P.kwargs) -> T:
        return self._wire.drive(self._core.router.run(operation(self._core, *args, **kwargs)))

    return method


class RedisStore:
    """A `Store` in Redis or Valkey.

    Args:
        url: Where; see `sojourn.stores.redis.place`.
        clock: A test's clock; None for the servers' own.
    """

    def __init__(self, url: str, *, clock: Clock | None = None) -> None:
        """Connect to nobody yet."""
        self._core = Core(parse_place(url), clock)
        self._wire = BlockingWire(self._core.place)

    def open(self, *, longest_token_ms: int) -> StoreInfo:
        """See `Store.open`.

        Raises:
            StoreError: Redis does not answer.
            ConfigurationError: It is set up so that it would lose sessions or revocations.
        """
        try:
            return self._wire.drive(_opening(self._core, longest_token_ms=longest_token_ms))
        except BaseException:
            self._wire.close()  # whoever could not open does not close
            raise

    def close(self) -> None:
        """See `Store.close`."""
        self._core.has_closed()
        self._wire.close()

    def feed(self) -> RedisFeed:
        """See `Store.feed`."""
        return _reader(self._core)

    head = _blocking(journal.head)
    create = _blocking(sessions.create)
    get = _blocking(sessions.get)
    replace = _blocking(sessions.replace)
    delete = _blocking(sessions.delete)
    delete_subject = _blocking(sessions.delete_subject)
    list = _blocking(sessions.list_sessions)
    append = _blocking(journal.append)
    read = _blocking(journal.read)
    get_data = _blocking(facts.get_data)
    put_data = _blocking(facts.put_data)
    get_document = _blocking(facts.get_document)
    put_document = _blocking(facts.put_document)
    read_audit = _blocking(journal.read_audit)
    take_audit = _blocking(journal.take_audit)
    drop_audit = _blocking(journal.drop_audit)
    purge = _blocking(journal.purge)


def _reader(core: Core) -> RedisFeed:
    store = RedisStore.__new__(RedisStore)
    store._core, store._wire = core, BlockingWire(core.place)  # noqa: SLF001 - its own module
    return RedisFeed(core, store, store._wire)  # noqa: SLF001


# --- awaited --------------------------------------------------------------------------------------


def _awaited(
    operation: Callable[Concatenate[Core, P], Flow[T]],
) -> Callable[Concatenate[AsyncRedisStore, P], Coroutine[Any, Any, T]]:
    @wraps(operation)
    async def method(self: AsyncRedisStore, /, *args: P.args, **kwargs: P.kwargs) -> T:
        return await self._run(operation(self._core, *args, **kwargs))

    return method


class AsyncRedisStore:
    """An `AsyncStore` in Redis or Valkey.

    Args:
        url: Where; see `sojourn.stores.redis.place`.
        clock: A test's clock; None for the servers' own.
    """

    def __init__(self, url: str, *, clock: Clock | None = None) -> None:
        """Connect to nobody yet."""
        self._core = Core(parse_place(url), clock)
        self._wire = AwaitedWire(self._core.place)
        self._lookups = Lookups(self._core, self._run)

    async def open(self, *, longest_token_ms: int) -> StoreInfo:
        """See `Store.open`.

        Raises:
            StoreError: Redis does not answer.
            ConfigurationError: It is set up so that it would lose sessions or revocations.
        """
        try:
            return await self._wire.drive(_opening(self._core, longest_token_ms=longest_token_ms))
        except BaseException:
            await self._wire.close()  # whoever could not open does not close
            raise

    async def close(self) -> None:
        """See `Store.close`."""
        self._core.has_closed()
        await self._wire.close()

    def feed(self) -> RedisFeed:
        """See `Store.feed`."""
        return _reader(self._core)

    async def get(self, sid: str) -> Found:
        """See `Store.get`; look-ups of one turn of the loop travel together."""
        return await self._lookups.get(sid)

    async def _run(self, flow: Flow[T]) -> T:
        return await self._wire.drive(self._core.router.run(flow))

    head = _awaited(journal.head)
    create = _awaited(sessions.create)
    replace = _awaited(sessions.replace)
    delete = _awaited(sessions.delete)
    delete_subject = _awaited(sessions.delete_subject)
    list = _awaited(sessions.list_sessions)
    append = _awaited(journal.append)
    read = _awaited(journal.read)
    get_data = _awaited(facts.get_data)
    put_data = _awaited(facts.put_data)
    get_document = _awaited(facts.get_document)
    put_document = _awaited(facts.put_document)
    read_audit = _awaited(journal.read_audit)
    take_audit = _awaited(journal.take_audit)
    drop_audit = _awaited(journal.drop_audit)
    purge = _awaited(journal.purge)
