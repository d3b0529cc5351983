"""The audit trail in the server's database, where the sessions are in an engine of memory.

A line is written in the same step as what it tells of, so it begins in the sessions' store; from
there it is moved, in order, and only dropped there once the database has it. A line that was moved
twice is kept once.
"""

from __future__ import annotations

import asyncio
import logging
from collections.abc import Sequence
from typing import TYPE_CHECKING, Any, Protocol, cast

import msgspec

from sojourn.errors import SojournError
from sojourn.model import AuditRecord
from sojourn.ports import OPERATIONS, AsyncStore, AuditLine

if TYPE_CHECKING:
    from sojourn.server.database import Connection, Database

log = logging.getLogger("sojourn.trail")
NAMESPACE = "trail"
MIGRATIONS = (
    """
    CREATE TABLE sojourn_trail (
        number INTEGER PRIMARY KEY AUTOINCREMENT,
        source INTEGER NOT NULL UNIQUE,
        subject TEXT NOT NULL,
        sid TEXT NOT NULL,
        payload BLOB NOT NULL
    ) STRICT;
    CREATE INDEX sojourn_trail_subject ON sojourn_trail (subject);
    CREATE INDEX sojourn_trail_sid ON sojourn_trail (sid);
    """,
)
BATCH_LINES = 500
MOVE_SECONDS = 1.0

_decode = msgspec.msgpack.Decoder(AuditRecord).decode
_encode = msgspec.msgpack.Encoder().encode


class Outbox(Protocol):
    """A store whose trail is meant to be moved on."""

    async def take_audit(self, limit: int) -> Sequence[AuditLine]:
        """Give the oldest lines that are still here."""
        ...

    async def drop_audit(self, lines: Sequence[AuditLine]) -> None:
        """Forget lines that somebody else keeps now. Idempotent."""
        ...


class Trail:
    """The trail of a store, kept in a database.

    Args:
        store: Where lines begin.
        database: Where they are kept.
    """

    def __init__(self, store: Outbox, database: Database) -> None:
        """Take the parts."""
        self._store = store
        self._database = database

    def present(self) -> AsyncStore:
        """Give the store as one whose trail is read where it is kept."""
        return cast("AsyncStore", _Presented(self._store, self))

    async def open(self) -> None:
        """Bring the table up to date."""
        await self._database.open(namespace=NAMESPACE, migrations=MIGRATIONS)

    async def move(self) -> None:
        """Move what there is."""
        while lines := await self._store.take_audit(BATCH_LINES):
            await self._database.write(lambda db, some=lines: _insert(db, some))  # type: ignore[misc]
            await self._store.drop_audit(lines)

    async def move_now_and_then(self) -> None:
        """Move, each second, until cancelled; while the database stays away, lines wait."""
        while True:
            await asyncio.sleep(MOVE_SECONDS)
            try:
                await self.move()
            except SojournError as error:
                log.warning("moving the audit trail failed, trying again: %s", error)

    async def read_audit(
        self,
        *,
        after: int = 0,
        limit: int = 100,
        subject: str | None = None,
        sid: str | None = None,
    ) -> Sequence[AuditLine]:
        """See `Store.read_audit`."""
        await self.move()
        conditions: dict[str, Any] = {"number > ?": after}
        if subject is not None:
            conditions["subject = ?"] = subject
        if sid is not None:
            conditions["sid = ?"] = sid
        sql = (
            "SELECT number, payload FROM sojourn_trail "  # noqa: S608 - conditions are our own
            f"WHERE {' AND '.join(conditions)} ORDER BY number LIMIT ?"
        )
        values = (*conditions.values(), limit)
        rows = await self._database.read(lambda db: db.execute(sql, values).fetchall())
        return [AuditLine(number, _decode(payload)) for number, payload in rows]


def _insert(db: Connection, lines: Sequence[AuditLine]) -> None:
    for line in lines:
        record = line.record
        db.execute(
            "INSERT INTO sojourn_trail (source, subject, sid, payload) VALUES (?, ?, ?, ?) "
            "ON CONFLICT (source) DO NOTHING",
            (line.number, record.subject, record.sid, _encode(record)),
        )


class _Presented:
    def __init__(self, store: Any, trail: Trail) -> None:
        self.feed = store.feed
        for name in OPERATIONS:
            setattr(self, name, getattr(store, name))
        self.read_audit = trail.read_audit
