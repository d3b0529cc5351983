"""What is not a session, in SQL: the store's own facts, data, documents, the trail, and purging."""

from __future__ import annotations

import secrets
from collections.abc import Sequence
from sqlite3 import Connection

import msgspec

from sojourn.model import AuditRecord
from sojourn.ports import TOMBSTONE_MS, AuditLine, Clock, StoreInfo, Versioned
from sojourn.stores.sqlite.entries import decoded
from sojourn.stores.sqlite.migrations import STORE_MIGRATIONS, STORE_NAMESPACE, apply_migrations
from sojourn.stores.sqlite.sessions import SHARD

PURGE_ROWS = 1000
"""So many of a kind go in one transaction; others write in between."""

_decode_audit = msgspec.msgpack.Decoder(AuditRecord).decode


def open_store(connection: Connection, *, longest_token_ms: int) -> StoreInfo:
    """See `Store.open`; within the writer's transaction."""
    apply_migrations(connection, namespace=STORE_NAMESPACE, migrations=STORE_MIGRATIONS)
    return keep_facts(connection, longest_token_ms=longest_token_ms)


def keep_facts(connection: Connection, *, longest_token_ms: int) -> StoreInfo:
    """Say what the store is, deciding it where it is new, and raise its longest token life."""
    connection.execute(
        "INSERT OR IGNORE INTO sojourn_meta (id, placement_key, shards, longest_token_ms) "
        "VALUES (1, ?, 1, 0)",
        (secrets.token_bytes(32),),
    )
    connection.execute(
        "INSERT OR IGNORE INTO sojourn_shards (shard, head_id, head_tag) VALUES (?, 0, 0)", (SHARD,)
    )
    connection.execute(
        "UPDATE sojourn_meta SET longest_token_ms = max(longest_token_ms, ?)", (longest_token_ms,)
    )
    rows = connection.execute(
        "SELECT shards, placement_key, longest_token_ms FROM sojourn_meta"
    ).fetchall()
    return StoreInfo(*rows[0])


# --- data and documents -------------------------------------------------------------------------


def get_data(connection: Connection, sid: str) -> Versioned | None:
    """See `Store.get_data`."""
    return _versioned(connection, "SELECT payload, version FROM sojourn_data WHERE sid = ?", sid)


def put_data(
    connection: Connection, clock: Clock, sid: str, payload: bytes, *, expected_version: int
) -> bool:
    """See `Store.put_data`."""
    alive = connection.execute(
        "SELECT 1 FROM sojourn_sessions WHERE sid = ? AND dies_at > ?", (sid, clock())
    ).fetchall()
    if not alive:
        return False
    if expected_version == 0:
        sql = (
            "INSERT INTO sojourn_data (payload, sid, version) VALUES (?, ?, ? + 1) "
            "ON CONFLICT (sid) DO NOTHING"
        )
    else:
        sql = "UPDATE sojourn_data SET payload = ?, version = version + 1 WHERE sid = ? AND version = ?"
    return connection.execute(sql, (payload, sid, expected_version)).rowcount == 1


def get_document(connection: Connection, name: str) -> Versioned | None:
    """See `Store.get_document`."""
    return _versioned(
        connection, "SELECT payload, version FROM sojourn_documents WHERE name = ?", name
    )


def put_document(
    connection: Connection, name: str, payload: bytes, *, expected_version: int
) -> bool:
    """See `Store.put_document`."""
    if expected_version == 0:
        sql = (
            "INSERT INTO sojourn_documents (payload, name, version) VALUES (?, ?, ? + 1) "
            "ON CONFLICT (name) DO NOTHING"
        )
    else:
        sql = (
            "UPDATE sojourn_documents SET payload = ?, version = version + 1 "
            "WHERE name = ? AND version = ?"
        )
    return connection.execute(sql, (payload, name, expected_version)).rowcount == 1


def _versioned(connection: Connection, sql: str, key: str) -> Versioned | None:
    rows = connection.execute(sql, (key,)).fetchall()
    return Versioned(*rows[0]) if rows else None


# --- the trail ----------------------------------------------------------------------------------


def read_audit(
    connection: Connection,
    *,
    after: int = 0,
    limit: int = 100,
    subject: str | None = None,
    sid: str | None = None,
) -> Sequence[AuditLine]:
    """See `Store.read_audit`."""
    conditions, values = ["number > ?"], [after]
    filters = {"subject = ?": subject, "sid = ?": sid}
    wanted = {condition: value for condition, value in filters.items() if value is not None}
    rows = connection.execute(
        "SELECT number, payload FROM sojourn_audit "  # noqa: S608 - conditions are our own
        f"WHERE {' AND '.join([*conditions, *wanted])} ORDER BY number LIMIT ?",
        (*values, *wanted.values(), limit),
    ).fetchall()
    return [AuditLine(number, decoded(_decode_audit, payload)) for number, payload in rows]


# --- purging ------------------------------------------------------------------------------------

_DEAD = (
    ("sojourn_sessions", "dies_at <= ?", 0),
    ("sojourn_tombstones", "ended_at <= ?", TOMBSTONE_MS),
    ("sojourn_cutoffs", "expires_at <= ?", 0),
    # A revoked key stays revoked: whoever stole it mints any expiry.
    ("sojourn_feed", "is_permanent = 0 AND expires_at <= ?", 0),
)
"""Table, what is dead in it, and for how long the dead are kept (ms)."""


def purge_some(connection: Connection, clock: Clock) -> int:
    """Remove a bounded number of dead rows; 0 when none are left."""
    now_ms = clock()
    removed = 0
    for table, is_dead, kept_ms in _DEAD:
        removed += connection.execute(
            f"DELETE FROM {table} WHERE rowid IN "  # noqa: S608 - names from the table above
            f"(SELECT rowid FROM {table} WHERE {is_dead} LIMIT ?)",
            (now_ms - kept_ms, PURGE_ROWS),
        ).rowcount
    return removed
