"""Look-ups that arrive together travel together.

Those of one turn of the event loop leave as one pipeline a node. A look-up joins a batch that has not
been sent, never one in flight: its reply could be older than the request, and with it accept a
session that was revoked before the request began.
"""

from __future__ import annotations

import asyncio
from collections.abc import Awaitable, Callable

from sojourn.errors import StoreError
from sojourn.ports import Found
from sojourn.stores.redis.calls import Flow
from sojourn.stores.redis.core import Core
from sojourn.stores.redis.place import Address
from sojourn.stores.redis.sessions import lookups

Run = Callable[[Flow[list[list[Found]]]], Awaitable[list[list[Found]]]]
_Batch = dict[int, list[tuple[str, "asyncio.Future[Found]"]]]


class Lookups:
    """Gathers look-ups of an event loop.

    Args:
        core: The store.
        run: Has a flow done.
    """

    def __init__(self, core: Core, run: Run) -> None:
        """Have nothing to look up."""
        self._core = core
        self._run = run
        self._loop: asyncio.AbstractEventLoop | None = None
        self._waiting: _Batch = {}
        self._tasks: set[asyncio.Task[None]] = set()

    async def get(self, sid: str) -> Found:
        """See `Store.get`."""
        loop = asyncio.get_running_loop()
        shard = self._core.shard_of_sid(sid)
        if loop is not self._loop:
            self._loop, self._waiting = loop, {}  # what waits elsewhere will never be sent
        if not self._waiting:
            task = loop.create_task(self._send())  # it begins in the loop's next turn
            self._tasks.add(task)
            task.add_done_callback(self._tasks.discard)
        future: asyncio.Future[Found] = loop.create_future()
        self._waiting.setdefault(shard, []).append((sid, future))
        return await future

    async def _send(self) -> None:
        waiting, self._waiting = self._waiting, {}
        shape = self._core.router.shape
        batches: dict[Address | None, _Batch] = {}
        for shard, members in waiting.items():
            node = shape.nodes[shard] if shape else None
            batches.setdefault(node, {})[shard] = members
        if len(batches) == 1:
            await self._answer(*batches.values())
        else:  # apart, so that a node's failure is no other's
            await asyncio.gather(*map(self._answer, batches.values()))

    async def _answer(self, batch: _Batch) -> None:
        by_shard = {shard: [sid for sid, _ in members] for shard, members in batch.items()}
        members = [future for futures in batch.values() for _, future in futures]
        try:
            answers = await self._run(lookups(self._core, by_shard))
        except BaseException as error:  # noqa: BLE001 - everybody is answered, come what may
            for future in members:
                if not future.done():
                    future.set_exception(_copy(error))
            return
        founds = [found for shard in answers for found in shard]
        for future, found in zip(members, founds, strict=True):
            if not future.done():  # else whoever asked has gone away
                future.set_result(found)


def _copy(error: BaseException) -> BaseException:
    """Give an error that one waiter alone raises, so that tracebacks do not mix."""
    if isinstance(error, StoreError):
        copy = StoreError(*error.args)
        copy.__cause__ = error.__cause__
        return copy
    return error
