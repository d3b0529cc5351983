"""Driving an ASGI application by hand, as a server does: what comes in, what goes out, in order."""

from __future__ import annotations

import asyncio
from contextlib import asynccontextmanager

PATIENCE_SECONDS = 10.0


class Connection:
    """One connection: a test puts messages in, and takes those that the application sent."""

    def __init__(self, app, scope):
        self.app, self.scope = app, scope
        self.incoming = asyncio.Queue()
        self.outgoing = asyncio.Queue()
        self.before_send = lambda _: None
        self.task = None

    def start(self):
        self.task = asyncio.create_task(self.app(self.scope, self.incoming.get, self._send))
        return self

    async def _send(self, message):
        waited = self.before_send(message)
        if waited is not None:
            await waited
        self.outgoing.put_nowait(dict(message))

    def put(self, kind, **said):
        self.incoming.put_nowait({"type": kind, **said})

    async def took(self):
        """Take the next message; None where the application ended without one."""
        getting = asyncio.ensure_future(self.outgoing.get())
        async with asyncio.timeout(PATIENCE_SECONDS):
            await asyncio.wait({getting, self.task}, return_when=asyncio.FIRST_COMPLETED)
        if getting.done():
            return getting.result()
        getting.cancel()
        return self.outgoing.get_nowait() if not self.outgoing.empty() else None

    async def ended(self):
        """Wait until the application is done, and give what it still sent."""
        async with asyncio.timeout(PATIENCE_SECONDS):
            await self.task
        return [self.outgoing.get_nowait() for _ in range(self.outgoing.qsize())]


def scope_of(kind="websocket", path="/", method="GET", **headers):
    """Make a scope, as a server does."""
    pairs = [(k.replace("_", "-").lower().encode(), v.encode()) for k, v in headers.items()]
    scope = {"type": kind, "path": path, "headers": pairs, "client": ("192.0.2.7", 1)}
    return scope | ({"method": method} if kind == "http" else {})


@asynccontextmanager
async def opened(app, kind="websocket", **headers):
    """Open a connection; a WebSocket says so, a request has an empty body."""
    connection = Connection(app, scope_of(kind, **headers)).start()
    if kind == "websocket":
        connection.put("websocket.connect")
    else:
        connection.put("http.request", body=b"", more_body=False)
    try:
        yield connection
    finally:
        connection.task.cancel()
        await asyncio.wait({connection.task})
