"""`GET /auth/revocations`: the feed for verifiers that do not have the store.

Asked for JSON, the answer without a cursor is a snapshot: everything that could still concern a
token, and a cursor. With `?cursor=` it is what came after, or 410 `feed_gap` where the feed does not
continue the cursor: take a snapshot. Asked for `text/event-stream`, the stream goes on after a cursor
(`?cursor=` or Last-Event-ID): an event an entry, and a heartbeat each second that carries the
milliseconds since the stream was opened and this server's own lag, from which a client tells its
lag behind any proxy that buffers. A gap is one `gap` event, and the end. The stream ends by itself
after ten minutes.

However many streams there are, one hub per process reads the store, woken by the process's picture,
and writes each entry down once.
"""

from __future__ import annotations

import asyncio
import logging
import time
from collections import Counter
from collections.abc import AsyncIterator, Iterator
from contextlib import contextmanager, suppress
from dataclasses import dataclass, field
from math import inf
from typing import TYPE_CHECKING, Any

import msgspec
from starlette.requests import Request
from starlette.responses import Response, StreamingResponse
from starlette.routing import Route

from sojourn.errors import SojournError
from sojourn.jose import base64url
from sojourn.model import Entry, Head
from sojourn.server.api import answer
from sojourn.server.requests import BadRequest
from sojourn.server.throttle import RateLimited

if TYPE_CHECKING:
    from starlette.types import Receive, Scope, Send

    from sojourn.engine.core import Core
    from sojourn.server.verifiers import Verifiers
    from sojourn.starlette import Auth

log = logging.getLogger("sojourn.server")

FALLBACK_SECONDS = 0.5
"""How often the store is read where nothing wakes the hub; a wake-up is never truth."""
HEARTBEAT_SECONDS = 1.0
RECHECK_SECONDS = 60.0
STREAM_SECONDS = 600.0
SEND_SECONDS = 10.0
"""A client that takes nothing for so long is cut off; it goes on at its cursor."""
PAGE_ENTRIES = 1000
RING_ENTRIES = 4096
"""What a stream may be behind and still be served from memory; beyond, it reads the store itself."""
MAX_STREAMS = 5000
"""A stream costs a descriptor and some 60 KiB: 300 MiB at most."""
MAX_STREAMS_OF_ONE = 2000
"""One token serves all processes of a service; a runaway one leaves room for the others."""
BUSY_SECONDS = 5
MAX_ID = 2**63 - 1

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


def decode_cursor(text: str, *, shards: int) -> Cursor:
    """Read a cursor.

    Raises:
        BadRequest: It is none of this store.
    """
    try:
        cursor = msgspec.json.decode(base64url.decode(text.encode()), type=Cursor)
    except (SojournError, ValueError, msgspec.MsgspecError):
        cursor = ()
    if len(cursor) != shards or not all(0 <= head.id <= MAX_ID for head in cursor):
        raise BadRequest("that is no cursor of this feed; take a snapshot")
    return cursor


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


# --- the hub --------------------------------------------------------------------------------------


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

    def wake(self) -> None:
        """Have the store read, and every stream look whether it is to end."""
        self._wake.set()

    # --- reading ----------------------------------------------------------------------------------

    async def _run(self) -> None:
        loop = asyncio.get_running_loop()

        def from_any_thread() -> None:
            with suppress(RuntimeError):  # the loop is closing
                loop.call_soon_threadsafe(self._wake.set)

        remove = self.core.picture.on_change(from_any_thread)
        last_beat, is_quiet = -inf, False
        try:
            while True:
                self._wake.clear()
                before = self.end
                try:
                    await self.read()
                    is_quiet = False
                except SojournError as error:
                    if not is_quiet:
                        log.warning("reading the feed for verifiers failed: %s", error)
                    is_quiet = True  # said once; how old the feed is, every heartbeat says
                now = time.monotonic()
                is_beat = now - last_beat >= HEARTBEAT_SECONDS
                if is_beat:
                    last_beat, self.beats = now, self.beats + 1
                if is_beat or self.end != before or self._wake.is_set():
                    self._tell()
                with suppress(TimeoutError):
                    async with asyncio.timeout(FALLBACK_SECONDS):
                        await self._wake.wait()
        finally:
            remove()

    def _tell(self) -> None:
        moved, self.moved = self.moved, asyncio.Event()
        moved.set()

    async def read(self) -> None:
        """Read every shard up to its head."""
        async with self._reading:
            sent = time.monotonic()
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
                self._tell()
            self._read_at = sent

    async def _start_over(self) -> None:
        shards = range(self.core.opened.shards)
        self.heads = self._base = tuple([await self.core.store.head(shard) for shard in shards])
        self._dropped += len(self._ring)
        self._ring = []

    def _take(self, shard: int, entry: Entry) -> None:
        heads = self.heads
        self.heads = (*heads[:shard], Head(entry.id, entry.tag), *heads[shard + 1 :])
        text = _event("entry", shown_entry(entry), encode_cursor(self.heads))
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
        return _event("heartbeat", said, encode_cursor(self.heads))


# --- the endpoint ---------------------------------------------------------------------------------


@dataclass(slots=True)
class RevocationFeed:
    """The endpoint.

    Args:
        auth: The adapter.
        verifiers: Who may follow.
    """

    auth: Auth[Any]
    verifiers: Verifiers
    _is_stopping: bool = False
    _hub: Hub | None = field(default=None, repr=False)

    def route(self) -> Route:
        """Give the route."""
        return Route("/auth/revocations", self.revocations, methods=["GET"])

    @property
    def streams(self) -> int:
        """How many streams are open, for metrics."""
        return self._hub.count if self._hub else 0

    def stop(self) -> None:
        """End all streams, so that the server can."""
        self._is_stopping = True
        if self._hub is not None:
            self._hub.wake()

    async def revocations(self, request: Request) -> Response:
        """Answer with a snapshot, with what came after a cursor, or with a stream."""
        authorization = request.headers.get("authorization", "")
        name = await self.verifiers.named_by(authorization)
        core = self.auth.sojourn.core
        info = await core.ready()
        text = request.query_params.get("cursor", "")
        if "text/event-stream" not in request.headers.get("accept", ""):
            cursor = decode_cursor(text, shards=info.shards) if text else None
            return answer(
                await (self._snapshot(info.shards) if cursor is None else self._on(cursor))
            )
        cursor = decode_cursor(request.headers.get("last-event-id") or text, shards=info.shards)
        if self._hub is None:
            self._hub = Hub(core)
        self._hub.require_room(name)
        return _Following(self._stream(self._hub, cursor, authorization), self._hub, name)

    async def _snapshot(self, shards: int) -> dict[str, Any]:
        await self._catch_up(shards)
        entries: list[Entry] = []
        heads: list[Head] = []
        for shard in range(shards):
            after = 0
            while True:
                page = await self.auth.sojourn.core.store.read(
                    shard, after=after, limit=PAGE_ENTRIES
                )
                entries += page.entries
                if len(page.entries) < PAGE_ENTRIES:
                    break
                after = page.entries[-1].id
            heads.append(page.head)
        return self._shown(tuple(heads), entries)

    async def _on(self, cursor: Cursor) -> dict[str, Any]:
        """Read on after a cursor, from the store itself: whoever polls wants to know now."""
        core = self.auth.sojourn.core
        await self._catch_up(len(cursor))
        heads, entries = list(cursor), []
        for shard, head in enumerate(cursor):
            async for entry in entries_after(core, shard, head):
                heads[shard] = Head(entry.id, entry.tag)
                entries.append(entry)
        return self._shown(tuple(heads), entries)

    async def _catch_up(self, shards: int) -> None:
        """Bring this server's own picture up to date, so that its lag is that of the answer."""
        for shard in range(shards):
            await self.auth.sojourn.core.catch_up(shard)

    def _shown(self, heads: Cursor, entries: list[Entry]) -> dict[str, Any]:
        return {
            "cursor": encode_cursor(heads),
            "lag_ms": shown_lag(self.auth.sojourn.core.picture.lag_ms()),
            "entries": [shown_entry(entry) for entry in entries],
        }

    async def _stream(self, hub: Hub, cursor: Cursor, authorization: str) -> AsyncIterator[bytes]:
        opened = last_recheck = time.monotonic()
        yield _event("open", {"cursor": encode_cursor(cursor)})
        try:
            if hub.has_to_read(cursor):
                await hub.read()
            while (lines := hub.after(cursor)) is None:
                heads = list(cursor)
                for shard, head in enumerate(cursor):
                    async for entry in entries_after(hub.core, shard, head):
                        heads[shard] = Head(entry.id, entry.tag)
                        yield _event("entry", shown_entry(entry), encode_cursor(tuple(heads)))
                cursor = tuple(heads)
                await hub.read()
        except FeedGap:
            yield _event("gap", {})
            return
        except SojournError as error:
            log.warning("a verifier's stream is ended: %s", error)
            return
        number, generation, beats = hub.end, hub.generation, -1
        if lines:
            yield b"".join(line.text for line in lines)
        while not self._is_stopping:
            moved = hub.moved
            if hub.generation != generation:
                yield _event("gap", {})
                return
            fresh = hub.since(number)
            if fresh is None:
                return  # too slow for the ring; it goes on at its cursor
            number += len(fresh)
            chunk = b"".join(line.text for line in fresh)
            if hub.beats != beats:
                beats = hub.beats
                chunk += hub.heartbeat(opened=opened)
            if chunk:
                yield chunk
                continue  # something may have come while this was sent
            now = time.monotonic()
            if now - opened >= STREAM_SECONDS:
                return
            if now - last_recheck >= RECHECK_SECONDS:
                last_recheck = now
                try:
                    await self.verifiers.named_by(authorization)
                except SojournError as error:
                    log.info("a verifier's stream is ended: %s", error)
                    return
                continue
            await moved.wait()


class _Following(StreamingResponse):
    """A stream that counts as long as it lasts, and does not wait for a client that reads nothing."""

    def __init__(self, events: AsyncIterator[bytes], hub: Hub, name: str) -> None:
        headers = {"Cache-Control": "no-store", "X-Accel-Buffering": "no"}
        super().__init__(events, media_type="text/event-stream", headers=headers)
        self._hub = hub
        self._name = name

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        with self._hub.joined(self._name):
            await super().__call__(scope, receive, send)

    async def stream_response(self, send: Send) -> None:
        async def send_in_time(message: Any) -> None:
            async with asyncio.timeout(SEND_SECONDS):
                await send(message)

        with suppress(TimeoutError):
            await super().stream_response(send_in_time)


def _event(name: str, data: dict[str, Any], cursor: str = "") -> bytes:
    identity = f"id: {cursor}\n" if cursor else ""
    return f"event: {name}\n{identity}data: {msgspec.json.encode(data).decode()}\n\n".encode()
