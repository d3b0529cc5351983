"""The follower's reader of a database of Django's, on a connection of its own."""

from __future__ import annotations

import threading
import time
from collections.abc import Mapping, Sequence
from typing import TYPE_CHECKING

from django.db import connections
from django.db.backends.base.base import BaseDatabaseWrapper

from sojourn.errors import StoreError
from sojourn.model import Event, Head
from sojourn.ports import Page, Store
from sojourn.stores.restoring import restore

if TYPE_CHECKING:
    from sojourn.stores.django.engines import Engine

SHARD = 0
"""The only one."""


class DjangoFeed:
    """A `Feed` of a `DjangoStore`.

    Args:
        store: The store.
        connection: The connection, which nobody else uses.
        reader: The store's operations on it.
    """

    def __init__(self, store: Store, connection: BaseDatabaseWrapper, reader: Engine) -> None:
        """Listen, where the database tells of news."""
        self._store = store
        self._connection = connection
        self._reader = reader
        self._lock = threading.Lock()
        self._closing = threading.Event()
        self._head = Head(0, 0)
        connection.inc_thread_sharing()  # another thread may close it
        try:
            reader.listen()
        except BaseException:
            self.close()
            raise

    def read(self, after: Mapping[int, int], *, limit: int = 1000) -> Mapping[int, Page]:
        """See `Feed.read`."""
        with self._lock:
            if self._closing.is_set():
                raise StoreError("this reader of the feed was closed; open another")
            pages = {
                shard: self._reader.read(shard, after=id_, limit=limit)
                for shard, id_ in after.items()
            }
            self._head = pages[SHARD].head
            return pages

    def restore(self, shard: int, events: Sequence[Event], *, above: int = 0) -> None:
        """See `Feed.restore`; on the thread's connection, which nobody else would close."""
        try:
            restore(self._store, shard, events, above=above)
        finally:
            connections[self._connection.alias].close()

    def wait(self, timeout_seconds: float) -> None:
        """See `Feed.wait`."""
        deadline = time.monotonic() + timeout_seconds
        while True:
            with self._lock:
                if self._closing.is_set() or self._reader.head(SHARD) != self._head:
                    return
                if time.monotonic() >= deadline:
                    return
                self._reader.pause(self._closing)

    def close(self) -> None:
        """See `Feed.close`. Idempotent, from any thread."""
        self._closing.set()
        with self._lock:
            self._connection.close()
