"""The notes application in Litestar before anybody signs in: one list of notes for everybody."""

# ruff: noqa: ARG001 - requests are not told apart here

from typing import Any

from litestar import Litestar, MediaType, Request, Response, WebSocket, get, post, websocket
from litestar.connection import ASGIConnection
from litestar.exceptions import NotFoundException
from litestar.response import Redirect
from litestar.static_files import create_static_files_router

import notes

NOTES = notes.Notes(notes.DATABASE)
LIVE = notes.Live()


def owner_of(request: ASGIConnection) -> str:
    return "everybody"


async def values_of(request: Request) -> notes.Values:
    return notes.read_values(await request.body(), request.headers.get("content-type"))


def show(request: Request, template: str, **values: Any) -> Response:
    """Show a page in a browser, the values alone to other clients."""
    if not notes.wants_page(request.headers.get("accept")):
        return Response(values, headers=notes.HEADERS)
    html = notes.page(template, query=request.query_params, live="websocket", **values)
    return Response(html, media_type=MediaType.HTML, headers=notes.HEADERS)


def done(request: Request, values: Any, *, go_to: str = "/") -> Response:
    """Lead a browser on, answer other clients with what came of it."""
    if notes.wants_page(request.headers.get("accept")):
        return Redirect(go_to, status_code=303)
    return Response(values, status_code=200)


# --- the notes ----------------------------------------------------------------------------------


@get("/")
async def home(request: Request) -> Response:
    return show(request, "notes", notes=NOTES.of(owner_of(request)))


@post("/notes")
async def add(request: Request) -> Response:
    note = NOTES.add(owner_of(request), (await values_of(request)).text("text"))
    LIVE.publish(owner_of(request), note)
    return done(request, note)


@post("/notes/{note:str}/delete")
async def delete(request: Request, note: str) -> Response:
    if not NOTES.delete(owner_of(request), note):
        raise NotFoundException
    return done(request, {})


@post("/notes/clear")
async def clear(request: Request) -> Response:
    return done(request, {"deleted": NOTES.clear(owner_of(request))})


@websocket("/live")
async def live(socket: WebSocket) -> None:
    await socket.accept()
    await LIVE.tell(owner_of(socket), socket.send_json, until=socket.receive())


def refused(request: Request, error: notes.BadInput) -> Response:
    kind = "application/problem+json"
    return Response(error.document, status_code=error.status, media_type=kind)


# --- the application ----------------------------------------------------------------------------

app = Litestar(
    route_handlers=[
        home,
        add,
        delete,
        clear,
        live,
        create_static_files_router("/static", directories=[notes.STATIC]),
    ],
    exception_handlers={notes.BadInput: refused},
)
