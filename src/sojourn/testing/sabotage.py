"""Stores with one fault each, every one a mistake that was or could be made: they prove the contract.

Each is a memory store whose docstring says what is wrong with it; `SABOTAGED` names them all. A
contract that lets one of them pass does not keep the promise it claims to keep.
"""

from __future__ import annotations

import secrets
import threading
from contextlib import suppress
from typing import TYPE_CHECKING, Any

import msgspec

from sojourn.errors import StoreError
from sojourn.model import (
    ANY,
    NO_CUTOFF,
    Cutoff,
    Entry,
    Event,
    Head,
    Kind,
    OnExcess,
    Session,
    Tombstone,
)
from sojourn.ports import AuditLine, Created, Deleted, Found, Page, StoreInfo, Versioned, Written
from sojourn.stores.memory import MemoryFeed, MemoryStore

if TYPE_CHECKING:
    from collections.abc import Sequence

    from sojourn.ports import Clock

GAP_SECONDS = 0.02
"""How long a fault that needs company waits for it, where nobody comes."""


# --- sessions -----------------------------------------------------------------------------------


class NoCompareAndSwap(MemoryStore):
    """Replaces whatever revision is stored: the last writer wins."""

    def replace(self, session: Session, **kwargs: Any) -> Written | None:
        """Write over any revision."""
        stored = self._sessions.get(session.sid)
        if stored is not None:
            kwargs["expected_revision"] = stored.revision
        return super().replace(session, **kwargs)


class NeverSwaps(MemoryStore):
    """Compares with a revision that is not the record's, and so refuses every replace."""

    def replace(self, session: Session, **kwargs: Any) -> Written | None:
        """Refuse."""
        del session, kwargs


class CreateRolledBack(MemoryStore):
    """Answers that a session was created, in a transaction that is never committed."""

    def create(self, session: Session, **kwargs: Any) -> Created:
        """Create, and roll back."""
        created = super().create(session, **kwargs)
        self._forget(session)
        return created


class Resurrecting(MemoryStore):
    """Replaces by writing: a session that is gone comes back."""

    def replace(self, session: Session, **kwargs: Any) -> Written | None:
        """Write a session that is not there."""
        if session.sid not in self._sessions:
            expected = msgspec.structs.replace(session, revision=kwargs["expected_revision"])
            self._sessions[session.sid] = expected
            self._by_subject.setdefault(session.subject, {})[session.sid] = None
        return super().replace(session, **kwargs)


class EventBesideTheSwap(MemoryStore):
    """Appends the event of a replace whether or not the swap took place."""

    def replace(
        self, session: Session, *, event: Event | None = None, **kwargs: Any
    ) -> Written | None:
        """Swap, then append."""
        written = super().replace(session, **kwargs)
        if event is not None:
            appended = self.append(0, (event,))
            return written and appended
        return written


class EventForgotten(MemoryStore):
    """Changes the record of a replace and tells nobody."""

    def replace(
        self, session: Session, *, event: Event | None = None, **kwargs: Any
    ) -> Written | None:
        """Swap without the event."""
        del event
        return super().replace(session, **kwargs)


class AuditForgotten(MemoryStore):
    """Changes records without the audit records that belong to the change."""

    def create(self, session: Session, **kwargs: Any) -> Created:
        """Create without the audit."""
        kwargs["audit"] = ()
        return super().create(session, **kwargs)

    def replace(self, session: Session, **kwargs: Any) -> Written | None:
        """Replace without the audit."""
        kwargs["audit"] = ()
        return super().replace(session, **kwargs)

    def delete(self, sid: str, **kwargs: Any) -> Deleted:
        """Delete without the audit."""
        kwargs["audit"] = ()
        return super().delete(sid, **kwargs)

    def delete_subject(self, subject: str, **kwargs: Any) -> Deleted:
        """Delete without the audit."""
        kwargs["audit"] = ()
        return super().delete_subject(subject, **kwargs)

    def append(self, shard: int, events: Sequence[Event], **kwargs: Any) -> Written:
        """Append without the audit."""
        kwargs["audit"] = ()
        return super().append(shard, events, **kwargs)


class AuditOnRefusal(MemoryStore):
    """Writes the audit of a create first, and then refuses."""

    def create(self, session: Session, *, audit: Sequence[Any] = (), **kwargs: Any) -> Created:
        """Write the audit, then decide."""
        self._audit.extend(audit)
        return super().create(session, **kwargs)


class LimitCheckedOutside(MemoryStore):
    """Counts in one step and stores in another: two logins at once both find room."""

    def __init__(self, *, clock: Clock) -> None:
        """Prepare the gap."""
        super().__init__(clock=clock)
        self._gap = threading.Barrier(2)

    def create(
        self, session: Session, *, limit: int | None, on_excess: OnExcess, **kwargs: Any
    ) -> Created:
        """Check, let another in, then act."""
        if limit is None:
            return super().create(session, limit=None, on_excess=on_excess, **kwargs)
        live = self.list(session.subject)
        too_many = live[: max(0, len(live) - limit + 1)]
        # The interleaving: whoever comes to this gap waits for company in it.
        with suppress(threading.BrokenBarrierError):
            self._gap.wait(GAP_SECONDS)
        if self._gap.broken:
            self._gap.reset()
        if too_many and on_excess == "refuse":
            return Created("limit")
        for oldest in too_many:
            self.delete(oldest.sid, subject=ANY, reason="session_limit")
        created = super().create(session, limit=None, on_excess=on_excess, **kwargs)
        return Created(created.outcome, tuple(one.sid for one in too_many), created.entries)


class LimitOffByOne(MemoryStore):
    """Refuses the last session that the limit allows."""

    def create(self, session: Session, *, limit: int | None, **kwargs: Any) -> Created:
        """Count the new session twice."""
        return super().create(session, limit=limit and limit - 1, **kwargs)


class LimitUnasked(MemoryStore):
    """Has a limit of its own where none was asked for."""

    def create(self, session: Session, *, limit: int | None, **kwargs: Any) -> Created:
        """Allow ten sessions."""
        return super().create(session, limit=limit or 10, **kwargs)


class ExpiredCounted(MemoryStore):
    """Counts and lists sessions that are over."""

    def _live(self, subject: str, now_ms: int) -> Sequence[Session]:
        del now_ms
        return super()._live(subject, 0)


class NewestMakesRoom(MemoryStore):
    """Ends the newest sessions where the oldest ought to go."""

    def _live(self, subject: str, now_ms: int) -> Sequence[Session]:
        return super()._live(subject, now_ms)[::-1]


class OneMakesRoom(MemoryStore):
    """Ends one session for a new one, although a lowered limit asks for more."""

    def create(self, session: Session, *, limit: int | None, **kwargs: Any) -> Created:
        """Take the limit for no lower than what is there."""
        if limit is not None and kwargs["on_excess"] == "end_oldest":
            limit = max(limit, len(self.list(session.subject)))
        return super().create(session, limit=limit, **kwargs)


class CaseBlind(MemoryStore):
    """Takes subjects for one another where only their case differs."""

    def list(self, subject: str) -> Sequence[Session]:
        """List by a folded name."""
        names = [name for name in self._by_subject if name.casefold() == subject.casefold()]
        return [session for name in names for session in super(type(self), self).list(name)]


class StaleIndex(MemoryStore):
    """Lists by the end of life a session was created with: a touch does not prolong it."""

    def __init__(self, *, clock: Clock) -> None:
        """Prepare the index."""
        super().__init__(clock=clock)
        self._index: dict[str, int] = {}

    def create(self, session: Session, **kwargs: Any) -> Created:
        """Index at creation only."""
        self._index[session.sid] = session.dies_at_ms
        return super().create(session, **kwargs)

    def _live(self, subject: str, now_ms: int) -> Sequence[Session]:
        live = super()._live(subject, now_ms)
        return [session for session in live if now_ms < self._index[session.sid]]


class SidsFolded(MemoryStore):
    """Looks sids up by a collation that does not tell upper from lower case."""

    def get(self, sid: str) -> Found:
        """Find the first sid that looks alike."""
        alike = (known for known in self._sessions if known.casefold() == sid.casefold())
        return super().get(next(alike, sid))


class GuestsUnlisted(MemoryStore):
    """Takes the empty subject for none, and so finds no guests."""

    def _live(self, subject: str, now_ms: int) -> Sequence[Session]:
        return super()._live(subject, now_ms) if subject else []


class PartialReplace(MemoryStore):
    """Writes what rotation changes, and not the claims."""

    def replace(self, session: Session, **kwargs: Any) -> Written | None:
        """Keep the stored claims."""
        stored = self._sessions.get(session.sid)
        if stored is not None:
            session = msgspec.structs.replace(session, claims=stored.claims)
        return super().replace(session, **kwargs)


class ProcessTime(MemoryStore):
    """Answers get with no time of the store's: rotations are aged by whoever asks."""

    def get(self, sid: str) -> Found:
        """Leave the clock out."""
        return Found(super().get(sid).record, 0)


class ExpiredUnseen(MemoryStore):
    """Returns nothing for an expired session: nobody is told that it has expired."""

    def get(self, sid: str) -> Found:
        """Hide what has expired."""
        found = super().get(sid)
        if isinstance(found.record, Session) and found.record.dies_at_ms <= found.now_ms:
            return Found(None, found.now_ms)
        return found


class ClaimsFlattened(MemoryStore):
    """Keeps claims as text, and so loses what is nested in them."""

    def create(self, session: Session, **kwargs: Any) -> Created:
        """Flatten the claims."""
        flat = {key: str(value) for key, value in session.claims.items()}
        return super().create(msgspec.structs.replace(session, claims=flat), **kwargs)


# --- ending -------------------------------------------------------------------------------------


class EntryAfterTheStep(MemoryStore):
    """Deletes the record at once and appends the entry with the next write, if there is one."""

    def __init__(self, *, clock: Clock) -> None:
        """Owe nothing yet."""
        super().__init__(clock=clock)
        self._owed: list[Entry] = []

    def delete(self, sid: str, **kwargs: Any) -> Deleted:
        """Delete, and owe the entry."""
        head, count = self._head, len(self._entries)
        deleted = super().delete(sid, **kwargs)
        self._owed = self._entries[count:]
        del self._entries[count:]
        self._head = head
        return deleted

    def _append(self, event: Event, now_ms: int) -> Entry:
        for entry in self._owed:
            self._entries.append(entry)
            self._head = Head(entry.id, entry.tag)
        self._owed = []
        return super()._append(event, now_ms)


class AllEnded(MemoryStore):
    """Ends all sessions of a subject where one was meant."""

    def delete(self, sid: str, **kwargs: Any) -> Deleted:
        """Delete by the subject of the sid."""
        deleted = super().delete(sid, **kwargs)
        if deleted.ended:
            for session in self.list(str(kwargs["subject"])):
                self._end(session, kwargs["reason"], self._clock())
        return deleted


class AdministratorRefused(MemoryStore):
    """Takes ANY for the name of a subject."""

    def delete(self, sid: str, **kwargs: Any) -> Deleted:
        """Compare ANY with the owner."""
        kwargs["subject"] = str(kwargs["subject"])
        return super().delete(sid, **kwargs)


class DeadCountedAsEnded(MemoryStore):
    """Answers expired sessions among those it ended."""

    def delete(self, sid: str, **kwargs: Any) -> Deleted:
        """Say that an expired session was ended."""
        existed = sid in self._sessions
        deleted = super().delete(sid, **kwargs)
        return Deleted((sid,) if existed else (), deleted.entries)


class SilentWhereAbsent(MemoryStore):
    """Appends nothing where there was no session: a stateless token cannot be revoked."""

    def delete(self, sid: str, **kwargs: Any) -> Deleted:
        """Skip what is not stored."""
        if sid not in self._sessions:
            return Deleted((), ())
        return super().delete(sid, **kwargs)


class OwnerIgnored(MemoryStore):
    """Ends a session for whoever knows its sid."""

    def delete(self, sid: str, **kwargs: Any) -> Deleted:
        """Ask for no owner."""
        kwargs["subject"] = ANY
        return super().delete(sid, **kwargs)


class GuestOwnsAll(MemoryStore):
    """Takes the empty subject of a guest for "no owner asked for"."""

    def delete(self, sid: str, **kwargs: Any) -> Deleted:
        """Confuse "" with ANY."""
        kwargs["subject"] = kwargs["subject"] or ANY
        return super().delete(sid, **kwargs)


class StrangersEntryBindsAll(MemoryStore):
    """Revokes a sid for everyone although the asker does not own it: anybody may sign anybody out."""

    def append(self, shard: int, events: Sequence[Event], **kwargs: Any) -> Written:
        """Leave the subject out of ENDED events."""
        everyones = [
            msgspec.structs.replace(event, subject=None) if event.kind is Kind.ENDED else event
            for event in events
        ]
        return super().append(shard, everyones, **kwargs)


class NoTombstones(MemoryStore):
    """Leaves nothing behind: nobody is told why they were signed out."""

    def _end(self, session: Session, reason: str, now_ms: int) -> None:
        super()._end(session, reason, now_ms)
        del self._tombstones[session.sid]


class TombstonesRewritten(MemoryStore):
    """Lets a retried delete replace the reason of the first."""

    def delete(self, sid: str, **kwargs: Any) -> Deleted:
        """Write the tombstone again."""
        tombstone = self._tombstones.get(sid)
        if tombstone is not None:
            again = msgspec.structs.replace(tombstone, reason=kwargs["reason"])
            self._tombstones[sid] = again
        return super().delete(sid, **kwargs)


class TombstonesForever(MemoryStore):
    """Never lets a tombstone go."""

    def purge(self) -> int:
        """Keep the tombstones."""
        kept = dict(self._tombstones)
        count = super().purge()
        self._tombstones = kept
        return count


class TombstonesPurgedAtOnce(MemoryStore):
    """Lets tombstones go with the first purge."""

    def purge(self) -> int:
        """Drop all tombstones."""
        self._tombstones = dict[str, Tombstone]()
        return super().purge()


class KeepIgnored(MemoryStore):
    """Ends the session that was to be kept, too."""

    def delete_subject(self, subject: str, *, keep: str | None, **kwargs: Any) -> Deleted:
        """Keep nobody."""
        deleted = super().delete_subject(subject, keep=keep, **kwargs)
        kept = self._sessions.get(keep or "")
        if kept is not None:
            self._end(kept, kwargs["reason"], self._clock())
        return deleted


class CutoffNotStored(MemoryStore):
    """Ends what is there and forgets the cutoff: a login under way slips in afterwards."""

    def delete_subject(self, subject: str, **kwargs: Any) -> Deleted:
        """Forget the cutoff."""
        deleted = super().delete_subject(subject, **kwargs)
        self._cutoffs.clear()
        return deleted


class CutoffForAll(MemoryStore):
    """Has one cutoff for all subjects."""

    def create(self, session: Session, **kwargs: Any) -> Created:
        """Apply the highest cutoff."""
        if self._cutoffs:
            self._cutoffs[session.subject] = max(self._cutoffs.values())
        return super().create(session, **kwargs)


class CutoffWithoutSessionsSkipped(MemoryStore):
    """Sees nothing to do where a subject has no sessions."""

    def delete_subject(self, subject: str, **kwargs: Any) -> Deleted:
        """Skip a subject without sessions."""
        if not self._by_subject.get(subject):
            return Deleted((), ())
        return super().delete_subject(subject, **kwargs)


class FloorLost(MemoryStore):
    """Merges cutoffs by overwriting: two "sign out the others" revive each other."""

    def delete_subject(self, subject: str, **kwargs: Any) -> Deleted:
        """Begin from no cutoff each time."""
        self._cutoffs.pop(subject, None)
        return super().delete_subject(subject, **kwargs)


class FloorAlwaysRaised(MemoryStore):
    """Raises the floor even where the same session is kept again: its own tokens die."""

    def delete_subject(self, subject: str, *, keep: str | None, **kwargs: Any) -> Deleted:
        """Forget who was kept."""
        before, expiry = self._cutoffs.get(subject, (NO_CUTOFF, 0))
        self._cutoffs[subject] = (Cutoff(before.floor, before.cutoff), expiry)
        return super().delete_subject(subject, keep=keep, **kwargs)


class FloorAdmits(MemoryStore):
    """Compares a new session with the floor, as if it could be the kept one."""

    def create(self, session: Session, **kwargs: Any) -> Created:
        """Admit what is above the floor."""
        before = self._cutoffs.get(session.subject)
        if before is not None and before[0].keep is not None:
            floor = before[0].floor
            self._cutoffs[session.subject] = (Cutoff(floor, floor), before[1])
        created = super().create(session, **kwargs)
        if before is not None:
            self._cutoffs[session.subject] = before
        return created


class CutoffIncludesItself(MemoryStore):
    """Refuses a login that began at the cutoff, and so right after it."""

    def create(self, session: Session, **kwargs: Any) -> Created:
        """Compare with "at or below"."""
        cutoff = self._cutoffs.get(session.subject, (NO_CUTOFF, 0))[0].cutoff
        if cutoff and session.position == cutoff:
            return Created("superseded")
        return super().create(session, **kwargs)


class CutoffsPurgedEarly(MemoryStore):
    """Lets cutoffs go with the first purge."""

    def purge(self) -> int:
        """Drop all cutoffs."""
        self._cutoffs.clear()
        return super().purge()


# --- the feed -----------------------------------------------------------------------------------


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
            def read(self, shard: int, *, after: int, limit: int = 1000) -> Page:
                page = super().read(shard, after=after, limit=limit)
                last = page.entries[-1] if page.entries else page.head
                return Page(page.entries, Head(last.id, last.tag))

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


# --- data, documents, audit -----------------------------------------------------------------------


class DataOutlivesItsSession(MemoryStore):
    """Leaves the data of an ended session to be read."""

    def _forget(self, session: Session) -> None:
        data = self._data.get(session.sid)
        super()._forget(session)
        if data is not None:
            self._data[session.sid] = data


class DataOverwritten(MemoryStore):
    """Puts data and documents without comparing versions."""

    def put_data(self, sid: str, payload: bytes, *, expected_version: int) -> bool:
        """Write over any version."""
        stored = self._data.get(sid)
        current = stored.version if stored else expected_version
        return super().put_data(sid, payload, expected_version=current)

    def put_document(self, name: str, payload: bytes, *, expected_version: int) -> bool:
        """Write over any version."""
        stored = self._documents.get(name)
        current = stored.version if stored else expected_version
        return super().put_document(name, payload, expected_version=current)


class DataWithoutASession(MemoryStore):
    """Puts data under any sid, alive or not."""

    def put_data(self, sid: str, payload: bytes, *, expected_version: int) -> bool:
        """Ask for no session."""
        stored = self._data.get(sid)
        if (stored.version if stored else 0) != expected_version:
            return False
        self._data[sid] = Versioned(payload, expected_version + 1)
        return True


class DataGoesWithARotation(MemoryStore):
    """Writes a session anew at a replace, and loses its data with the old row."""

    def replace(self, session: Session, **kwargs: Any) -> Written | None:
        """Drop the data."""
        written = super().replace(session, **kwargs)
        if written is not None:
            self._data.pop(session.sid, None)
        return written


class DataAsText(MemoryStore):
    """Keeps payloads in a text column."""

    def put_data(self, sid: str, payload: bytes, *, expected_version: int) -> bool:
        """Decode the payload."""
        text = payload.decode(errors="replace")
        return super().put_data(sid, text.encode(), expected_version=expected_version)


class DocumentsShareAName(MemoryStore):
    """Folds the names of documents."""

    def put_document(self, name: str, payload: bytes, *, expected_version: int) -> bool:
        """Put under a folded name."""
        folded = name.strip().casefold()
        return super().put_document(folded, payload, expected_version=expected_version)

    def get_document(self, name: str) -> Versioned | None:
        """Get by a folded name."""
        return super().get_document(name.strip().casefold())


class TrailBackwards(MemoryStore):
    """Gives the newest line of the trail first."""

    def read_audit(self, **kwargs: Any) -> Sequence[AuditLine]:
        """Read backwards."""
        return super().read_audit(**kwargs)[::-1]


class FilterAfterLimit(MemoryStore):
    """Cuts the trail to the limit first, and filters what is left."""

    def read_audit(
        self,
        *,
        after: int = 0,
        limit: int = 100,
        subject: str | None = None,
        sid: str | None = None,
    ) -> Sequence[AuditLine]:
        """Cut, then filter."""
        lines = super().read_audit(after=after, limit=limit)
        return [
            line
            for line in lines
            if subject in {None, line.record.subject} and sid in {None, line.record.sid}
        ]


class EmptyFilterIgnored(MemoryStore):
    """Takes the filter "" for none."""

    def read_audit(self, **kwargs: Any) -> Sequence[AuditLine]:
        """Confuse "" with None."""
        kwargs["subject"] = kwargs.get("subject") or None
        return super().read_audit(**kwargs)


class TrailPurged(MemoryStore):
    """Purges the trail along with everything else."""

    def purge(self) -> int:
        """Drop the trail."""
        self._audit.clear()
        return super().purge()


class ClosedOnce(MemoryStore):
    """Fails at the second close."""

    _is_closed = False

    def close(self) -> None:
        """Close, once."""
        if self._is_closed:
            raise StoreError("closed already")
        self._is_closed = True


SABOTAGED: tuple[type[MemoryStore], ...] = tuple(
    thing
    for thing in dict(globals()).values()
    if isinstance(thing, type) and issubclass(thing, MemoryStore) and thing is not MemoryStore
)
"""Every store of this module."""
