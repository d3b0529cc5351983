"""Broken `create`, `get`, `replace` and `list`."""

from __future__ import annotations

import threading
from contextlib import suppress
from typing import TYPE_CHECKING, Any

import msgspec

from sojourn.model import ANY, Event, OnExcess, Session
from sojourn.ports import Created, Deleted, Found, Written
from sojourn.stores.memory import MemoryStore

if TYPE_CHECKING:
    from collections.abc import Sequence

    from sojourn.ports import Clock

GAP_SECONDS = 0.02
"""How long a fault that needs company waits for it, where nobody comes."""


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
        """Expect a revision that never was."""
        kwargs["expected_revision"] = -1
        return super().replace(session, **kwargs)


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
