"""Promises about the feed: positions, tags, heads, paging and retention."""

from __future__ import annotations

from itertools import pairwise

from sojourn.model import Entry, Event, Head, Kind
from sojourn.ports import RETENTION_MARGIN_MS
from sojourn.testing.promises.bench import (
    LONGEST_TOKEN_MS,
    Bench,
    Suite,
    a_record,
    equal,
    promise,
    rewritten,
    sure,
)


class PositionPromises(Suite):
    """Ids and tags: positions decide order, not clocks."""

    @promise
    async def test_an_unused_feed_begins_at_nothing(self, bench: Bench) -> None:
        """Before the first entry the head is (0, 0), and the first entry's previous tag is 0."""
        equal(Head(0, 0), await bench.head(), "the head before the first entry")
        page = await bench.store.read(bench.shard(), after=0)
        equal(((), Head(0, 0)), (page.entries, page.head), "an empty feed")
        equal(0, (await bench.append())[0].previous_tag, "the first entry's previous tag")

    @promise
    async def test_ids_follow_the_clock(self, bench: Bench) -> None:
        """An id is the store's milliseconds or the one after the last, whichever is larger."""
        last = 0
        for seconds in (0, 0, 0, 0.001, 60, 0):
            await bench.pass_time(seconds)
            for entry in await bench.append(*[Event(kind=Kind.RING) for _ in range(3)]):
                equal(max(bench.clock(), last + 1), entry.id, "the id")
                last = entry.id

    @promise
    async def test_ids_rise_although_the_clock_falls(self, bench: Bench) -> None:
        """A clock set back moves no position back: ids go on from the last one, and so does the head."""
        first = (await bench.append())[0]
        await bench.pass_time(-3600)
        second = (await bench.append())[0]
        sure(second.id > first.id, f"id {second.id} after {first.id}, the clock an hour back")
        equal(Head(second.id, second.tag), await bench.head(), "the head")
        equal((second,), await bench.entries(after=first.id), "what is new after the first entry")

    @promise
    async def test_tags_chain_the_entries(self, bench: Bench) -> None:
        """Every entry carries the tag of the one before: an empty read alone proves nothing."""
        for count in (1, 3, 2):
            await bench.append(*[Event(kind=Kind.RING) for _ in range(count)])
        await bench.store.delete_subject("ada", keep=None, reason="test")
        await bench.store.delete(bench.new_sid(), subject="ada", reason="test")
        chained(await bench.entries())

    @promise
    async def test_tags_cannot_be_guessed(self, bench: Bench) -> None:
        """Tags are random: a feed that lost its end and grew another one does not look the same."""
        entries = await bench.append(*[Event(kind=Kind.RING) for _ in range(32)])
        tags = {entry.tag for entry in entries}
        equal(32, len(tags), "the number of different tags of 32 entries")
        steps = {b - a for a, b in pairwise(entry.tag for entry in entries)}
        sure(len(steps) > 1, "tags rise by a fixed step")
        sure(max(tags) > 1 << 32, "tags have too few bits for a repetition to be unlikely")

    @promise
    async def test_the_head_moves_in_the_same_step(self, bench: Bench) -> None:
        """After each operation the head is its last entry; operations without one do not move it."""
        session = await bench.signed_in()
        equal(Head(0, 0), await bench.head(), "the head after a create")
        await bench.store.replace(rewritten(session), expected_revision=1)
        equal(Head(0, 0), await bench.head(), "the head after a replace without an event")
        event = Event(kind=Kind.CHANGED, sid=session.sid, version=2)
        replacing = rewritten(rewritten(session), version=2)
        written = await bench.store.replace(replacing, expected_revision=2, event=event)
        await self._ends_with(bench, written.entries if written else ())
        await self._ends_with(bench, await bench.append(event, event))
        created = await bench.store.create(bench.draft(), limit=1, on_excess="end_oldest")
        await self._ends_with(bench, created.entries)
        deleted = await bench.store.delete(session.sid, subject="ada", reason="test")
        await self._ends_with(bench, deleted.entries)
        deleted = await bench.store.delete_subject("ada", keep=None, reason="test")
        await self._ends_with(bench, deleted.entries)

    async def _ends_with(self, bench: Bench, entries: tuple[Entry, ...]) -> None:
        sure(entries, "the operation appended nothing")
        last = Head(entries[-1].id, entries[-1].tag)
        equal(last, await bench.head(), "the head")
        page = await bench.store.read(bench.shard(), after=last.id - 1)
        equal((entries[-1:], last), (page.entries, page.head), "the last entry and the head")

    @promise
    async def test_each_shard_has_its_own_feed(self, bench: Bench) -> None:
        """A subject's feed is its shard's: an entry there leaves the heads of the others alone."""
        shards = range(bench.info.shards)
        for shard in shards:
            before = [await bench.store.head(s) for s in shards]
            await bench.store.append(shard, (Event(kind=Kind.RING),))
            after = [await bench.store.head(s) for s in shards]
            moved = [s for s in shards if before[s] != after[s]]
            equal([shard], moved, "the shards whose head moved")


class ReadPromises(Suite):
    """Appending and reading."""

    @promise
    async def test_events_are_read_as_appended(self, bench: Bench) -> None:
        """Events keep their order and every field; the writer is told the entries that readers see."""
        events = [
            Event(
                kind=Kind.ENDED, sid=bench.new_sid(), subject="zoë 🦊", reason='a "reason" \\ 🦊'
            ),
            Event(kind=Kind.ENDED, sid=bench.new_sid()),
            Event(kind=Kind.ENDED, sid=bench.new_sid(), subject=""),
            Event(kind=Kind.CHANGED, sid=bench.new_sid(), version=2**31),
            Event(kind=Kind.OUTDATED, subject="x" * 255),
            Event(kind=Kind.KEY, kid="kid-1", reason="stolen"),
            Event(kind=Kind.CUTOFF, subject="ada", floor=2**52, keep=bench.new_sid()),
            Event(kind=Kind.ENDED, sid=bench.new_sid()),
            Event(kind=Kind.RING),
        ]
        written = await bench.store.append(bench.shard(), events)
        equal(bench.clock(), written.now_ms, "the store's clock in the answer")
        entries = await bench.entries()
        equal(events, [entry.event for entry in entries], "the events read")
        equal(entries, written.entries, "the entries answered")

    @promise
    async def test_ids_are_above_what_is_asked_for(self, bench: Bench) -> None:
        """An append may ask for ids above a position; one that is below changes nothing."""
        above = (await bench.append())[0].id + 600_000
        events = (Event(kind=Kind.RING), Event(kind=Kind.RING))
        written = await bench.store.append(bench.shard(), events, above=above)
        equal([above + 1, above + 2], [entry.id for entry in written.entries], "the ids")
        lower = await bench.store.append(bench.shard(), events[:1], above=1)
        equal([above + 3], [entry.id for entry in lower.entries], "the id after")

    @promise
    async def test_an_append_writes_its_audit(self, bench: Bench) -> None:
        """Events and audit records are one step; with no events the records are written alone."""
        await bench.store.append(
            bench.shard(), (Event(kind=Kind.RING),), audit=(a_record("one"), a_record("two"))
        )
        before = await bench.head()
        written = await bench.store.append(bench.shard(), (), audit=(a_record("three"),))
        equal((), written.entries, "the entries of an append without events")
        equal(before, await bench.head(), "the head after it")
        equal(["one", "two", "three"], await bench.actions(), "the trail")

    @promise
    async def test_a_feed_is_read_in_pages(self, bench: Bench) -> None:
        """`limit` entries at most, above `after`, oldest first, each page with the head of all."""
        entries = await bench.append(*[Event(kind=Kind.RING) for _ in range(7)])
        head = await bench.head()
        pages, after = [], 0
        for _ in range(4):
            page = await bench.store.read(bench.shard(), after=after, limit=3)
            equal(head, page.head, "the head in the page")
            pages.append(page.entries)
            after = page.entries[-1].id if page.entries else after
        equal([entries[:3], entries[3:6], entries[6:], ()], pages, "the pages")

    @promise
    async def test_a_read_begins_behind_a_position(self, bench: Bench) -> None:
        """`after` need not be an entry's id; what is at it is not read again."""
        entries = list(await bench.append())
        await bench.pass_time(1)
        entries += await bench.append()
        first, second = entries
        for after in (first.id, first.id + 1, second.id - 1):
            equal((second,), await bench.entries(after=after), "what is above the first entry")
        for after in (second.id, second.id + 1000):
            equal((), await bench.entries(after=after), "what is above the last entry")

    @promise
    async def test_another_process_reads_the_same_feed(self, bench: Bench) -> None:
        """What one process appends, all read, and go on from."""
        other, _ = await bench.another()
        first = (await bench.append())[0]
        second = (await other.append(bench.shard(), (Event(kind=Kind.RING),))).entries[0]
        third = (await bench.append())[0]
        for store in (bench.store, other):
            page = await store.read(bench.shard(), after=0)
            equal((first, second, third), page.entries, "the feed")
            equal(Head(third.id, third.tag), page.head, "the head in the page")
        chained((first, second, third))


class RetentionPromises(Suite):
    """Entries live as long as anything they could concern."""

    @promise
    async def test_an_entry_outlives_every_token(self, bench: Bench) -> None:
        """An entry lives for the longest token life ever configured and the margin, at least."""
        entries = list(await bench.append())
        session = await bench.signed_in()
        event = Event(kind=Kind.CHANGED, sid=session.sid, version=2)
        written = await bench.store.replace(rewritten(session), expected_revision=1, event=event)
        entries += written.entries if written else ()
        full = await bench.store.create(bench.draft(), limit=1, on_excess="end_oldest")
        entries += full.entries
        entries += (await bench.store.delete(session.sid, subject="ada", reason="test")).entries
        entries += (await bench.store.delete_subject("ada", keep=None, reason="test")).entries
        equal(5, len(entries), "the number of entries")
        least = bench.clock() + LONGEST_TOKEN_MS + RETENTION_MARGIN_MS
        for entry in entries:
            sure(entry.expires_at_ms >= least, f"{entry.event.kind} expires before a token may")

    @promise
    async def test_the_longest_token_only_grows(self, bench: Bench) -> None:
        """A shorter configuration shortens nothing: longer tokens are still about."""
        equal(LONGEST_TOKEN_MS, bench.info.longest_token_ms, "the longest token at first")
        _, info = await bench.another(longest_token_ms=1000)
        equal(LONGEST_TOKEN_MS, info.longest_token_ms, "the longest token after a shorter one")
        _, info = await bench.another(longest_token_ms=LONGEST_TOKEN_MS * 2)
        equal(LONGEST_TOKEN_MS * 2, info.longest_token_ms, "the longest token after a longer one")

    @promise
    async def test_a_longer_token_elsewhere_counts_here(self, bench: Bench) -> None:
        """Once one process issues longer tokens, the entries of all processes live that long."""
        await bench.another(longest_token_ms=LONGEST_TOKEN_MS * 2)
        least = bench.clock() + LONGEST_TOKEN_MS * 2 + RETENTION_MARGIN_MS
        entry = (await bench.append())[0]
        sure(entry.expires_at_ms >= least, "the entry expires before another's token may")
        await bench.pass_time((LONGEST_TOKEN_MS + RETENTION_MARGIN_MS) / 1000 + 1)
        await bench.store.purge()
        equal((entry,), await bench.entries(), "the feed, purged after the shorter life")

    @promise
    async def test_a_purge_takes_expired_entries_only(self, bench: Bench) -> None:
        """An entry is there in the last second of its life, and goes with a purge after it."""
        old = (await bench.append())[0]
        await bench.pass_time(10)
        young = (await bench.append())[0]
        await bench.pass_time((old.expires_at_ms - bench.clock()) / 1000 - 1)
        await bench.store.purge()
        equal((old, young), await bench.entries(), "the feed before the first expiry")
        await bench.pass_time(2)
        await bench.store.purge()
        equal((young,), await bench.entries(), "the feed after the first expiry")

    @promise
    async def test_the_head_survives_a_purge(self, bench: Bench) -> None:
        """The head stays known when its entry has gone, and the next entry is chained to it."""
        last = (await bench.append())[0]
        await _outlive(bench, last)
        page = await bench.store.read(bench.shard(), after=0)
        head = Head(last.id, last.tag)
        equal(((), head), (page.entries, page.head), "the purged feed")
        equal(head, await bench.head(), "the head")
        equal(last.tag, (await bench.append())[0].previous_tag, "the next entry's previous tag")

    @promise
    async def test_ids_are_not_used_again(self, bench: Bench) -> None:
        """A purge of everything, and a clock set back, give no position away a second time."""
        last = (await bench.append())[0]
        await _outlive(bench, last)
        await bench.pass_time((last.id - bench.clock()) / 1000 - 3600)
        sure((await bench.append())[0].id > last.id, "an id was used again after a purge")

    @promise
    async def test_revoked_keys_are_never_forgotten(self, bench: Bench) -> None:
        """Revocation of a key never expires: a stolen key mints any expiry and any position."""
        kept = (await bench.append(Event(kind=Kind.KEY, kid="stolen", reason="stolen")))[0]
        other = (await bench.append())[0]
        await bench.pass_time(10 * 365 * 86_400)
        await _outlive(bench, kept, other)
        equal((kept,), await bench.entries(), "the feed ten years on")


def chained(entries: tuple[Entry, ...]) -> None:
    """Fail unless ids rise strictly and each entry names the tag of the one before."""
    for before, entry in pairwise(entries):
        sure(entry.id > before.id, f"id {entry.id} comes after {before.id}")
        equal(before.tag, entry.previous_tag, f"the previous tag of entry {entry.id}")


async def _outlive(bench: Bench, *entries: Entry) -> None:
    """Let entries expire, and purge."""
    last_ms = max(entry.expires_at_ms for entry in entries)
    await bench.pass_time(max(0, last_ms - bench.clock()) / 1000 + 1)
    await bench.store.purge()
