"""The follower's reader: all shards in one round trip a node, and a subscription that wakes it.

Writers publish on one classic channel. A cluster carries that to every node, so that one
subscription hears all shards; sharded channels (SPUBLISH) would take one for each of 16 slots, each
following its slot about. Nothing depends on it: a wake-up is never truth, and a reader that hears
nothing polls.
"""

from __future__ import annotations

import threading
import time
from collections.abc import Mapping, Sequence
from contextlib import suppress

from redis.exceptions import RedisError

from sojourn.errors import StoreError
from sojourn.model import Event
from sojourn.ports import Page, Store
from sojourn.stores.redis.connections import listening_connection
from sojourn.stores.redis.core import Core
from sojourn.stores.redis.journal import read_all
from sojourn.stores.redis.place import Address
from sojourn.stores.redis.router import DEADLINE_SECONDS
from sojourn.stores.redis.wire import BlockingWire
from sojourn.stores.restoring import restore

QUIET_SECONDS = 5.0
"""After so long without a word the subscription is asked whether it is still there."""


class RedisFeed:
    """A `Feed` on connections of its own.

    Args:
        core: The store.
        store: A blocking store on it and on the wire, to restore through.
        wire: Connections that are the reader's alone.
    """

    def __init__(self, core: Core, store: Store, wire: BlockingWire) -> None:
        """Connect at the first read."""
        self._core = core
        self._store = store
        self._wire = wire
        self._subscription: _Subscription | None = None
        self._closed = threading.Event()

    def read(self, after: Mapping[int, int], *, limit: int = 1000) -> Mapping[int, Page]:
        """See `Feed.read`; it subscribes first, so that nothing appended since is missed.

        Raises:
            StoreError: Redis does not answer, or is by now set up so that it would lose something: the
                picture then grows stale.
        """
        self._subscribe()
        router = self._core.router
        self._wire.drive(router.check_again())
        shape = router.shape
        pages, is_refused = self._wire.drive(router.run(read_all(self._core, after, limit=limit)))
        if is_refused and shape is not None:
            deadline = time.monotonic() + DEADLINE_SECONDS
            with suppress(StoreError):  # a failover may be under way; the next read looks again
                self._wire.drive(router.look_again(shape, deadline=deadline))
        return pages

    def restore(self, shard: int, events: Sequence[Event], *, above: int = 0) -> None:
        """See `Feed.restore`."""
        restore(self._store, shard, events, above=above)

    def wait(self, timeout_seconds: float) -> None:
        """See `Feed.wait`."""
        subscription = self._subscription
        if subscription is None or self._closed.is_set():
            self._closed.wait(timeout_seconds)
        elif not subscription.wait(timeout_seconds):
            self._unsubscribe()

    def close(self) -> None:
        """See `Feed.close`. Idempotent, from any thread."""
        self._closed.set()
        self._unsubscribe()
        self._wire.close()

    def _subscribe(self) -> None:
        shape = self._core.router.shape
        if shape is None or self._closed.is_set():
            return
        subscription = self._subscription
        if subscription is not None:
            if subscription.address == shape.nodes[0]:
                return
            self._unsubscribe()  # the node is no primary any more
        with suppress(RedisError, OSError):
            self._subscription = _Subscription(self._core, shape.nodes[0])
        if self._closed.is_set():
            self._unsubscribe()  # closed by another thread, just now

    def _unsubscribe(self) -> None:
        subscription, self._subscription = self._subscription, None
        if subscription is not None:
            subscription.close()


class _Subscription:
    """One subscription on one node; another thread may close it during a wait."""

    def __init__(self, core: Core, address: Address) -> None:
        self.address = address
        self._connection = listening_connection(core.place, address, seconds=DEADLINE_SECONDS)
        self._in_use = threading.Lock()
        self._connection.connect()
        self._connection.send_command("SUBSCRIBE", core.keys.channel, check_health=False)
        self._connection.read_response()
        self._heard_at = time.monotonic()
        self._is_asked = False

    def wait(self, timeout_seconds: float) -> bool:
        """Wait for a word; False where the subscription is lost."""
        try:
            with self._in_use:
                if not self._connection.can_read(timeout_seconds):
                    return self._is_there()
                while self._connection.can_read(0):
                    self._connection.read_response()
        except RedisError:
            return False
        self._heard_at, self._is_asked = time.monotonic(), False
        return True

    def _is_there(self) -> bool:
        silent_seconds = time.monotonic() - self._heard_at
        if silent_seconds < QUIET_SECONDS:
            return True
        if self._is_asked:
            return silent_seconds < QUIET_SECONDS + DEADLINE_SECONDS
        self._connection.send_command("PING", check_health=False)
        self._is_asked = True
        return True

    def close(self) -> None:
        """End it. A wait under way sees the end of the stream before the socket is taken from it."""
        self._connection.shut()
        with self._in_use:
            self._connection.disconnect()
