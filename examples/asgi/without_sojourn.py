"""The notes application on plain ASGI before anybody signs in: one list of notes for everybody."""

# ruff: noqa: ARG001 - requests are not told apart here

import json
from typing import Any

import notes
from notes.bare import (
    MOST_BYTES,
    Answer,
    NoSuchPage,
    Request,
    Routes,
    done,
    show,
    static_file,
)

NOTES = notes.Notes(notes.DATABASE)
LIVE = notes.Live()
routes = Routes()


async def owner_of(request: Request) -> str:
    return "everybody"


# --- the notes ----------------------------------------------------------------------------------


@routes("GET", "/")
async def home(request: Request) -> Answer:
    owner = await owner_of(request)
    return show(request, "notes", notes=NOTES.of(owner), live="events")


@routes("POST", "/notes")
async def add(request: Request) -> Answer:
    owner = await owner_of(request)
    note = NOTES.add(owner, request.values.text("text"))
    LIVE.publish(owner, note)
    return done(request, note)


@routes("POST", "/notes/clear")
async def clear(request: Request) -> Answer:
    return done(request, {"deleted": NOTES.clear(await owner_of(request))})


@routes("POST", "/notes/{note}/delete")
async def delete(request: Request) -> Answer:
    owner = await owner_of(request)
    if not NOTES.delete(owner, request.params["note"]):
        raise NoSuchPage("there is no such note")
    return done(request, {})


async def live(request: Request, receive: Any, send: Any) -> None:
    """Stream new notes as server-sent events."""
    owner = await owner_of(request)
    headers = [(b"content-type", b"text/event-stream"), (b"cache-control", b"no-store")]
    await send({"type": "http.response.start", "status": 200, "headers": headers})

    async def tell(note: Any) -> None:
        event = f"data: {json.dumps(note)}\n\n".encode()
        await send({"type": "http.response.body", "body": event, "more_body": True})

    await LIVE.tell(owner, tell, until=receive())


@routes("GET", "/static/{name}")
async def static(request: Request) -> Answer:
    return static_file(request)


async def refused(request: Request, error: notes.BadInput) -> Answer:
    return Answer(error.document, error.status, {"Content-Type": "application/problem+json"})


# --- the application ----------------------------------------------------------------------------


async def application(scope: Any, receive: Any, send: Any) -> None:
    if scope["type"] == "lifespan":
        for moment in ("startup", "shutdown"):
            await receive()
            await send({"type": f"lifespan.{moment}.complete"})
        return
    if scope["type"] == "websocket":  # there are none here
        await send({"type": "websocket.close"})
        return
    request = await read(scope, receive)
    try:
        if request.target == "/live":
            await live(request, receive, send)
            return
        answer = await routes.find(request)(request)
    except notes.BadInput as error:
        answer = await refused(request, error)
    headers = [(name.encode(), value.encode()) for name, value in answer.headers.items()]
    await send({"type": "http.response.start", "status": answer.status, "headers": headers})
    await send({"type": "http.response.body", "body": answer.body})


async def read(scope: Any, receive: Any) -> Request:
    headers = {name: value.decode("latin-1") for name, value in scope["headers"]}
    body, message = b"", {"more_body": True}
    while message.get("more_body") and len(body) <= MOST_BYTES:
        message = await receive()
        body += message.get("body", b"")
    return Request(
        scope,
        method=scope["method"],
        path=scope["path"],
        query=scope["query_string"].decode("latin-1"),
        accept=headers.get(b"accept", ""),
        content_type=headers.get(b"content-type", ""),
        body=body,
    )


app = application
