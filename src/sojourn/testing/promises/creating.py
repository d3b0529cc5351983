"""Promises about `create`: what is stored, who is late, who makes room."""

from __future__ import annotations

from typing import Any

from sojourn.model import Chain, Kind, Purpose, Tombstone
from sojourn.testing.promises.bench import Bench, Suite, a_record, equal, promise

NESTED: dict[str, Any] = {
    "plan": "pro",
    "ünïcödé 🦊": "Ω\u2028\"quoted\" 'single' \\ % _ \n",
    "numbers": [0, -1, 2**53 - 1, 0.1, -1.5e-7],
    "nested": {"list": [[], {}, [{"deep": [None, True, False]}]], "empty": ""},
}
LOOK_ALIKES = (
    "ada", "Ada", "ADA", "ada ", " ada", "ad", "ada%", "ad_", "a*a", "7", "07", "é", "e\u0301",
    "\uff41da", "İ", "i̇", "ß", "ss", "o'ne", 'o"ne', "a\\b", "a\nb", "a:b", "{a}b", "🦊" * 255,
    "x" * 255, "x" * 254,
)  # fmt: skip
"""Subjects that a collation, a key pattern or a length limit might take for one another."""


class CreatePromises(Suite):
    """Storing a new session."""

    @promise
    async def test_a_created_session_is_read_back(self, bench: Bench) -> None:
        """What create stored, get returns, dated by the store's clock: it alone ages rotations."""
        session = await bench.signed_in()
        await bench.pass_time(3)
        found = await bench.store.get(session.sid)
        equal(session, found.record, "the session read back")
        equal(bench.clock(), found.now_ms, "the store's clock that comes with get")

    @promise
    async def test_every_field_survives(self, bench: Bench) -> None:
        """Each field of a session round-trips exactly, nested claims and unicode included."""
        plain = await bench.signed_in(idle_ms=None, amr=(), remember=False, mode="session")
        full = await bench.signed_in(
            transport="bearer",
            seed=bytes(range(32)),
            position=2**52 + 1,
            chains={
                Purpose.SESSION: Chain(1, "00ff00ff", 1, 0),
                Purpose.REFRESH: Chain(2**32 - 1, "a1b2c3d4", 2**52, 2**52 + 7),
            },
            auth_time_ms=17,
            revision=41,
            version=7,
            amr=("pwd", "otp"),
            roles=("admin", "rédacteur 🦊"),
            scopes=("notes", "notes:write"),
            claims=NESTED,
            user_agent='Mozilla/5.0 "x" \\ 🦊',
            address="2001:db8::1",
        )
        for stored in (plain, full):
            equal(stored, await bench.record(stored.sid), "the session read back")

    @promise
    async def test_subjects_are_told_apart_exactly(self, bench: Bench) -> None:
        """A subject is its exact text: no case, accent, pattern, padding or length makes two one."""
        stored = {name: await bench.signed_in(name) for name in LOOK_ALIKES}
        for name, session in stored.items():
            equal([session], list(await bench.store.list(name)), f"the sessions of {name!r}")
        deleted = await bench.store.delete_subject("ada", keep=None, reason="test")
        equal((stored["ada"].sid,), deleted.ended, "the sessions ended with 'ada'")

    @promise
    async def test_sids_are_told_apart_exactly(self, bench: Bench) -> None:
        """A sid is its exact text; base64url tells upper from lower case."""
        start = bench.new_sid()[:2]
        upper = await bench.signed_in(sid=start + "A" * 20)
        lower = await bench.signed_in(sid=start + "a" * 19 + "A")
        equal(upper, await bench.record(upper.sid), "the session in capitals")
        equal(lower, await bench.record(lower.sid), "the session in small letters")

    @promise
    async def test_a_create_writes_its_audit(self, bench: Bench) -> None:
        """The audit records of a create are written with it, and it appends nothing by itself."""
        session = bench.draft()
        records = (a_record("one", sid=session.sid), a_record("two"))
        created = await bench.store.create(session, limit=None, on_excess="refuse", audit=records)
        equal(((), ()), (created.ended, created.entries), "what a create without excess ends")
        equal(["one", "two"], await bench.actions(), "the trail")
        equal((), await bench.entries(), "the feed after a create")

    @promise
    async def test_a_login_before_a_cutoff_is_superseded(self, bench: Bench) -> None:
        """Create refuses a position below the stored cutoff, and not one at it: no clocks decide."""
        await bench.append()
        cutoff = (await bench.store.delete_subject("ada", keep=None, reason="test")).entries[0].id
        late = bench.draft(position=cutoff - 1)
        created = await bench.store.create(late, limit=None, on_excess="refuse")
        equal("superseded", created.outcome, "a login that began before the cutoff")
        equal(None, await bench.record(late.sid), "the refused session")
        await bench.signed_in(position=cutoff)

    @promise
    async def test_a_new_session_is_never_the_kept_one(self, bench: Bench) -> None:
        """After "sign out the others", a late login is refused although it is above the floor."""
        kept = await bench.signed_in()
        await bench.append()
        before = (await bench.head()).id
        await bench.store.delete_subject("ada", keep=kept.sid, reason="test")
        late = bench.draft(position=before)
        created = await bench.store.create(late, limit=None, on_excess="refuse")
        equal("superseded", created.outcome, "a late login where another session was kept")
        await bench.store.delete(kept.sid, subject="ada", reason="test")
        again = bench.draft(sid=kept.sid, position=before)
        created = await bench.store.create(again, limit=None, on_excess="refuse")
        equal("superseded", created.outcome, "a late login under the kept sid")

    @promise
    async def test_a_cutoff_binds_its_subject_only(self, bench: Bench) -> None:
        """A cutoff is of one subject; others go on signing in at any position."""
        await bench.store.delete_subject("ada", keep=None, reason="test")
        await bench.signed_in("grace", position=0)

    @promise
    async def test_a_superseded_create_writes_nothing(self, bench: Bench) -> None:
        """A superseded login ends no older session to make room, and leaves no audit record."""
        cutoff = (await bench.store.delete_subject("ada", keep=None, reason="test")).entries[0].id
        await bench.signed_in(position=cutoff)
        before = await bench.everything()
        late = bench.draft(position=cutoff - 1)
        created = await bench.store.create(
            late, limit=1, on_excess="end_oldest", audit=(a_record("login"),)
        )
        equal(("superseded", (), ()), _answer(created), "the answer")
        equal(before, await bench.everything(), "the store after a superseded login")

    @promise
    async def test_a_full_subject_is_refused(self, bench: Bench) -> None:
        """With as many live sessions as allowed, `refuse` answers `limit` and writes nothing."""
        for _ in range(2):
            await bench.signed_in()
        before = await bench.everything()
        one_more = bench.draft()
        created = await bench.store.create(
            one_more, limit=2, on_excess="refuse", audit=(a_record("login"),)
        )
        equal(("limit", (), ()), _answer(created), "the answer")
        equal(before, await bench.everything(), "the store after a refusal")
        equal(None, await bench.record(one_more.sid), "the refused session")

    @promise
    async def test_a_limit_admits_as_many_as_it_says(self, bench: Bench) -> None:
        """A limit of two admits a second session, of each subject by itself."""
        for subject in ("ada", "grace", "ada", "grace"):
            created = await bench.store.create(bench.draft(subject), limit=2, on_excess="refuse")
            equal(("created", (), ()), _answer(created), "a session within the limit")

    @promise
    async def test_the_oldest_session_makes_room(self, bench: Bench) -> None:
        """`end_oldest` ends the oldest with a tombstone and an ENDED entry, in the step of create."""
        oldest, other = await bench.signed_in(), bench.draft()
        await bench.pass_time(1)
        other = await bench.signed_in(created_at_ms=bench.clock())
        await bench.pass_time(1)
        newest = bench.draft()
        created = await bench.store.create(
            newest,
            limit=2,
            on_excess="end_oldest",
            audit=(a_record("login"),),
            ended_audit=a_record("revoked"),
        )
        equal(("created", (oldest.sid,)), _answer(created)[:2], "the answer")
        equal([other, newest], list(await bench.store.list("ada")), "the sessions left")
        equal(created.entries, await bench.entries(), "the feed")
        said = [(e.event.kind, e.event.sid, e.event.subject) for e in created.entries]
        equal([(Kind.ENDED, oldest.sid, None)], said, "what the feed says")
        tombstone = await bench.record(oldest.sid)
        reason = tombstone.reason if isinstance(tombstone, Tombstone) else tombstone
        equal("session_limit", reason, "why the oldest session ended")
        equal(["revoked", "login"], await bench.actions(), "the trail")
        lines = await bench.store.read_audit(sid=oldest.sid)
        equal(["revoked"], [line.record.action for line in lines], "the trail of the oldest")

    @promise
    async def test_a_lowered_limit_ends_as_many_as_needed(self, bench: Bench) -> None:
        """The oldest go first, by creation and then by sid, until the new one is within the limit."""
        second, first = [await bench.signed_in(created_at_ms=at) for at in (2, 1)]
        tied = [await bench.signed_in(created_at_ms=3) for _ in range(3)]
        tied.sort(key=lambda session: session.sid)
        expected = tuple(session.sid for session in (first, second, *tied[:2]))
        created = await bench.store.create(bench.draft(), limit=2, on_excess="end_oldest")
        equal(expected, created.ended, "the sids ended, oldest first")
        said = tuple(entry.event.sid for entry in created.entries)
        equal(expected, said, "the sids in the entries")

    @promise
    async def test_without_a_limit_nobody_makes_room(self, bench: Bench) -> None:
        """Limit None stores any number of sessions."""
        stored = {(await bench.signed_in()).sid for _ in range(12)}
        equal(stored, {s.sid for s in await bench.store.list("ada")}, "the sessions")

    @promise
    async def test_expired_sessions_do_not_count(self, bench: Bench) -> None:
        """Only live sessions are counted: past neither their expiry nor their idle time."""
        now_ms = bench.clock()
        await bench.signed_in(expires_at_ms=now_ms + 1000, idle_ms=None)
        await bench.signed_in(idle_ms=1000)
        await bench.pass_time(1)
        created = await bench.store.create(bench.draft(), limit=1, on_excess="refuse")
        equal(("created", (), ()), _answer(created), "a login beside two expired sessions")

    @promise
    async def test_guests_are_sessions_without_a_subject(self, bench: Bench) -> None:
        """A guest is a session with subject "": limited and listed, and leaves nothing behind."""
        await bench.signed_in()
        first = await bench.signed_in("", created_at_ms=1)
        second = bench.draft("")
        created = await bench.store.create(second, limit=1, on_excess="end_oldest")
        equal(("created", (first.sid,), ()), _answer(created), "a second guest, one allowed")
        equal(None, await bench.record(first.sid), "what is left of a guest that had to go")
        equal([second], list(await bench.store.list("")), "the guests")
        deleted = await bench.store.delete(second.sid, subject="", reason="signed_in")
        equal((second.sid,), deleted.ended, "the guest ended")
        equal(None, await bench.record(second.sid), "what is left of a guest that signed in")


def _answer(created: Any) -> tuple[object, ...]:
    return created.outcome, created.ended, created.entries
