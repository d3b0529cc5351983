"""Broken feeds: entries, tags, heads, retention, placement and readers."""

from __future__ import annotations

import secrets
from collections.abc import Mapping, Sequence
from typing import TYPE_CHECKING

import msgspec

from sojourn.model import AuditRecord, Entry, Event, Head
from sojourn.ports import Page, StoreInfo, Written
from sojourn.stores.memory import MemoryFeed, MemoryStore

if TYPE_CHECKING:
    from sojourn.ports import Clock

GAP_SECONDS = 0.02
"""How long a fault that needs company waits for it, where nobody comes."""


class ShardsShareAFeed(MemoryStore):
    """Says that it has two shards, and keeps one feed."""

    def open(self, *, longest_token_ms: int) -> StoreInfo:
        """Claim two shards."""
        info = super().open(longest_token_ms=longest_token_ms)
        return StoreInfo(2, info.placement_key, info.longest_token_ms)


class FeedBeginsSomewhere(MemoryStore):
    """Begins with a tag that no entry has."""

    def __init__(self, *, clock: Clock) -> None:
        """Begin at a random tag."""
        super().__init__(clock=clock)
        self._head = Head(0, secrets.randbits(53))


class IdsCounted(MemoryStore):
    """Counts entries from 1, and so repeats ids after the loss of the counter."""

    def _append(self, event: Event, now_ms: int) -> Entry:
        entry = super()._append(event, now_ms)
        counted = msgspec.structs.replace(entry, id=len(self._entries))
        self._entries[-1] = counted
        self._head = Head(counted.id, counted.tag)
        return counted


class LossyFeed(MemoryStore):
    """Loses every third entry."""

    def _append(self, event: Event, now_ms: int) -> Entry:
        entry = super()._append(event, now_ms)
        if entry.id % 3 == 0:
            self._entries.remove(entry)
        return entry


class ReorderingFeed(MemoryStore):
    """Gives a page as a hash or a parallel scan would, not in order."""

    def read(self, shard: int, *, after: int, limit: int = 1000) -> Page:
        """Swap the halves of a page."""
        page = super().read(shard, after=after, limit=limit)
        half = len(page.entries) // 2
        return Page(page.entries[half:] + page.entries[:half], page.head)


class LateCommit(MemoryStore):
    """Shows an entry only when a later one is there: a sequence whose lower id commits last."""

    def read(self, shard: int, *, after: int, limit: int = 1000) -> Page:
        """Skip an entry while it is the newest but one."""
        page = super().read(shard, after=after, limit=limit)
        if len(page.entries) > 1 and page.entries[-1].id == page.head.id:
            return Page(page.entries[:-2] + page.entries[-1:], page.head)
        return page


class HeadBesideThePage(MemoryStore):
    """Reads the head in a second step: it may be of an entry that the page lacks."""

    def read(self, shard: int, *, after: int, limit: int = 1000) -> Page:
        """Read entries, let a writer in, then read the head."""
        with self._lock:
            page = super().read(shard, after=after, limit=limit)
            self._appended.wait(GAP_SECONDS / 10)  # the interleaving: the lock is given up here
            return Page(page.entries, self._head)


class TagsUnchained(MemoryStore):
    """Does not carry the tag of the entry before: a lost entry is not noticed."""

    def _append(self, event: Event, now_ms: int) -> Entry:
        entry = msgspec.structs.replace(super()._append(event, now_ms), previous_tag=0)
        self._entries[-1] = entry
        return entry


class TagsCounted(MemoryStore):
    """Counts tags: a feed that lost its end grows the same tags again."""

    def _append(self, event: Event, now_ms: int) -> Entry:
        before = self._head.tag
        entry = msgspec.structs.replace(super()._append(event, now_ms), tag=before + 1)
        self._entries[-1] = entry
        self._head = Head(entry.id, entry.tag)
        return entry


class FeedFollowsTheClock(MemoryStore):
    """Takes the clock for the id: positions fall with a clock that is set back."""

    def _append(self, event: Event, now_ms: int) -> Entry:
        if now_ms < self._head.id - 1000:
            self._head = Head(now_ms, self._head.tag)
        return super()._append(event, now_ms)


class IdsRestart(MemoryStore):
    """Knows the head by its newest row only: a purge of everything begins the feed anew."""

    def purge(self) -> int:
        """Forget the head with its entry."""
        count = super().purge()
        if not self._entries:
            self._head = Head(0, 0)
        return count


class LimitIgnored(MemoryStore):
    """Gives a whole feed where a page is asked for."""

    def read(self, shard: int, *, after: int, limit: int = 1000) -> Page:
        """Read everything."""
        return super().read(shard, after=after, limit=max(limit, 1000))


class AfterIncluded(MemoryStore):
    """Reads from a position instead of behind it."""

    def read(self, shard: int, *, after: int, limit: int = 1000) -> Page:
        """Read from `after` on."""
        return super().read(shard, after=after - 1, limit=limit)


class EntriesDieYoung(MemoryStore):
    """Keeps entries for the longest token, without the margin for attempts, leeway and skew."""

    def _append(self, event: Event, now_ms: int) -> Entry:
        expires_at_ms = now_ms + self._info.longest_token_ms
        entry = msgspec.structs.replace(super()._append(event, now_ms), expires_at_ms=expires_at_ms)
        self._entries[-1] = entry
        return entry


class LongestTokenLowered(MemoryStore):
    """Believes the configuration it was opened with last."""

    def open(self, *, longest_token_ms: int) -> StoreInfo:
        """Forget longer tokens."""
        self._info = StoreInfo(1, self._info.placement_key, longest_token_ms)
        return self._info


class LongestTokenFixed(MemoryStore):
    """Answers a longer token life, and goes on with the first one."""

    def open(self, *, longest_token_ms: int) -> StoreInfo:
        """Remember the first only."""
        first = self._info
        info = super().open(longest_token_ms=longest_token_ms)
        if first.longest_token_ms:
            self._info = first
        return info


class KeysForgotten(MemoryStore):
    """Purges the revocation of a key like any entry: a stolen key works again."""

    def purge(self) -> int:
        """Drop expired KEY entries."""
        count = super().purge()
        now_ms = self._clock()
        self._entries = [entry for entry in self._entries if entry.expires_at_ms > now_ms]
        return count


class NothingPurged(MemoryStore):
    """Leaves the dead where they are."""

    def purge(self) -> int:
        """Do nothing."""
        return 0


class PlacementRotated(MemoryStore):
    """Makes a new placement key at each start: subjects move between shards."""

    def open(self, *, longest_token_ms: int) -> StoreInfo:
        """Rotate the placement key."""
        info = super().open(longest_token_ms=longest_token_ms)
        self._info = StoreInfo(1, secrets.token_bytes(32), info.longest_token_ms)
        return self._info


class DeafReader(MemoryStore):
    """Has a reader that no append wakes."""

    def feed(self) -> MemoryFeed:
        """Open a deaf reader."""

        class Deaf(MemoryFeed):
            def wait(self, timeout_seconds: float) -> None:
                with self._store._appended:  # noqa: SLF001 - it is that store's reader
                    self._store._appended.wait_for(lambda: self._closed, timeout_seconds)  # noqa: SLF001

        return Deaf(self)


class SleepyReader(MemoryStore):
    """Has a reader whose wait ends with a wake-up only: the head is not polled."""

    def feed(self) -> MemoryFeed:
        """Open a reader without timeouts."""

        class Sleepy(MemoryFeed):
            def wait(self, timeout_seconds: float) -> None:
                super().wait(max(timeout_seconds, 60))

        return Sleepy(self)


class ShortSightedReader(MemoryStore):
    """Has a reader that takes the last entry of its page for the head."""

    def feed(self) -> MemoryFeed:
        """Open a reader that makes its own head."""

        class ShortSighted(MemoryFeed):
            def read(self, after: Mapping[int, int], *, limit: int = 1000) -> Mapping[int, Page]:
                pages = super().read(after, limit=limit)
                lasts = {n: p.entries[-1] if p.entries else p.head for n, p in pages.items()}
                return {
                    n: Page(page.entries, Head(lasts[n].id, lasts[n].tag))
                    for n, page in pages.items()
                }

        return ShortSighted(self)


class ForgetfulReader(MemoryStore):
    """Has a reader that waits for a new append, whatever came since it last read."""

    def feed(self) -> MemoryFeed:
        """Open a reader that begins to listen when it begins to wait."""

        class Forgetful(MemoryFeed):
            def wait(self, timeout_seconds: float) -> None:
                self._seen = self._store.head(0)
                super().wait(timeout_seconds)

        return Forgetful(self)


class StubbornReader(MemoryStore):
    """Has a reader that closing does not release."""

    def feed(self) -> MemoryFeed:
        """Open a reader that cannot be closed."""

        class Stubborn(MemoryFeed):
            def close(self) -> None:
                pass

        return Stubborn(self)


class GreedyReader(MemoryStore):
    """Has a reader that reads every shard from its beginning."""

    def feed(self) -> MemoryFeed:
        """Open a reader that ignores where to begin."""

        class Greedy(MemoryFeed):
            def read(self, after: Mapping[int, int], *, limit: int = 1000) -> Mapping[int, Page]:
                return super().read(dict.fromkeys(after, 0), limit=limit)

        return Greedy(self)


class RestoresNothing(MemoryStore):
    """Has a reader that only says that it restored."""

    def feed(self) -> MemoryFeed:
        """Open a reader that shrugs."""

        class Shrugging(MemoryFeed):
            def restore(self, shard: int, events: Sequence[Event], *, above: int = 0) -> None:
                del shard, events, above

        return Shrugging(self)


class RestoresEntriesOnly(MemoryStore):
    """Has a reader that appends what was lost, and leaves the records as they are."""

    def feed(self) -> MemoryFeed:
        """Open a reader that knows of no records."""

        class Appending(MemoryFeed):
            def restore(self, shard: int, events: Sequence[Event], *, above: int = 0) -> None:
                self._store.append(shard, events, above=above)

        return Appending(self)


class ForgetsPositions(MemoryStore):
    """Gives ids by its clock, whatever ids were handed out before."""

    def append(
        self,
        shard: int,
        events: Sequence[Event],
        *,
        audit: Sequence[AuditRecord] = (),
        above: int = 0,
    ) -> Written:
        """Append by the clock."""
        del above
        return super().append(shard, events, audit=audit)
