"""Promises about the blocking reader of a follower thread."""

from __future__ import annotations

import threading
import time

from sojourn.model import Entry, Event, Kind
from sojourn.ports import Feed
from sojourn.testing.promises.bench import (
    PATIENCE_SECONDS,
    Bench,
    FollowerThread,
    Suite,
    equal,
    promise,
    sure,
)

FOREVER_SECONDS = 600.0
MOST_WAKES = 10_000
"""A wake-up is never truth, but a reader that wakes without end is not waiting."""


class FollowerPromises(Suite):
    """The blocking reader of a follower thread."""

    @promise
    async def test_a_reader_reads_what_the_store_reads(self, bench: Bench) -> None:
        """The reader's pages are the store's, head included."""
        await bench.append(*[Event(kind=Kind.RING) for _ in range(5)])
        shard, pages = bench.shard(), []

        def read(feed: Feed, _: threading.Event) -> None:
            pages.append(feed.read(shard, after=0))
            pages.append(feed.read(shard, after=pages[0].entries[0].id, limit=2))
            feed.close()

        await FollowerThread(bench, read).ends_soon("the reader does not return")
        first = await bench.store.read(shard, after=0)
        second = await bench.store.read(shard, after=first.entries[0].id, limit=2)
        equal([first, second], pages, "the pages")

    @promise
    async def test_an_append_wakes_a_waiting_reader(self, bench: Bench) -> None:
        """A wait under way returns when another thread appends, and the entry is there to read."""
        shard, seen = bench.shard(), list[Entry]()

        def follow(feed: Feed, is_ready: threading.Event) -> None:
            after = feed.read(shard, after=0).head.id
            is_ready.set()
            wakes = 0
            while not seen and wakes < MOST_WAKES:
                feed.wait(FOREVER_SECONDS)
                seen.extend(feed.read(shard, after=after).entries)
                wakes += 1

        follower = FollowerThread(bench, follow)
        await follower.is_ready()
        entries = await bench.append()
        try:
            await follower.ends_soon("an append did not wake the reader")
        finally:
            follower.close_feed()
        equal(list(entries), seen, "what the reader saw")

    @promise
    async def test_an_append_before_the_wait_is_not_missed(self, bench: Bench) -> None:
        """What came between a read and the wait ends the wait at once: no wake-up is lost."""
        shard, go_on = bench.shard(), threading.Event()

        def follow(feed: Feed, is_ready: threading.Event) -> None:
            feed.read(shard, after=0)
            is_ready.set()
            go_on.wait(PATIENCE_SECONDS)
            feed.wait(FOREVER_SECONDS)

        follower = FollowerThread(bench, follow)
        await follower.is_ready()
        await bench.append()
        go_on.set()
        try:
            await follower.ends_soon("an append between read and wait was missed")
        finally:
            follower.close_feed()

    @promise
    async def test_a_wait_ends_with_its_timeout(self, bench: Bench) -> None:
        """Where nothing happens, a wait returns after its timeout, so that the head is polled."""
        shard = bench.shard()

        def follow(feed: Feed, _: threading.Event) -> None:
            feed.read(shard, after=0)
            feed.wait(0.01)
            feed.close()

        await FollowerThread(bench, follow).ends_soon("a wait outlasts its timeout")

    @promise
    async def test_closing_releases_a_waiting_reader(self, bench: Bench) -> None:
        """Closed from another thread, a wait under way returns soon; the thread may close, too."""
        shard = bench.shard()
        started = time.monotonic()

        def follow(feed: Feed, is_ready: threading.Event) -> None:
            feed.read(shard, after=0)
            is_ready.set()
            feed.wait(FOREVER_SECONDS)
            feed.close()

        follower = FollowerThread(bench, follow)
        await follower.is_ready()
        follower.close_feed()
        await follower.ends_soon("closing did not release the reader")
        sure(time.monotonic() - started < FOREVER_SECONDS, "closing took as long as the wait")

    @promise
    async def test_readers_are_independent(self, bench: Bench) -> None:
        """Closing one reader neither closes another nor the store."""
        shard = bench.shard()
        await bench.append()
        counts = []

        def follow(feed: Feed, _: threading.Event) -> None:
            other = bench.store.feed()
            other.read(shard, after=0)
            other.close()
            counts.append(len(feed.read(shard, after=0).entries))
            feed.close()

        await FollowerThread(bench, follow).ends_soon("the reader does not return")
        equal([1], counts, "the entries read after the other reader was closed")
        equal(1, len(await bench.entries()), "the entries read from the store")
