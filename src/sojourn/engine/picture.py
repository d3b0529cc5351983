"""This process's picture of what is revoked: the view, near copies, and how fresh.

`sojourn.engine.follower` reads a shard's feed after its cursor; here it is checked that each entry's
`previous_tag` is the tag before it. Fresh means that the head's id *and* tag equal the cursor's, dated from when the
question was sent. Anything else is a gap: the near copies are emptied, a snapshot is taken, known
revocations are kept, and those that the snapshot lacks are given back to the store.

An isolated primary answers for ever that its head is the newest. Where the engine is replicated,
a read therefore proves nothing but that the newest heartbeat was written after the read before:
that one's sending dates the picture.
"""

from __future__ import annotations

import logging
import threading
import time
from collections.abc import Callable
from contextlib import suppress
from dataclasses import dataclass, field
from functools import partial
from math import inf
from typing import Any, Generic, TypeVar

from sojourn.handles import shard_of_sid
from sojourn.model import Entry, Event, Head, Kind, Principal, Session
from sojourn.ports import Clock, Later, Page, Tentative, at_once
from sojourn.revocations import Verdict, View

log = logging.getLogger("sojourn.feed")

PAGE_ENTRIES = 1000
PURGE_MARGIN_MS = 300_000
"""What expires within this is not missed after a gap: a clock a little ahead may have purged it.
Entries are kept eleven minutes longer than what they concern."""
NEAR_LIFE_MS = 600_000
"""A near copy is read again after this long, so that it never outlives the entry that ended it."""

V = TypeVar("V")
OnEntries = Callable[[tuple[Entry, ...]], None]


class Bounded(Generic[V]):
    """A dictionary that forgets its oldest entry beyond a size."""

    __slots__ = ("_limit", "entries")

    def __init__(self, limit: int) -> None:
        """Start empty."""
        self._limit = limit
        self.entries: dict[str, V] = {}

    def put(self, key: str, value: V) -> None:
        """Remember, forgetting the oldest where full."""
        entries = self.entries
        if len(entries) >= self._limit and key not in entries:
            # Where another thread emptied or changed it meanwhile, it made room itself.
            with suppress(StopIteration, RuntimeError):
                entries.pop(next(iter(entries)), None)
        entries[key] = value


@dataclass(frozen=True, slots=True)
class Stamp:
    """An instant on both clocks; elapsed time is the larger difference (frozen functions)."""

    wall_ms: int
    monotonic_ms: float

    def age_ms(self, now: Stamp) -> float:
        """Tell how long ago this was."""
        return max(now.wall_ms - self.wall_ms, now.monotonic_ms - self.monotonic_ms, 0)

    def at_least_ms(self, now: Stamp) -> int:
        """Tell the time that has come for sure, by the clock that moved on less since this.

        A wall clock that leaps ahead for a moment must not have revocations forgotten.
        """
        return min(now.wall_ms, self.wall_ms + int(now.monotonic_ms - self.monotonic_ms))


@dataclass(frozen=True, slots=True)
class NearCopy:
    """A session as read from the store, under the exact handle whose MAC was verified."""

    session: Session
    principal: Principal[Any]
    read_at: Stamp


_Fact = tuple[Kind, str | None, str | None, str | None]


def _fact(event: Event) -> _Fact:
    return event.kind, event.sid, event.subject, event.kid


@dataclass(frozen=True, slots=True)
class Lost:
    """What a shard's store once acknowledged and does not know any more.

    Args:
        events: Each as it would be said again.
        above: A position that was handed out before; new ones have to be above it.
    """

    events: tuple[Event, ...]
    above: int


@dataclass(slots=True)
class _Shard:
    cursor: Head | None = None
    """None: a snapshot has to be taken."""
    is_snapshotting: bool = True
    fresh_at: Stamp | None = None
    proof: int = 0
    """The newest heartbeat or entry seen."""
    asked_at: Stamp | None = None
    """When the latest read was sent that did not contain what comes after `proof`."""
    snapshot: View | None = None
    """What the store says after a gap, to find what it has lost."""
    lost: dict[_Fact, Event] = field(default_factory=dict)
    above: int = 0
    """A position that was handed out before the store lost it."""


class Picture:
    """What this process knows.

    Args:
        shards: How many shards the store has.
        clock: The wall clock.
        monotonic_ms: The monotonic clock.
        on_keys: Called when the key ring changed or a key was revoked.
        shard_of: Places a subject.
        when_committed: Acts once the store's writes are there to stay.
        tentative: Tells whether what is read is there to stay; None where it always is.
    """

    def __init__(
        self,
        *,
        shards: int,
        clock: Clock,
        monotonic_ms: Callable[[], float],
        on_keys: Callable[[], None],
        shard_of: Callable[[str], int] = lambda _: 0,
        when_committed: Later = at_once,
        tentative: Tentative | None = None,
    ) -> None:
        """Know nothing: lag is infinite."""
        self.view = View()
        self.near: Bounded[NearCopy] = Bounded(50_000)
        self.tentative = tentative
        self.epoch = 0
        self.gaps = 0
        self._shards = [_Shard() for _ in range(shards)]
        self._clock = clock
        self._monotonic_ms = monotonic_ms
        self._began = self.stamp()
        self._on_keys = on_keys
        self._shard_of = shard_of
        self._when_committed = when_committed
        self._listeners: tuple[OnEntries, ...] = ()
        self._lock = threading.Lock()

    def stamp(self) -> Stamp:
        """Read both clocks."""
        return Stamp(self._clock(), self._monotonic_ms())

    def lag_ms(self, shard: int | None = None) -> float:
        """Tell how old the picture is: of one shard, or the oldest of all."""
        now = self.stamp()
        shards = self._shards if shard is None else self._shards[shard : shard + 1]
        return max(inf if s.fresh_at is None else s.fresh_at.age_ms(now) for s in shards)

    def on_change(self, callback: OnEntries) -> Callable[[], None]:
        """Have a callback called, from any thread, with entries after they were taken in.

        A wake-up, never truth: after a gap entries come once more. Read what is there.

        Returns:
            What to call to have it called no more.
        """
        with self._lock:
            self._listeners = (*self._listeners, callback)

        def remove() -> None:
            with self._lock:
                self._listeners = tuple(one for one in self._listeners if one is not callback)

        return remove

    def _tell(self, entries: tuple[Entry, ...]) -> None:
        for callback in self._listeners:
            callback(entries)

    # --- taking in --------------------------------------------------------------------------------

    def note(self, entries: tuple[Entry, ...]) -> None:
        """Take in what this process itself appended, before the follower reads it back.

        What is rolled back after all is never taken in.
        """
        if entries:
            self._when_committed(partial(self._note, entries))

    def _note(self, entries: tuple[Entry, ...]) -> None:
        with self._lock:
            for entry in entries:
                self._apply(entry)
        self._tell(entries)

    def cursor(self, shard: int) -> Head | None:
        """Give the place after which to read; None for a snapshot from the beginning."""
        return self._shards[shard].cursor

    def take(self, shard: int, *, start: Head | None, page: Page, sent: Stamp) -> bool:
        """Take in a page that was read after `start`.

        Args:
            shard: Which shard.
            start: The cursor the page was read after.
            page: Entries and the head of the same instant.
            sent: When the question was sent.

        Returns:
            Whether the picture now equals the head; False: read on.
        """
        with self._lock:
            is_whole = self._take(shard, self._shards[shard], start, page, sent)
        if page.entries:
            self._tell(page.entries)
        return is_whole

    def _take(self, shard: int, state: _Shard, start: Head | None, page: Page, sent: Stamp) -> bool:
        if state.cursor is not start:
            return False  # somebody else has read on meanwhile
        tag = start.tag if start else 0
        for entry in page.entries:
            if not state.is_snapshotting and entry.previous_tag != tag:
                return self._gap(state, page.head)
            self._apply(entry)
            if state.snapshot is not None:
                state.snapshot.apply(entry)
            if state.lost:
                self._is_known_again(state, entry.event)
            tag = entry.tag
            state.cursor = Head(entry.id, entry.tag)
        is_whole = len(page.entries) < PAGE_ENTRIES
        if state.is_snapshotting and is_whole:
            # A purge may have taken entries out of the chain; the head is of the same instant.
            state.cursor = page.head
        if state.cursor != page.head:
            return self._gap(state, page.head) if is_whole else False
        state.is_snapshotting = False
        self._date(state, page, sent)
        if state.snapshot is not None:
            state.lost = self._lost_by(shard, state.snapshot)
            state.snapshot = None
        return True

    def _date(self, state: _Shard, page: Page, sent: Stamp) -> None:
        if page.beat is None:
            state.fresh_at = sent
            return
        proof = max(page.head.id, page.beat)
        if proof > state.proof:
            state.proof, state.fresh_at, state.asked_at = proof, state.asked_at, sent
        elif state.asked_at is None or sent.monotonic_ms > state.asked_at.monotonic_ms:
            state.asked_at = sent

    def _gap(self, state: _Shard, head: Head) -> bool:
        log.warning("the revocation feed has a gap or went backwards; taking a snapshot")
        self.gaps += 1
        self.epoch += 1
        self.near.entries.clear()
        if state.cursor is not None and head.id < state.cursor.id:
            state.above = max(state.above, state.cursor.id)
        # A new primary's heartbeats may be behind those of the old one for as long as its clock is.
        state.proof = 0
        state.cursor = None
        state.is_snapshotting = True
        state.fresh_at = state.asked_at = None
        state.snapshot = View()
        return False

    # --- what the store has lost ------------------------------------------------------------------

    def _lost_by(self, shard: int, snapshot: View) -> dict[_Fact, Event]:
        """Find what was known of a shard and is not in its snapshot after a gap."""
        lost = self.view.missing_from(snapshot, after_ms=self._clock() + PURGE_MARGIN_MS)
        return {_fact(event): event for event in lost if self._is_of(event, shard)}

    def _is_of(self, event: Event, shard: int) -> bool:
        if event.sid is not None:
            return shard_of_sid(event.sid) == shard
        return event.subject is None or self._shard_of(event.subject) == shard

    def _is_known_again(self, state: _Shard, event: Event) -> None:
        """Strike off what somebody has told the store again: this process, or another one."""
        state.lost.pop(_fact(event), None)
        if event.kind is Kind.ENDED and event.subject is None:
            # A session that had lost a change is ended instead.
            state.lost.pop((Kind.CHANGED, event.sid, None, None), None)

    def lost(self) -> dict[int, Lost]:
        """Tell by shard what the store once acknowledged and does not know any more."""
        with self._lock:
            return {
                n: Lost(tuple(state.lost.values()), state.above)
                for n, state in enumerate(self._shards)
                if state.lost or state.above
            }

    def has_restored(self, shard: int, lost: Lost) -> None:
        """Take note that the store knows again."""
        with self._lock:
            state = self._shards[shard]
            for event in lost.events:
                self._is_known_again(state, event)
            if state.above == lost.above:
                state.above = 0

    def _apply(self, entry: Entry) -> None:
        self.view.apply(entry)
        if entry.event.kind in {Kind.KEY, Kind.RING}:
            self._on_keys()

    def forget(self) -> None:
        """Drop what nothing alive can be concerned by any more."""
        with self._lock:
            self.view.forget(now_ms=self._began.at_least_ms(self.stamp()))

    # --- near copies ------------------------------------------------------------------------------

    def keep_near(self, handle_text: str, copy: NearCopy, *, epoch: int) -> None:
        """Keep a session that was just read, unless its own invalidation overtook the reply.

        What was read in a transaction of the application is not kept: it may be rolled back.

        Args:
            handle_text: The exact handle presented.
            copy: What was read.
            epoch: The picture's epoch before it was read; a gap since then drops the copy.
        """
        if self.tentative is not None and self.tentative.is_tentative():
            return
        with self._lock:
            if epoch == self.epoch and self.judge_session(copy.session) is Verdict.GOOD:
                self.near.put(handle_text, copy)

    def judge_session(self, session: Session) -> Verdict:
        """Judge a near copy."""
        return self.view.judge(
            subject=session.subject,
            sid=session.sid,
            position=session.position,
            version=session.version,
        )


def monotonic_ms() -> float:
    """Read the monotonic clock, in milliseconds."""
    return time.monotonic_ns() / 1e6
