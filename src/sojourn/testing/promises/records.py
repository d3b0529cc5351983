"""Promises about data, documents, the audit trail, purging, opening and closing."""

from __future__ import annotations

from sojourn.model import AuditRecord, Event, Kind
from sojourn.ports import MAX_DATA_BYTES, TOMBSTONE_MS, Versioned
from sojourn.testing.promises.bench import (
    DAY_SECONDS,
    LONGEST_TOKEN_MS,
    Bench,
    Suite,
    a_record,
    equal,
    promise,
    rewritten,
    sure,
)

ANY_BYTES = bytes(range(256))


class DataPromises(Suite):
    """An application's data: a row by sid with a version of its own."""

    @promise
    async def test_data_is_compared_and_swapped(self, bench: Bench) -> None:
        """A put counts at the current version only (0: none yet); another one writes nothing."""
        sid = (await bench.signed_in()).sid
        equal(None, await bench.store.get_data(sid), "the data before the first put")
        put = await bench.store.put_data(sid, b"early", expected_version=1)
        equal((False, None), (put, await bench.store.get_data(sid)), "a put on no version")
        equal(True, await bench.store.put_data(sid, b"one", expected_version=0), "the first put")
        first = await bench.store.get_data(sid)
        equal(Versioned(b"one", 1), first, "the data after the first put")
        for stale in (0, 2):
            put = await bench.store.put_data(sid, b"stale", expected_version=stale)
            equal((False, first), (put, await bench.store.get_data(sid)), "a stale put")
        equal(True, await bench.store.put_data(sid, b"two", expected_version=1), "the second put")
        equal(Versioned(b"two", 2), await bench.store.get_data(sid), "the data at the end")

    @promise
    async def test_data_keeps_every_byte(self, bench: Bench) -> None:
        """Payloads are bytes: none, any, and as many as are allowed."""
        for payload in (b"", ANY_BYTES, b"\xff" * MAX_DATA_BYTES):
            sid = (await bench.signed_in()).sid
            await bench.store.put_data(sid, payload, expected_version=0)
            equal(Versioned(payload, 1), await bench.store.get_data(sid), "the data")

    @promise
    async def test_data_belongs_to_one_session(self, bench: Bench) -> None:
        """Neither another session nor a rotation touches it."""
        session, other = await bench.signed_in(), await bench.signed_in()
        await bench.store.put_data(session.sid, b"mine", expected_version=0)
        await bench.store.replace(rewritten(session), expected_revision=1)
        await bench.store.delete(other.sid, subject="ada", reason="test")
        equal(Versioned(b"mine", 1), await bench.store.get_data(session.sid), "the data")
        equal(None, await bench.store.get_data(other.sid), "the data of the other session")

    @promise
    async def test_data_goes_with_its_session(self, bench: Bench) -> None:
        """However a session ends, its data is gone, and no late put brings any back."""
        deleted, all_deleted, pushed_out, purged = [await bench.signed_in(s) for s in "abcd"]
        everyone = (deleted, all_deleted, pushed_out, purged)
        for session in everyone:
            await bench.store.put_data(session.sid, b"secret", expected_version=0)
        await bench.store.delete(deleted.sid, subject="a", reason="test")
        await bench.store.delete_subject("b", keep=None, reason="test")
        await bench.store.create(bench.draft("c"), limit=1, on_excess="end_oldest")
        await bench.pass_time(30 * DAY_SECONDS)
        await bench.store.purge()
        for session in everyone:
            about = f"the data of session {session.subject}"
            equal(None, await bench.store.get_data(session.sid), about)
            for version in (0, 1):
                put = await bench.store.put_data(session.sid, b"x", expected_version=version)
                equal((False, None), (put, await bench.store.get_data(session.sid)), about)

    @promise
    async def test_data_needs_a_live_session(self, bench: Bench) -> None:
        """A put under an unknown sid or an expired session writes nothing."""
        session = await bench.signed_in(idle_ms=1000)
        await bench.pass_time(1)
        for sid in (session.sid, bench.new_sid()):
            put = await bench.store.put_data(sid, b"x", expected_version=0)
            equal((False, None), (put, await bench.store.get_data(sid)), "a put that is late")

    @promise
    async def test_guests_have_data(self, bench: Bench) -> None:
        """A guest (subject "") may have data, and it goes with the guest at the login."""
        guest = await bench.signed_in("")
        equal(True, await bench.store.put_data(guest.sid, b"cart", expected_version=0), "a put")
        equal(Versioned(b"cart", 1), await bench.store.get_data(guest.sid), "a guest's data")
        await bench.store.delete(guest.sid, subject="", reason="signed_in")
        equal(None, await bench.store.get_data(guest.sid), "the data after the login")


class DocumentPromises(Suite):
    """Named records of the server itself: the key ring is one, changed by compare-and-swap."""

    @promise
    async def test_documents_are_compared_and_swapped(self, bench: Bench) -> None:
        """A put counts at the current version only (0: none yet); another one writes nothing."""
        store = bench.store
        equal(None, await store.get_document("ring"), "an unknown document")
        equal(False, await store.put_document("ring", b"x", expected_version=1), "an early put")
        equal(True, await store.put_document("ring", ANY_BYTES, expected_version=0), "a first put")
        first = await store.get_document("ring")
        equal(Versioned(ANY_BYTES, 1), first, "the document")
        for stale in (0, 2):
            put = await store.put_document("ring", b"stale", expected_version=stale)
            equal((False, first), (put, await store.get_document("ring")), "a stale put")
        equal(True, await store.put_document("ring", b"two", expected_version=1), "a second put")
        equal(Versioned(b"two", 2), await store.get_document("ring"), "the document at the end")

    @promise
    async def test_documents_are_named(self, bench: Bench) -> None:
        """Each name is a document of its own, and no purge takes one."""
        for name in ("ring", "Ring", "ring ", "r/i:n%g"):
            await bench.store.put_document(name, name.encode(), expected_version=0)
        await bench.pass_time(10 * 365 * DAY_SECONDS)
        await bench.store.purge()
        for name in ("ring", "Ring", "ring ", "r/i:n%g"):
            stored = await bench.store.get_document(name)
            equal(Versioned(name.encode(), 1), stored, f"the document {name!r}")

    @promise
    async def test_documents_are_shared(self, bench: Bench) -> None:
        """What one process puts, another gets."""
        other, _ = await bench.another()
        await bench.store.put_document("ring", b"one", expected_version=0)
        equal(Versioned(b"one", 1), await other.get_document("ring"), "the document elsewhere")
        equal(False, await other.put_document("ring", b"x", expected_version=0), "a stale put")


class AuditPromises(Suite):
    """The append-only trail: "why was I signed out?" has an answer."""

    @promise
    async def test_the_trail_is_read_as_written(self, bench: Bench) -> None:
        """Records keep every field and their order, under numbers that rise."""
        full = AuditRecord(
            at_ms=2**52,
            action="login",
            subject="zoë 🦊",
            sid=bench.new_sid(),
            by="admin",
            reason='a "reason" \\ \n',
            mode="hybrid",
            address="2001:db8::1",
            user_agent="Mozilla/5.0 🦊",
        )
        records = [full, AuditRecord(at_ms=1, action="failure"), a_record("logout", sid="s")]
        for record in records:
            await bench.store.append(bench.shard(), (), audit=(record,))
        trail = await bench.trail()
        equal(records, [line.record for line in trail], "the trail")
        numbers = [line.number for line in trail]
        equal(sorted(set(numbers)), numbers, "the numbers")
        sure(numbers[0] > 0, "the first number is not above 0, where reading begins")

    @promise
    async def test_the_trail_is_read_in_pages(self, bench: Bench) -> None:
        """At most `limit` lines with a number above `after`; a filter goes before the limit."""
        records = [a_record("seen", subject="ab"[i % 2], sid=f"s{i % 3}") for i in range(12)]
        await bench.store.append(bench.shard(), (), audit=records)
        trail = await bench.trail()
        equal(12, len(trail), "the lines of the trail")
        equal(trail[:5], await bench.trail(limit=5), "the first page")
        equal(trail[5:8], await bench.trail(limit=3, after=trail[4].number), "a later page")
        equal([], await bench.trail(after=trail[-1].number), "the page after the last")
        of_b = [line for line in trail if line.record.subject == "b"]
        equal(of_b, await bench.trail(subject="b"), "the lines of a subject")
        equal(of_b[:2], await bench.trail(subject="b", limit=2), "the first lines of a subject")
        later = await bench.trail(subject="b", limit=2, after=of_b[1].number)
        equal(of_b[2:4], later, "later lines of a subject")
        of_s1 = [line for line in trail if line.record.sid == "s1"]
        equal(of_s1, await bench.trail(sid="s1"), "the lines of a sid")
        both = [line for line in of_b if line.record.sid == "s1"]
        equal(both, await bench.trail(subject="b", sid="s1"), "the lines of both")
        equal([], await bench.trail(subject="B"), "the lines of an unknown subject")

    @promise
    async def test_lines_without_a_subject_can_be_asked_for(self, bench: Bench) -> None:
        """Subject "" is a filter; None is none."""
        records = (a_record("failure"), a_record("login", subject="ada"))
        await bench.store.append(bench.shard(), (), audit=records)
        actions = [line.record.action for line in await bench.trail(subject="")]
        equal(["failure"], actions, "the lines without a subject")

    @promise
    async def test_the_trail_survives_a_purge(self, bench: Bench) -> None:
        """The trail is append-only from the first day; a purge takes what is dead, not what was."""
        await bench.store.append(bench.shard(), (), audit=(a_record("login"),))
        await bench.pass_time(10 * 365 * DAY_SECONDS)
        await bench.store.purge()
        equal(["login"], await bench.actions(), "the trail ten years on")


class UpkeepPromises(Suite):
    """Purging, opening and closing."""

    @promise
    async def test_a_purge_of_the_living_takes_nothing(self, bench: Bench) -> None:
        """Live sessions with their data, young tombstones, cutoffs and entries stay."""
        await bench.store.delete_subject("ada", keep=None, reason="test")
        session = await bench.signed_in(position=(await bench.head()).id)
        await bench.store.put_data(session.sid, b"data", expected_version=0)
        ended = await bench.signed_in("grace")
        await bench.store.delete(ended.sid, subject="grace", reason="test")
        tombstone = await bench.record(ended.sid)
        before = await bench.everything()
        equal(0, await bench.store.purge(), "the rows that a purge of the living took")
        equal(before, await bench.everything(), "the store after it")
        equal(Versioned(b"data", 1), await bench.store.get_data(session.sid), "the data")
        equal(tombstone, await bench.record(ended.sid), "the tombstone")

    @promise
    async def test_a_purge_takes_the_dead(self, bench: Bench) -> None:
        """Expired sessions, old tombstones, cutoffs and entries go, are counted, and go once."""
        expired = [await bench.signed_in(idle_ms=1000) for _ in range(2)]
        ended = await bench.signed_in("grace")
        await bench.store.delete(ended.sid, subject="grace", reason="test")
        await bench.store.delete_subject("grace", keep=None, reason="test")
        await bench.pass_time(1)
        count = await bench.bury()
        sure(
            count is None or count >= len(expired),
            f"a purge of two expired sessions counted {count}",
        )
        await bench.pass_time(TOMBSTONE_MS / 1000 + 1)
        await bench.signed_in(position=(await bench.head()).id)
        count = await bench.bury()
        is_counted = count is None or count >= 1 + 1 + 2
        sure(is_counted, f"a purge of tombstone, cutoff and two entries counted {count}")
        for session in (*expired, ended):
            equal(None, await bench.record(session.sid), "what get returns of the dead")
        equal((), await bench.entries(), "the feed")
        equal(1, len(await bench.store.list("ada")), "live sessions")
        equal(0, await bench.store.purge(), "the rows that a second purge took")

    @promise
    async def test_a_purge_reckons_with_idle_and_absolute_life(self, bench: Bench) -> None:
        """A session is purged from its instant on, whichever of its two ends comes first."""
        idle = await bench.signed_in(idle_ms=1000)
        absolute = await bench.signed_in(idle_ms=None, expires_at_ms=bench.clock() + 1000)
        await bench.pass_time(0.999)
        equal(0, await bench.store.purge(), "the rows taken a millisecond before the end")
        await bench.pass_time(0.001)
        await bench.bury()
        for session in (idle, absolute):
            equal(None, await bench.record(session.sid), "the session after its end")

    @promise
    async def test_opening_again_changes_nothing(self, bench: Bench) -> None:
        """Open is idempotent, on the same object and from another process."""
        session = await bench.signed_in()
        before = await bench.everything()
        again = await bench.store.open(longest_token_ms=LONGEST_TOKEN_MS)
        equal(bench.info, again, "what the store says when opened twice")
        other, info = await bench.another()
        equal(bench.info, info, "what the store says elsewhere")
        equal(before, await bench.everything(), "the store after it was opened again")
        equal(session, (await other.get(session.sid)).record, "the session elsewhere")

    @promise
    async def test_the_placement_key_is_never_rotated(self, bench: Bench) -> None:
        """Where a subject lives is settled when the store is created, by a key of its own."""
        sure(bench.info.shards in range(1, 257), f"{bench.info.shards} shards, not 1 to 256")
        size = len(bench.info.placement_key)
        sure(size in range(16, 65), f"a placement key of {size} bytes, not 16 to 64")
        await bench.append(Event(kind=Kind.RING))
        await bench.pass_time(10 * 365 * DAY_SECONDS)
        await bench.store.purge()
        _, info = await bench.another(longest_token_ms=LONGEST_TOKEN_MS + 1)
        place = (info.placement_key, info.shards)
        equal((bench.info.placement_key, bench.info.shards), place, "the place of a subject")

    @promise
    async def test_many_open_at_once(self, bench: Bench) -> None:
        """Several processes may open a store at the same time, and learn the same of it."""
        others = [(await bench.another())[0] for _ in range(8)]
        infos = await bench.together([o.open(longest_token_ms=LONGEST_TOKEN_MS) for o in others])
        equal([bench.info] * 8, infos, "what each is told")

    @promise
    async def test_closing_twice_is_closing(self, bench: Bench) -> None:
        """Close is idempotent."""
        await bench.signed_in()
        await bench.store.close()
        await bench.store.close()
