"""One hub per process reads the feed for all its streams: the ring, and what a stream takes from it.

The process's picture wakes it (never truth: the store is read), each entry is written down once, and
the chain is checked, so that a gap is found here for everybody.
"""

from __future__ import annotations

import asyncio
import logging
import time
from collections import Counter
from collections.abc import AsyncIterator, Iterator
from contextlib import contextmanager, suppress
from dataclasses import dataclass
from math import inf
from typing import TYPE_CHECKING, Any

import msgspec

from sojourn.errors import SojournError
from sojourn.jose import base64url
from sojourn.model import Entry, Head
from sojourn.server.throttle import RateLimited

if TYPE_CHECKING:
    from sojourn.engine.core import Core

log = logging.getLogger("sojourn.server")

FALLBACK_SECONDS = 0.5
"""How often the store is read where nothing wakes the hub; a wake-up is never truth."""
HEARTBEAT_SECONDS = 1.0
PAGE_ENTRIES = 1000
RING_ENTRIES = 4096
"""What a stream may be behind and still be served from memory; beyond, it reads the store itself."""
MAX_STREAMS = 5000
"""A stream costs a descriptor and some 60 KiB: 300 MiB at most."""
MAX_STREAMS_OF_ONE = 2000
"""One token serves all processes of a service; a runaway one leaves room for the others."""
BUSY_SECONDS = 5

Cursor = tuple[Head, ...]


class FeedGap(SojournError):
    """The feed does not continue this cursor; take a snapshot."""

    code = "feed_gap"
    status = 410


class TooManyStreams(RateLimited):
    """As many streams are open as this server, or this verifier, may have; follow elsewhere or later."""

    code = "too_many_streams"

    def __init__(self) -> None:
        """Say when to come back."""
        super().__init__(BUSY_SECONDS)
        self.args = (f"too many streams are open; try again in {BUSY_SECONDS} seconds, or poll",)


def encode_cursor(cursor: Cursor) -> str:
    """Write a cursor, one head a shard; clients take it as opaque."""
    return base64url.encode(msgspec.json.encode(cursor)).decode()


def shown_entry(entry: Entry) -> dict[str, Any]:
    """Describe an entry: what a verifier applies, and until when it matters."""
    return {
        "id": entry.id,
        "expires_at_ms": entry.expires_at_ms,
        **msgspec.to_builtins(entry.event),
    }


def shown_lag(*lags_ms: float) -> int | None:
    """Write the largest of some lags; None where one is infinite."""
    lag_ms = max(lags_ms)
    return None if lag_ms == inf else round(lag_ms)


async def entries_after(core: Core, shard: int, head: Head) -> AsyncIterator[Entry]:
    """Read a shard from a place to its head, in the order of the chain.

    Raises:
        FeedGap: What is there does not continue the place.
    """
    while True:
        page = await core.store.read(shard, after=head.id, limit=PAGE_ENTRIES)
        for entry in page.entries:
            if entry.previous_tag != head.tag:
                raise FeedGap("the feed does not continue this cursor; take a snapshot")
            head = Head(entry.id, entry.tag)
            yield entry
        if len(page.entries) < PAGE_ENTRIES:
            if head != page.head:
                raise FeedGap("the feed does not continue this cursor; take a snapshot")
            return


@dataclass(frozen=True, slots=True)
class _Line:
    """An entry in the ring, written once for all streams, with the hub's cursor after it."""

    shard: int
    entry: Entry
    heads: Cursor
    text: bytes


class Hub:
    """Reads the feed once for all streams of this process.

    Args:
        core: Whose store and picture.
    """

    def __init__(self, core: Core) -> None:
        """Read nothing before the first stream."""
        self.core = core
        self.generation = 0
        """Moves when the feed has a gap: every stream of before ends."""
        self.beats = 0
        self.heads: Cursor = ()
        self.moved = asyncio.Event()
        """Set, and replaced, whenever there is something to send."""
        self._base: Cursor = ()
        self._ring: list[_Line] = []
        self._dropped = 0
        self._read_at = -inf
        self._reading = asyncio.Lock()
        self._wake = asyncio.Event()
        self._streams: Counter[str] = Counter()
        self._task: asyncio.Task[None] | None = None

    # --- who is here ------------------------------------------------------------------------------

    @property
    def count(self) -> int:
        """How many streams there are."""
        return self._streams.total()

    def require_room(self, name: str) -> None:
        """Refuse one stream too many.

        Raises:
            TooManyStreams: It would be.
        """
        if self.count >= MAX_STREAMS or self._streams[name] >= MAX_STREAMS_OF_ONE:
            raise TooManyStreams

    @contextmanager
    def joined(self, name: str) -> Iterator[None]:
        """Count a stream as long as the block lasts; the first starts the hub, the last ends it."""
        self._streams[name] += 1
        if self._task is None:
            self._task = asyncio.create_task(self._run())
        try:
            yield
        finally:
            self._streams[name] -= 1
            self._streams += Counter()  # drops who has none
            if not self._streams and self._task is not None:
                self._task.cancel()
                self._task = None

    def tell(self) -> None:
        """Have every stream look whether there is something to send, or whether it is to end."""
        moved, self.moved = self.moved, asyncio.Event()
        moved.set()

    # --- reading ----------------------------------------------------------------------------------

    async def _run(self) -> None:
        loop = asyncio.get_running_loop()

        def from_any_thread(_: tuple[Entry, ...]) -> None:
            with suppress(RuntimeError):  # the loop is closing
                loop.call_soon_threadsafe(self._wake.set)

        remove = self.core.picture.on_change(from_any_thread)
        last_beat, is_quiet = -inf, False
        try:
            while True:
                self._wake.clear()
                try:
                    await self.read()
                    is_quiet = False
                except SojournError as error:
                    if not is_quiet:
                        log.warning("reading the feed for verifiers failed: %s", error)
                    is_quiet = True  # said once; how old the feed is, every heartbeat says
                except Exception:
                    log.exception("reading the feed for verifiers failed, trying again")
                now = time.monotonic()
                if now - last_beat >= HEARTBEAT_SECONDS - FALLBACK_SECONDS / 2:
                    last_beat, self.beats = now, self.beats + 1
                    self.tell()
                with suppress(TimeoutError):
                    async with asyncio.timeout(FALLBACK_SECONDS):
                        await self._wake.wait()
        finally:
            remove()

    async def read(self) -> None:
        """Read every shard up to its head."""
        async with self._reading:
            sent, before = time.monotonic(), self.end
            if not self.heads:
                await self._start_over()
            try:
                for shard in range(len(self.heads)):
                    async for entry in entries_after(self.core, shard, self.heads[shard]):
                        self._take(shard, entry)
            except FeedGap:
                log.warning("the revocation feed has a gap; verifiers take a snapshot")
                self.generation += 1
                await self._start_over()
                self.tell()
            finally:
                if self.end != before:
                    self.tell()
            self._read_at = sent

    async def _start_over(self) -> None:
        shards = range(self.core.opened.shards)
        self.heads = self._base = tuple([await self.core.store.head(shard) for shard in shards])
        self._dropped += len(self._ring)
        self._ring = []

    def _take(self, shard: int, entry: Entry) -> None:
        heads = self.heads
        self.heads = (*heads[:shard], Head(entry.id, entry.tag), *heads[shard + 1 :])
        text = event("entry", shown_entry(entry), encode_cursor(self.heads))
        self._ring.append(_Line(shard, entry, self.heads, text))
        if len(self._ring) >= 2 * RING_ENTRIES:
            self._base = self._ring[RING_ENTRIES - 1].heads
            self._dropped += RING_ENTRIES
            del self._ring[:RING_ENTRIES]

    # --- what streams take ------------------------------------------------------------------------

    @property
    def end(self) -> int:
        """The number that the next line gets."""
        return self._dropped + len(self._ring)

    def since(self, number: int) -> list[_Line] | None:
        """Give the lines from a number on; None where they are gone."""
        return self._ring[number - self._dropped :] if number >= self._dropped else None

    def after(self, heads: Cursor) -> list[_Line] | None:
        """Give the lines after a cursor; None where it is behind the ring.

        Raises:
            FeedGap: What is there does not continue the cursor.
        """
        if any(head.id < base.id for head, base in zip(heads, self._base, strict=True)):
            return None
        seen, lines = list(heads), []
        for line in self._ring:
            if line.entry.id > seen[line.shard].id:
                if line.entry.previous_tag != seen[line.shard].tag:
                    raise FeedGap("the feed does not continue this cursor; take a snapshot")
                seen[line.shard] = Head(line.entry.id, line.entry.tag)
                lines.append(line)
        if tuple(seen) != self.heads:
            raise FeedGap("the feed does not continue this cursor; take a snapshot")
        return lines

    def has_to_read(self, heads: Cursor) -> bool:
        """Tell whether the hub was idle, or a cursor is of a later moment than its own."""
        is_idle = time.monotonic() - self._read_at > 2 * FALLBACK_SECONDS
        return is_idle or any(a.id > b.id for a, b in zip(heads, self.heads, strict=True))

    def heartbeat(self, *, opened: float) -> bytes:
        """Write a heartbeat: how long a stream has been open, and how old what it was sent is."""
        now = time.monotonic()
        lag_ms = shown_lag((now - self._read_at) * 1000, self.core.picture.lag_ms())
        said = {"open_ms": round((now - opened) * 1000), "lag_ms": lag_ms}
        return event("heartbeat", said, encode_cursor(self.heads))


def event(name: str, data: dict[str, Any], cursor: str = "") -> bytes:
    """Write a server-sent event."""
    identity = f"id: {cursor}\n" if cursor else ""
    return f"event: {name}\n{identity}data: {msgspec.json.encode(data).decode()}\n\n".encode()
