"""Promises about `delete`, `delete_subject`, cutoffs and tombstones."""

from __future__ import annotations

from sojourn.model import ANY, NO_CUTOFF, Cutoff, Entry, Kind, Session, Tombstone
from sojourn.ports import TOMBSTONE_MS
from sojourn.testing.promises.bench import Bench, Suite, a_record, equal, promise, rewritten


class DeletePromises(Suite):
    """Ending one session."""

    @promise
    async def test_a_deleted_session_leaves_a_tombstone(self, bench: Bench) -> None:
        """Ending leaves seed, chains and reason, so that the holder is told why (MAC first)."""
        session = await bench.signed_in()
        await bench.pass_time(5)
        deleted = await bench.store.delete(session.sid, subject="ada", reason="theft")
        equal((session.sid,), deleted.ended, "the sids ended")
        expected = _tombstone(session, "theft", bench.clock())
        equal(expected, await bench.record(session.sid), "what get returns afterwards")
        equal([], list(await bench.store.list("ada")), "the sessions left")

    @promise
    async def test_a_delete_appends_in_its_step(self, bench: Bench) -> None:
        """A revocation is acknowledged when record, feed and audit all have it."""
        session = await bench.signed_in()
        deleted = await bench.store.delete(
            session.sid, subject="ada", reason="logout", audit=(a_record("logout"),)
        )
        equal(await bench.entries(), deleted.entries, "the feed")
        equal([(session.sid, None, "logout")], _ended(deleted.entries), "what the feed says")
        equal(["logout"], await bench.actions(), "the trail")

    @promise
    async def test_a_delete_ends_one_session(self, bench: Bench) -> None:
        """The subject's other sessions live on."""
        session, other = await bench.signed_in(), await bench.signed_in()
        await bench.store.delete(session.sid, subject="ada", reason="logout")
        equal([other], list(await bench.store.list("ada")), "the sessions left")

    @promise
    async def test_anothers_session_is_treated_as_absent(self, bench: Bench) -> None:
        """A sid from a URL is not a permission: the entry binds the asking subject's tokens only."""
        session = await bench.signed_in()
        deleted = await bench.store.delete(session.sid, subject="mallory", reason="logout")
        equal((), deleted.ended, "the sids ended for another subject")
        equal(session, await bench.record(session.sid), "the session")
        equal([(session.sid, "mallory", "logout")], _ended(deleted.entries), "the entry")

    @promise
    async def test_a_guest_owns_nothing_of_others(self, bench: Bench) -> None:
        """Subject "" is an owner like any other, not a word for everybody."""
        session = await bench.signed_in()
        deleted = await bench.store.delete(session.sid, subject="", reason="logout")
        equal((), deleted.ended, "the sids ended for a guest")
        equal([(session.sid, "", "logout")], _ended(deleted.entries), "the entry")

    @promise
    async def test_an_administrator_ends_anybodys(self, bench: Bench) -> None:
        """ANY stands for whoever owns the session."""
        session = await bench.signed_in()
        deleted = await bench.store.delete(session.sid, subject=ANY, reason="administrator")
        equal((session.sid,), deleted.ended, "the sids ended")
        equal([(session.sid, None, "administrator")], _ended(deleted.entries), "the entry")

    @promise
    async def test_an_absent_sid_is_revoked_all_the_same(self, bench: Bench) -> None:
        """Revoking an absent sid still appends, since a token with nothing stored may carry it."""
        sid = bench.new_sid()
        by_owner = await bench.store.delete(
            sid, subject="ada", reason="logout", audit=(a_record("revoked"),)
        )
        by_administrator = await bench.store.delete(sid, subject=ANY, reason="administrator")
        equal(((), ()), (by_owner.ended, by_administrator.ended), "the sids ended")
        entries = await bench.entries()
        equal(entries, by_owner.entries + by_administrator.entries, "the feed")
        expected = [(sid, "ada", "logout"), (sid, None, "administrator")]
        equal(expected, _ended(entries), "what the feed says")
        equal(["revoked"], await bench.actions(), "the trail")
        equal(None, await bench.record(sid), "the absent session")

    @promise
    async def test_a_delete_may_be_retried(self, bench: Bench) -> None:
        """A retried revocation appends again, ends nothing and keeps the first reason."""
        session = await bench.signed_in()
        await bench.store.delete(session.sid, subject="ada", reason="theft")
        tombstone = await bench.record(session.sid)
        await bench.pass_time(1)
        again = await bench.store.delete(session.sid, subject="ada", reason="logout")
        equal(((), 1), (again.ended, len(again.entries)), "what the retry ended and appended")
        equal(tombstone, await bench.record(session.sid), "the tombstone")

    @promise
    async def test_an_expired_session_was_not_alive(self, bench: Bench) -> None:
        """`ended` names sids that were alive; where a session had expired nothing was left to end."""
        one, other = [await bench.signed_in(idle_ms=1000) for _ in range(2)]
        await bench.pass_time(1)
        deleted = await bench.store.delete(one.sid, subject="ada", reason="logout")
        equal(((), 1), (deleted.ended, len(deleted.entries)), "the answer to delete")
        equal(None, deleted.entries[0].event.subject, "whom the entry binds: it existed")
        deleted = await bench.store.delete_subject("ada", keep=None, reason="logout")
        equal(((), 1), (deleted.ended, len(deleted.entries)), "the answer to delete_subject")
        for sid in (one.sid, other.sid):
            is_over = not isinstance(await bench.record(sid), Session)
            equal(True, is_over, "whether the expired session is over")

    @promise
    async def test_tombstones_stay_for_thirty_days(self, bench: Bench) -> None:
        """The victim of a theft is told why for 30 days; then a purge takes the tombstone."""
        session = await bench.signed_in()
        await bench.store.delete(session.sid, subject="ada", reason="theft")
        tombstone = await bench.record(session.sid)
        await bench.pass_time(TOMBSTONE_MS / 1000 - 1)
        await bench.store.purge()
        equal(tombstone, await bench.record(session.sid), "the tombstone in its last second")
        await bench.pass_time(2)
        await bench.store.purge()
        equal(None, await bench.record(session.sid), "the tombstone after 30 days")


class DeleteSubjectPromises(Suite):
    """Ending everything of a subject."""

    @promise
    async def test_a_subjects_sessions_all_end(self, bench: Bench) -> None:
        """Revoke-all ends each session with a tombstone, and nobody else's."""
        sessions = [await bench.signed_in() for _ in range(3)]
        other = await bench.signed_in("grace")
        await bench.pass_time(5)
        deleted = await bench.store.delete_subject("ada", keep=None, reason="password")
        equal(_sids(sessions), set(deleted.ended), "the sids ended")
        for session in sessions:
            expected = _tombstone(session, "password", bench.clock())
            equal(expected, await bench.record(session.sid), "the tombstone")
        equal([], list(await bench.store.list("ada")), "the sessions left")
        equal([other], list(await bench.store.list("grace")), "another subject's sessions")

    @promise
    async def test_the_cutoff_is_its_entrys_id(self, bench: Bench) -> None:
        """One entry says it all: the value of a cutoff is the id of its own entry."""
        await bench.signed_in()
        deleted = await bench.store.delete_subject(
            "ada", keep=None, reason="password", audit=(a_record("revoked_all"),)
        )
        equal(await bench.entries(), deleted.entries, "the feed")
        equal(Cutoff(deleted.entries[0].id, deleted.entries[0].id), _cutoff(deleted.entries), "it")
        said = [(e.event.kind, e.event.subject, e.event.reason) for e in deleted.entries]
        equal([(Kind.CUTOFF, "ada", "password")], said, "what the feed says")
        equal(["revoked_all"], await bench.actions(), "the trail")

    @promise
    async def test_one_session_may_be_kept(self, bench: Bench) -> None:
        """Signing out the others leaves the kept session as it was, and names it in the entry."""
        kept, *others = [await bench.signed_in() for _ in range(3)]
        deleted = await bench.store.delete_subject("ada", keep=kept.sid, reason="others")
        equal(_sids(others), set(deleted.ended), "the sids ended")
        equal([kept], list(await bench.store.list("ada")), "the sessions left")
        expected = NO_CUTOFF.succeeded_by(deleted.entries[0].id, keep=kept.sid)
        equal(expected, _cutoff(deleted.entries), "the cutoff")
        renewed = await bench.store.replace(rewritten(kept), expected_revision=1)
        equal(True, renewed is not None, "whether the kept session may be refreshed")

    @promise
    async def test_another_keep_makes_the_old_cutoff_the_floor(self, bench: Bench) -> None:
        """Else two concurrent "sign out the others" would revive each other's tokens."""
        one, other = await bench.signed_in(), await bench.signed_in()
        first = await bench.store.delete_subject("ada", keep=one.sid, reason="others")
        second = await bench.store.delete_subject("ada", keep=other.sid, reason="others")
        equal([], list(await bench.store.list("ada")), "the sessions left")
        cutoff = _cutoff(second.entries)
        expected = Cutoff(first.entries[0].id, second.entries[0].id, other.sid)
        equal(expected, cutoff, "the second cutoff")
        for session in (one, other):
            is_refused = cutoff.refuses(position=session.position, sid=session.sid)
            equal(True, is_refused, "whether the tokens of either are refused")

    @promise
    async def test_cutoffs_follow_one_another(self, bench: Bench) -> None:
        """Each cutoff is what the one before becomes: same keep, another keep, then nobody."""
        one, other = bench.new_sid(), bench.new_sid()
        cutoff = NO_CUTOFF
        for keep in (one, one, other, other, one, None, one):
            deleted = await bench.store.delete_subject("ada", keep=keep, reason="test")
            cutoff = cutoff.succeeded_by(deleted.entries[0].id, keep=keep)
            equal(cutoff, _cutoff(deleted.entries), f"the cutoff that keeps {keep}")

    @promise
    async def test_a_subject_without_sessions_gets_a_cutoff(self, bench: Bench) -> None:
        """Where nothing is stored, tokens may be about, and logins under way: both are cut off."""
        before = (await bench.append())[0].id
        deleted = await bench.store.delete_subject("ada", keep=None, reason="test")
        equal(((), 1), (deleted.ended, len(deleted.entries)), "what was ended and appended")
        equal(deleted.entries, await bench.entries(after=before), "the feed")
        late = bench.draft(position=before)
        created = await bench.store.create(late, limit=None, on_excess="refuse")
        equal("superseded", created.outcome, "a login that began before")

    @promise
    async def test_cutoffs_are_of_one_subject(self, bench: Bench) -> None:
        """Floors are merged within a subject, never across."""
        await bench.store.delete_subject("grace", keep=bench.new_sid("grace"), reason="test")
        deleted = await bench.store.delete_subject("ada", keep="x" * 22, reason="test")
        equal(Cutoff(0, deleted.entries[0].id, "x" * 22), _cutoff(deleted.entries), "the cutoff")

    @promise
    async def test_a_cutoff_outlives_a_purge(self, bench: Bench) -> None:
        """A cutoff is kept as long as its entry: a purge before that admits no late login."""
        before = (await bench.append())[0].id
        deleted = await bench.store.delete_subject("ada", keep=None, reason="test")
        left_ms = deleted.entries[0].expires_at_ms - bench.clock()
        await bench.pass_time(left_ms / 1000 - 1)
        await bench.store.purge()
        late = bench.draft(position=before)
        created = await bench.store.create(late, limit=None, on_excess="refuse")
        equal("superseded", created.outcome, "a login that began before the cutoff")


def _tombstone(session: Session, reason: str, ended_at_ms: int) -> Tombstone:
    return Tombstone(
        sid=session.sid,
        subject=session.subject,
        seed=session.seed,
        chains=session.chains,
        reason=reason,
        ended_at_ms=ended_at_ms,
    )


def _sids(sessions: list[Session]) -> set[str]:
    return {session.sid for session in sessions}


def _ended(entries: tuple[Entry, ...]) -> list[tuple[str | None, str | None, str]]:
    """Give sid, subject and reason of ENDED entries; any other is a failure."""
    for entry in entries:
        equal(Kind.ENDED, entry.event.kind, "the kind of the entry")
    return [(e.event.sid, e.event.subject, e.event.reason) for e in entries]


def _cutoff(entries: tuple[Entry, ...]) -> Cutoff:
    """Read the cutoff that a single entry states."""
    equal(1, len(entries), "the number of entries of a cutoff")
    return Cutoff(entries[0].event.floor, entries[0].id, entries[0].event.keep)
