"""A PostgreSQL database shared by whoever keeps tables in it: the store, and the server's accounts."""

from __future__ import annotations

import os
import threading
import time
import weakref
from collections.abc import Callable, Sequence
from concurrent.futures import Future
from typing import Concatenate, LiteralString, ParamSpec, TypeVar

from sojourn.errors import StoreError
from sojourn.stores.postgres.connection import (
    DEADLINE_SECONDS,
    OPENING_LOCK_MS,
    OPENING_SECONDS,
    BlockingConnection,
    Overdue,
    connect,
    discard,
    may_repeat,
    store_error,
)
from sojourn.stores.postgres.driver import psycopg
from sojourn.stores.postgres.migrations import apply_postgres_migrations
from sojourn.stores.postgres.pool import Pool
from sojourn.stores.postgres.url import Place, parse_url

P = ParamSpec("P")
T = TypeVar("T")
_Waiter = Future[BlockingConnection | psycopg.Error]
_Pool = Pool[BlockingConnection, _Waiter]

_BE_DURABLE: LiteralString = (
    "SELECT pg_catalog.set_config('synchronous_commit', 'on', true) "
    "WHERE pg_catalog.current_setting('synchronous_commit') = 'off'"
)

_databases: weakref.WeakSet[PostgresDatabase] = weakref.WeakSet()


class PostgresDatabase:
    """A database with a pool of blocking connections, made as they are needed.

    Functions handed to `read`, `write` and `set_up` take a psycopg connection first. In the latter
    two they run within a transaction, which they neither begin nor end.

    Args:
        url: ``postgresql://…``, as `sojourn.stores.postgres.url.parse_url` reads it.

    Raises:
        ConfigurationError: The URL cannot be understood.
    """

    def __init__(self, url: str) -> None:
        """Open nothing yet."""
        self.place = parse_url(url)
        self._pool: _Pool | None = None
        _databases.add(self)

    @classmethod
    def at(cls, place: Place) -> PostgresDatabase:
        """Make one of a URL that has been read."""
        database = cls.__new__(cls)
        database.place, database._pool = place, None  # noqa: SLF001 - its own class
        _databases.add(database)
        return database

    def open(self, *, namespace: str = "", migrations: Sequence[str] = ()) -> None:
        """Be ready to connect. Idempotent, and safe in several processes at once.

        Args:
            namespace: Whose tables to bring up to date before.
            migrations: Their migrations; see `apply_postgres_migrations`.

        Raises:
            ConfigurationError: The tables are a newer version's, or a migration was altered.
            StoreError: The tables could not be brought up to date.
        """
        if migrations:
            self.set_up(apply_postgres_migrations, namespace=namespace, migrations=migrations)
        if self._pool is None:
            self._pool = self._new_pool()

    def close(self) -> None:
        """Close the connections, those in use after it. Idempotent."""
        pool, self._pool = self._pool, None
        if pool is not None:
            pool.close()

    def read(
        self,
        query: Callable[Concatenate[BlockingConnection, P], T],
        *args: P.args,
        **kwargs: P.kwargs,
    ) -> T:
        """Run a query, each statement a transaction of its own; run again if the connection is lost.

        Raises:
            StoreError: There is no answer.
        """
        return self.use(lambda connection: query(connection, *args, **kwargs), is_repeatable=True)

    def write(
        self,
        change: Callable[Concatenate[BlockingConnection, P], T],
        *args: P.args,
        **kwargs: P.kwargs,
    ) -> T:
        """Make a change in a transaction, committed when this returns: it survives a crash.

        Raises:
            StoreError: It was not made, or, where the connection was lost, nobody knows.
        """

        def within(connection: BlockingConnection) -> T:
            return within_transaction(connection, lambda db: change(db, *args, **kwargs))

        return self.use(within, is_repeatable=False)

    def set_up(
        self,
        change: Callable[Concatenate[BlockingConnection, P], T],
        *args: P.args,
        **kwargs: P.kwargs,
    ) -> T:
        """Make a change that may take long (migrations), on a connection of its own.

        Raises:
            StoreError: It was not made.
        """
        return self._set_up(lambda db: change(db, *args, **kwargs), lock_ms=0)

    def set_up_soon(
        self,
        change: Callable[Concatenate[BlockingConnection, P], T],
        *args: P.args,
        **kwargs: P.kwargs,
    ) -> T:
        """Do as `set_up`, but do not wait long for somebody else who does: a request may wait.

        Raises:
            StoreError: It was not made.
        """
        return self._set_up(lambda db: change(db, *args, **kwargs), lock_ms=OPENING_LOCK_MS)

    def _set_up(self, change: Callable[[BlockingConnection], T], *, lock_ms: int) -> T:
        deadline = time.monotonic() + OPENING_SECONDS
        try:
            connection = connect(self.place.conninfo)
            try:
                connection.deadline = deadline

                def patiently(db: BlockingConnection) -> T:
                    db.execute("SET LOCAL statement_timeout = 0")
                    db.execute(f"SET LOCAL lock_timeout = {lock_ms:d}".encode())
                    return change(db)

                return within_transaction(connection, patiently)
            finally:
                discard(connection)
        except psycopg.Error as error:
            raise store_error(error, self.place.name) from error

    def use(
        self,
        work: Callable[[BlockingConnection], T],
        *,
        is_repeatable: bool,
        deadline: float | None = None,
    ) -> T:
        """Work on a connection of the pool.

        Args:
            work: Given the connection.
            is_repeatable: Whether to do it again, once, if the connection was lost.
            deadline: On the monotonic clock; without one `DEADLINE_SECONDS` from now.

        Raises:
            StoreError: There is no answer.
        """
        if deadline is None:
            deadline = time.monotonic() + DEADLINE_SECONDS
        is_first = True
        while True:
            pool = self._opened()
            try:
                connection = _acquire(pool, deadline)
                try:
                    connection.deadline = deadline
                    return work(connection)
                except psycopg.Error as error:
                    if is_first and may_repeat(error, connection, is_repeatable=is_repeatable):
                        is_first = False
                    else:
                        raise
                finally:
                    pool.give_back(connection)
            except psycopg.Error as error:
                raise store_error(error, self.place.name) from error

    def _opened(self) -> _Pool:
        pool = self._pool
        if pool is None:
            raise StoreError(f"the database {self.place.name} is not open; call open() first")
        return pool

    def _new_pool(self) -> _Pool:
        return Pool(self.place.pool, start=self._start_attempt, new_waiter=_Waiter)

    def _start_attempt(self, pool: _Pool) -> None:
        threading.Thread(
            target=self._attempt, args=(pool,), name="sojourn-postgres-connect", daemon=True
        ).start()

    def _attempt(self, pool: _Pool) -> None:
        try:
            connection = connect(self.place.conninfo)
        except psycopg.Error as error:
            pool.failed(error)
        else:
            pool.made(connection)

    def _start_over(self) -> None:
        if self._pool is not None:
            self._pool.abandon()
            self._pool = self._new_pool()


def within_transaction(
    connection: BlockingConnection, change: Callable[[BlockingConnection], T]
) -> T:
    """Make a change and commit it; what is acknowledged survives a crash, as `sojourn_be_durable`."""
    with connection.transaction():
        connection.execute(_BE_DURABLE)
        return change(connection)


def _acquire(pool: _Pool, deadline: float) -> BlockingConnection:
    taken = pool.take()
    if isinstance(taken, BlockingConnection):
        return taken
    try:
        given = taken.result(deadline - time.monotonic())
    except BaseException as error:
        pool.give_up(taken)
        if isinstance(error, TimeoutError):
            raise Overdue("no connection before the deadline") from None
        raise
    if isinstance(given, psycopg.Error):
        raise given
    return given


def _forget_after_fork() -> None:
    """Sockets are shared with the parent: closing one politely would end the parent's session."""
    for database in _databases:
        database._start_over()  # noqa: SLF001 - the class's own fork rule


os.register_at_fork(after_in_child=_forget_after_fork)
