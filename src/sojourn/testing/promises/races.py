"""Promises under concurrency: many at once, as tasks or on threads."""

from __future__ import annotations

import msgspec

from sojourn.model import Entry, Event, Head, Kind, Session
from sojourn.testing.promises.bench import Bench, Suite, equal, promise, rewritten, sure
from sojourn.testing.promises.feed import chained

HOLDERS = 200


class RacePromises(Suite):
    """Each operation is one step, whoever else is at it."""

    @promise
    async def test_one_winner_per_revision(self, bench: Bench) -> None:
        """Of 200 refreshes of one session each wins once, at a revision of its own, with its event."""
        session = await bench.signed_in()

        async def refresh() -> int:
            seen = session
            for _ in range(HOLDERS):  # enough: an attempt is lost only to another's success
                revision = seen.revision + 1
                event = Event(kind=Kind.CHANGED, sid=seen.sid, version=revision)
                if await bench.store.replace(
                    rewritten(seen), expected_revision=seen.revision, event=event
                ):
                    return revision
                seen = await bench.session(session.sid)
            return 0

        won = await bench.together([refresh() for _ in range(HOLDERS)])
        expected = list(range(2, HOLDERS + 2))
        equal(expected, sorted(won), "the revisions won")
        final = msgspec.structs.replace(session, revision=HOLDERS + 1)
        equal(final, await bench.record(session.sid), "the session at the end")
        entries = await bench.entries()
        equal(expected, [entry.event.version for entry in entries], "the versions in the feed")
        chained(entries)

    @promise
    async def test_a_limit_holds_for_logins_at_once(self, bench: Bench) -> None:
        """However many sign in at once, no more than allowed are signed in, and each is answered."""
        for rounds in range(5):
            subject = f"ada-{rounds}"
            drafts = [bench.draft(subject) for _ in range(16)]
            created = await bench.together(
                [bench.store.create(draft, limit=3, on_excess="refuse") for draft in drafts]
            )
            outcomes = sorted(answer.outcome for answer in created)
            equal(["created"] * 3 + ["limit"] * 13, outcomes, "the answers")
            equal(3, len(await bench.store.list(subject)), "the sessions")

    @promise
    async def test_making_room_holds_for_logins_at_once(self, bench: Bench) -> None:
        """Where the oldest make room, each login succeeds, ends what it says, and nobody ends twice."""
        for rounds in range(5):
            subject = f"ada-{rounds}"
            drafts = [bench.draft(subject) for _ in range(16)]
            created = await bench.together(
                [bench.store.create(draft, limit=3, on_excess="end_oldest") for draft in drafts]
            )
            equal({"created"}, {answer.outcome for answer in created}, "the answers")
            ended = [sid for answer in created for sid in answer.ended]
            left = [session.sid for session in await bench.store.list(subject)]
            equal(3, len(left), "the sessions left")
            equal(sorted(d.sid for d in drafts), sorted(ended + left), "those ended and left")

    @promise
    async def test_no_login_slips_past_a_cutoff(self, bench: Bench) -> None:
        """Whatever order logins and a revoke-all take, nothing below the cutoff lives on."""
        for _ in range(10):
            await bench.append()
            position = (await bench.head()).id
            drafts = [bench.draft(position=position) for _ in range(8)]
            outcomes: list[str] = []

            async def login(draft: Session, outcomes: list[str] = outcomes) -> None:
                created = await bench.store.create(draft, limit=None, on_excess="refuse")
                outcomes.append(created.outcome)

            async def revoke_all() -> None:
                await bench.store.delete_subject("ada", keep=None, reason="test")

            logins = [login(draft) for draft in drafts]
            await bench.together([*logins[:4], revoke_all(), *logins[4:]])
            sure(set(outcomes) <= {"created", "superseded"}, f"the answers: {outcomes}")
            equal([], list(await bench.store.list("ada")), "the sessions below the cutoff")

    @promise
    async def test_a_refresh_and_a_logout_at_once(self, bench: Bench) -> None:
        """A logout always wins in the end: no rotation that meets it brings the session back."""
        for _ in range(10):
            session = await bench.signed_in()

            async def rotate(session: Session = session) -> None:
                await bench.store.replace(rewritten(session), expected_revision=1)

            async def logout(session: Session = session) -> None:
                await bench.store.delete(session.sid, subject="ada", reason="logout")

            await bench.together([rotate(), logout(), rotate()])
            equal([], list(await bench.store.list("ada")), "the sessions after the logout")

    @promise
    async def test_a_cursor_misses_nothing_written_at_once(self, bench: Bench) -> None:
        """No entry appears below a head that was read: who follows by id and tag sees each once."""
        shard, seen = bench.shard(), list[Entry]()
        cursor = Head(0, 0)

        async def write() -> None:
            for _ in range(10):
                await bench.store.append(shard, (Event(kind=Kind.RING), Event(kind=Kind.RING)))

        async def follow() -> None:
            nonlocal cursor
            for _ in range(20):
                page = await bench.store.read(shard, after=cursor.id)
                seen.extend(page.entries)
                newest = page.entries[-1] if page.entries else None
                mine = Head(newest.id, newest.tag) if newest else cursor
                equal(page.head, mine, "the head of the instant of the read")
                cursor = mine

        writers = [write() for _ in range(10)]
        await bench.together([*writers[:5], follow(), *writers[5:]])
        await follow()
        entries = await bench.entries()
        equal(200, len(entries), "the entries")
        equal(list(entries), seen, "what the follower saw")
        chained(entries)

    @promise
    async def test_one_document_of_many_put_at_once(self, bench: Bench) -> None:
        """Of many servers that make the first key ring, one does, and the others read it."""
        payloads = [str(number).encode() for number in range(16)]
        puts = await bench.together(
            [bench.store.put_document("ring", p, expected_version=0) for p in payloads]
        )
        equal(1, sum(puts), "the number of puts that counted")
        stored = await bench.store.get_document("ring")
        winner = payloads[puts.index(True)]
        equal((winner, 1), (stored.payload, stored.version) if stored else None, "the document")

    @promise
    async def test_one_put_of_data_at_once(self, bench: Bench) -> None:
        """Of many requests that save the same version of a session's data, one does."""
        sid = (await bench.signed_in()).sid
        puts = await bench.together(
            [bench.store.put_data(sid, bytes([n]), expected_version=0) for n in range(16)]
        )
        equal(1, sum(puts), "the number of puts that counted")
        stored = await bench.store.get_data(sid)
        equal(bytes([puts.index(True)]), stored.payload if stored else None, "the data")
