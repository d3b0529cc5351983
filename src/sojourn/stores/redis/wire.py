"""The blocking wire: steps performed on the calling thread, which any number of threads may share."""

from __future__ import annotations

import threading
import time
from collections.abc import Sequence
from dataclasses import dataclass, field
from typing import Any, TypeVar

from redis.exceptions import BusyLoadingError, RedisError, ResponseError

from sojourn.stores.redis.calls import Exchange, Failed, Outcome, Step, Steps
from sojourn.stores.redis.connections import (
    FOR_READING,
    Connection,
    abandon_after_fork,
    blocking_connection,
    busy,
)
from sojourn.stores.redis.place import Address, Place

T = TypeVar("T")


@dataclass(slots=True)
class _Pool:
    free: threading.Semaphore
    idle: list[Connection] = field(default_factory=list)
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
        abandon_after_fork(self)

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
        begun: list[_Conversation | Failed] = []
        try:
            # All are asked before the first is listened to.
            begun.extend(self._begin(exchange, step.deadline) for exchange in step.exchanges)
            return [one if isinstance(one, Failed) else one.finish(step.deadline) for one in begun]
        finally:
            for one in begun:
                if isinstance(one, _Conversation):
                    one.put_back()

    def _begin(self, exchange: Exchange, deadline: float) -> _Conversation | Failed:
        pool = self._pools.get(exchange.address)
        if pool is None:
            made = _Pool(threading.Semaphore(self._place.pool))
            pool = self._pools.setdefault(exchange.address, made)
        if not pool.free.acquire(timeout=max(deadline - time.monotonic(), FOR_READING)):
            return Failed(exchange.address, busy(self._place), was_sent=False)
        try:
            connection = self._connected(pool, exchange, deadline)
        except BaseException as error:
            pool.free.release()
            if isinstance(error, RedisError | OSError):
                return Failed(exchange.address, error, was_sent=False)
            raise
        conversation = _Conversation(pool, exchange, connection)
        conversation.send()
        return conversation

    def _connected(self, pool: _Pool, exchange: Exchange, deadline: float) -> Connection:
        while pool.idle:
            connection = pool.idle.pop()
            if connection.is_usable():
                return connection
            connection.disconnect()
        connection = blocking_connection(self._place, exchange, seconds=deadline - time.monotonic())
        connection.connect()
        return connection


@dataclass(slots=True)
class _Conversation:
    """One exchange on its way: sent, and not yet read."""

    pool: _Pool
    exchange: Exchange
    connection: Connection
    error: RedisError | None = None
    is_clean: bool = False

    def send(self) -> None:
        try:
            packed = self.connection.pack_commands(self.exchange.commands)
            self.connection.send_packed_command(packed, check_health=False)
        except RedisError as error:
            self.error = error  # part of it may have arrived

    def finish(self, deadline: float) -> Outcome:
        try:
            if self.error is not None:
                raise self.error
            replies = [self._reply(deadline) for _ in self.exchange.commands]
        except RedisError as error:
            was_sent = not isinstance(error, BusyLoadingError)
            return Failed(self.exchange.address, error, was_sent=was_sent)
        self.is_clean = True
        return replies

    def _reply(self, deadline: float) -> Any:
        try:
            return self.connection.read_response(
                timeout=max(deadline - time.monotonic(), FOR_READING)
            )
        except ResponseError as error:
            return error

    def put_back(self) -> None:
        if self.is_clean and not self.pool.is_closed:
            self.pool.idle.append(self.connection)
        else:
            self.connection.disconnect()
        self.pool.free.release()
