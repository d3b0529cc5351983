"""Sessions in a SQLite file, for the processes of one machine: no server, one file.

Reads are made inline, on the calling thread or event loop: an indexed look-up takes microseconds,
handing it to a thread ten times that. Writes go to the one writing thread of the process, which
commits together what waits together.

With ``durable=False`` (`PRAGMA synchronous = NORMAL`) a commit does not wait for the disk: several
times as many lone writes a second, but a power cut or a crash of the operating system may lose the
last commits, revocations among them. A crash of the process loses nothing either way.
"""

from __future__ import annotations

import asyncio
from collections.abc import Sequence
from pathlib import Path

from sojourn.model import Any_, AuditRecord, Event, Head, OnExcess, Session
from sojourn.ports import (
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
from sojourn.stores.memory import system_clock
from sojourn.stores.sqlite import entries, records, sessions
from sojourn.stores.sqlite.database import Database
from sojourn.stores.sqlite.feed import SqliteFeed
from sojourn.stores.sqlite.operations import SqliteOperations


class SqliteStore(SqliteOperations):
    """A `Store` in a SQLite file.

    Args:
        path: The file; made for its owner only where it is missing.
        clock: The store's clock.
        durable: Whether a commit waits for the disk.
    """

    def __init__(
        self, path: str | Path, *, clock: Clock = system_clock, durable: bool = True
    ) -> None:
        """Open nothing yet."""
        self.database = Database(path, durable=durable)
        super().__init__(self.database, clock=clock)

    @classmethod
    def on(cls, database: Database, *, clock: Clock) -> SqliteStore:
        """Make one on a database that somebody else opens and closes."""
        store = cls.__new__(cls)
        store.database = database
        SqliteOperations.__init__(store, database, clock=clock)
        return store

    def open(self, *, longest_token_ms: int) -> StoreInfo:
        """See `Store.open`."""
        self.database.open()
        return self.database.write(records.open_store, longest_token_ms=longest_token_ms)

    def close(self) -> None:
        """See `Store.close`."""
        self.database.close()

    def feed(self) -> SqliteFeed:
        """See `Store.feed`."""
        return SqliteFeed(self.database.file, self)


class AsyncSqliteStore:
    """An `AsyncStore` in a SQLite file.

    Args:
        path: The file; made for its owner only where it is missing.
        clock: The store's clock.
        durable: Whether a commit waits for the disk.
    """

    def __init__(
        self, path: str | Path, *, clock: Clock = system_clock, durable: bool = True
    ) -> None:
        """Open nothing yet."""
        self.database = Database(path, durable=durable)
        self._clock = clock

    async def open(self, *, longest_token_ms: int) -> StoreInfo:
        """See `Store.open`."""
        await asyncio.to_thread(self.database.open)
        return await self.database.write_async(
            records.open_store, longest_token_ms=longest_token_ms
        )

    async def close(self) -> None:
        """See `Store.close`; a thread waits for the writer, the loop goes on."""
        await asyncio.to_thread(self.database.close)

    def feed(self) -> SqliteFeed:
        """See `Store.feed`."""
        return SqliteFeed(self.database.file, SqliteStore.on(self.database, clock=self._clock))

    async def purge(self) -> int:
        """See `Store.purge`; other writes come in between."""
        removed = 0
        while some := await self.database.write_async(records.purge_some, self._clock):
            removed += some
        return removed

    async def head(self, shard: int) -> Head:
        """See `Store.head`."""
        return self.database.read(entries.head, shard)

    async def create(
        self,
        session: Session,
        *,
        limit: int | None,
        on_excess: OnExcess,
        audit: Sequence[AuditRecord] = (),
        ended_audit: AuditRecord | None = None,
    ) -> Created:
        """See `Store.create`."""
        return await self.database.write_async(
            sessions.create,
            self._clock,
            session,
            limit=limit,
            on_excess=on_excess,
            audit=audit,
            ended_audit=ended_audit,
        )

    async def get(self, sid: str) -> Found:
        """See `Store.get`."""
        return self.database.read(sessions.get, self._clock, sid)

    async def replace(
        self,
        session: Session,
        *,
        expected_revision: int,
        event: Event | None = None,
        audit: Sequence[AuditRecord] = (),
    ) -> Written | None:
        """See `Store.replace`."""
        return await self.database.write_async(
            sessions.replace,
            self._clock,
            session,
            expected_revision=expected_revision,
            event=event,
            audit=audit,
        )

    async def delete(
        self,
        sid: str,
        *,
        subject: str | Any_,
        reason: str,
        audit: Sequence[AuditRecord] = (),
    ) -> Deleted:
        """See `Store.delete`."""
        return await self.database.write_async(
            sessions.delete, self._clock, sid, subject=subject, reason=reason, audit=audit
        )

    async def delete_subject(
        self,
        subject: str,
        *,
        keep: str | None,
        reason: str,
        audit: Sequence[AuditRecord] = (),
    ) -> Deleted:
        """See `Store.delete_subject`."""
        return await self.database.write_async(
            sessions.delete_subject, self._clock, subject, keep=keep, reason=reason, audit=audit
        )

    async def list(self, subject: str) -> Sequence[Session]:
        """See `Store.list`."""
        return self.database.read(sessions.list_sessions, self._clock, subject)

    async def append(
        self,
        shard: int,
        events: Sequence[Event],
        *,
        audit: Sequence[AuditRecord] = (),
        above: int = 0,
    ) -> Written:
        """See `Store.append`."""
        return await self.database.write_async(
            entries.append, self._clock, shard, events, audit=audit, above=above
        )

    async def read(self, shard: int, *, after: int, limit: int = 1000) -> Page:
        """See `Store.read`."""
        return self.database.read(entries.read, shard, after=after, limit=limit)

    async def get_data(self, sid: str) -> Versioned | None:
        """See `Store.get_data`."""
        return self.database.read(records.get_data, sid)

    async def put_data(self, sid: str, payload: bytes, *, expected_version: int) -> bool:
        """See `Store.put_data`."""
        return await self.database.write_async(
            records.put_data, self._clock, sid, payload, expected_version=expected_version
        )

    async def get_document(self, name: str) -> Versioned | None:
        """See `Store.get_document`."""
        return self.database.read(records.get_document, name)

    async def put_document(self, name: str, payload: bytes, *, expected_version: int) -> bool:
        """See `Store.put_document`."""
        return await self.database.write_async(
            records.put_document, name, payload, expected_version=expected_version
        )

    async def read_audit(
        self,
        *,
        after: int = 0,
        limit: int = 100,
        subject: str | None = None,
        sid: str | None = None,
    ) -> Sequence[AuditLine]:
        """See `Store.read_audit`."""
        return self.database.read(
            records.read_audit, after=after, limit=limit, subject=subject, sid=sid
        )
