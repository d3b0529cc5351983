"""`GET /auth/revocations`: the feed for verifiers that do not have the store.

Asked for JSON, the answer without a cursor is a snapshot: everything that could still concern a
token, and a cursor. With `?cursor=` it is what came after, or 410 `feed_gap` where the feed does not
continue the cursor: take a snapshot. Asked for `text/event-stream`, the stream goes on after a cursor
(`?cursor=` or Last-Event-ID): an event an entry, and a heartbeat each second that carries the
milliseconds since the stream was opened and this server's own lag, from which a client tells its
lag behind any proxy that buffers. A gap is one `gap` event, and the end. The stream ends by itself
after ten minutes.
"""

from __future__ import annotations

import asyncio
import logging
import time
from collections.abc import AsyncIterator
from contextlib import suppress
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any

import msgspec
from starlette.requests import Request
from starlette.responses import Response, StreamingResponse
from starlette.routing import Route

from sojourn.errors import BadRequest, SojournError
from sojourn.jose import base64url
from sojourn.model import Entry, Head
from sojourn.server.api import answer
from sojourn.server.feed_hub import (
    PAGE_ENTRIES,
    Cursor,
    FeedGap,
    Hub,
    encode_cursor,
    entries_after,
    event,
    shown_entry,
    shown_lag,
)

if TYPE_CHECKING:
    from starlette.types import Receive, Scope, Send

    from sojourn.server.verifiers import Verifiers
    from sojourn.starlette import Auth

log = logging.getLogger("sojourn.server")

RECHECK_SECONDS = 60.0
STREAM_SECONDS = 600.0
SEND_SECONDS = 10.0
"""A client that takes nothing for so long is cut off; it goes on at its cursor."""
MAX_ID = 2**63 - 1


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
            self._hub.tell()

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
        yield event("open", {"cursor": encode_cursor(cursor)})
        try:
            if hub.has_to_read(cursor):
                await hub.read()
            while (lines := hub.after(cursor)) is None:
                heads = list(cursor)
                for shard, head in enumerate(cursor):
                    async for entry in entries_after(hub.core, shard, head):
                        heads[shard] = Head(entry.id, entry.tag)
                        yield event("entry", shown_entry(entry), encode_cursor(tuple(heads)))
                cursor = tuple(heads)
                await hub.read()
        except FeedGap:
            yield event("gap", {})
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
                yield event("gap", {})
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
