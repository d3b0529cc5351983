"""Who follows the feed: one blocking daemon thread per process, in both faces.

An asyncio task would die with its loop.
"""

from __future__ import annotations

import logging
import random
import threading
from collections.abc import Callable, Sequence
from dataclasses import dataclass, field

from sojourn.engine.picture import PAGE_ENTRIES, Lost, Picture, monotonic_ms
from sojourn.errors import StoreError
from sojourn.ports import Feed

log = logging.getLogger("sojourn.feed")

POLL_SECONDS = 0.5
"""How often the head is read where nothing wakes the follower; well below the 5 s bound."""
RETRY_SECONDS = 0.2
RESTORED_AT_ONCE = 100
QUIET_MS = 60_000.0
"""While the store stays away, that is said once in so long."""


@dataclass(slots=True)
class Follower:
    """The thread that keeps a picture fresh.

    Args:
        picture: What to keep fresh.
        shards: How many shards to read.
        open_feed: Opens the blocking reader, within the thread.
    """

    picture: Picture
    shards: int
    open_feed: Callable[[], Feed]
    _stopping: threading.Event = field(default_factory=threading.Event)
    _feed: Feed | None = None
    _thread: threading.Thread | None = None

    def start(self) -> None:
        """Start following."""
        self._thread = threading.Thread(target=self._run, name="sojourn-follower", daemon=True)
        self._thread.start()

    def stop(self) -> None:
        """Stop following; returns when the thread is done."""
        self._stopping.set()
        feed = self._feed  # the thread may let go of it at any time
        if feed is not None:
            feed.close()
        if self._thread is not None:
            self._thread.join(timeout=5)

    def _run(self) -> None:
        quiet_until_ms = 0.0
        while not self._stopping.is_set():
            try:
                self._feed = self.open_feed()
                while not self._stopping.is_set():
                    self._read_to_heads(self._feed)
                    self._give_back(self._feed)
                    self.picture.forget()
                    self._feed.wait(POLL_SECONDS)
            except StoreError as error:
                if monotonic_ms() >= quiet_until_ms:
                    quiet_until_ms = monotonic_ms() + QUIET_MS
                    log.warning("following the revocation feed failed, trying again: %s", error)
            except Exception:
                log.exception("following the revocation feed failed, trying again")
            finally:
                if self._feed is not None:
                    self._feed.close()
                    self._feed = None
            self._stopping.wait(RETRY_SECONDS)

    def _give_back(self, feed: Feed) -> None:
        """Restore what the store has lost, a few at a time.

        Other processes do the same at this moment: each begins elsewhere, and leaves out what it
        reads that another one has restored.
        """
        while (lost := self.picture.lost()) and not self._stopping.is_set():
            for shard, missing in lost.items():
                log.warning("the store has lost %d revocations; restoring", len(missing.events))
                count = min(RESTORED_AT_ONCE, len(missing.events))
                some = Lost(tuple(random.sample(missing.events, count)), missing.above)
                feed.restore(shard, some.events, above=some.above)
                self.picture.has_restored(shard, some)
            self._read_to_heads(feed)

    def _read_to_heads(self, feed: Feed) -> None:
        behind: Sequence[int] = range(self.shards)
        while behind and not self._stopping.is_set():
            starts = {shard: self.picture.cursor(shard) for shard in behind}
            sent = self.picture.stamp()
            after = {shard: start.id if start else 0 for shard, start in starts.items()}
            pages = feed.read(after, limit=PAGE_ENTRIES)
            behind = [
                shard
                for shard, page in pages.items()
                if not self.picture.take(shard, start=starts[shard], page=page, sent=sent)
            ]
