"""What is not a session, as descriptions: opening, the feed, data, documents, the trail, purging."""

from __future__ import annotations

import secrets
from collections.abc import Sequence
from typing import Any

from sojourn.model import AuditRecord, Event, Head
from sojourn.ports import AuditLine, Page, StoreInfo, Versioned, Written
from sojourn.stores.postgres.connection import NotPrimary
from sojourn.stores.postgres.driver import Int8, psycopg
from sojourn.stores.postgres.migrations import apply_postgres_migrations
from sojourn.stores.postgres.rows import Row, as_json, audit_of, entry_of, written_of
from sojourn.stores.postgres.schema import STORE_MIGRATIONS, STORE_NAMESPACE
from sojourn.stores.postgres.statements import SHARD, Flow, Statement, instant

PURGE_ROWS = 1000
"""So many of a kind go in one transaction; others write in between."""


def open_store(connection: psycopg.Connection[Any], *, longest_token_ms: int) -> StoreInfo:
    """See `Store.open`; within a transaction of `PostgresDatabase.set_up`."""
    apply_postgres_migrations(connection, namespace=STORE_NAMESPACE, migrations=STORE_MIGRATIONS)
    return keep_facts(connection, longest_token_ms=longest_token_ms)


def keep_facts(connection: psycopg.Connection[Any], *, longest_token_ms: int) -> StoreInfo:
    """Say what the store is, deciding it where it is new, and raise its longest token life."""
    connection.execute(
        "INSERT INTO sojourn_meta (id, placement_key, shards) VALUES (1, %s, 1) "
        "ON CONFLICT DO NOTHING",
        (secrets.token_bytes(32),),
    )
    connection.execute(
        "INSERT INTO sojourn_shards (shard, head_id, head_tag, previous_tag, longest_token_ms) "
        "VALUES (%s, 0, 0, 0, %s) ON CONFLICT DO NOTHING",
        (SHARD, longest_token_ms),
    )
    connection.execute(
        "UPDATE sojourn_shards SET longest_token_ms = %s WHERE longest_token_ms < %s",
        (longest_token_ms, longest_token_ms),
    )
    rows = connection.execute(
        "SELECT shards, placement_key, longest_token_ms FROM sojourn_meta, sojourn_shards"
    ).fetchall()
    return StoreInfo(*rows[0])


# --- the feed -----------------------------------------------------------------------------------


def head(_: int | None, shard: int) -> Statement[Head]:
    """See `Store.head`."""
    return Statement(
        "SELECT head_id, head_tag FROM sojourn_shards WHERE shard = %s AND NOT pg_is_in_recovery()",
        (Int8(shard),),
        lambda rows: Head(*_some(rows)[0]),
        is_repeatable=True,
    )


def read(_: int | None, shard: int, *, after: int, limit: int = 1000) -> Statement[Page]:
    """See `Store.read`; one statement, so that head and entries are of one instant."""

    def page(rows: list[Row]) -> Page:
        entries = tuple(entry_of(*row[2:]) for row in rows if row[2] is not None)
        return Page(entries, Head(*_some(rows)[0][:2]))

    return Statement(
        "SELECT s.head_id, s.head_tag, f.id, f.tag, f.previous_tag, f.event::text, f.expires_at "
        "FROM sojourn_shards s LEFT JOIN (SELECT * FROM sojourn_feed WHERE id > %s "
        "ORDER BY id LIMIT %s) f ON true WHERE s.shard = %s AND NOT pg_is_in_recovery() "
        "ORDER BY f.id",
        (Int8(after), Int8(limit), Int8(shard)),
        page,
        is_repeatable=True,
    )


def _some(rows: list[Row]) -> list[Row]:
    if not rows:
        raise NotPrimary
    return rows


def append(
    now_ms: int | None,
    shard: int,  # noqa: ARG001 - there is one
    events: Sequence[Event],
    *,
    audit: Sequence[AuditRecord] = (),
    above: int = 0,
) -> Statement[Written]:
    """See `Store.append`."""
    return Statement(
        "SELECT * FROM sojourn_append(%s::bigint, %s::text[], %s::text[], %s::bigint)",
        (instant(now_ms), as_json(events), as_json(audit), Int8(above)),
        lambda rows: written_of(rows[0]),
    )


# --- data and documents -------------------------------------------------------------------------


def get_data(_: int | None, sid: str) -> Statement[Versioned | None]:
    """See `Store.get_data`."""
    return Statement(
        "SELECT payload, version FROM sojourn_data WHERE sid = %s",
        (sid,),
        _versioned,
        is_repeatable=True,
    )


def put_data(
    now_ms: int | None, sid: str, payload: bytes, *, expected_version: int
) -> Statement[bool]:
    """See `Store.put_data`."""
    return Statement(
        "SELECT sojourn_put_data(%s::bigint, %s::text, %s::bytea, %s::bigint)",
        (instant(now_ms), sid, payload, Int8(expected_version)),
        _first,
    )


def get_document(_: int | None, name: str) -> Statement[Versioned | None]:
    """See `Store.get_document`."""
    return Statement(
        "SELECT payload, version FROM sojourn_documents WHERE name = %s",
        (name,),
        _versioned,
        is_repeatable=True,
    )


def put_document(
    _: int | None, name: str, payload: bytes, *, expected_version: int
) -> Statement[bool]:
    """See `Store.put_document`."""
    return Statement(
        "SELECT sojourn_put_document(%s::text, %s::bytea, %s::bigint)",
        (name, payload, Int8(expected_version)),
        _first,
    )


def _versioned(rows: list[Row]) -> Versioned | None:
    return Versioned(*rows[0]) if rows else None


def _first(rows: list[Row]) -> Any:
    return rows[0][0]


# --- the trail, and purging ---------------------------------------------------------------------


def read_audit(
    _: int | None,
    *,
    after: int = 0,
    limit: int = 100,
    subject: str | None = None,
    sid: str | None = None,
) -> Statement[Sequence[AuditLine]]:
    """See `Store.read_audit`."""
    return Statement(
        "SELECT number, record::text FROM sojourn_audit WHERE number > %s"  # noqa: S608 - our own
        + (" AND subject = %s" if subject is not None else "")
        + (" AND sid = %s" if sid is not None else "")
        + " ORDER BY number LIMIT %s",
        (Int8(after), *(value for value in (subject, sid) if value is not None), Int8(limit)),
        _trail,
        is_repeatable=True,
    )


def _trail(rows: list[Row]) -> Sequence[AuditLine]:
    return [AuditLine(number, audit_of(record)) for number, record in rows]


def purge(now_ms: int | None) -> Flow[int]:
    """See `Store.purge`; in steps, other writes come in between."""
    removed = 0
    while some := (
        yield Statement(
            "SELECT sojourn_purge(%s::bigint, %s::bigint)",
            (instant(now_ms), Int8(PURGE_ROWS)),
            _first,
            is_repeatable=True,
        )
    ):
        removed += some
    return removed
