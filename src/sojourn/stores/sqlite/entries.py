"""The feed in SQL: entries chained by tags, the head kept apart so that no purge forgets it.

Like all of `sojourn.stores.sqlite.sessions`, functions that change something run within one transaction that
the caller began, and every query takes all its rows, since an open cursor keeps SQLite's log from
shrinking.
"""

from __future__ import annotations

import secrets
from collections.abc import Sequence
from sqlite3 import Connection
from typing import Any

import msgspec

from sojourn.errors import StoreError
from sojourn.model import AuditRecord, Entry, Event, Head, Kind
from sojourn.ports import RETENTION_MARGIN_MS, Clock, Page, Written

_decode_event = msgspec.msgpack.Decoder(Event).decode
_encode = msgspec.msgpack.Encoder().encode


def decoded(decode: Any, payload: bytes) -> Any:
    """Decode a payload of our own.

    Raises:
        StoreError: It is damaged, or a newer version's.
    """
    try:
        return decode(payload)
    except msgspec.MsgspecError as error:
        raise StoreError(
            f"a record in the database cannot be understood ({type(error).__name__}); restore a "
            "backup, or install the version that wrote it"
        ) from error


def head(connection: Connection, shard: int) -> Head:
    """See `Store.head`."""
    rows = connection.execute(
        "SELECT head_id, head_tag FROM sojourn_shards WHERE shard = ?", (shard,)
    ).fetchall()
    return Head(*_one(rows, shard))


def _one(rows: list[Any], shard: int) -> Any:
    if not rows:
        raise StoreError(f"the store has no shard {shard}; was it opened?")
    return rows[0]


def read(connection: Connection, shard: int, *, after: int, limit: int = 1000) -> Page:
    """See `Store.read`; one statement, so that head and entries are of one instant."""
    rows = connection.execute(
        "SELECT s.head_id, s.head_tag, f.id, f.tag, f.previous_tag, f.payload, f.expires_at "
        "FROM sojourn_shards s LEFT JOIN (SELECT * FROM sojourn_feed WHERE id > ? "
        "ORDER BY id LIMIT ?) f ON TRUE WHERE s.shard = ? ORDER BY f.id",
        (after, limit, shard),
    ).fetchall()
    head_id, head_tag = _one(rows, shard)[:2]
    entries = tuple(
        Entry(id_, tag, previous_tag, decoded(_decode_event, payload), expires_at_ms)
        for _, _, id_, tag, previous_tag, payload, expires_at_ms in rows
        if id_ is not None
    )
    return Page(entries, Head(head_id, head_tag))


def append(
    connection: Connection,
    clock: Clock,
    shard: int,
    events: Sequence[Event],
    *,
    audit: Sequence[AuditRecord] = (),
    above: int = 0,
) -> Written:
    """See `Store.append`."""
    now_ms = clock()
    entries = append_events(connection, shard, events, now_ms=now_ms, above=above)
    write_audit(connection, audit)
    return Written(entries, now_ms)


def next_id(connection: Connection, shard: int, *, now_ms: int) -> int:
    """Tell which id the next entry gets within this transaction."""
    return max(now_ms, head(connection, shard).id + 1)


def append_events(
    connection: Connection,
    shard: int,
    events: Sequence[Event],
    *,
    now_ms: int,
    above: int = 0,
) -> tuple[Entry, ...]:
    """Append events and move the head."""
    if not events:
        return ()
    rows = connection.execute(
        "SELECT head_id, head_tag, longest_token_ms FROM sojourn_shards, sojourn_meta "
        "WHERE shard = ?",
        (shard,),
    ).fetchall()
    id_, tag, longest_token_ms = _one(rows, shard)
    expires_at_ms = now_ms + longest_token_ms + RETENTION_MARGIN_MS
    entries = []
    for event in events:
        previous_tag, id_, tag = tag, max(now_ms, id_ + 1, above + 1), secrets.randbits(53)
        entries.append(Entry(id_, tag, previous_tag, event, expires_at_ms))
    connection.executemany(
        "INSERT INTO sojourn_feed VALUES (?, ?, ?, ?, ?, ?)",
        [
            (e.id, e.tag, e.previous_tag, _encode(e.event), expires_at_ms, e.event.kind is Kind.KEY)
            for e in entries
        ],
    )
    connection.execute(
        "UPDATE sojourn_shards SET head_id = ?, head_tag = ? WHERE shard = ?", (id_, tag, shard)
    )
    return tuple(entries)


def write_audit(connection: Connection, audit: Sequence[AuditRecord]) -> None:
    """Add lines to the trail."""
    if audit:
        connection.executemany(
            "INSERT INTO sojourn_audit (subject, sid, payload) VALUES (?, ?, ?)",
            [(record.subject, record.sid, _encode(record)) for record in audit],
        )
