"""Everything in this process: for tests, development, and as the plainest reading of the contract."""

from __future__ import annotations

import os
import secrets
import threading
import time
from collections.abc import Mapping, Sequence

import msgspec

from sojourn.errors import StoreError
from sojourn.model import (
    ANY,
    NO_CUTOFF,
    Any_,
    AuditRecord,
    Cutoff,
    Entry,
    Event,
    Head,
    Kind,
    OnExcess,
    Session,
    Tombstone,
)
from sojourn.ports import (
    RETENTION_MARGIN_MS,
    TOMBSTONE_MS,
    AuditLine,
    Clock,
    Created,
    Deleted,
    Found,
    Page,
    StoreInfo,
    Versioned,
    Written,
)
from sojourn.stores.restoring import restore


def system_clock() -> int:
    """Read this machine's clock, in milliseconds since the epoch."""
    return time.time_ns() // 1_000_000


class MemoryStore:
    """A `Store` of one process; what it holds ends with the process.

    Args:
        clock: The store's clock.
    """

    never_blocks = True
    """It may serve an event loop directly."""

    def __init__(self, *, clock: Clock = system_clock) -> None:
        """Start empty."""
        self._clock = clock
        self._pid = os.getpid()
        self._lock = threading.RLock()
        self._appended = threading.Condition(self._lock)
        self._info = StoreInfo(1, secrets.token_bytes(32), 0)
        self._sessions: dict[str, Session] = {}
        self._by_subject: dict[str, dict[str, None]] = {}
        self._tombstones: dict[str, Tombstone] = {}
        self._cutoffs: dict[str, tuple[Cutoff, int]] = {}
        self._data: dict[str, Versioned] = {}
        self._documents: dict[str, Versioned] = {}
        self._audit: list[AuditRecord] = []
        self._entries: list[Entry] = []
        self._head = Head(0, 0)

    def open(self, *, longest_token_ms: int) -> StoreInfo:
        """See `Store.open`."""
        with self._guard():
            longest = max(longest_token_ms, self._info.longest_token_ms)
            self._info = StoreInfo(1, self._info.placement_key, longest)
            return self._info

    def close(self) -> None:
        """See `Store.close`; what is held stays, for another engine on the same object."""

    def _guard(self) -> threading.RLock:
        if os.getpid() != self._pid:
            raise StoreError(
                "a memory store does not cross a fork: each process would believe its own copy; "
                "use sqlite:///path for several processes on one machine"
            )
        return self._lock

    # --- the feed -------------------------------------------------------------------------------

    def head(self, shard: int) -> Head:
        """See `Store.head`."""
        with self._guard():
            return self._head

    def append(
        self,
        shard: int,
        events: Sequence[Event],
        *,
        audit: Sequence[AuditRecord] = (),
        above: int = 0,
    ) -> Written:
        """See `Store.append`."""
        with self._guard():
            now_ms = self._clock()
            entries = tuple(self._append(event, max(now_ms, above + 1)) for event in events)
            self._audit.extend(audit)
            return Written(entries, now_ms)

    def _append(self, event: Event, now_ms: int) -> Entry:
        head = Head(max(now_ms, self._head.id + 1), secrets.randbits(53))
        expires_at_ms = now_ms + self._info.longest_token_ms + RETENTION_MARGIN_MS
        entry = Entry(head.id, head.tag, self._head.tag, event, expires_at_ms)
        self._entries.append(entry)
        self._head = head
        self._appended.notify_all()
        return entry

    def read(self, shard: int, *, after: int, limit: int = 1000) -> Page:
        """See `Store.read`."""
        with self._guard():
            newer = [entry for entry in self._entries if entry.id > after][:limit]
            return Page(tuple(newer), self._head)

    def feed(self) -> MemoryFeed:
        """See `Store.feed`."""
        return MemoryFeed(self)

    # --- sessions -------------------------------------------------------------------------------

    def create(
        self,
        session: Session,
        *,
        limit: int | None,
        on_excess: OnExcess,
        audit: Sequence[AuditRecord] = (),
        ended_audit: AuditRecord | None = None,
    ) -> Created:
        """See `Store.create`."""
        with self._guard():
            cutoff = self._cutoffs.get(session.subject, (NO_CUTOFF, 0))[0]
            if session.position < cutoff.cutoff:
                return Created("superseded")
            now_ms = self._clock()
            too_many: Sequence[Session] = ()
            if limit is not None:
                live = self._live(session.subject, now_ms)
                too_many = live[: max(0, len(live) - limit + 1)]
                if too_many and on_excess == "refuse":
                    return Created("limit")
            entries: tuple[Entry, ...] = ()
            for oldest in too_many:
                self._end(oldest, "session_limit", now_ms)
                if not oldest.subject:
                    continue  # nobody keeps copies of a guest
                event = Event(kind=Kind.ENDED, sid=oldest.sid, reason="session_limit")
                entries += (self._append(event, now_ms),)
                if ended_audit is not None:
                    self._audit.append(msgspec.structs.replace(ended_audit, sid=oldest.sid))
            self._sessions[session.sid] = session
            self._by_subject.setdefault(session.subject, {})[session.sid] = None
            self._audit.extend(audit)
            return Created("created", tuple(one.sid for one in too_many), entries)

    def get(self, sid: str) -> Found:
        """See `Store.get`."""
        with self._guard():
            record = self._sessions.get(sid) or self._tombstones.get(sid)
            return Found(record, self._clock())

    def replace(
        self,
        session: Session,
        *,
        expected_revision: int,
        event: Event | None = None,
        audit: Sequence[AuditRecord] = (),
    ) -> Written | None:
        """See `Store.replace`."""
        with self._guard():
            stored = self._sessions.get(session.sid)
            if stored is None or stored.revision != expected_revision:
                return None
            self._sessions[session.sid] = session
            return self.append(0, () if event is None else (event,), audit=audit)

    def delete(
        self,
        sid: str,
        *,
        subject: str | Any_,
        reason: str,
        audit: Sequence[AuditRecord] = (),
    ) -> Deleted:
        """See `Store.delete`."""
        with self._guard():
            session = self._sessions.get(sid)
            if session is not None and subject not in {ANY, session.subject}:
                session = None
            for_everyone = session is not None or subject is ANY
            now_ms = self._clock()
            was_alive = session is not None and now_ms < session.dies_at_ms
            if session is not None:
                self._end(session, reason, now_ms)
            owner = None if for_everyone else str(subject)
            event = Event(kind=Kind.ENDED, sid=sid, subject=owner, reason=reason)
            written = self.append(0, (event,), audit=audit)
            return Deleted((sid,) if was_alive else (), written.entries)

    def delete_subject(
        self,
        subject: str,
        *,
        keep: str | None,
        reason: str,
        audit: Sequence[AuditRecord] = (),
    ) -> Deleted:
        """See `Store.delete_subject`."""
        with self._guard():
            now_ms = self._clock()
            before = self._cutoffs.get(subject, (NO_CUTOFF, 0))[0]
            position = max(now_ms, self._head.id + 1)
            cutoff = before.succeeded_by(position, keep=keep)
            event = Event(
                kind=Kind.CUTOFF, subject=subject, floor=cutoff.floor, keep=keep, reason=reason
            )
            entry = self._append(event, now_ms)
            self._cutoffs[subject] = (cutoff, entry.expires_at_ms)
            ended = [
                self._sessions[sid] for sid in self._by_subject.get(subject, ()) if sid != keep
            ]
            for session in ended:
                self._end(session, reason, now_ms)
            self._audit.extend(audit)
            alive = tuple(session.sid for session in ended if now_ms < session.dies_at_ms)
            return Deleted(alive, (entry,))

    def list(self, subject: str) -> Sequence[Session]:
        """See `Store.list`."""
        with self._guard():
            return self._live(subject, self._clock())

    def _live(self, subject: str, now_ms: int) -> Sequence[Session]:
        sessions = [self._sessions[sid] for sid in self._by_subject.get(subject, ())]
        live = [session for session in sessions if now_ms < session.dies_at_ms]
        return sorted(live, key=lambda session: (session.created_at_ms, session.sid))

    def _forget(self, session: Session) -> None:
        del self._sessions[session.sid]
        self._data.pop(session.sid, None)
        sids = self._by_subject[session.subject]
        del sids[session.sid]
        if not sids:
            del self._by_subject[session.subject]

    def _end(self, session: Session, reason: str, now_ms: int) -> None:
        self._forget(session)
        if not session.subject:
            return  # a guest has nobody to be told why
        self._tombstones[session.sid] = Tombstone(
            sid=session.sid,
            subject=session.subject,
            seed=session.seed,
            chains=session.chains,
            reason=reason,
            ended_at_ms=now_ms,
        )

    # --- data, documents, audit -----------------------------------------------------------------

    def get_data(self, sid: str) -> Versioned | None:
        """See `Store.get_data`."""
        with self._guard():
            return self._data.get(sid)

    def put_data(self, sid: str, payload: bytes, *, expected_version: int) -> bool:
        """See `Store.put_data`."""
        with self._guard():
            session = self._sessions.get(sid)
            if session is None or self._clock() >= session.dies_at_ms:
                return False
            return _put(self._data, sid, payload, expected_version)

    def get_document(self, name: str) -> Versioned | None:
        """See `Store.get_document`."""
        with self._guard():
            return self._documents.get(name)

    def put_document(self, name: str, payload: bytes, *, expected_version: int) -> bool:
        """See `Store.put_document`."""
        with self._guard():
            return _put(self._documents, name, payload, expected_version)

    def read_audit(
        self,
        *,
        after: int = 0,
        limit: int = 100,
        subject: str | None = None,
        sid: str | None = None,
    ) -> Sequence[AuditLine]:
        """See `Store.read_audit`."""
        with self._guard():
            lines = (
                AuditLine(number, record)
                for number, record in enumerate(self._audit, start=1)
                if number > after
                and subject in {None, record.subject}
                and sid in {None, record.sid}
            )
            return [line for line, _ in zip(lines, range(limit), strict=False)]

    def purge(self) -> int:
        """See `Store.purge`."""
        with self._guard():
            now_ms = self._clock()
            dead = [s for s in self._sessions.values() if s.dies_at_ms <= now_ms]
            for session in dead:
                self._forget(session)
            removed = len(dead)
            tombstones = {
                sid: t
                for sid, t in self._tombstones.items()
                if t.ended_at_ms + TOMBSTONE_MS > now_ms
            }
            cutoffs = {s: c for s, c in self._cutoffs.items() if c[1] > now_ms}
            entries = [
                e for e in self._entries if e.expires_at_ms > now_ms or e.event.kind is Kind.KEY
            ]
            removed += len(self._tombstones) - len(tombstones)
            removed += len(self._cutoffs) - len(cutoffs)
            removed += len(self._entries) - len(entries)
            self._tombstones, self._cutoffs, self._entries = tombstones, cutoffs, entries
            return removed


def _put(table: dict[str, Versioned], key: str, payload: bytes, expected_version: int) -> bool:
    stored = table.get(key)
    if (stored.version if stored else 0) != expected_version:
        return False
    table[key] = Versioned(payload, expected_version + 1)
    return True


class MemoryFeed:
    """The follower's reader of a `MemoryStore`."""

    def __init__(self, store: MemoryStore) -> None:
        """Start at whatever is asked first."""
        self._store = store
        self._seen = store._head  # noqa: SLF001 - the two are one module
        self._closed = False

    def read(self, after: Mapping[int, int], *, limit: int = 1000) -> Mapping[int, Page]:
        """See `Feed.read`."""
        pages = {
            shard: self._store.read(shard, after=id_, limit=limit) for shard, id_ in after.items()
        }
        self._seen = pages[0].head
        return pages

    def restore(self, shard: int, events: Sequence[Event], *, above: int = 0) -> None:
        """See `Feed.restore`."""
        restore(self._store, shard, events, above=above)

    def wait(self, timeout_seconds: float) -> None:
        """See `Feed.wait`."""
        appended = self._store._appended  # noqa: SLF001
        with appended:
            appended.wait_for(
                lambda: self._closed or self._store._head != self._seen,  # noqa: SLF001
                timeout_seconds,
            )

    def close(self) -> None:
        """See `Feed.close`."""
        with self._store._appended:  # noqa: SLF001
            self._closed = True
            self._store._appended.notify_all()  # noqa: SLF001
