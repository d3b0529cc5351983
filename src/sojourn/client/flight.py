"""One act at a time: whoever wants it done while it is under way waits for that result."""

from __future__ import annotations

from collections.abc import Callable
from concurrent.futures import Future
from threading import Lock, Thread
from typing import Generic, TypeVar

T = TypeVar("T")


class SingleFlight(Generic[T]):
    """Runs an act in a thread of its own, for threads and tasks alike.

    In a thread of its own, since a caller can be cancelled or stand on an event loop that another
    caller blocks; the act comes to its end all the same.
    """

    def __init__(self) -> None:
        """Have nothing under way."""
        self._mutex = Lock()
        self._under_way: Future[T] | None = None

    def join(self, act: Callable[[], T]) -> Future[T]:
        """Begin the act, or join the one that is under way.

        Args:
            act: What to do, unless it is being done.

        Returns:
            The result to be, the same for all who joined. It cannot be cancelled.
        """
        with self._mutex:
            if self._under_way is None:
                future: Future[T] = Future()
                future.set_running_or_notify_cancel()
                Thread(target=self._fly, args=(act, future), name="sojourn-refresh").start()
                self._under_way = future
            return self._under_way

    def _fly(self, act: Callable[[], T], future: Future[T]) -> None:
        try:
            result = act()
        except BaseException as error:  # noqa: BLE001 - raised again where it is waited for
            self._land()
            future.set_exception(error)
        else:
            self._land()
            future.set_result(result)

    def _land(self) -> None:
        with self._mutex:
            self._under_way = None
