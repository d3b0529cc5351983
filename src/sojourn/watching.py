"""Watching over what goes on: a long connection ends when the session of its principal does.

A check looks once; a WebSocket or an event stream opened then may live for hours. `Watching` is told
of every change in the picture, from any thread, and ends whom it concerns; once a second it looks
whether anybody's proof is over, and whether the picture is still fresh enough to go by.
"""

from __future__ import annotations

import asyncio
import logging
from collections.abc import AsyncIterator, Callable, Iterable, Sequence
from contextlib import asynccontextmanager, suppress
from typing import Any, Protocol
from weakref import WeakKeyDictionary

from sojourn.errors import RefreshRequired, SojournError
from sojourn.model import Entry, Event, Kind, Principal

log = logging.getLogger("sojourn.watch")

LOOKS_AT_ONCE = 20
LOOK_SECONDS = 1.0
"""How often expiry and freshness are looked at; a revocation does not wait for it."""

OnEvents = Callable[[Sequence[Event]], None]
Ended = asyncio.Future[SojournError]


def news_for(callback: OnEvents, revoked_keys: Iterable[str]) -> Callable[[Sequence[Entry]], None]:
    """Make of a listener to events one to a feed's entries.

    A snapshot says again which keys were ever revoked; that must end nobody once more.

    Args:
        callback: Told of events.
        revoked_keys: What was known of keys before.
    """
    known = set(revoked_keys)

    def tell(entries: Sequence[Entry]) -> None:
        events = [e.event for e in entries if e.event.kid is None or e.event.kid not in known]
        known.update(event.kid for event in events if event.kid is not None)
        callback(events)

    return tell


def _nothing() -> None:
    """Stop what has not begun."""


class Watched(Protocol):
    """What is watched: the picture of an engine or of a verifier."""

    def listen(self, callback: OnEvents) -> Callable[[], None]:
        """Have a callback called, from any thread, with events as they are taken in.

        A key's revocation is told once, whatever a snapshot says again.

        Returns:
            What to call to have it called no more.
        """
        ...

    def is_same(self) -> bool:
        """Tell whether what is listened to is still what checks go by (not after a restart)."""
        ...

    def refusal(self, principal: Principal[Any]) -> SojournError | None:
        """Judge by what is known, without I/O; None while the principal is good."""
        ...

    def due_ms(self, principal: Principal[Any]) -> int:
        """Give the instant at which what was proved may be over."""
        ...

    async def look_again(self, principal: Principal[Any]) -> int:
        """Look whether a session goes on after that instant.

        Returns:
            The next such instant.

        Raises:
            SojournError: It does not, or that cannot be known.
        """
        ...

    async def freshen(self) -> None:
        """Make the picture fresh enough to go by, where the policy allows that.

        Raises:
            SojournError: It is not, and nothing may go on by it.
        """
        ...


class _Watch:
    """One connection."""

    __slots__ = ("due_ms", "ended", "principal")

    def __init__(self, principal: Principal[Any], due_ms: int) -> None:
        self.principal = principal
        self.due_ms = due_ms
        self.ended: Ended = asyncio.get_running_loop().create_future()

    def end(self, error: SojournError) -> None:
        if not self.ended.done():
            self.ended.set_result(error)


@asynccontextmanager
async def _cancelling(ended: Ended) -> AsyncIterator[None]:
    """Cancel what happens within the block when a future is done, and raise the error it gives.

    As `asyncio.timeout` does it: where somebody else has cancelled the task too, theirs counts.
    """
    task = asyncio.current_task()
    assert task is not None  # noqa: S101 - a coroutine runs in one
    before = task.cancelling()
    is_within, is_cancelled = True, False

    def cancel(_: Ended) -> None:
        nonlocal is_cancelled
        if is_within:  # the block may have come to its own end in the same turn of the loop
            is_cancelled = task.cancel()

    ended.add_done_callback(cancel)
    try:
        yield
    except asyncio.CancelledError:
        if is_cancelled and task.uncancel() <= before:
            raise ended.result() from None
        raise
    except BaseException:
        if is_cancelled:
            task.uncancel()
        raise
    else:
        if is_cancelled:  # the block kept the cancellation to itself
            task.uncancel()
            raise ended.result()
    finally:
        is_within = False


class Watching:
    """Everything that is watched in one event loop.

    Args:
        watched: Whose picture.
        clock: Gives milliseconds since the epoch.
    """

    def __init__(self, watched: Watched, clock: Callable[[], int]) -> None:
        """Watch nothing yet; the first connection starts the task, the last ends it."""
        self._watched = watched
        self._clock = clock
        self._by_sid: dict[str, set[_Watch]] = {}
        self._by_subject: dict[str, set[_Watch]] = {}
        self._task: asyncio.Task[None] | None = None
        self._stop_listening: Callable[[], None] = _nothing

    @property
    def count(self) -> int:
        """How many connections are watched."""
        return sum(map(len, self._by_sid.values()))

    @asynccontextmanager
    async def ended(self, principal: Principal[Any]) -> AsyncIterator[Ended]:
        """Watch as long as the block lasts.

        Args:
            principal: Who was just checked.

        Returns:
            A future that is done, with the reason, when the session is over.
        """
        watch = _Watch(principal, self._watched.due_ms(principal))
        self._add(watch)
        try:
            error = self._watched.refusal(principal)  # what came between the check and this
            if error is not None:
                watch.end(error)
            yield watch.ended
        finally:
            self._remove(watch)

    @asynccontextmanager
    async def watch(self, principal: Principal[Any]) -> AsyncIterator[None]:
        """End the block, by cancelling it, when the session is over; see `AsyncSojourn.watch`."""
        async with self.ended(principal) as ended:
            if ended.done():
                raise ended.result()
            async with _cancelling(ended):
                yield

    def _add(self, watch: _Watch) -> None:
        self._by_sid.setdefault(watch.principal.sid, set()).add(watch)
        self._by_subject.setdefault(watch.principal.subject, set()).add(watch)
        if self._task is None:
            self._listen()
            self._task = asyncio.create_task(self._run())

    def _listen(self) -> None:
        loop = asyncio.get_running_loop()  # kept only while something is watched

        def from_any_thread(events: Sequence[Event]) -> None:
            with suppress(RuntimeError):  # the loop is closing
                loop.call_soon_threadsafe(self._on_events, events)

        self._stop_listening = self._watched.listen(from_any_thread)

    def _remove(self, watch: _Watch) -> None:
        for index, key in (
            (self._by_sid, watch.principal.sid),
            (self._by_subject, watch.principal.subject),
        ):
            index[key].discard(watch)
            if not index[key]:
                del index[key]
        if not self._by_sid and self._task is not None:
            self._stop_listening()
            self._stop_listening = _nothing  # it knows the loop
            self._task.cancel()
            self._task = None

    # --- what ends a connection -------------------------------------------------------------------

    def _on_events(self, events: Sequence[Event]) -> None:
        for event in events:
            if event.kind is Kind.KEY:
                self._end_by_token()
            for watch in self._concerned(event):
                error = self._watched.refusal(watch.principal)
                if error is not None:
                    watch.end(error)

    def _end_by_token(self) -> None:
        """A signing key was stolen: whoever came by a token has to prove again who they are."""
        for watch in self._all():
            if watch.principal.mode != "session":
                watch.end(RefreshRequired("a signing key was revoked; connect again"))

    def _concerned(self, event: Event) -> Iterable[_Watch]:
        if event.sid is not None:
            return tuple(self._by_sid.get(event.sid, ()))
        return tuple(self._by_subject.get(event.subject or "", ()))

    def _all(self) -> list[_Watch]:
        return [watch for watches in self._by_sid.values() for watch in watches]

    async def _run(self) -> None:
        while True:
            await asyncio.sleep(LOOK_SECONDS)
            try:
                await self.look()
            except Exception:
                log.exception("looking after open connections failed, trying again")

    def _end_all(self, error: SojournError) -> None:
        for watch in self._all():
            watch.end(error)

    async def look(self) -> None:
        """End what is over, or whose picture is too old to go by."""
        if not self._watched.is_same():
            self._stop_listening()
            self._listen()
        try:
            await self._watched.freshen()
        except SojournError as error:
            self._end_all(error)
            return
        now_ms = self._clock()
        due: list[_Watch] = []
        for watch in self._all():
            refusal = self._watched.refusal(watch.principal)
            if refusal is not None:
                watch.end(refusal)
            elif now_ms >= watch.due_ms:
                due.append(watch)
        for start in range(0, len(due), LOOKS_AT_ONCE):
            await asyncio.gather(*map(self._look_again, due[start : start + LOOKS_AT_ONCE]))

    async def _look_again(self, watch: _Watch) -> None:
        try:
            watch.due_ms = await self._watched.look_again(watch.principal)
        except SojournError as error:
            watch.end(error)
        except Exception:
            log.exception("looking after an open connection failed, trying again")


class Watchings:
    """The `Watching` of each event loop that an engine or verifier is used in.

    Args:
        watched: Whose picture.
        clock: Gives milliseconds since the epoch.
    """

    def __init__(self, watched: Watched, clock: Callable[[], int]) -> None:
        """Watch nothing yet."""
        self._watched = watched
        self._clock = clock
        self._of_loop: WeakKeyDictionary[asyncio.AbstractEventLoop, Watching] = WeakKeyDictionary()

    @property
    def here(self) -> Watching:
        """The one of the running loop."""
        loop = asyncio.get_running_loop()
        watching = self._of_loop.get(loop)
        if watching is None:
            watching = self._of_loop[loop] = Watching(self._watched, self._clock)
        return watching
