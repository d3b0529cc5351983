"""Sessions in SQL: the statements and the mapping of rows, written once.

Functions that change something run within one transaction that the caller began to write in; they
are `Store`'s operations of the same name, on a connection. A row holds what queries need; the
record itself is one msgpack payload.
"""

from __future__ import annotations

from collections.abc import Sequence
from sqlite3 import Connection

import msgspec

from sojourn.model import (
    ANY,
    NO_CUTOFF,
    Any_,
    AuditRecord,
    Cutoff,
    Entry,
    Event,
    Kind,
    OnExcess,
    Session,
    Tombstone,
)
from sojourn.ports import Clock, Created, Deleted, Found, Written
from sojourn.stores.sqlite.entries import append, append_events, decoded, next_id, write_audit

CHUNK_SESSIONS = 500
"""So many are in memory at once while a subject's sessions are ended."""
SHARD = 0
"""The only one."""

_decode_session = msgspec.msgpack.Decoder(Session).decode
_decode_tombstone = msgspec.msgpack.Decoder(Tombstone).decode
_encode = msgspec.msgpack.Encoder().encode


def create(
    connection: Connection,
    clock: Clock,
    session: Session,
    *,
    limit: int | None,
    on_excess: OnExcess,
    audit: Sequence[AuditRecord] = (),
    ended_audit: AuditRecord | None = None,
) -> Created:
    """See `Store.create`."""
    if session.position < _cutoff(connection, session.subject).cutoff:
        return Created("superseded")
    now_ms = clock()
    too_many: list[Session] = []
    if limit is not None:
        excess = _count_live(connection, session.subject, now_ms) - limit + 1
        if excess > 0 and on_excess == "refuse":
            return Created("limit")
        if excess > 0:
            too_many = _live(connection, session.subject, now_ms, most=excess)
    _end(connection, too_many, "session_limit", now_ms)
    events = [
        Event(kind=Kind.ENDED, sid=oldest.sid, reason="session_limit")
        for oldest in too_many
        if oldest.subject  # nobody keeps copies of a guest
    ]
    entries = append_events(connection, SHARD, events, now_ms=now_ms)
    connection.execute(
        "INSERT INTO sojourn_sessions (sid, subject, created_at, dies_at, revision, payload) "
        "VALUES (?, ?, ?, ?, ?, ?)",
        (
            session.sid,
            session.subject,
            session.created_at_ms,
            session.dies_at_ms,
            session.revision,
            _encode(session),
        ),
    )
    if ended_audit is not None:
        audit = (*(msgspec.structs.replace(ended_audit, sid=s.sid) for s in too_many), *audit)
    write_audit(connection, audit)
    return Created("created", tuple(oldest.sid for oldest in too_many), entries)


def get(connection: Connection, clock: Clock, sid: str) -> Found:
    """See `Store.get`."""
    # A session that ends between the two queries is found as a tombstone by the second.
    rows = connection.execute(
        "SELECT payload FROM sojourn_sessions WHERE sid = ?", (sid,)
    ).fetchall()
    if rows:
        return Found(decoded(_decode_session, rows[0][0]), clock())
    rows = connection.execute(
        "SELECT payload FROM sojourn_tombstones WHERE sid = ?", (sid,)
    ).fetchall()
    return Found(decoded(_decode_tombstone, rows[0][0]) if rows else None, clock())


def replace(
    connection: Connection,
    clock: Clock,
    session: Session,
    *,
    expected_revision: int,
    event: Event | None = None,
    audit: Sequence[AuditRecord] = (),
) -> Written | None:
    """See `Store.replace`."""
    updated = connection.execute(
        "UPDATE sojourn_sessions SET revision = ?, dies_at = ?, payload = ? "
        "WHERE sid = ? AND revision = ?",
        (
            session.revision,
            session.dies_at_ms,
            _encode(session),
            session.sid,
            expected_revision,
        ),
    )
    if updated.rowcount == 0:
        return None
    return append(connection, clock, SHARD, () if event is None else (event,), audit=audit)


def delete(
    connection: Connection,
    clock: Clock,
    sid: str,
    *,
    subject: str | Any_,
    reason: str,
    audit: Sequence[AuditRecord] = (),
) -> Deleted:
    """See `Store.delete`."""
    rows = connection.execute(
        "SELECT payload FROM sojourn_sessions WHERE sid = ?", (sid,)
    ).fetchall()
    found: list[Session] = [decoded(_decode_session, payload) for (payload,) in rows]
    theirs = [session for session in found if subject in {ANY, session.subject}]
    now_ms = clock()
    _end(connection, theirs, reason, now_ms)
    owner = None if theirs or subject is ANY else str(subject)
    event = Event(kind=Kind.ENDED, sid=sid, subject=owner, reason=reason)
    written = append(connection, clock, SHARD, (event,), audit=audit)
    return Deleted(_alive(theirs, now_ms), written.entries)


def delete_subject(
    connection: Connection,
    clock: Clock,
    subject: str,
    *,
    keep: str | None,
    reason: str,
    audit: Sequence[AuditRecord] = (),
) -> Deleted:
    """See `Store.delete_subject`."""
    now_ms = clock()
    position = next_id(connection, SHARD, now_ms=now_ms)
    cutoff = _cutoff(connection, subject).succeeded_by(position, keep=keep)
    event = Event(kind=Kind.CUTOFF, subject=subject, floor=cutoff.floor, keep=keep, reason=reason)
    entries = append_events(connection, SHARD, (event,), now_ms=now_ms)
    _store_cutoff(connection, subject, cutoff, entries[0])
    ended: tuple[str, ...] = ()
    while chunk := connection.execute(
        "SELECT payload FROM sojourn_sessions WHERE subject = ? AND sid IS NOT ? "
        "ORDER BY created_at, sid LIMIT ?",
        (subject, keep, CHUNK_SESSIONS),
    ).fetchall():
        sessions: list[Session] = [decoded(_decode_session, payload) for (payload,) in chunk]
        _end(connection, sessions, reason, now_ms)
        ended += _alive(sessions, now_ms)
    write_audit(connection, audit)
    return Deleted(ended, entries)


def list_sessions(connection: Connection, clock: Clock, subject: str) -> Sequence[Session]:
    """See `Store.list`."""
    return _live(connection, subject, clock())


def _count_live(connection: Connection, subject: str, now_ms: int) -> int:
    """Count from the index alone: all guests are one subject."""
    sql = "SELECT count(*) FROM sojourn_sessions WHERE subject = ? AND dies_at > ?"
    count: int = connection.execute(sql, (subject, now_ms)).fetchone()[0]
    return count


def _live(connection: Connection, subject: str, now_ms: int, *, most: int = -1) -> list[Session]:
    rows = connection.execute(
        "SELECT payload FROM sojourn_sessions WHERE subject = ? AND dies_at > ? "
        "ORDER BY created_at, sid LIMIT ?",
        (subject, now_ms, most),
    ).fetchall()
    return [decoded(_decode_session, payload) for (payload,) in rows]


def _alive(sessions: Sequence[Session], now_ms: int) -> tuple[str, ...]:
    return tuple(session.sid for session in sessions if now_ms < session.dies_at_ms)


def _end(connection: Connection, sessions: Sequence[Session], reason: str, now_ms: int) -> None:
    """Replace sessions by tombstones; their data goes with them (the foreign key cascades)."""
    if not sessions:
        return
    tombstones = [
        Tombstone(
            sid=session.sid,
            subject=session.subject,
            seed=session.seed,
            chains=session.chains,
            reason=reason,
            ended_at_ms=now_ms,
        )
        for session in sessions
        if session.subject  # a guest has nobody to be told why
    ]
    connection.executemany(
        "INSERT INTO sojourn_tombstones (sid, ended_at, payload) VALUES (?, ?, ?)",
        [(tombstone.sid, now_ms, _encode(tombstone)) for tombstone in tombstones],
    )
    connection.executemany(
        "DELETE FROM sojourn_sessions WHERE sid = ?", [(session.sid,) for session in sessions]
    )


def _cutoff(connection: Connection, subject: str) -> Cutoff:
    rows = connection.execute(
        "SELECT floor, cutoff, keep FROM sojourn_cutoffs WHERE subject = ?", (subject,)
    ).fetchall()
    return Cutoff(*rows[0]) if rows else NO_CUTOFF


def _store_cutoff(connection: Connection, subject: str, cutoff: Cutoff, entry: Entry) -> None:
    connection.execute(
        "INSERT OR REPLACE INTO sojourn_cutoffs (subject, floor, cutoff, keep, expires_at) "
        "VALUES (?, ?, ?, ?, ?)",
        (subject, cutoff.floor, cutoff.cutoff, cutoff.keep, entry.expires_at_ms),
    )
