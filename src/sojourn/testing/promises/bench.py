"""What each promise is tried on: a fresh store, a clock in the test's hand, and a few helpers."""

from __future__ import annotations

import asyncio
import inspect
import secrets
import sys
import threading
from concurrent.futures import ThreadPoolExecutor
from typing import TYPE_CHECKING, Any, TypeVar, cast

import msgspec

from sojourn.handles import new_sid, shard_of_subject
from sojourn.model import AuditRecord, Chain, Entry, Event, Head, Kind, Purpose, Session
from sojourn.ports import AsyncStore, AuditLine, Feed, Store, StoreInfo, inline
from sojourn.testing.clock import ManualClock

if TYPE_CHECKING:
    from collections.abc import Awaitable, Callable, Coroutine, Sequence

T = TypeVar("T")
S = TypeVar("S", bound="Suite")

AnyStore = Store | AsyncStore
LONGEST_TOKEN_MS = 3_600_000
"""The longest token life that the store under test is opened with."""
PATIENCE_SECONDS = 5.0
"""How long something that happens "soon" may take on a loaded machine."""
WORKERS = 16
DAY_SECONDS = 86_400


def equal(expected: object, actual: object, about: str) -> None:
    """Fail unless the two are equal; unlike a bare assert it stays under ``python -O``."""
    if expected != actual:
        raise AssertionError(f"{about}: expected {expected!r}, got {actual!r}")


def sure(condition: object, about: str) -> None:
    """Fail unless the condition holds."""
    if not condition:
        raise AssertionError(about)


def a_record(action: str, **fields: Any) -> AuditRecord:
    """Make a line for the trail."""
    return AuditRecord(at_ms=ManualClock()(), action=action, **fields)


def rewritten(session: Session, **changes: Any) -> Session:
    """Give the next revision of a session."""
    return msgspec.structs.replace(session, revision=session.revision + 1, **changes)


class Suite:
    """How the store under test is made; `StoreContract` adds the promises."""

    def make_store(self, clock: ManualClock) -> AnyStore | Awaitable[AnyStore]:
        """Make a new, empty, unopened store of either kind; may be ``async def``."""
        raise NotImplementedError(f"{type(self).__name__} must define make_store(self, clock)")

    def make_another(self, store: AnyStore, clock: ManualClock) -> AnyStore | Awaitable[AnyStore]:
        """Make a second store on the data of the first, as another process would.

        Override it where the data outlives the object; the default is the object itself.
        """
        del clock
        return store

    lingers_seconds: float = 0
    """How long an engine that expires records by itself keeps them after their end; it counts none.

    Such an engine has a clock of its own beside the test's: define `age`, too.
    """

    def age(self, store: AnyStore, seconds: float) -> Awaitable[None] | None:
        """Have the engine's own expiry come so much nearer; may be ``async def``.

        Called when the test's clock moves on. Override it where the engine expires by itself.
        """

    async def keep(self, check: Callable[[Any, Bench], Coroutine[Any, Any, None]]) -> None:
        """Try one promise on a store of its own."""
        bench = Bench(self)
        try:
            await bench.start()
            await check(self, bench)
        finally:
            await bench.stop()


def promise(check: Callable[[S, Bench], Coroutine[Any, Any, None]]) -> Callable[[S], None]:
    """Turn a coroutine that tries a promise into a test any runner can call, with no plugin."""

    def test(self: S) -> None:
        asyncio.run(self.keep(check))

    # Not functools.wraps: pytest would follow it and ask for a fixture called "bench".
    test.__name__, test.__qualname__ = check.__name__, check.__qualname__
    test.__doc__, test.__module__ = check.__doc__, check.__module__
    return test


class Bench:
    """One fresh, opened store with its clock.

    Args:
        suite: Makes the store.
    """

    store: AsyncStore
    info: StoreInfo
    is_blocking: bool

    def __init__(self, suite: Suite) -> None:
        """Prepare the clock; `start` makes the store."""
        self.clock = ManualClock()
        self._suite = suite
        self._opened: list[AsyncStore] = []

    async def start(self) -> None:
        """Make and open the store."""
        self._made: AnyStore = await _settled(self._suite.make_store(self.clock))
        self.store, self.info = await self._open(self._made, LONGEST_TOKEN_MS)

    async def stop(self) -> None:
        """Close whatever was opened, the latest first."""
        for store in reversed(self._opened):
            await store.close()

    async def pass_time(self, seconds: float) -> None:
        """Move the clock, and with it the engine's own expiry; the clock may be set back."""
        self.clock.advance(seconds=seconds)
        if seconds > 0:
            await _settled(self._suite.age(self._made, seconds))

    async def bury(self) -> int | None:
        """Purge, and let what lingers go.

        Returns:
            How many rows went; None where the engine does not count.
        """
        count = await self.store.purge()
        lingers_seconds = self._suite.lingers_seconds
        if not lingers_seconds:
            return count
        await _settled(self._suite.age(self._made, lingers_seconds))
        return None

    async def another(
        self, *, longest_token_ms: int = LONGEST_TOKEN_MS
    ) -> tuple[AsyncStore, StoreInfo]:
        """Open a second store on the same data."""
        made: AnyStore = await _settled(self._suite.make_another(self._made, self.clock))
        return await self._open(made, longest_token_ms)

    async def _open(self, made: AnyStore, longest_token_ms: int) -> tuple[AsyncStore, StoreInfo]:
        answer = made.open(longest_token_ms=longest_token_ms)
        # Which kind it is shows only here: an `AsyncStore` need not be written with `async def`.
        self.is_blocking = not inspect.isawaitable(answer)
        store = inline(cast("Store", made)) if self.is_blocking else cast("AsyncStore", made)
        self._opened.append(store)
        return store, await _settled(answer)

    async def together(self, jobs: Sequence[Coroutine[Any, Any, T]]) -> list[T]:
        """Run jobs at once: as tasks, or on threads where the store is a blocking one."""
        if not self.is_blocking:
            return list(await asyncio.gather(*jobs))
        loop = asyncio.get_running_loop()
        interval = sys.getswitchinterval()
        sys.setswitchinterval(1e-5)  # so that threads meet inside an operation, too
        try:
            with ThreadPoolExecutor(WORKERS) as pool:
                running = [loop.run_in_executor(pool, _run, job) for job in jobs]
                return list(await asyncio.gather(*running))
        finally:
            sys.setswitchinterval(interval)

    # --- making --------------------------------------------------------------------------------

    def shard(self, subject: str = "ada") -> int:
        """Place a subject."""
        return shard_of_subject(
            subject, placement_key=self.info.placement_key, shards=self.info.shards
        )

    def new_sid(self, subject: str = "ada") -> str:
        """Make a sid in the shard of a subject."""
        return new_sid(self.shard(subject), secrets.token_bytes(15))

    def draft(self, subject: str = "ada", **changes: Any) -> Session:
        """Make a session that is not stored yet; it lives for 30 days, 14 days idle."""
        now_ms = self.clock()
        fields: dict[str, Any] = {
            "sid": self.new_sid(subject),
            "subject": subject,
            "mode": "hybrid",
            "transport": "cookie",
            "seed": secrets.token_bytes(32),
            "position": 0,
            "chains": {Purpose.REFRESH: Chain(1, "5ec2e71d", now_ms)},
            "created_at_ms": now_ms,
            "auth_time_ms": now_ms,
            "seen_at_ms": now_ms,
            "expires_at_ms": now_ms + 30 * DAY_SECONDS * 1000,
            "idle_ms": 14 * DAY_SECONDS * 1000,
        }
        return Session(**(fields | changes))

    async def signed_in(self, subject: str = "ada", **changes: Any) -> Session:
        """Store a new session without a limit."""
        session = self.draft(subject, **changes)
        created = await self.store.create(session, limit=None, on_excess="refuse")
        equal("created", created.outcome, "a session without a limit is created")
        return session

    async def append(self, *events: Event, subject: str = "ada") -> tuple[Entry, ...]:
        """Append to the feed of a subject's shard; a subject's OUTDATED event where none is given."""
        given = events or (Event(kind=Kind.OUTDATED, subject=subject),)
        return (await self.store.append(self.shard(subject), given)).entries

    # --- looking -------------------------------------------------------------------------------

    async def head(self, subject: str = "ada") -> Head:
        """Read the head of a subject's shard."""
        return await self.store.head(self.shard(subject))

    async def entries(self, subject: str = "ada", *, after: int = 0) -> tuple[Entry, ...]:
        """Read a subject's shard to its end, in one page."""
        page = await self.store.read(self.shard(subject), after=after, limit=100_000)
        return page.entries

    async def actions(self) -> list[str]:
        """Read the trail's actions, in order."""
        return [line.record.action for line in await self.trail()]

    async def trail(self, **filters: Any) -> list[AuditLine]:
        """Read the trail."""
        return list(await self.store.read_audit(**{"limit": 100_000, **filters}))

    async def record(self, sid: str) -> object:
        """Read a session, tombstone or nothing."""
        return (await self.store.get(sid)).record

    async def session(self, sid: str) -> Session:
        """Read a session that is there."""
        record = await self.record(sid)
        if isinstance(record, Session):
            return record
        raise AssertionError(f"the session is gone: {record!r}")

    async def everything(self, subject: str = "ada") -> tuple[object, ...]:
        """Take in all that an operation on a subject could have changed."""
        return (
            list(await self.store.list(subject)),
            await self.entries(subject),
            await self.head(subject),
            await self.trail(),
        )


async def _settled(value: T | Awaitable[T]) -> T:
    if inspect.isawaitable(value):
        return await value
    return value


def _run(job: Coroutine[Any, Any, T]) -> T:
    return asyncio.run(job)


class FollowerThread:
    """One thread that opens a `Feed` and uses it, as the engine's follower does.

    Args:
        bench: Whose store is followed.
        work: What the thread does with its reader; it sets the event when it is ready.
    """

    def __init__(self, bench: Bench, work: Callable[[Feed, threading.Event], None]) -> None:
        """Start the thread."""
        self._bench = bench
        self._work = work
        self._is_ready = threading.Event()
        self._failures: list[BaseException] = []
        # A daemon: a reader that never returns must not keep the test run from ending.
        self._thread = threading.Thread(target=self._run, daemon=True)
        self._thread.start()

    def _run(self) -> None:
        try:
            self._feed = self._bench.store.feed()
            self._work(self._feed, self._is_ready)
        except BaseException as failure:  # noqa: BLE001 - raised again where it is waited for
            self._failures.append(failure)
        finally:
            self._is_ready.set()

    async def is_ready(self) -> None:
        """Wait until the thread says that it is ready."""
        await asyncio.to_thread(self._is_ready.wait, PATIENCE_SECONDS)
        sure(self._is_ready.is_set(), "the reader does not get to its wait")
        self._raise()

    def close_feed(self) -> None:
        """Close the reader from outside, as the engine does when it stops."""
        self._feed.close()

    async def ends_soon(self, about: str) -> None:
        """Fail unless the thread ends soon, and well."""
        await asyncio.to_thread(self._thread.join, PATIENCE_SECONDS)
        sure(not self._thread.is_alive(), about)
        self._raise()

    def _raise(self) -> None:
        for failure in self._failures:
            raise failure
