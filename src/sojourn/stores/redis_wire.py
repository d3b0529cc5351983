"""Connections to the nodes, blocking and awaited: performing steps, and nothing else.

A connection is redis-py's own (handshake, TLS, parsing), without its clients: what is sent here is
sent once, and whoever sent it is told whether it may have arrived. Nothing crosses a fork: a child
leaves what it inherited alone, neither closing it politely nor using it.
"""

from __future__ import annotations

import asyncio
import os
import threading
import time
import weakref
from collections.abc import Sequence
from contextlib import suppress
from dataclasses import dataclass, field
from typing import Any, TypeVar, cast

import redis
import redis.asyncio
from redis.exceptions import BusyLoadingError, RedisError, ResponseError

from sojourn.errors import StoreError
from sojourn.stores.redis_calls import Exchange, Failed, Outcome, Step, Steps
from sojourn.stores.redis_place import Address, Place
from sojourn.stores.redis_router import DEADLINE_SECONDS

T = TypeVar("T")

CONNECT_SECONDS = 1.0
"""How long connecting may take, within the operation's own time."""
CLIENT_NAME = "sojourn"
_FOR_READING = 0.001
"""A reply that has arrived is read although the time is over."""


def _arguments(place: Place, exchange: Exchange) -> dict[str, Any]:
    host, port = exchange.address
    arguments: dict[str, Any] = {
        "host": host,
        "port": port,
        "client_name": CLIENT_NAME,
        "driver_info": None,  # two round trips for a name that nobody reads
        "protocol": 2,  # RESP3 would cost another for HELLO; nothing here needs it
    }
    if not exchange.is_of_sentinel:
        arguments |= {
            "db": place.db,
            "username": place.username or None,
            "password": place.password or None,
        }
    return arguments


def connection_of(place: Place, exchange: Exchange, *, seconds: float) -> redis.Connection:
    """Make a blocking connection, not connected yet, which resends nothing by itself."""
    kind = redis.SSLConnection if place.is_encrypted else redis.Connection
    return kind(
        **_arguments(place, exchange),
        socket_timeout=max(seconds, _FOR_READING),
        socket_connect_timeout=max(min(seconds, CONNECT_SECONDS), _FOR_READING),
    )


# --- blocking -------------------------------------------------------------------------------------


@dataclass(slots=True)
class _Pool:
    free: threading.Semaphore
    idle: list[redis.Connection] = field(default_factory=list)
    is_closed: bool = False


class BlockingWire:
    """Performs steps on the calling thread; any number of threads may.

    Args:
        place: How to connect.
    """

    def __init__(self, place: Place) -> None:
        """Connect to nobody yet."""
        self._place = place
        self._pools: dict[Address, _Pool] = {}
        _wires.add(self)

    def drive(self, steps: Steps[T]) -> T:
        """Perform every step of an operation, and give its answer."""
        try:
            step = next(steps)
            while True:
                step = steps.send(self._perform(step))
        except StopIteration as done:
            answer: T = done.value
            return answer

    def close(self) -> None:
        """Close what is idle; what is in use is closed when it comes back. Idempotent."""
        pools, self._pools = self._pools, {}
        for pool in pools.values():
            pool.is_closed = True
            while pool.idle:
                pool.idle.pop().disconnect()

    def abandon(self) -> None:
        """Let go of what a parent process uses: redis-py closes the child's descriptors only."""
        self.close()

    def _perform(self, step: Step) -> Sequence[Outcome]:
        if step.pause_seconds:
            time.sleep(step.pause_seconds)
        begun = [self._begin(exchange, step.deadline) for exchange in step.exchanges]
        return [one if isinstance(one, Failed) else one.finish(step.deadline) for one in begun]

    def _begin(self, exchange: Exchange, deadline: float) -> _Conversation | Failed:
        pool = self._pools.get(exchange.address)
        if pool is None:
            made = _Pool(threading.Semaphore(self._place.pool))
            pool = self._pools.setdefault(exchange.address, made)
        if not pool.free.acquire(timeout=max(deadline - time.monotonic(), _FOR_READING)):
            return Failed(exchange.address, _busy(self._place), was_sent=False)
        connection = None
        try:
            connection = self._connected(pool, exchange, deadline)
            packed = connection.pack_commands(exchange.commands)
        except BaseException as error:
            pool.free.release()
            if isinstance(error, RedisError | OSError):
                return Failed(exchange.address, error, was_sent=False)
            raise
        conversation = _Conversation(pool, exchange, connection)
        conversation.send(packed)
        return conversation

    def _connected(
        self, pool: _Pool, exchange: Exchange, deadline: float
    ) -> redis.Connection:
        while pool.idle:
            connection = pool.idle.pop()
            with suppress(RedisError):
                if not connection.can_read(0):
                    return connection
            connection.disconnect()  # the other side has ended it, or said what nobody asked for
        connection = connection_of(
            self._place, exchange, seconds=deadline - time.monotonic()
        )
        connection.connect()
        return connection


@dataclass(slots=True)
class _Conversation:
    """One exchange on its way: sent, and not yet read."""

    pool: _Pool
    exchange: Exchange
    connection: redis.Connection
    error: RedisError | None = None

    def send(self, packed: list[bytes]) -> None:
        try:
            self.connection.send_packed_command(packed, check_health=False)
        except RedisError as error:
            self.error = error
        except BaseException:
            self._put_back(is_clean=False)
            raise

    def finish(self, deadline: float) -> Outcome:
        is_clean = False
        try:
            if self.error is not None:
                raise self.error
            replies = [self._reply(deadline) for _ in self.exchange.commands]
            is_clean = True
        except RedisError as error:
            was_done = not isinstance(error, BusyLoadingError)
            return Failed(self.exchange.address, error, was_sent=was_done)
        else:
            return replies
        finally:
            self._put_back(is_clean=is_clean)

    def _reply(self, deadline: float) -> Any:
        try:
            return self.connection.read_response(
                timeout=max(deadline - time.monotonic(), _FOR_READING)
            )
        except ResponseError as error:
            return error

    def _put_back(self, *, is_clean: bool) -> None:
        if is_clean and not self.pool.is_closed:
            self.pool.idle.append(self.connection)
        else:
            self.connection.disconnect()
        self.pool.free.release()


# --- awaited --------------------------------------------------------------------------------------


@dataclass(slots=True)
class _AwaitedPool:
    free: asyncio.Semaphore
    idle: list[redis.asyncio.Connection] = field(default_factory=list)
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
        _wires.add(self)

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
        except (RedisError, OSError) as error:
            if isinstance(error, TimeoutError):
                error = _silent() if progress.has_connection else _busy(self._place)
            return Failed(exchange.address, error, was_sent=progress.was_sent)

    async def _converse(
        self, pool: _AwaitedPool, exchange: Exchange, progress: _Progress
    ) -> list[Any]:
        progress.has_connection = True
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

    async def _connected(
        self, pool: _AwaitedPool, exchange: Exchange
    ) -> redis.asyncio.Connection:
        while pool.idle:
            connection = pool.idle.pop()
            if not await connection.can_read():
                return connection
            await connection.disconnect(nowait=True)
        kind = redis.asyncio.SSLConnection if self._place.is_encrypted else redis.asyncio.Connection
        connection = kind(
            **_arguments(self._place, exchange),
            socket_timeout=None,  # the operation's own time is set around all of it
            socket_connect_timeout=CONNECT_SECONDS,
        )
        try:
            await connection.connect()
        except BaseException:
            await connection.disconnect(nowait=True)
            raise
        return connection


@dataclass(slots=True)
class _Progress:
    """How far an exchange has come when its time is over."""

    has_connection: bool = False
    was_sent: bool = False


async def _reply(connection: redis.asyncio.Connection) -> Any:
    try:
        return await connection.read_response()
    except ResponseError as error:
        return error


def _busy(place: Place) -> Exception:
    return TimeoutError(f"all {place.pool} connections to it are in use; a larger ?pool= may help")


def _silent() -> Exception:
    return TimeoutError(f"no answer within {DEADLINE_SECONDS:g} s")


_wires: weakref.WeakSet[BlockingWire | AwaitedWire] = weakref.WeakSet()
_abandoned: list[Any] = []


def _abandon_after_fork() -> None:
    for wire in _wires:
        wire.abandon()


os.register_at_fork(after_in_child=_abandon_after_fork)
