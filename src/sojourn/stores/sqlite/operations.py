"""The operations of a blocking store on SQLite, wherever their connections come from."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from sqlite3 import Connection
from typing import Concatenate, ParamSpec, Protocol, TypeVar

from sojourn.model import Any_, AuditRecord, Event, Head, OnExcess, Session
from sojourn.ports import (
    AuditLine,
    Clock,
    Created,
    Deleted,
    Found,
    Page,
    Versioned,
    Written,
)
from sojourn.stores.sqlite import entries, records, sessions

P = ParamSpec("P")
T = TypeVar("T")


class Transactions(Protocol):
    """Who has connections: a `Database`, or somebody whose connections are the application's."""

    def read(
        self, query: Callable[Concatenate[Connection, P], T], *args: P.args, **kwargs: P.kwargs
    ) -> T:
        """Run a query here and now."""
        ...

    def write(
        self, change: Callable[Concatenate[Connection, P], T], *args: P.args, **kwargs: P.kwargs
    ) -> T:
        """Make a change within a transaction that has begun to write."""
        ...


class SqliteOperations:
    """The operations of `Store`, but for beginning, ending and following.

    Args:
        transactions: Where they run.
        clock: The store's clock.
    """

    def __init__(self, transactions: Transactions, *, clock: Clock) -> None:
        """Run nothing yet."""
        self._on = transactions
        self._clock = clock

    def purge(self) -> int:
        """See `Store.purge`; other writes come in between."""
        removed = 0
        while some := self._on.write(records.purge_some, self._clock):
            removed += some
        return removed

    def head(self, shard: int) -> Head:
        """See `Store.head`."""
        return self._on.read(entries.head, shard)

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
        return self._on.write(
            sessions.create,
            self._clock,
            session,
            limit=limit,
            on_excess=on_excess,
            audit=audit,
            ended_audit=ended_audit,
        )

    def get(self, sid: str) -> Found:
        """See `Store.get`."""
        return self._on.read(sessions.get, self._clock, sid)

    def replace(
        self,
        session: Session,
        *,
        expected_revision: int,
        event: Event | None = None,
        audit: Sequence[AuditRecord] = (),
    ) -> Written | None:
        """See `Store.replace`."""
        return self._on.write(
            sessions.replace,
            self._clock,
            session,
            expected_revision=expected_revision,
            event=event,
            audit=audit,
        )

    def delete(
        self,
        sid: str,
        *,
        subject: str | Any_,
        reason: str,
        audit: Sequence[AuditRecord] = (),
    ) -> Deleted:
        """See `Store.delete`."""
        return self._on.write(
            sessions.delete, self._clock, sid, subject=subject, reason=reason, audit=audit
        )

    def delete_subject(
        self,
        subject: str,
        *,
        keep: str | None,
        reason: str,
        audit: Sequence[AuditRecord] = (),
    ) -> Deleted:
        """See `Store.delete_subject`."""
        return self._on.write(
            sessions.delete_subject, self._clock, subject, keep=keep, reason=reason, audit=audit
        )

    def list(self, subject: str) -> Sequence[Session]:
        """See `Store.list`."""
        return self._on.read(sessions.list_sessions, self._clock, subject)

    def append(
        self,
        shard: int,
        events: Sequence[Event],
        *,
        audit: Sequence[AuditRecord] = (),
        above: int = 0,
    ) -> Written:
        """See `Store.append`."""
        return self._on.write(entries.append, self._clock, shard, events, audit=audit, above=above)

    def read(self, shard: int, *, after: int, limit: int = 1000) -> Page:
        """See `Store.read`."""
        return self._on.read(entries.read, shard, after=after, limit=limit)

    def get_data(self, sid: str) -> Versioned | None:
        """See `Store.get_data`."""
        return self._on.read(records.get_data, sid)

    def put_data(self, sid: str, payload: bytes, *, expected_version: int) -> bool:
        """See `Store.put_data`."""
        return self._on.write(
            records.put_data, self._clock, sid, payload, expected_version=expected_version
        )

    def get_document(self, name: str) -> Versioned | None:
        """See `Store.get_document`."""
        return self._on.read(records.get_document, name)

    def put_document(self, name: str, payload: bytes, *, expected_version: int) -> bool:
        """See `Store.put_document`."""
        return self._on.write(
            records.put_document, name, payload, expected_version=expected_version
        )

    def read_audit(
        self,
        *,
        after: int = 0,
        limit: int = 100,
        subject: str | None = None,
        sid: str | None = None,
    ) -> Sequence[AuditLine]:
        """See `Store.read_audit`."""
        return self._on.read(records.read_audit, after=after, limit=limit, subject=subject, sid=sid)
