"""Rows and records: how each value is kept in PostgreSQL, and understood again."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from typing import Any

import msgspec

from sojourn.model import AuditRecord, Chain, Entry, Event, Purpose, Session, Tombstone
from sojourn.ports import Written
from sojourn.stores.sqlite.entries import decoded

Row = tuple[Any, ...]


class Remains(msgspec.Struct, frozen=True, array_like=True):
    """What a tombstone needs of a session: kept apart, so that the rest goes with the session."""

    seed: bytes
    chains: dict[Purpose, Chain]


_decode_session = msgspec.msgpack.Decoder(Session).decode
_decode_remains = msgspec.msgpack.Decoder(Remains).decode
_decode_event = msgspec.json.Decoder(Event).decode
_decode_audit = msgspec.json.Decoder(AuditRecord).decode
_pack = msgspec.msgpack.Encoder().encode
_json = msgspec.json.Encoder().encode


def packed_session(session: Session) -> tuple[bytes, bytes]:
    """Give what remains of a session, and the rest."""
    rest = msgspec.structs.replace(session, seed=b"", chains={})
    return _pack(Remains(session.seed, session.chains)), _pack(rest)


def session_of(remains: bytes, payload: bytes) -> Session:
    """Put a session together again."""
    kept: Remains = decoded(_decode_remains, remains)
    rest: Session = decoded(_decode_session, payload)
    return msgspec.structs.replace(rest, seed=kept.seed, chains=kept.chains)


def tombstone_of(
    sid: str, subject: str, ended_at_ms: int, reason: str, remains: bytes
) -> Tombstone:
    """Make a tombstone of its row."""
    kept: Remains = decoded(_decode_remains, remains)
    return Tombstone(
        sid=sid,
        subject=subject,
        seed=kept.seed,
        chains=kept.chains,
        reason=reason,
        ended_at_ms=ended_at_ms,
    )


def as_json(values: Iterable[Event | AuditRecord]) -> list[str] | None:
    """Write events or audit records; None where there are none."""
    return [_json(value).decode() for value in values] or None


def entry_of(id_: int, tag: int, previous_tag: int, event: str, expires_at_ms: int) -> Entry:
    """Make an entry of its row."""
    return Entry(id_, tag, previous_tag, decoded(_decode_event, event.encode()), expires_at_ms)


def audit_of(record: str) -> AuditRecord:
    """Make an audit record of its row."""
    found: AuditRecord = decoded(_decode_audit, record.encode())
    return found


def written_of(appended: Row) -> Written:
    """Read a `sojourn_appended`: a run of ids, with the tags that chain them."""
    first_id, previous_tag, tags, expires_at_ms, now_ms, events = appended
    before: Sequence[int] = (previous_tag, *(tags or ()))
    return Written(
        tuple(
            entry_of(first_id + n, before[n + 1], before[n], event, expires_at_ms)
            for n, event in enumerate(events or ())
        ),
        now_ms,
    )
