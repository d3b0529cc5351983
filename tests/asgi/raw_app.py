"""A raw ASGI application for real servers: sign in, stay connected, end sessions."""

import asyncio
import json
import os

from sojourn import ANY
from sojourn.asgi import Auth

auth = Auth(
    os.environ["LIVE_STORE"],
    url=os.environ["SOJOURN_URL"],
    mode="session",
    modes=("session", "jwt", "hybrid"),
)


async def answer(send, value):
    headers = [(b"content-type", b"application/json")]
    await send({"type": "http.response.start", "status": 200, "headers": headers})
    await send({"type": "http.response.body", "body": json.dumps(value).encode()})


async def echo(scope, receive, send):
    principal = await auth.current(scope)
    await receive()
    await send({"type": "websocket.accept"})
    await send({"type": "websocket.send", "text": principal.subject})
    while (message := await receive())["type"] == "websocket.receive":
        await send({"type": "websocket.send", "text": message["text"]})


async def ticks(scope, receive, send):
    """Send, and never look whether the client is there."""
    await auth.current(scope)
    await receive()
    await send({"type": "websocket.accept"})
    while True:
        await send({"type": "websocket.send", "text": "tick"})
        await asyncio.sleep(0.01)


async def events(scope, receive, send):
    principal = await auth.current(scope)
    headers = [(b"content-type", b"text/event-stream")]
    await send({"type": "http.response.start", "status": 200, "headers": headers})
    data = f"data: {principal.subject}\n\n".encode()
    await send({"type": "http.response.body", "body": data, "more_body": True})
    while (await receive())["type"] != "http.disconnect":
        pass


async def application(scope, receive, send):
    match scope["path"]:
        case "/echo":
            await echo(scope, receive, send)
        case "/ticks":
            await ticks(scope, receive, send)
        case "/events":
            await events(scope, receive, send)
        case "/login":
            body = json.loads((await receive())["body"])
            options = {"transport": "bearer", **body}
            await answer(send, (await auth.login(scope, "ann", **options)).public())
        case "/end":
            body = json.loads((await receive())["body"])
            await answer(send, await auth.sojourn.revoke(body["sid"], subject=ANY))
        case _:
            principal = await auth.optional(scope)
            await answer(send, principal.subject if principal else None)


app = auth.wrap(application)
