"""Sessions in PostgreSQL: each operation as a description that either leaf runs.

A function here has the name and parameters of an operation of `sojourn.ports.Store`, behind the
instant of a test's clock (None: the server's), and gives a `Statement`; the functions in SQL do
the work. What takes several steps is a generator of statements.
"""

from __future__ import annotations

from collections.abc import Callable, Generator, Sequence
from dataclasses import dataclass
from typing import Any, Generic, LiteralString, TypeVar

from sojourn.model import (
    ANY,
    Any_,
    AuditRecord,
    Entry,
    Event,
    OnExcess,
    Session,
    Tombstone,
)
from sojourn.ports import Created, Deleted, Found, Written
from sojourn.stores.postgres.connection import NotPrimary
from sojourn.stores.postgres.driver import Int8
from sojourn.stores.postgres.rows import (
    Row,
    as_json,
    packed_session,
    session_of,
    tombstone_of,
    written_of,
)

T = TypeVar("T")
SHARD = 0
"""The only one."""


@dataclass(frozen=True, slots=True)
class Statement(Generic[T]):
    """One round trip.

    Arguments of our functions are cast: an overload of somebody else's would fit a NULL better.

    Args:
        sql: With ``%s`` for parameters.
        parameters: In their order.
        answer: Makes the answer of all rows.
        is_repeatable: Whether sending it twice is as good as once.
    """

    sql: LiteralString
    parameters: Sequence[object]
    answer: Callable[[list[Row]], T]
    is_repeatable: bool = False


Flow = Generator[Statement[Any], Any, T]


@dataclass(frozen=True, slots=True)
class Deletion:
    """A session to be ended, alone or with others."""

    sid: str
    subject: str | Any_
    reason: str
    audit: Sequence[AuditRecord] = ()


def instant(now_ms: int | None) -> int | None:
    """Spell a test's instant for SQL: `Int8` whatever its size, so that a statement is prepared once."""
    return None if now_ms is None else Int8(now_ms)


def create(
    now_ms: int | None,
    session: Session,
    *,
    limit: int | None,
    on_excess: OnExcess,
    audit: Sequence[AuditRecord] = (),
    ended_audit: AuditRecord | None = None,
) -> Statement[Created]:
    """See `Store.create`."""
    templates = None if ended_audit is None else as_json((ended_audit,))
    return Statement(
        "SELECT outcome, ended, (appended).* FROM sojourn_create"
        "(%s::bigint, %s::text, %s::text, %s::bigint, %s::bigint, %s::bigint, %s::bigint, "
        "%s::bytea, %s::bytea, %s::bigint, %s::boolean, %s::text[], %s::text)",
        (
            instant(now_ms),
            session.sid,
            session.subject,
            Int8(session.position),
            Int8(session.created_at_ms),
            Int8(session.dies_at_ms),
            Int8(session.revision),
            *packed_session(session),
            None if limit is None else Int8(limit),
            on_excess == "end_oldest",
            as_json(audit),
            templates[0] if templates else None,
        ),
        _created,
    )


def _created(rows: list[Row]) -> Created:
    outcome, ended, *appended = rows[0]
    return Created(outcome, tuple(ended or ()), written_of(tuple(appended)).entries)


def get_many(now_ms: int | None, sids: Sequence[str]) -> Statement[list[Found]]:
    """Read several records at one instant, in the order of the sids."""

    def found(rows: list[Row]) -> list[Found]:
        if not rows:
            raise NotPrimary
        records: dict[str, Session | Tombstone] = {}
        for _, sid, subject, ended_at_ms, reason, remains, payload in rows:
            if payload is not None:
                records[sid] = session_of(remains, payload)
            elif sid is not None and sid not in records:
                records[sid] = tombstone_of(sid, subject, ended_at_ms, reason, remains)
        return [Found(records.get(sid), rows[0][0]) for sid in sids]

    return Statement(
        "SELECT n.now_ms, r.* "
        "FROM (SELECT sojourn_now(%s::bigint) AS now_ms WHERE NOT pg_is_in_recovery()) AS n LEFT JOIN ("
        "SELECT sid, NULL AS subject, NULL AS ended_at, NULL AS reason, remains, payload "
        "FROM sojourn_sessions WHERE sid = ANY (%s) UNION ALL "
        "SELECT sid, subject, ended_at, reason, remains, NULL "
        "FROM sojourn_tombstones WHERE sid = ANY (%s)) AS r ON true",
        (instant(now_ms), list(sids), list(sids)),
        found,
        is_repeatable=True,
    )


def get(now_ms: int | None, sid: str) -> Statement[Found]:
    """See `Store.get`."""
    return _one_of(get_many(now_ms, (sid,)))


def _one_of(statement: Statement[list[T]]) -> Statement[T]:
    return Statement(
        statement.sql,
        statement.parameters,
        lambda rows: statement.answer(rows)[0],
        statement.is_repeatable,
    )


def replace(
    now_ms: int | None,
    session: Session,
    *,
    expected_revision: int,
    event: Event | None = None,
    audit: Sequence[AuditRecord] = (),
) -> Statement[Written | None]:
    """See `Store.replace`."""
    return Statement(
        "SELECT * FROM sojourn_replace(%s::bigint, %s::text, %s::bigint, %s::bigint, %s::bigint, "
        "%s::bigint, %s::bytea, %s::bytea, %s::text[], %s::text[])",
        (
            instant(now_ms),
            session.sid,
            Int8(expected_revision),
            Int8(session.position),
            Int8(session.dies_at_ms),
            Int8(session.revision),
            *packed_session(session),
            as_json(() if event is None else (event,)),
            as_json(audit),
        ),
        lambda rows: written_of(rows[0]) if rows else None,
    )


def delete_many(now_ms: int | None, deletions: Sequence[Deletion]) -> Statement[list[Deleted]]:
    """End several sessions in one step, no sid twice; the answers come in their order."""

    def deleted(rows: list[Row]) -> list[Deleted]:
        alive, *appended = rows[0]
        were_alive = set(alive or ())
        entries = written_of(tuple(appended)).entries
        return [
            Deleted((one.sid,) if one.sid in were_alive else (), (entry,))
            for one, entry in zip(deletions, entries, strict=True)
        ]

    return Statement(
        "SELECT alive, (appended).* FROM sojourn_delete"
        "(%s::bigint, %s::text[], %s::text[], %s::text[], %s::text[])",
        (
            instant(now_ms),
            [one.sid for one in deletions],
            [None if one.subject is ANY else one.subject for one in deletions],
            [one.reason for one in deletions],
            as_json(record for one in deletions for record in one.audit),
        ),
        deleted,
    )


def delete(
    now_ms: int | None,
    sid: str,
    *,
    subject: str | Any_,
    reason: str,
    audit: Sequence[AuditRecord] = (),
) -> Statement[Deleted]:
    """See `Store.delete`."""
    return _one_of(delete_many(now_ms, (Deletion(sid, subject, reason, audit),)))


def delete_subject(
    now_ms: int | None,
    subject: str,
    *,
    keep: str | None,
    reason: str,
    audit: Sequence[AuditRecord] = (),
) -> Flow[Deleted]:
    """See `Store.delete_subject`; after the cutoff, sessions go in chunks."""
    ended: list[str] = []
    entries: tuple[Entry, ...] = ()
    cutoff: int | None = None
    statement: Statement[list[Row]] = Statement(
        "SELECT alive, is_more, (appended).* FROM sojourn_delete_subject"
        "(%s::bigint, %s::text, %s::text, %s::text, %s::text[])",
        (instant(now_ms), subject, keep, reason, as_json(audit)),
        list,
    )
    while True:
        alive, is_more, *appended = (yield statement)[0]
        ended.extend(alive or ())
        if cutoff is None:
            entries = written_of(tuple(appended)).entries
            cutoff = entries[0].id
        if not is_more:
            return Deleted(tuple(ended), entries)
        statement = Statement(
            "SELECT alive, is_more FROM sojourn_end_some(sojourn_now(%s::bigint), %s::text, %s::text, "
            "%s::text, %s::bigint)",
            (instant(now_ms), subject, keep, reason, Int8(cutoff)),
            list,
        )


def list_sessions(now_ms: int | None, subject: str) -> Statement[Sequence[Session]]:
    """See `Store.list`."""
    return Statement(
        "SELECT remains, payload FROM sojourn_sessions "
        "WHERE subject = %s AND dies_at > (SELECT sojourn_now(%s::bigint)) ORDER BY created_at, sid",
        (subject, instant(now_ms)),
        lambda rows: [session_of(remains, payload) for remains, payload in rows],
        is_repeatable=True,
    )
