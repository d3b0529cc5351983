"""A bounded pool of connections, for threads and for an event loop alike.

psycopg's own pool tries again ever more rarely while a server is away, so that nobody is answered
for seconds after it is back, and who asks meanwhile waits instead of being told why. Here somebody
who needs a connection starts the attempt, which goes on elsewhere (another host may need its time)
and fails everybody who waits for it if it fails.
"""

from __future__ import annotations

import threading
from collections import deque
from collections.abc import Callable
from typing import Any, Generic, Protocol, TypeVar

from sojourn.stores.postgres.connection import AnyConnection, discard, is_quiet, is_reusable
from sojourn.stores.postgres.driver import psycopg


class Waiter(Protocol):
    """A future of threads or of an event loop, for a connection or for why there is none."""

    def done(self) -> bool: ...  # noqa: D102
    def cancelled(self) -> bool: ...  # noqa: D102
    def cancel(self) -> bool: ...  # noqa: D102
    def result(self) -> Any: ...  # noqa: D102
    def set_result(self, result: Any, /) -> None: ...  # noqa: D102


C = TypeVar("C", bound=AnyConnection)
W = TypeVar("W", bound=Waiter)
_abandoned: list[object] = []
"""Connections of a parent process: kept, so that nothing finalises them."""


class Pool(Generic[C, W]):
    """Who is connected, who waits for a connection, and how many are being made.

    Args:
        size: How many connections there are at most.
        start: Starts an attempt, which ends in `made` or `failed`.
        new_waiter: Makes the future of somebody who waits.
    """

    def __init__(
        self, size: int, *, start: Callable[[Pool[C, W]], None], new_waiter: Callable[[], W]
    ) -> None:
        """Be empty."""
        self._size = size
        self._start = start
        self._new_waiter = new_waiter
        self._lock = threading.Lock()
        self._open: set[C] = set()
        self._idle: list[C] = []
        self._waiters: deque[W] = deque()
        self._attempts = 0
        self._is_closed = False

    def take(self) -> C | W:
        """Give an idle connection, or the future of one (or of why there is none)."""
        with self._lock:
            # The latest first: the others may rest. One that died meanwhile is found here, before
            # anything is sent.
            while self._idle:
                connection = self._idle.pop()
                if is_quiet(connection):
                    return connection
                self._drop(connection)
            waiter = self._new_waiter()
            if self._is_closed:
                waiter.set_result(psycopg.OperationalError("the store was closed meanwhile"))
                return waiter
            self._waiters.append(waiter)
            self._grow()
            return waiter

    def give_back(self, connection: C) -> None:
        """Take a connection back; one that is not idle is thrown away."""
        with self._lock:
            if self._is_closed or not is_reusable(connection):
                self._drop(connection)
                self._grow()
            else:
                self._hand_over(connection)

    def give_up(self, waiter: W) -> None:
        """Wait no longer; what was given at the last moment goes to somebody else."""
        with self._lock:
            if not waiter.done():
                self._waiters.remove(waiter)
                waiter.cancel()
                return
            given = None if waiter.cancelled() else waiter.result()
        if given is not None and not isinstance(given, psycopg.Error):
            self.give_back(given)

    def made(self, connection: C) -> None:
        """Take in what an attempt has made."""
        with self._lock:
            self._attempts -= 1
            self._open.add(connection)
            if self._is_closed:
                self._drop(connection)
            else:
                self._hand_over(connection)

    def failed(self, error: psycopg.Error) -> None:
        """Tell whoever waits why there is no connection, unless there is still hope."""
        with self._lock:
            self._attempts -= 1
            if not self._open and not self._attempts:
                self._tell(error)

    def close(self) -> None:
        """Close what is idle; the rest is closed when it is given back."""
        with self._lock:
            self._is_closed = True
            while self._idle:
                self._drop(self._idle.pop())
            self._tell(psycopg.OperationalError("the store was closed meanwhile"))

    def abandon(self) -> None:
        """Leave everything as it is: the sockets are another process's."""
        _abandoned.append(self)

    def _hand_over(self, connection: C) -> None:
        while self._waiters:
            waiter = self._waiters.popleft()
            if not waiter.done():
                waiter.set_result(connection)
                return
        self._idle.append(connection)

    def _tell(self, error: psycopg.Error) -> None:
        while self._waiters:
            waiter = self._waiters.popleft()
            if not waiter.done():
                waiter.set_result(error)

    def _grow(self) -> None:
        while self._attempts < min(len(self._waiters), self._size - len(self._open)):
            self._start(self)
            self._attempts += 1

    def _drop(self, connection: C) -> None:
        self._open.discard(connection)
        discard(connection)
