"""The notes application in FastAPI before anybody signs in: one list of notes for everybody."""

# ruff: noqa: ARG001 - requests are not told apart here

from typing import Annotated, Any

from fastapi import Depends, FastAPI, HTTPException, Request, Response, WebSocket
from fastapi.responses import HTMLResponse, JSONResponse, RedirectResponse
from fastapi.staticfiles import StaticFiles
from starlette.requests import HTTPConnection

import notes

NOTES = notes.Notes(notes.DATABASE)
LIVE = notes.Live()
app = FastAPI(title="Notes")


async def owner_of() -> str:
    return "everybody"


async def values_of(request: Request) -> notes.Values:
    return notes.read_values(await request.body(), request.headers.get("content-type"))


Owner = Annotated[str, Depends(owner_of)]
Values = Annotated[notes.Values, Depends(values_of)]


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


@app.get("/")
async def home(request: Request, owner: Owner) -> Response:
    return show(request, "notes", notes=NOTES.of(owner))


@app.post("/notes")
async def add(request: Request, owner: Owner, values: Values) -> Response:
    note = NOTES.add(owner, values.text("text"))
    LIVE.publish(owner, note)
    return done(request, note)


@app.post("/notes/{note}/delete")
async def delete(request: Request, owner: Owner, note: str) -> Response:
    if not NOTES.delete(owner, note):
        raise HTTPException(404)
    return done(request, {})


@app.post("/notes/clear")
async def clear(request: Request, owner: Owner) -> Response:
    return done(request, {"deleted": NOTES.clear(owner)})


@app.websocket("/live")
async def live(websocket: WebSocket, owner: Owner) -> None:
    await websocket.accept()
    await LIVE.tell(owner, websocket.send_json, until=websocket.receive())


app.mount("/static", StaticFiles(directory=notes.STATIC))


async def refused(request: HTTPConnection, error: Exception) -> Response:
    assert isinstance(error, notes.BadInput)
    return Response(error.document, error.status, media_type="application/problem+json")


# --- the application ----------------------------------------------------------------------------

app.add_exception_handler(notes.BadInput, refused)
