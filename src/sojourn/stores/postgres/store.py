"""Sessions in PostgreSQL 14 or later: for many processes on many machines.

Each operation is one round trip and one transaction: a function in the database. Time is the
server's. Ids of the feed come from one row that every append updates and holds to its commit, so
that they become visible in order; what bursts (single revocations, look-ups) is sent together by
the asynchronous store.

- An operation takes at most `DEADLINE_SECONDS`, also where the network swallows everything. What
  fails is a `StoreError`; a write whose answer was lost may have happened, and is safe to ask
  again by the engine's rules. A connection that died is replaced at the next use.
- What is acknowledged survives a crash: where `synchronous_commit` is off, each change turns it on
  for its own transaction. Stronger settings, and ``local``, are left as they are.
- Each session of ours has `statement_timeout` and `lock_timeout` below the deadline.
- Behind PgBouncer (transaction pooling) nothing is set on a session or prepared in it, and no
  notification arrives: followers poll, twice a second.
- After a fork the child opens connections of its own; the parent's are left alone.
"""

from __future__ import annotations

import asyncio
import os
from collections.abc import Awaitable, Callable, Sequence
from concurrent.futures import Future
from dataclasses import replace
from types import CoroutineType
from typing import Any, Concatenate, ParamSpec, TypeVar, cast

from sojourn.model import Any_, AuditRecord
from sojourn.ports import Clock, Deleted, Found, StoreInfo
from sojourn.stores.postgres import records, statements as sessions
from sojourn.stores.postgres.batches import Batches
from sojourn.stores.postgres.connection import BlockingConnection
from sojourn.stores.postgres.database import PostgresDatabase
from sojourn.stores.postgres.feed import PostgresFeed
from sojourn.stores.postgres.loop import LoopDatabase
from sojourn.stores.postgres.operations import PostgresOperations, named
from sojourn.stores.postgres.statements import Deletion, Flow, Statement
from sojourn.stores.postgres.threads import in_a_thread
from sojourn.stores.postgres.url import Place, parse_url

P = ParamSpec("P")
T = TypeVar("T")
_Awaited = Callable[Concatenate["AsyncPostgresStore", P], "CoroutineType[Any, Any, T]"]


def _awaited(
    describe: Callable[Concatenate[int | None, P], Statement[T]],
) -> _Awaited[P, T]:
    async def operation(self: AsyncPostgresStore, /, *args: P.args, **kwargs: P.kwargs) -> T:
        statement = describe(self.now_ms(), *args, **kwargs)
        return await self.run(statement)

    return cast("_Awaited[P, T]", named(operation, describe))


def _awaited_steps(
    describe: Callable[Concatenate[int | None, P], Flow[T]],
) -> _Awaited[P, T]:
    async def operation(self: AsyncPostgresStore, /, *args: P.args, **kwargs: P.kwargs) -> T:
        flow = describe(self.now_ms(), *args, **kwargs)
        answer = None
        while True:
            try:
                statement = flow.send(answer)
            except StopIteration as end:
                result: T = end.value
                return result
            answer = await self.run(statement)

    return cast("_Awaited[P, T]", named(operation, describe))


class PostgresStore(PostgresOperations):
    """A `Store` in PostgreSQL.

    Args:
        url: ``postgresql://…`` as libpq takes it, and ``?pool=N``.
        clock: A test's clock; without one the server's.
    """

    def __init__(self, url: str, *, clock: Clock | None = None) -> None:
        """Connect to nothing yet.

        Raises:
            ConfigurationError: The URL cannot be understood.
        """
        super().__init__(clock=clock)
        self.database = PostgresDatabase(url)

    @classmethod
    def on(cls, database: PostgresDatabase, *, clock: Clock | None) -> PostgresStore:
        """Make one on a database that nobody else closes."""
        store = cls.__new__(cls)
        PostgresOperations.__init__(store, clock=clock)
        store.database = database
        return store

    def open(self, *, longest_token_ms: int) -> StoreInfo:
        """See `Store.open`."""
        info = self.database.set_up_soon(records.open_store, longest_token_ms=longest_token_ms)
        self.database.open()
        return info

    def close(self) -> None:
        """See `Store.close`."""
        self.database.close()

    def feed(self) -> PostgresFeed:
        """See `Store.feed`."""
        return _feed(self.database.place, self._clock)

    def run(self, statement: Statement[T]) -> T:
        """Send a statement and understand its answer."""

        def ask(connection: BlockingConnection) -> T:
            cursor = connection.cursor(binary=True)
            cursor.execute(statement.sql, statement.parameters)
            return statement.answer(cursor.fetchall())

        return self.database.use(ask, is_repeatable=statement.is_repeatable)


class AsyncPostgresStore:
    """An `AsyncStore` in PostgreSQL.

    Args:
        url: ``postgresql://…`` as libpq takes it, and ``?pool=N``.
        clock: A test's clock; without one the server's.
    """

    def __init__(self, url: str, *, clock: Clock | None = None) -> None:
        """Connect to nothing yet.

        Raises:
            ConfigurationError: The URL cannot be understood.
        """
        self.database = LoopDatabase(parse_url(url))
        self._clock = clock
        self._openings: dict[tuple[int, int], Future[StoreInfo]] = {}
        self._lookups: Batches[str, Found] = Batches(
            self.database,
            lambda sids: sessions.get_many(self.now_ms(), sids),
            in_flight=self.database.place.pool,
        )
        # All need the same row at their end: while one commits another is sent, and a third would
        # only wait. Measured, two are 1.6 times as fast as one.
        self._deletions: Batches[Deletion, Deleted] = Batches(
            self.database,
            lambda deletions: sessions.delete_many(self.now_ms(), deletions),
            in_flight=2,
            key=lambda deletion: deletion.sid,
        )

    async def open(self, *, longest_token_ms: int) -> StoreInfo:
        """See `Store.open`; a thread migrates, the loop goes on.

        Whoever opens meanwhile shares its answer, and waits behind nothing else.
        """
        key = (os.getpid(), longest_token_ms)  # after a fork the parent's thread answers nobody
        opening = self._openings.get(key)
        if opening is None:
            opener = PostgresDatabase.at(self.database.place)
            opening = self._openings[key] = in_a_thread(
                lambda: opener.set_up_soon(records.open_store, longest_token_ms=longest_token_ms)
            )
            opening.add_done_callback(lambda _: self._openings.pop(key, None))
        info = await asyncio.wrap_future(opening)
        self.database.open()
        return info

    async def close(self) -> None:
        """See `Store.close`."""
        await self._lookups.finish()
        await self._deletions.finish()
        self.database.close()

    def feed(self) -> PostgresFeed:
        """See `Store.feed`."""
        return _feed(self.database.place, self._clock)

    def now_ms(self) -> int | None:
        """Read a test's clock, if there is one."""
        return None if self._clock is None else self._clock()

    def run(self, statement: Statement[T]) -> Awaitable[T]:
        """Send a statement and understand its answer."""
        return self.database.run(lambda: statement)

    async def get(self, sid: str) -> Found:
        """See `Store.get`; look-ups that arrive together travel together."""
        return await self._lookups.ask(sid)

    async def delete(
        self, sid: str, *, subject: str | Any_, reason: str, audit: Sequence[AuditRecord] = ()
    ) -> Deleted:
        """See `Store.delete`; those that arrive while others are under way are one transaction."""
        return await self._deletions.ask(Deletion(sid, subject, reason, audit))

    head = _awaited(records.head)
    create = _awaited(sessions.create)
    replace = _awaited(sessions.replace)
    delete_subject = _awaited_steps(sessions.delete_subject)
    list = _awaited(sessions.list_sessions)
    append = _awaited(records.append)
    read = _awaited(records.read)
    get_data = _awaited(records.get_data)
    put_data = _awaited(records.put_data)
    get_document = _awaited(records.get_document)
    put_document = _awaited(records.put_document)
    read_audit = _awaited(records.read_audit)
    purge = _awaited_steps(records.purge)


def _feed(place: Place, clock: Clock | None) -> PostgresFeed:
    own = PostgresDatabase.at(replace(place, pool=1))
    return PostgresFeed(place, PostgresStore.on(own, clock=clock))
