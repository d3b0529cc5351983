"""Telling open pages of new notes: within one process; several need something between them."""

import asyncio
from collections import defaultdict
from collections.abc import Awaitable, Callable, Iterator
from contextlib import contextmanager, suppress
from typing import Any


class Live:
    def __init__(self) -> None:
        self._open: defaultdict[str, set[asyncio.Queue[Any]]] = defaultdict(set)

    def publish(self, owner: str, note: Any) -> None:
        """Tell whoever listens to an owner's notes."""
        for queue in self._open[owner]:
            queue.put_nowait(note)

    async def tell(
        self, owner: str, send: Callable[[Any], Awaitable[Any]], *, until: Awaitable[Any]
    ) -> None:
        """Send each new note of an owner, until something happens: the client is gone."""

        async def each() -> None:
            while True:
                await send(await queue.get())

        with self._listening(owner) as queue:
            tasks = [asyncio.ensure_future(until), asyncio.ensure_future(each())]
            try:
                await asyncio.wait(tasks, return_when=asyncio.FIRST_COMPLETED)
            finally:
                for task in tasks:
                    task.cancel()
                with suppress(asyncio.CancelledError):
                    await asyncio.gather(*tasks)

    @contextmanager
    def _listening(self, owner: str) -> Iterator[asyncio.Queue[Any]]:
        queue: asyncio.Queue[Any] = asyncio.Queue()
        self._open[owner].add(queue)
        try:
            yield queue
        finally:
            self._open[owner].discard(queue)
            if not self._open[owner]:
                del self._open[owner]
