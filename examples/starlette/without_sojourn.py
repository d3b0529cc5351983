"""The notes application in Starlette before anybody signs in: one list of notes for everybody."""

# ruff: noqa: ARG001 - requests are not told apart here

from typing import Any

from starlette.applications import Starlette
from starlette.exceptions import HTTPException
from starlette.requests import HTTPConnection, Request
from starlette.responses import HTMLResponse, JSONResponse, RedirectResponse, Response
from starlette.routing import Mount, Route, WebSocketRoute
from starlette.staticfiles import StaticFiles
from starlette.websockets import WebSocket

import notes

NOTES = notes.Notes(notes.DATABASE)
LIVE = notes.Live()


def owner_of(request: HTTPConnection) -> str:
    return "everybody"


async def values_of(request: Request) -> notes.Values:
    return notes.read_values(await request.body(), request.headers.get("content-type"))


def show(request: Request, template: str, **values: Any) -> Response:
    """Show a page in a browser, the values alone to other clients."""
    if not notes.wants_page(request.headers.get("accept")):
        return JSONResponse(values, headers=notes.HEADERS)
    html = notes.page(template, query=request.query_params, live="websocket", **values)
    return HTMLResponse(html, headers=notes.HEADERS)


def done(request: Request, values: Any, *, go_to: str = "/") -> Response:
    """Lead a browser on, answer other clients with what came of it."""
    if notes.wants_page(request.headers.get("accept")):
        return RedirectResponse(go_to, status_code=303)
    return JSONResponse(values)


# --- the notes ----------------------------------------------------------------------------------


async def home(request: Request) -> Response:
    return show(request, "notes", notes=NOTES.of(owner_of(request)))


async def add(request: Request) -> Response:
    note = NOTES.add(owner_of(request), (await values_of(request)).text("text"))
    LIVE.publish(owner_of(request), note)
    return done(request, note)


async def delete(request: Request) -> Response:
    if not NOTES.delete(owner_of(request), request.path_params["note"]):
        raise HTTPException(404)
    return done(request, {})


async def clear(request: Request) -> Response:
    return done(request, {"deleted": NOTES.clear(owner_of(request))})


async def live(websocket: WebSocket) -> None:
    await websocket.accept()
    await LIVE.tell(owner_of(websocket), websocket.send_json, until=websocket.receive())


async def refused(request: Request, error: Exception) -> Response:
    assert isinstance(error, notes.BadInput)
    return Response(error.document, error.status, media_type="application/problem+json")


# --- the application ----------------------------------------------------------------------------

app = Starlette(
    routes=[
        Route("/", home),
        Route("/notes", add, methods=["POST"]),
        Route("/notes/clear", clear, methods=["POST"]),
        Route("/notes/{note}/delete", delete, methods=["POST"]),
        WebSocketRoute("/live", live),
        Mount("/static", StaticFiles(directory=notes.STATIC)),
    ],
    exception_handlers={notes.BadInput: refused},
)
