"""The awaited wire: steps performed on the running event loop."""

from __future__ import annotations

import asyncio
import time
from collections.abc import Sequence
from contextlib import suppress
from dataclasses import dataclass, field
from typing import Any, TypeVar

from redis.exceptions import BusyLoadingError, RedisError, ResponseError

from sojourn.stores.redis.calls import Exchange, Failed, Outcome, Step, Steps
from sojourn.stores.redis.connections import (
    Connection,
    abandon_after_fork,
    awaited_connection,
    busy,
)
from sojourn.stores.redis.place import Address, Place
from sojourn.stores.redis.router import DEADLINE_SECONDS

T = TypeVar("T")
_abandoned: list[Any] = []


@dataclass(slots=True)
class _AwaitedPool:
    free: asyncio.Semaphore
    idle: list[Connection] = field(default_factory=list)
    is_closed: bool = False


class AwaitedWire:
    """Performs steps on the running event loop; another loop begins with no connections.

    Args:
        place: How to connect.
    """

    def __init__(self, place: Place) -> None:
        """Connect to nobody yet."""
        self._place = place
        self._pools: dict[Address, _AwaitedPool] = {}
        self._loop: asyncio.AbstractEventLoop | None = None
        abandon_after_fork(self)

    async def drive(self, steps: Steps[T]) -> T:
        """Perform every step of an operation, and give its answer."""
        try:
            step = next(steps)
            while True:
                try:
                    outcomes = await self._perform(step)
                except BaseException:
                    steps.close()
                    raise
                step = steps.send(outcomes)
        except StopIteration as done:
            answer: T = done.value
            return answer

    async def close(self) -> None:
        """Close what is idle; what is in use is closed when it comes back. Idempotent."""
        pools, self._pools = self._pools, {}
        for pool in pools.values():
            pool.is_closed = True
            while pool.idle:
                with suppress(RedisError):  # the other side is silent
                    await pool.idle.pop().disconnect()

    def abandon(self) -> None:
        """Let go of what a parent process uses.

        Not even garbage collection may close it: that would take the parent's sockets out of the
        selector, which the two share.
        """
        _abandoned.append(self._pools)
        self._pools, self._loop = {}, None

    async def _perform(self, step: Step) -> Sequence[Outcome]:
        loop = asyncio.get_running_loop()
        if loop is not self._loop:
            self._pools, self._loop = {}, loop
        if step.pause_seconds:
            await asyncio.sleep(step.pause_seconds)
        if len(step.exchanges) == 1:
            return (await self._exchange(step.exchanges[0], step.deadline),)
        return await asyncio.gather(
            *[self._exchange(exchange, step.deadline) for exchange in step.exchanges]
        )

    async def _exchange(self, exchange: Exchange, deadline: float) -> Outcome:
        pool = self._pools.get(exchange.address)
        if pool is None:
            pool = _AwaitedPool(asyncio.Semaphore(self._place.pool))
            self._pools[exchange.address] = pool
        progress = _Progress()
        try:
            async with asyncio.timeout(deadline - time.monotonic()), pool.free:
                return await self._converse(pool, exchange, progress)
        except BusyLoadingError as error:
            return Failed(exchange.address, error, was_sent=False)
        except TimeoutError:
            failure = _silent() if progress.has_turn else busy(self._place)
            return Failed(exchange.address, failure, was_sent=progress.was_sent)
        except (RedisError, OSError) as error:
            return Failed(exchange.address, error, was_sent=progress.was_sent)

    async def _converse(
        self, pool: _AwaitedPool, exchange: Exchange, progress: _Progress
    ) -> list[Any]:
        progress.has_turn = True
        connection = await self._connected(pool, exchange)
        is_clean = False
        try:
            progress.was_sent = True
            packed = connection.pack_commands(exchange.commands)
            await connection.send_packed_command(packed, check_health=False)
            replies = [await _reply(connection) for _ in exchange.commands]
            is_clean = True
            return replies
        finally:
            if is_clean and not pool.is_closed:
                pool.idle.append(connection)
            else:
                await connection.disconnect(nowait=True)

    async def _connected(self, pool: _AwaitedPool, exchange: Exchange) -> Connection:
        while pool.idle:
            connection = pool.idle.pop()
            if connection.is_usable():
                return connection
            await connection.disconnect(nowait=True)
        connection = awaited_connection(self._place, exchange)
        try:
            await connection.connect()
        except BaseException:
            await connection.disconnect(nowait=True)
            raise
        return connection


@dataclass(slots=True)
class _Progress:
    """How far an exchange has come when its time is over."""

    has_turn: bool = False
    was_sent: bool = False


async def _reply(connection: Connection) -> Any:
    try:
        return await connection.read_response()
    except ResponseError as error:
        return error


def _silent() -> Exception:
    return TimeoutError(f"no answer within {DEADLINE_SECONDS:g} s")
