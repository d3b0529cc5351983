"""Promises about the blocking reader of a follower thread."""

from __future__ import annotations

import threading
import time
from collections.abc import Sequence

from sojourn.model import Entry, Event, Kind, Session
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
            pages.append(feed.read({shard: 0})[shard])
            pages.append(feed.read({shard: pages[0].entries[0].id}, limit=2)[shard])
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
            after = feed.read({shard: 0})[shard].head.id
            is_ready.set()
            wakes = 0
            while not seen and wakes < MOST_WAKES:
                feed.wait(FOREVER_SECONDS)
                seen.extend(feed.read({shard: after})[shard].entries)
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
            feed.read({shard: 0})
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
            feed.read({shard: 0})
            feed.wait(0.01)
            feed.close()

        await FollowerThread(bench, follow).ends_soon("a wait outlasts its timeout")

    @promise
    async def test_closing_releases_a_waiting_reader(self, bench: Bench) -> None:
        """Closed from another thread, a wait under way returns soon; the thread may close, too."""
        shard = bench.shard()
        started = time.monotonic()

        def follow(feed: Feed, is_ready: threading.Event) -> None:
            feed.read({shard: 0})
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
            other.read({shard: 0})
            other.close()
            counts.append(len(feed.read({shard: 0})[shard].entries))
            feed.close()

        await FollowerThread(bench, follow).ends_soon("the reader does not return")
        equal([1], counts, "the entries read after the other reader was closed")
        equal(1, len(await bench.entries()), "the entries read from the store")

    @promise
    async def test_a_reader_reads_all_shards_at_once(self, bench: Bench) -> None:
        """Each shard is read after an id of its own, and none comes back that was not asked for."""
        subjects = [f"subject {n}" for n in range(50)]
        last = {bench.shard(s): (await bench.append(subject=s))[-1].id for s in subjects}
        after = {shard: 0 if shard % 2 else last[shard] for shard in last}
        answers = []

        def read(feed: Feed, _: threading.Event) -> None:
            answers.append(feed.read(after))
            feed.close()

        await FollowerThread(bench, read).ends_soon("the reader does not return")
        expected = {shard: await bench.store.read(shard, after=id_) for shard, id_ in after.items()}
        entries = {shard: page.entries for shard, page in answers[0].items()}
        equal({shard: page.entries for shard, page in expected.items()}, entries, "the entries")
        heads = {shard: page.head for shard, page in answers[0].items()}
        equal({shard: page.head for shard, page in expected.items()}, heads, "the heads")

    @promise
    async def test_a_reader_restores_an_end(self, bench: Bench) -> None:
        """A session whose end the store has lost is ended again, with its entry and a line."""
        session = await bench.signed_in()
        stored_nowhere = bench.new_sid()
        lost = (
            Event(kind=Kind.ENDED, sid=session.sid, reason="restored"),
            Event(kind=Kind.ENDED, sid=stored_nowhere, subject="ada", reason="restored"),
        )
        await self._restored(bench, lost)
        record = await bench.record(session.sid)
        sure(not isinstance(record, Session), f"the session after its restored end: {record!r}")
        events = [entry.event for entry in await bench.entries()]
        equal([session.sid, stored_nowhere], [event.sid for event in events], "who ended")
        equal([None, "ada"], [event.subject for event in events], "for whom")
        equal(["restored"] * 2, await bench.actions(), "the trail")

    @promise
    async def test_a_reader_restores_a_cutoff(self, bench: Bench) -> None:
        """Everything of the subject but the kept session ends again, and late logins are refused."""
        before = (await bench.append())[0].id
        session, kept = await bench.signed_in(), await bench.signed_in()
        await self._restored(bench, (Event(kind=Kind.CUTOFF, subject="ada", keep=kept.sid),))
        equal([kept], list(await bench.store.list("ada")), "the sessions left")
        late = await bench.store.create(
            bench.draft(position=before), limit=None, on_excess="refuse"
        )
        equal("superseded", late.outcome, "a login that began before")
        cutoff = (await bench.entries())[-1].event
        equal((Kind.CUTOFF, kept.sid), (cutoff.kind, cutoff.keep), "the entry")
        sure(session.sid != kept.sid, "two sessions")

    @promise
    async def test_a_reader_restores_a_change(self, bench: Bench) -> None:
        """A session that lost its change of roles ends; one that has it is announced again."""
        behind, current = await bench.signed_in(), await bench.signed_in(version=2)
        lost = [Event(kind=Kind.CHANGED, sid=s.sid, version=2) for s in (behind, current)]
        await self._restored(bench, lost)
        equal([current], list(await bench.store.list("ada")), "the sessions left")
        events = [entry.event for entry in await bench.entries()]
        equal([Kind.ENDED, Kind.CHANGED], [event.kind for event in events], "the entries")

    @promise
    async def test_a_reader_restores_what_has_no_record(self, bench: Bench) -> None:
        """Revoked keys and outdated tokens are appended again as they were."""
        lost = (Event(kind=Kind.KEY, kid="stolen"), Event(kind=Kind.OUTDATED, subject="ada"))
        await self._restored(bench, lost)
        equal(list(lost), [entry.event for entry in await bench.entries()], "the entries")

    @promise
    async def test_a_reader_restores_positions(self, bench: Bench) -> None:
        """New ids are above one that was handed out before; where they are anyway, nothing is added."""
        above = (await bench.append())[0].id + 600_000
        shard = bench.shard()

        def restore(feed: Feed, _: threading.Event) -> None:
            feed.restore(shard, (), above=above)
            feed.restore(shard, (), above=above)
            feed.close()

        await FollowerThread(bench, restore).ends_soon("the reader does not return")
        sure((await bench.head()).id > above, "the head is not above what was there before")
        equal(2, len(await bench.entries()), "the entries")
        sure((await bench.append())[0].id > above + 1, "a later id is not above")

    async def _restored(self, bench: Bench, lost: Sequence[Event]) -> None:
        shard = bench.shard()

        def restore(feed: Feed, _: threading.Event) -> None:
            feed.restore(shard, lost)
            feed.close()

        await FollowerThread(bench, restore).ends_soon("the reader does not return")
