"""Fetching once for all who wait for the same thing, whatever they wait in.

A flight is fetched by one thread; others hold its future, which a thread waits for and a task
awaits. Where what is asked for has to be newer than the question (a revocation poll), nobody joins
a flight that has been sent: joining one in flight would accept a session revoked before the
request began (protocol.md, "Near copies"). They board the next, which departs when that is back.
"""

from __future__ import annotations

import threading
from collections.abc import Callable
from concurrent.futures import Future, wait

from sojourn.verifier.fetching import FetchError

PATIENCE_SECONDS = 30.0
"""Longer than any flight may take; one that never came back is given up, and another one tried."""


class Flight:
    """One fetch, shared.

    Args:
        flights: Of which kind.
        previous: The one that has to be back first.
    """

    __slots__ = ("_flights", "_previous", "future")

    def __init__(self, flights: Flights, previous: Flight | None) -> None:
        """Be boarded; nothing is sent."""
        self._flights = flights
        self._previous = previous
        self.future: Future[None] = Future()
        self.future.set_running_or_notify_cancel()  # so that no waiter that gives up cancels it

    def run(self) -> None:
        """Fetch, in this thread; how it ended is in the future."""
        previous, self._previous = self._previous, None
        if previous is not None:
            wait([previous.future], PATIENCE_SECONDS)
        self._flights.depart(self)
        try:
            self._flights.work()
        except BaseException as error:
            self._flights.land(self)
            is_ordinary = isinstance(error, Exception)
            self.finish(error if is_ordinary else FetchError("the fetch was interrupted"))
            if not is_ordinary:
                raise
        else:
            self._flights.land(self)
            self.finish(None)

    def finish(self, error: BaseException | None) -> None:
        """Tell everybody on board how it ended, once."""
        if self.future.done():
            return  # it was given up, and came back after all
        if error is None:
            self.future.set_result(None)
        else:
            self.future.set_exception(error)

    def await_blocking(self) -> None:
        """Wait until it is back.

        Raises:
            FetchError: It failed, or never came back.
        """
        wait([self.future], PATIENCE_SECONDS)
        if not self.future.done():
            self.give_up()
        self.future.result()

    def give_up(self) -> None:
        """Stop waiting for it: whoever should have run it is gone."""
        self._flights.land(self)
        self.finish(FetchError("the fetch never came back"))


class Flights:
    """The flights of one kind, one at a time.

    Args:
        work: Fetches, blocking, and takes in what came.
        on_idle: Called when the last one has landed.
    """

    def __init__(
        self, work: Callable[[], object], *, on_idle: Callable[[], object] = lambda: None
    ) -> None:
        """Have none under way."""
        self.work = work
        self._on_idle = on_idle
        self._lock = threading.Lock()
        self._boarding: Flight | None = None
        self._sent: Flight | None = None

    @property
    def is_under_way(self) -> bool:
        """Whether one is boarding or sent."""
        return self._boarding is not None or self._sent is not None

    def board(self, *, joins_sent: bool) -> tuple[Flight, bool]:
        """Board one.

        Args:
            joins_sent: Whether one that was sent already will do.

        Returns:
            The flight, and whether it is on the caller to run it.
        """
        with self._lock:
            if joins_sent and self._sent is not None:
                return self._sent, False
            if self._boarding is not None:
                return self._boarding, False
            self._boarding = Flight(self, self._sent)
            return self._boarding, True

    def depart(self, flight: Flight) -> None:
        """Mark a flight as sent: from here on, who comes is too late for it."""
        with self._lock:
            if self._boarding is flight:
                self._boarding = None
            self._sent = flight

    def land(self, flight: Flight) -> None:
        """Mark a flight as over."""
        with self._lock:
            if self._boarding is flight:
                self._boarding = None
            if self._sent is flight:
                self._sent = None
            if self._boarding is self._sent is None:
                self._on_idle()
