"""The follower's reader of a SQLite file: it asks whether anything was committed, by anybody.

`PRAGMA data_version` says for a few microseconds whether another connection of any process has
committed since this one last looked; only then is the head read. What this process itself commits
wakes the reader at once.
"""

from __future__ import annotations

import threading
import time
from typing import TYPE_CHECKING

from sojourn.errors import StoreError
from sojourn.ports import Page, Store
from sojourn.stores.restoring import restore
from sojourn.stores.sqlite import entries
from sojourn.stores.sqlite.sessions import SHARD

if TYPE_CHECKING:
    import sqlite3
    from collections.abc import Mapping, Sequence

    from sojourn.model import Event
    from sojourn.stores.sqlite.file import SqliteFile

POLL_SECONDS = 0.01
"""How late another process's commit is noticed at most; it costs 1.7 % of a core."""


class SqliteFeed:
    """A `Feed` on a connection of its own.

    Args:
        file: The file to follow.
        store: A blocking store on it.
    """

    def __init__(self, file: SqliteFile, store: Store) -> None:
        """Start at what is there now."""
        self._file = file
        self._store = store
        self._slot = file.new_slot()
        self._woken = threading.Event()
        self._closed = threading.Event()
        with self._slot as connection:
            # The version first: what is committed in between is then noticed, not missed.
            self._seen = connection, _data_version(connection)
            self._head = entries.head(connection, 0)
        file.followers.add(self._woken)

    def read(self, after: Mapping[int, int], *, limit: int = 1000) -> Mapping[int, Page]:
        """See `Feed.read`."""
        with self._slot as connection:
            self._seen = connection, _data_version(connection)
            pages = {
                shard: entries.read(connection, shard, after=id_, limit=limit)
                for shard, id_ in after.items()
            }
            self._head = pages[SHARD].head
            return pages

    def restore(self, shard: int, events: Sequence[Event], *, above: int = 0) -> None:
        """See `Feed.restore`."""
        restore(self._store, shard, events, above=above)

    def wait(self, timeout_seconds: float) -> None:
        """See `Feed.wait`."""
        deadline = time.monotonic() + timeout_seconds
        while not self._closed.is_set():
            self._woken.clear()
            try:
                if self._has_news():
                    return
            except StoreError:
                if self._closed.is_set():
                    return  # closed by another thread, just now
                raise
            remaining_seconds = deadline - time.monotonic()
            if remaining_seconds <= 0:
                return
            self._woken.wait(min(POLL_SECONDS, remaining_seconds))

    def _has_news(self) -> bool:
        self._file.check()
        with self._slot as connection:
            seen = connection, _data_version(connection)
            # The connection is compared too: after a change of files another one has its own count.
            if seen == self._seen:
                return False
            if entries.head(connection, 0) != self._head:
                return True
            self._seen = seen
            return False

    def close(self) -> None:
        """See `Feed.close`. Idempotent, from any thread."""
        self._closed.set()
        self._woken.set()
        self._file.followers.discard(self._woken)
        self._file.give_up(self._slot)


def _data_version(connection: sqlite3.Connection) -> int:
    version: int = connection.execute("PRAGMA data_version").fetchall()[0][0]
    return version
