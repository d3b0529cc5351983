"""Promises about `get`, `list` and `replace`."""

from __future__ import annotations

from sojourn.model import Chain, Event, Kind, Purpose, Session
from sojourn.testing.promises.bench import Bench, Suite, a_record, equal, promise, rewritten, sure


class GetPromises(Suite):
    """Reading sessions."""

    @promise
    async def test_an_unknown_sid_is_nothing(self, bench: Bench) -> None:
        """Absence is None, not an exception, and comes with the store's clock all the same."""
        found = await bench.store.get(bench.new_sid())
        equal((None, bench.clock()), (found.record, found.now_ms), "an unknown sid")

    @promise
    async def test_an_expired_session_is_returned(self, bench: Bench) -> None:
        """Get returns expired sessions: that it is over is the engine's to say, with the reason."""
        session = await bench.signed_in(idle_ms=1000)
        await bench.pass_time(3600)
        equal(session, await bench.record(session.sid), "an expired session")

    @promise
    async def test_sessions_are_listed_oldest_first(self, bench: Bench) -> None:
        """List gives a subject's sessions by creation and then by sid, whatever was written last."""
        stored = [await bench.signed_in(created_at_ms=at) for at in (3, 1, 2, 2)]
        ordered = sorted(stored, key=lambda session: (session.created_at_ms, session.sid))
        touched = rewritten(ordered[0], seen_at_ms=bench.clock() + 5)
        await bench.store.replace(touched, expected_revision=1)
        equal([touched, *ordered[1:]], list(await bench.store.list("ada")), "the list")
        equal([], list(await bench.store.list("nobody")), "the list of an unknown subject")

    @promise
    async def test_a_session_is_alive_until_its_instant(self, bench: Bench) -> None:
        """A session is listed up to its expiry or idle end, and no longer from that instant on."""
        now_ms = bench.clock()
        await bench.signed_in(expires_at_ms=now_ms + 1000)
        await bench.signed_in(idle_ms=1000)
        forever = await bench.signed_in(idle_ms=None, expires_at_ms=now_ms + 9000)
        await bench.pass_time(0.999)
        equal(3, len(await bench.store.list("ada")), "sessions a millisecond before the end")
        await bench.pass_time(0.001)
        equal([forever], list(await bench.store.list("ada")), "sessions at the end")


class ReplacePromises(Suite):
    """Rotation is one compare-and-swap."""

    @promise
    async def test_the_current_revision_is_replaced(self, bench: Bench) -> None:
        """A replace at the stored revision writes the whole record, and without an event no entry."""
        session = await bench.signed_in()
        await bench.pass_time(2)
        rotated = rewritten(
            session,
            chains={Purpose.REFRESH: Chain(2, "0badcafe", bench.clock(), 99)},
            version=2,
            seen_at_ms=bench.clock(),
            roles=("admin",),
            claims={"plan": ["pro", {"seats": 3}]},
        )
        written = await bench.store.replace(rotated, expected_revision=1)
        sure(written is not None, "a replace at the stored revision was refused")
        equal(((), bench.clock()), (written.entries, written.now_ms) if written else (), "answer")
        equal(rotated, await bench.record(session.sid), "the session after the replace")
        equal((), await bench.entries(), "the feed after a replace without an event")

    @promise
    async def test_a_replace_carries_its_event_and_audit(self, bench: Bench) -> None:
        """Record, entry and audit change in one step: acknowledged means that both have it."""
        session = await bench.signed_in()
        event = Event(kind=Kind.CHANGED, sid=session.sid, version=2)
        written = await bench.store.replace(
            rewritten(session, version=2),
            expected_revision=1,
            event=event,
            audit=(a_record("updated"),),
        )
        entries = await bench.entries()
        equal(entries, written.entries if written else None, "the entries answered")
        equal([event], [entry.event for entry in entries], "the feed")
        equal(["updated"], await bench.actions(), "the trail")

    @promise
    async def test_a_stale_replace_writes_nothing(self, bench: Bench) -> None:
        """On another revision, behind or ahead, neither record, event nor audit is written."""
        session = await bench.signed_in()
        current = rewritten(session)
        await bench.store.replace(current, expected_revision=1)
        before = await bench.everything()
        for stale in (0, 1, 3):
            written = await bench.store.replace(
                rewritten(current, roles=("thief",)),
                expected_revision=stale,
                event=Event(kind=Kind.CHANGED, sid=session.sid, version=9),
                audit=(a_record("updated"),),
            )
            equal(None, written, f"a replace expecting revision {stale} of 2")
        equal(before, await bench.everything(), "the store after stale replaces")
        equal(current, await bench.record(session.sid), "the session after stale replaces")

    @promise
    async def test_a_writer_between_get_and_replace_wins(self, bench: Bench) -> None:
        """A refresh that was overtaken between its read and its write loses, and decides again."""
        sid = (await bench.signed_in()).sid
        seen = await bench.session(sid)
        await _refresh(bench, await bench.session(sid), "second writer")
        overtaken = await _refresh(bench, seen, "first writer")
        equal(False, overtaken, "the write of the overtaken refresh")
        equal("second writer", (await bench.session(sid)).user_agent, "whose write stands")
        again = await _refresh(bench, await bench.session(sid), "first writer")
        equal(True, again, "the write decided again")
        final = await bench.session(sid)
        equal((3, "first writer"), (final.revision, final.user_agent), "the session at the end")
        equal(2, len(await bench.entries()), "entries of two writes that won")

    @promise
    async def test_a_replace_never_resurrects(self, bench: Bench) -> None:
        """A refresh that meets a logout loses: an ended session stays ended, and nothing is written."""
        session = await bench.signed_in()
        await bench.store.delete(session.sid, subject="ada", reason="logout")
        tombstone = await bench.record(session.sid)
        await self._replaces_nothing(bench, session)
        equal(tombstone, await bench.record(session.sid), "the tombstone")

    @promise
    async def test_a_replace_never_resurrects_the_purged(self, bench: Bench) -> None:
        """A session that expired and was purged is gone; a late touch does not bring it back."""
        session = await bench.signed_in(idle_ms=1000)
        await bench.pass_time(2)
        await bench.bury()
        await self._replaces_nothing(bench, session)
        equal(None, await bench.record(session.sid), "the purged session")

    @promise
    async def test_a_replace_never_creates(self, bench: Bench) -> None:
        """Only create stores new sessions, since only it knows the cutoff and the limit."""
        session = bench.draft()
        await self._replaces_nothing(bench, session)
        equal(None, await bench.record(session.sid), "the session nobody created")

    async def _replaces_nothing(self, bench: Bench, session: Session) -> None:
        before = await bench.everything()
        for expected in (0, session.revision):
            written = await bench.store.replace(
                rewritten(session, seen_at_ms=bench.clock()),
                expected_revision=expected,
                event=Event(kind=Kind.CHANGED, sid=session.sid, version=2),
                audit=(a_record("updated"),),
            )
            equal(None, written, "a replace of what is gone")
        equal(before, await bench.everything(), "the store after it")

    @promise
    async def test_a_touch_moves_the_end_of_life(self, bench: Bench) -> None:
        """A session lives on from its last touch: for the list, for the limit and for purge."""
        session = await bench.signed_in(idle_ms=2000)
        await bench.pass_time(1.5)
        touched = rewritten(session, seen_at_ms=bench.clock())
        await bench.store.replace(touched, expected_revision=1)
        await bench.pass_time(1.5)
        await bench.store.purge()
        equal([touched], list(await bench.store.list("ada")), "the touched session")
        created = await bench.store.create(bench.draft(), limit=1, on_excess="refuse")
        equal("limit", created.outcome, "a login beside it, one session allowed")
        shortened = rewritten(touched, expires_at_ms=bench.clock())
        await bench.store.replace(shortened, expected_revision=2)
        equal([], list(await bench.store.list("ada")), "the session, its life cut short")


async def _refresh(bench: Bench, seen: Session, writer: str) -> bool:
    """Write what was decided on a session as it was read before."""
    written = await bench.store.replace(
        rewritten(seen, user_agent=writer),
        expected_revision=seen.revision,
        event=Event(kind=Kind.CHANGED, sid=seen.sid, version=seen.version + 1),
    )
    return written is not None
