"""The one thread of a process that writes to a SQLite file: what waits is committed together.

A commit costs the same for one change as for a hundred (it is one fsync), so the thread takes every
waiting job into one transaction. Each runs in a savepoint of its own: what one job gets wrong is
undone alone. Nobody is answered before the commit.
"""

from __future__ import annotations

import asyncio
import queue
import sqlite3
import threading
import time
from collections.abc import Callable
from contextlib import suppress
from typing import Any, cast

from sojourn.errors import StoreError
from sojourn.stores.sqlite.connection import WRITE_SECONDS, Slot, is_busy, store_error

PAUSE_SECONDS = 0.001
"""Between attempts: some of SQLite's refusals do not wait for its own timeout."""


class Job:
    """A change to be made in the writer's transaction.

    Args:
        change: Makes the change.
        loop: The event loop to answer in; None where a thread waits.
    """

    __slots__ = ("_answered", "change", "deadline", "error", "future", "result")

    def __init__(
        self,
        change: Callable[[sqlite3.Connection], object],
        *,
        loop: asyncio.AbstractEventLoop | None = None,
    ) -> None:
        """Be unanswered."""
        self.change = change
        self.deadline = time.monotonic() + WRITE_SECONDS
        self.result: Any = None
        self.error: BaseException | None = None
        self.future = None if loop is None else loop.create_future()
        self._answered = threading.Lock()
        self._answered.acquire()

    @property
    def is_unwanted(self) -> bool:
        """Whether whoever asked has gone away."""
        return self.future is not None and self.future.cancelled()

    async def wait_async(self) -> Any:
        """Wait until answered, in the loop given."""
        return await cast("asyncio.Future[Any]", self.future)

    def wait(self) -> Any:
        """Block until answered."""
        self._answered.acquire()
        if self.error is not None:
            raise self.error
        return self.result

    def answer(self) -> None:
        """Let the waiting thread go on, or resolve the future (in its loop)."""
        if self.future is None:
            self._answered.release()
        elif self.future.done():
            pass  # cancelled meanwhile
        elif self.error is not None:
            self.future.set_exception(self.error)
        else:
            self.future.set_result(self.result)


class Writer:
    """The writing thread, started at the first job.

    Args:
        path: Named in errors.
        slot: Its connection.
        before_batch: Called before each transaction: is it still the same file?
        after_commit: Called after each commit, before anybody is answered.
    """

    def __init__(
        self,
        path: str,
        slot: Slot,
        *,
        before_batch: Callable[[], None],
        after_commit: Callable[[], None],
    ) -> None:
        """Have nothing to do yet."""
        self._path = path
        self._slot = slot
        self._before_batch = before_batch
        self._after_commit = after_commit
        self._lock = threading.Lock()
        self._thread: threading.Thread | None = None
        self._is_stopping = False
        self._queue: queue.SimpleQueue[Job | None] = queue.SimpleQueue()

    def submit(self, job: Job) -> None:
        """Have a job done; it is answered in any case.

        Raises:
            StoreError: The writer has been stopped.
        """
        with self._lock:  # nothing may be queued behind the end
            if self._is_stopping:
                raise StoreError(f"the database {self._path} is closed; call open() first")
            self._queue.put(job)
            if self._thread is None:
                # A daemon: whoever forgets close() must still be able to exit, and what has been
                # answered has been committed.
                self._thread = threading.Thread(
                    target=self._run, name="sojourn-sqlite-writer", daemon=True
                )
                self._thread.start()

    def stop(self) -> None:
        """Finish what was asked, then end the thread. Idempotent."""
        with self._lock:
            if not self._is_stopping:
                self._is_stopping = True
                self._queue.put(None)
            thread = self._thread
        if thread is not None:
            thread.join()

    # --- in the thread -----------------------------------------------------------------------------

    def _run(self) -> None:
        is_over = False
        while not is_over:
            first = self._queue.get()
            jobs = [] if first is None else [first]
            is_over = first is None
            while jobs:
                is_over = self._take_waiting(jobs) or is_over
                jobs = self._attempt(jobs)

    def _take_waiting(self, jobs: list[Job]) -> bool:
        """Add whatever waits; tells whether the end was among it."""
        with suppress(queue.Empty):
            while (job := self._queue.get_nowait()) is not None:
                jobs.append(job)
            return True
        return False

    def _attempt(self, jobs: list[Job]) -> list[Job]:
        """Commit jobs and answer them; gives those to be tried again."""
        try:
            self._before_batch()
            with self._slot as connection:
                connection.execute("BEGIN IMMEDIATE")
                for job in jobs:
                    self._do(connection, job)
                connection.execute("COMMIT")
            self._after_commit()
        except BaseException as error:  # noqa: BLE001 - everybody is answered, come what may
            now = time.monotonic()
            waiting = [job for job in jobs if is_busy(error.__cause__) and now < job.deadline]
            failed = [job for job in jobs if job not in waiting]
            for job in failed:
                job.result, job.error = None, self._failure(error)
            _answer(failed)
            if waiting:
                time.sleep(PAUSE_SECONDS)
            return waiting
        _answer(jobs)
        return []

    def _do(self, connection: sqlite3.Connection, job: Job) -> None:
        if job.is_unwanted:
            return
        job.result = job.error = None  # of an earlier attempt
        connection.execute("SAVEPOINT job")
        try:
            job.result = job.change(connection)
        except BaseException as error:
            if not connection.in_transaction:
                raise  # a full disk ends the whole transaction: everybody has to be told
            connection.execute("ROLLBACK TO job")
            job.error = self._failure(error)
        connection.execute("RELEASE job")

    def _failure(self, error: BaseException) -> BaseException:
        """Give an error that one waiter alone raises, so that tracebacks do not mix."""
        if isinstance(error, sqlite3.Error):
            failure = store_error(error, self._path)
            failure.__cause__ = error
            return failure
        if type(error) is StoreError:
            failure = StoreError(*error.args)
            failure.__cause__ = error.__cause__
            return failure
        if isinstance(error, StopIteration):
            return RuntimeError(f"a change raised {error!r}")  # no future takes a StopIteration
        return error


def _answer(jobs: list[Job]) -> None:
    by_loop: dict[asyncio.AbstractEventLoop, list[Job]] = {}
    for job in jobs:
        if job.future is None:
            job.answer()
        else:
            by_loop.setdefault(job.future.get_loop(), []).append(job)
    for loop, theirs in by_loop.items():
        with suppress(RuntimeError):  # the loop is closed, so nobody waits
            loop.call_soon_threadsafe(_answer_in_loop, theirs)  # one wake-up for all of them


def _answer_in_loop(jobs: list[Job]) -> None:
    for job in jobs:
        job.answer()
