"""A PostgreSQL database for coroutines by way of threads, for those who write blocking queries.

The threads are few and its own, and so is the queue. Time runs from the moment of asking: while the
network swallows everything, each of many is told so in time, however many are before it.
"""

from __future__ import annotations

import asyncio
import os
import threading
import time
from collections.abc import Callable
from concurrent.futures import Future, ThreadPoolExecutor
from typing import TypeVar

from sojourn.errors import StoreError
from sojourn.stores.postgres.connection import DEADLINE_SECONDS, BlockingConnection
from sojourn.stores.postgres.database import PostgresDatabase, within_transaction

T = TypeVar("T")

MOST_THREADS = 8
"""Or as many as the pool has connections, if these are fewer."""
MOST_WAITING = 200
"""So many are asked at once, those in threads included; more would not be answered in time."""


class PostgresThreads:
    """A database whose queries run in threads.

    Args:
        database: Opened and closed by its owner.
    """

    def __init__(self, database: PostgresDatabase) -> None:
        """Start no thread yet."""
        self.database = database
        self._executor: ThreadPoolExecutor | None = None
        self._pid = 0
        self._asked = 0

    async def read(self, query: Callable[[BlockingConnection], T]) -> T:
        """See `PostgresDatabase.read`.

        Raises:
            StoreError: There is no answer in time, or too many wait for one.
        """
        return await self._run(query, is_repeatable=True)

    async def write(self, change: Callable[[BlockingConnection], T]) -> T:
        """See `PostgresDatabase.write`.

        Raises:
            StoreError: It was not made, or, where the connection was lost, nobody knows.
        """
        return await self._run(lambda db: within_transaction(db, change), is_repeatable=False)

    def close(self) -> None:
        """Let the threads end; waits for nobody. Idempotent."""
        executor, self._executor = self._executor, None
        if executor is not None:
            executor.shutdown(wait=False)

    async def _run(self, work: Callable[[BlockingConnection], T], *, is_repeatable: bool) -> T:
        name = self.database.place.name
        if self._asked >= MOST_WAITING:
            raise StoreError(f"the database {name}: too many wait for it; try again in a second")
        deadline = time.monotonic() + DEADLINE_SECONDS
        late = StoreError(
            f"the database {name}: no turn within {DEADLINE_SECONDS:g} s, others were before; check the "
            "network and its load, then retry"
        )

        def begin() -> T:
            if time.monotonic() >= deadline:
                raise late
            return self.database.use(work, is_repeatable=is_repeatable, deadline=deadline)

        self._asked += 1
        begun = self._threads().submit(begin)
        answer = asyncio.wrap_future(begun)
        try:
            await asyncio.wait({answer}, timeout=deadline - time.monotonic())
            if begun.cancel():
                raise late
            return await answer  # what was begun ends by itself in time
        finally:
            answer.cancel()  # where nobody waits any more, it is not begun
            self._asked -= 1

    def _threads(self) -> ThreadPoolExecutor:
        if self._executor is None or self._pid != os.getpid():  # a child has no threads
            self._pid = os.getpid()
            self._executor = ThreadPoolExecutor(
                min(MOST_THREADS, self.database.place.pool), thread_name_prefix="sojourn-postgres"
            )
        return self._executor


def in_a_thread(work: Callable[[], T]) -> Future[T]:
    """Begin work at once, in a thread that nothing else queues for; it cannot be cancelled."""
    future: Future[T] = Future()
    future.set_running_or_notify_cancel()

    def run() -> None:
        try:
            future.set_result(work())
        except BaseException as error:  # noqa: BLE001 - for whoever waits
            future.set_exception(error)

    threading.Thread(target=run, name="sojourn-postgres-open", daemon=True).start()
    return future
