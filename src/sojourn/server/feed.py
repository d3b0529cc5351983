"""`GET /auth/revocations`: the feed for verifiers that do not have the store.

Without `text/event-stream` the answer is a snapshot: everything that could still concern a token,
and a cursor. With it, the stream goes on after a cursor (`?cursor=` or Last-Event-ID): an event an
entry, and a heartbeat each second that carries the milliseconds since the stream was opened and
this server's own lag, from which a client tells its lag behind any proxy that buffers. Where the
feed does not continue the cursor, one `gap` event says so and the stream ends: take a snapshot.
The stream ends by itself after ten minutes.
"""

from __future__ import annotations

import asyncio
import time
from collections.abc import AsyncIterator
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any

import msgspec
from starlette.requests import Request
from starlette.responses import Response, StreamingResponse
from starlette.routing import Route

from sojourn.errors import SojournError
from sojourn.jose import base64url
from sojourn.model import Entry, Head
from sojourn.ports import Page
from sojourn.server.api import answer
from sojourn.server.requests import BadRequest

if TYPE_CHECKING:
    from sojourn.server.verifiers import Verifiers
    from sojourn.starlette import Auth

POLL_SECONDS = 0.02
HEARTBEAT_SECONDS = 1.0
RECHECK_SECONDS = 60.0
STREAM_SECONDS = 600.0
PAGE_ENTRIES = 1000
MAX_ID = 2**63 - 1

Cursor = tuple[Head, ...]


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


@dataclass(slots=True)
class RevocationFeed:
    """The endpoint.

    Args:
        auth: The adapter.
        verifiers: Who may follow.
    """

    auth: Auth[Any]
    verifiers: Verifiers
    _stopping: asyncio.Event = field(default_factory=asyncio.Event)

    def route(self) -> Route:
        """Give the route."""
        return Route("/auth/revocations", self.revocations, methods=["GET"])

    def stop(self) -> None:
        """End all streams, so that the server can."""
        self._stopping.set()

    async def revocations(self, request: Request) -> Response:
        """Answer with a snapshot or a stream."""
        authorization = request.headers.get("authorization", "")
        await self.verifiers.named_by(authorization)
        info = await self.auth.sojourn.core.ready()
        if "text/event-stream" not in request.headers.get("accept", ""):
            return answer(await self._snapshot(info.shards))
        text = request.headers.get("last-event-id") or request.query_params.get("cursor", "")
        cursor = decode_cursor(text, shards=info.shards)
        return StreamingResponse(
            self._stream(cursor, authorization),
            media_type="text/event-stream",
            headers={"Cache-Control": "no-store", "X-Accel-Buffering": "no"},
        )

    async def _snapshot(self, shards: int) -> dict[str, Any]:
        entries: list[Entry] = []
        heads: list[Head] = []
        for shard in range(shards):
            after = 0
            while True:
                page = await self._read(shard, after)
                entries += page.entries
                if len(page.entries) < PAGE_ENTRIES:
                    break
                after = page.entries[-1].id
            heads.append(page.head)
        lag_ms = self.auth.sojourn.core.picture.lag_ms()
        return {
            "cursor": encode_cursor(tuple(heads)),
            "lag_ms": round(lag_ms),
            "entries": [shown_entry(entry) for entry in entries],
        }

    async def _read(self, shard: int, after: int) -> Page:
        return await self.auth.sojourn.core.store.read(shard, after=after, limit=PAGE_ENTRIES)

    async def _stream(self, cursor: Cursor, authorization: str) -> AsyncIterator[bytes]:
        opened = last_beat = last_recheck = time.monotonic()
        heads = list(cursor)
        yield _event("open", {"cursor": encode_cursor(cursor)})
        while not self._stopping.is_set() and time.monotonic() - opened < STREAM_SECONDS:
            for shard, head in enumerate(heads):
                page = await self._read(shard, head.id)
                for entry in page.entries:
                    if entry.previous_tag != heads[shard].tag:
                        yield _event("gap", {})
                        return
                    heads[shard] = Head(entry.id, entry.tag)
                    yield _event("entry", shown_entry(entry), encode_cursor(tuple(heads)))
                if len(page.entries) < PAGE_ENTRIES and heads[shard] != page.head:
                    yield _event("gap", {})
                    return
            now = time.monotonic()
            if now - last_recheck >= RECHECK_SECONDS:
                await self.verifiers.named_by(authorization)
                last_recheck = now
            if now - last_beat >= HEARTBEAT_SECONDS:
                last_beat = now
                lag_ms = round(self.auth.sojourn.core.picture.lag_ms())
                open_ms = round((now - opened) * 1000)
                yield _event("heartbeat", {"open_ms": open_ms, "lag_ms": lag_ms})
            try:
                await asyncio.wait_for(self._stopping.wait(), POLL_SECONDS)
            except TimeoutError:
                continue


def _event(name: str, data: dict[str, Any], cursor: str = "") -> bytes:
    identity = f"id: {cursor}\n" if cursor else ""
    return f"event: {name}\n{identity}data: {msgspec.json.encode(data).decode()}\n\n".encode()
