"""The tables of the store in a SQLite file, and how the tables of a namespace are brought up to date."""

from __future__ import annotations

import sqlite3
from collections.abc import Iterator, Sequence

from sojourn.stores.migrations import pending

STORE_NAMESPACE = "store"
STORE_MIGRATIONS = (
    """
    CREATE TABLE sojourn_meta (
        id INTEGER PRIMARY KEY CHECK (id = 1),
        placement_key BLOB NOT NULL,
        shards INTEGER NOT NULL,
        longest_token_ms INTEGER NOT NULL
    ) STRICT;
    CREATE TABLE sojourn_shards (
        shard INTEGER PRIMARY KEY,
        head_id INTEGER NOT NULL,
        head_tag INTEGER NOT NULL
    ) STRICT;
    CREATE TABLE sojourn_feed (
        id INTEGER PRIMARY KEY,
        tag INTEGER NOT NULL,
        previous_tag INTEGER NOT NULL,
        payload BLOB NOT NULL,
        expires_at INTEGER NOT NULL,
        is_permanent INTEGER NOT NULL
    ) STRICT;
    CREATE INDEX sojourn_feed_expiry ON sojourn_feed (expires_at) WHERE is_permanent = 0;
    CREATE TABLE sojourn_sessions (
        sid TEXT PRIMARY KEY,
        subject TEXT NOT NULL,
        created_at INTEGER NOT NULL,
        dies_at INTEGER NOT NULL,
        revision INTEGER NOT NULL,
        payload BLOB NOT NULL
    ) STRICT;
    CREATE INDEX sojourn_sessions_subject ON sojourn_sessions (subject, created_at, sid, dies_at);
    CREATE INDEX sojourn_sessions_death ON sojourn_sessions (dies_at);
    CREATE TABLE sojourn_data (
        sid TEXT PRIMARY KEY REFERENCES sojourn_sessions (sid) ON DELETE CASCADE,
        version INTEGER NOT NULL,
        payload BLOB NOT NULL
    ) STRICT;
    CREATE TABLE sojourn_tombstones (
        sid TEXT PRIMARY KEY,
        ended_at INTEGER NOT NULL,
        payload BLOB NOT NULL
    ) STRICT;
    CREATE INDEX sojourn_tombstones_end ON sojourn_tombstones (ended_at);
    CREATE TABLE sojourn_cutoffs (
        subject TEXT PRIMARY KEY,
        floor INTEGER NOT NULL,
        cutoff INTEGER NOT NULL,
        keep TEXT,
        expires_at INTEGER NOT NULL
    ) STRICT;
    CREATE INDEX sojourn_cutoffs_expiry ON sojourn_cutoffs (expires_at);
    CREATE TABLE sojourn_documents (
        name TEXT PRIMARY KEY,
        version INTEGER NOT NULL,
        payload BLOB NOT NULL
    ) STRICT;
    CREATE TABLE sojourn_audit (
        number INTEGER PRIMARY KEY AUTOINCREMENT,
        subject TEXT NOT NULL,
        sid TEXT NOT NULL,
        payload BLOB NOT NULL
    ) STRICT;
    CREATE INDEX sojourn_audit_subject ON sojourn_audit (subject);
    CREATE INDEX sojourn_audit_sid ON sojourn_audit (sid);
    """,
)
"""Every name is prefixed: the file may be the application's own."""


def apply_migrations(
    connection: sqlite3.Connection, *, namespace: str, migrations: Sequence[str]
) -> None:
    """Bring the tables of a namespace up to date.

    Run it as ``database.write(apply_migrations, namespace=…, migrations=…)``: within the writer's
    transaction no other process can be at the same.

    Args:
        connection: Within a transaction that has begun to write.
        namespace: Whose tables these are.
        migrations: SQL scripts, oldest first; only ever appended to.

    Raises:
        ConfigurationError: The database was written by a newer version, or a migration that has
            been applied was altered since.
    """
    connection.execute(
        "CREATE TABLE IF NOT EXISTS sojourn_migrations (namespace TEXT NOT NULL, "
        "number INTEGER NOT NULL, checksum TEXT NOT NULL, PRIMARY KEY (namespace, number)) STRICT"
    )
    applied = _applied(connection, namespace)
    for number, script, checksum in pending(applied, namespace=namespace, migrations=migrations):
        for statement in _statements(script):
            connection.execute(statement)
        connection.execute(
            "INSERT INTO sojourn_migrations VALUES (?, ?, ?)", (namespace, number, checksum)
        )


def is_up_to_date(
    connection: sqlite3.Connection, *, namespace: str, migrations: Sequence[str]
) -> bool:
    """Tell whether nothing is left to apply.

    Raises:
        ConfigurationError: As `apply_migrations` does.
    """
    has_any = connection.execute(
        "SELECT 1 FROM sqlite_master WHERE type = 'table' AND name = 'sojourn_migrations'"
    ).fetchall()
    applied = _applied(connection, namespace) if has_any else {}
    return not list(pending(applied, namespace=namespace, migrations=migrations))


def _applied(connection: sqlite3.Connection, namespace: str) -> dict[int, str]:
    return dict(
        connection.execute(
            "SELECT number, checksum FROM sojourn_migrations WHERE namespace = ?", (namespace,)
        ).fetchall()
    )


def _statements(script: str) -> Iterator[str]:
    """Take a script apart; `Connection.executescript` would commit first."""
    statement = ""
    for piece in script.split(";"):
        statement += piece + ";"
        if sqlite3.complete_statement(statement):
            yield statement
            statement = ""
