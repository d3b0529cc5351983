"""A Litestar application for real servers: what its users write for long connections."""

import asyncio
import os
from collections.abc import AsyncGenerator, AsyncIterator
from typing import Any

from litestar import Litestar, Request, WebSocket, get, post, websocket
from litestar.handlers import websocket_stream
from litestar.handlers.websocket_handlers import WebsocketListener
from litestar.response import ServerSentEvent

from sojourn.litestar import Auth

auth = Auth(
    os.environ["LIVE_STORE"],
    url=os.environ["SOJOURN_URL"],
    mode="session",
    modes=("session", "jwt", "hybrid"),
)


@post("/login", status_code=200)
async def login(request: Request) -> dict[str, Any]:
    signed_in = await auth.login(request, "ann", transport="bearer", **await request.json())
    return signed_in.public()


@get("/public")
async def public() -> str:
    return "public"


@websocket("/echo", guards=[auth.signed_in])
async def echo(socket: WebSocket) -> None:
    await socket.accept()
    await socket.send_text(socket.user.identity)
    async for text in socket.iter_data():
        await socket.send_text(text)


class Listener(WebsocketListener):
    path = "/listener"
    guards = [auth.signed_in]  # noqa: RUF012 - Litestar's own way

    async def on_receive(self, data: str) -> str:
        return data


@websocket_stream("/ticks", guards=[auth.signed_in])
async def ticks(socket: WebSocket) -> AsyncGenerator[str, None]:
    while True:
        yield "tick"
        await asyncio.sleep(0.01)


@get("/events", guards=[auth.signed_in])
async def events(request: Request) -> ServerSentEvent:
    async def tell() -> AsyncIterator[str]:
        yield request.user.identity
        await asyncio.Event().wait()

    return ServerSentEvent(tell())


app = Litestar([login, public, echo, Listener, ticks, events], plugins=[auth])
