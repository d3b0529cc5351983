"""A PostgreSQL database as an event loop sees it: what `PostgresDatabase` is to threads."""

from __future__ import annotations

import asyncio
import os
import time
import weakref
from collections.abc import Callable
from typing import TypeVar

from sojourn.errors import StoreError
from sojourn.stores.postgres.connection import (
    DEADLINE_SECONDS,
    LoopConnection,
    Overdue,
    connect_async,
    may_repeat,
    store_error,
)
from sojourn.stores.postgres.driver import psycopg
from sojourn.stores.postgres.pool import Pool
from sojourn.stores.postgres.statements import Statement
from sojourn.stores.postgres.url import Place

T = TypeVar("T")
_Waiter = asyncio.Future[LoopConnection | psycopg.Error]
_Pool = Pool[LoopConnection, _Waiter]

_databases: weakref.WeakSet[LoopDatabase] = weakref.WeakSet()


class LoopDatabase:
    """A database with a pool of connections that wait in the running event loop.

    Args:
        place: Where it is.
    """

    def __init__(self, place: Place) -> None:
        """Open nothing yet."""
        self.place = place
        self._pool: _Pool | None = None
        self._loop: asyncio.AbstractEventLoop | None = None
        self._attempts: set[asyncio.Task[None]] = set()
        _databases.add(self)

    def open(self) -> None:
        """Be ready to connect. Idempotent."""
        if self._pool is None:
            self._pool = self._new_pool()

    def close(self) -> None:
        """Close the connections, those in use after it. Idempotent."""
        pool, self._pool = self._pool, None
        if pool is not None:
            pool.close()

    async def run(self, describe: Callable[[], Statement[T]]) -> T:
        """Send a statement, and again if it is repeatable and the connection was lost.

        Args:
            describe: Gives the statement; called once there is a connection to send it by.

        Raises:
            StoreError: There is no answer.
        """
        deadline = time.monotonic() + DEADLINE_SECONDS
        statement: Statement[T] | None = None
        is_first = True
        while True:
            pool = self._opened()
            try:
                connection = await _acquire(pool, deadline)
                try:
                    connection.deadline = deadline
                    statement = statement or describe()
                    cursor = connection.cursor(binary=True)
                    await cursor.execute(statement.sql, statement.parameters)
                    return statement.answer(await cursor.fetchall())
                except psycopg.Error as error:
                    is_repeatable = statement is not None and statement.is_repeatable
                    if is_first and may_repeat(error, connection, is_repeatable=is_repeatable):
                        is_first = False
                    else:
                        raise
                finally:
                    pool.give_back(connection)
            except psycopg.Error as error:
                raise store_error(error, self.place.name) from error

    def _opened(self) -> _Pool:
        if self._pool is None:
            raise StoreError(f"the database {self.place.name} is not open; call open() first")
        loop = asyncio.get_running_loop()
        if loop is not self._loop:
            if self._loop is not None:
                # Attempts and waiters of a loop that is gone would never end.
                self._pool.close()
                self._pool = self._new_pool()
            self._loop = loop
        return self._pool

    def _new_pool(self) -> _Pool:
        return Pool(self.place.pool, start=self._start_attempt, new_waiter=_new_waiter)

    def _start_attempt(self, pool: _Pool) -> None:
        task = asyncio.get_running_loop().create_task(self._attempt(pool))
        self._attempts.add(task)
        task.add_done_callback(self._attempts.discard)

    async def _attempt(self, pool: _Pool) -> None:
        try:
            connection = await connect_async(self.place.conninfo)
        except psycopg.Error as error:
            pool.failed(error)
        except asyncio.CancelledError:
            pool.failed(psycopg.OperationalError("the event loop is ending"))
            raise
        else:
            pool.made(connection)

    def _start_over(self) -> None:
        self._loop = None
        if self._pool is not None:
            self._pool.abandon()
            self._pool = self._new_pool()


def _new_waiter() -> _Waiter:
    return asyncio.get_running_loop().create_future()


async def _acquire(pool: _Pool, deadline: float) -> LoopConnection:
    taken = pool.take()
    if isinstance(taken, LoopConnection):
        return taken
    try:
        async with asyncio.timeout(deadline - time.monotonic()):
            given = await taken
    except BaseException as error:
        pool.give_up(taken)
        if isinstance(error, TimeoutError):
            raise Overdue("no connection before the deadline") from None
        raise
    if isinstance(given, psycopg.Error):
        raise given
    return given


def _forget_after_fork() -> None:
    for database in _databases:
        database._start_over()  # noqa: SLF001 - the class's own fork rule


os.register_at_fork(after_in_child=_forget_after_fork)
