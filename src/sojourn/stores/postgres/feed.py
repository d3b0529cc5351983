"""The follower's reader of PostgreSQL: a connection of its own that listens.

Every append notifies a channel of its store, which wakes the reader within a millisecond; it is
never truth. Behind a pooler that hands out connections by transaction (PgBouncer) no notification
arrives, and the follower's polling is all there is.
"""

from __future__ import annotations

import os
import select
import threading
import time
from collections.abc import Mapping, Sequence
from typing import LiteralString

from sojourn.model import Event
from sojourn.ports import Page, Store
from sojourn.stores.postgres import records
from sojourn.stores.postgres.connection import (
    DEADLINE_SECONDS,
    NotPrimary,
    Row,
    connect,
    discard,
    store_error,
)
from sojourn.stores.postgres.driver import psycopg
from sojourn.stores.postgres.url import Place
from sojourn.stores.restoring import restore


class PostgresFeed:
    """A `Feed` of a PostgreSQL store.

    Args:
        place: Where the database is.
        store: A blocking store on it that nobody else uses, opened where something has been lost.

    Raises:
        StoreError: It cannot be reached, or has no store.
    """

    def __init__(self, place: Place, store: Store) -> None:
        """Listen: what is appended from now on ends a wait."""
        self._name = place.name
        self._store = store
        self._lock = threading.Lock()
        self._closing = threading.Lock()
        self._has_news = False
        try:
            self._connection = connect(place.conninfo)
        except psycopg.Error as error:
            raise store_error(error, self._name) from error
        self._woken, self._wake = os.pipe()
        try:
            self._connection.add_notify_handler(self._note)
            ((channel,),) = self._ask("SELECT sojourn_channel()")
            self._ask(f"LISTEN {channel}".encode())
        except BaseException:
            self.close()
            raise

    def _note(self, _: psycopg.Notify) -> None:
        self._has_news = True

    def _ask(self, sql: LiteralString | bytes, parameters: Sequence[object] = ()) -> list[Row]:
        connection = self._connection
        connection.deadline = time.monotonic() + DEADLINE_SECONDS
        try:
            cursor = connection.cursor(binary=True)
            cursor.execute(sql, parameters)
            return cursor.fetchall() if cursor.description else []
        except psycopg.Error as error:
            raise store_error(error, self._name) from error

    def read(self, after: Mapping[int, int], *, limit: int = 1000) -> Mapping[int, Page]:
        """See `Feed.read`."""
        with self._lock:
            # What is heard from here on may be of something that this read does not see.
            self._has_news = False
            return {shard: self._page(shard, id_, limit) for shard, id_ in after.items()}

    def _page(self, shard: int, after: int, limit: int) -> Page:
        statement = records.read(None, shard, after=after, limit=limit)
        try:
            return statement.answer(self._ask(statement.sql, statement.parameters))
        except NotPrimary as error:
            raise store_error(error, self._name) from error

    def restore(self, shard: int, events: Sequence[Event], *, above: int = 0) -> None:
        """See `Feed.restore`."""
        self._store.open(longest_token_ms=0)
        restore(self._store, shard, events, above=above)

    def wait(self, timeout_seconds: float) -> None:
        """See `Feed.wait`."""
        with self._lock:
            if self._has_news or self._closing.locked():
                return
            pgconn = self._connection.pgconn
            look = select.poll()
            try:
                look.register(pgconn.socket, select.POLLIN)
                look.register(self._woken, select.POLLIN)
                ready = look.poll(timeout_seconds * 1000)
                if any(file != self._woken for file, _ in ready):
                    pgconn.consume_input()
                    while pgconn.notifies():
                        self._has_news = True  # and is heard once only
            except psycopg.Error as error:
                raise store_error(error, self._name) from error

    def close(self) -> None:
        """See `Feed.close`. Idempotent, from any thread."""
        if not self._closing.acquire(blocking=False):
            return
        os.write(self._wake, b".")
        with self._lock:
            discard(self._connection)
            os.close(self._wake)
            os.close(self._woken)
        self._store.close()
