"""Broken `delete`, `delete_subject`, cutoffs and tombstones."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import msgspec

from sojourn.model import ANY, NO_CUTOFF, Cutoff, Entry, Event, Head, Kind, Session, Tombstone
from sojourn.ports import Created, Deleted, Written
from sojourn.stores.memory import MemoryStore

if TYPE_CHECKING:
    from collections.abc import Sequence

    from sojourn.ports import Clock


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
