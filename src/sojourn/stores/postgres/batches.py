"""Calls that arrive together travel together: many members, one statement.

A member joins only a batch that has not been sent: an answer that was under way when it asked may
be of an instant before it asked. The batch is settled when there is a connection to send it by, so
that what arrives while all are busy is one batch.
"""

from __future__ import annotations

import asyncio
from collections.abc import Callable, Sequence
from typing import Generic, TypeVar

from sojourn.errors import StoreError
from sojourn.stores.postgres.connection import Overdue
from sojourn.stores.postgres.driver import psycopg
from sojourn.stores.postgres.loop import LoopDatabase
from sojourn.stores.postgres.statements import Statement

I = TypeVar("I")  # noqa: E741 - an item
A = TypeVar("A")

MOST = 500
"""So many members travel in one statement."""


class Batches(Generic[I, A]):
    """Collects items of one event loop, and answers each.

    Args:
        database: Where the statements go.
        describe: Makes a statement for items, that answers in their order.
        in_flight: How many batches may be under way at once.
        key: What two items of a batch must not share; None where that does not matter.
    """

    def __init__(
        self,
        database: LoopDatabase,
        describe: Callable[[Sequence[I]], Statement[list[A]]],
        *,
        in_flight: int,
        key: Callable[[I], object] | None = None,
    ) -> None:
        """Have nothing to do yet."""
        self._database = database
        self._describe = describe
        self._in_flight = in_flight
        self._key = key
        self._loop: asyncio.AbstractEventLoop | None = None
        self._start_over()

    def _start_over(self) -> None:
        self._waiting: list[tuple[I, asyncio.Future[A]]] = []
        self._is_collecting = False
        self._tasks: set[asyncio.Task[None]] = set()

    async def ask(self, item: I) -> A:
        """Have an item travel with others, and give its own answer.

        Raises:
            StoreError: There is none.
        """
        loop = asyncio.get_running_loop()
        if loop is not self._loop:
            self._loop = loop
            self._start_over()  # what another loop had under way (before a fork, say) never ends
        future: asyncio.Future[A] = loop.create_future()
        self._waiting.append((item, future))
        self._start()
        return await future

    async def finish(self) -> None:
        """Wait for what is under way."""
        while self._tasks:
            await asyncio.wait(self._tasks)

    def _start(self) -> None:
        # One batch collects at a time; it leaves at the loop's next turn at the earliest.
        if self._waiting and not self._is_collecting and len(self._tasks) < self._in_flight:
            self._is_collecting = True
            task = asyncio.get_running_loop().create_task(self._send())
            self._tasks.add(task)
            task.add_done_callback(self._end)

    def _end(self, task: asyncio.Task[None]) -> None:
        self._tasks.discard(task)
        self._start()

    async def _send(self) -> None:
        batch: list[tuple[I, asyncio.Future[A]]] = []
        is_sealed = False

        def seal() -> Statement[list[A]]:
            nonlocal is_sealed
            batch.extend(self._take())
            is_sealed, self._is_collecting = True, False
            self._start()
            return self._describe([item for item, _ in batch])

        try:
            answers = await self._database.run(seal)
        except BaseException as error:
            if not is_sealed:
                self._is_collecting = False
            if _is_of_a_member(error) and len(batch) > 1:
                await self._send_one_by_one(batch)
                return
            if not is_sealed or isinstance(error.__cause__, Overdue):
                batch.extend(self._waiting)  # they would fare no better
                self._waiting.clear()
            for _, future in batch:
                _fail(future, error)
            if not isinstance(error, Exception):
                raise
        else:
            for (_, future), answer in zip(batch, answers, strict=True):
                _answer(future, answer)

    async def _send_one_by_one(self, batch: Sequence[tuple[I, asyncio.Future[A]]]) -> None:
        """Find the member that cannot be sent or kept: nothing of its batch has happened."""
        for item, future in batch:
            try:
                (answer,) = await self._database.run(lambda item=item: self._describe([item]))  # type: ignore[misc]
            except Exception as error:  # noqa: BLE001 - its own, whatever it is
                _fail(future, error)
            else:
                _answer(future, answer)

    def _take(self) -> list[tuple[I, asyncio.Future[A]]]:
        """Take what may travel together, in order, without those that wait no more."""
        taken: list[tuple[I, asyncio.Future[A]]] = []
        left: list[tuple[I, asyncio.Future[A]]] = []
        keys: set[object] = set()
        for member in self._waiting:
            item, future = member
            if future.done():
                continue
            key = object() if self._key is None else self._key(item)
            if key in keys or len(taken) >= MOST:
                left.append(member)
            else:
                keys.add(key)
                taken.append(member)
        self._waiting[:] = left
        return taken


def _is_of_a_member(error: BaseException) -> bool:
    if isinstance(error, StoreError):
        return isinstance(error.__cause__, psycopg.DataError)
    return isinstance(error, Exception)


def _answer(future: asyncio.Future[A], answer: A) -> None:
    if not future.done():  # cancelled meanwhile
        future.set_result(answer)


def _fail(future: asyncio.Future[A], error: BaseException) -> None:
    """Fail with an error that one member alone raises, so that tracebacks do not mix."""
    if future.done():
        return
    if isinstance(error, Exception) and not isinstance(error, StoreError):
        future.set_exception(error)
        return
    own = StoreError(*(error.args if isinstance(error, StoreError) else ("the loop is ending",)))
    own.__cause__ = error.__cause__
    future.set_exception(own)
