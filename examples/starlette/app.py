"""The notes application in Starlette; `examples/starlette/run` serves it."""

from datetime import timedelta
from typing import Any

from starlette.applications import Starlette
from starlette.exceptions import HTTPException
from starlette.requests import HTTPConnection, Request
from starlette.responses import HTMLResponse, JSONResponse, RedirectResponse, Response
from starlette.routing import Mount, Route, WebSocketRoute
from starlette.staticfiles import StaticFiles
from starlette.websockets import WebSocket

import notes
from notes.account import about, answer_to, device_list
from sojourn import Attempt, InvalidCredentials, NotFound, SojournError
from sojourn.starlette import Auth, incoming_of

auth = Auth(notes.STORE, url=notes.URL)
NOTES = notes.Notes(notes.DATABASE)
LIVE = notes.Live()


def owner_of(request: HTTPConnection) -> str:
    return str(request.user.identity)


async def values_of(request: Request) -> notes.Values:
    return notes.read_values(await request.body(), request.headers.get("content-type"))


def show(request: Request, template: str, **values: Any) -> Response:
    """Show a page in a browser, the values alone to other clients."""
    if not notes.wants_page(request.headers.get("accept")):
        return JSONResponse(values, headers=notes.HEADERS)
    values |= {"who": getattr(request.user, "principal", None)}
    html = notes.page(template, query=request.query_params, live="websocket", **values)
    return HTMLResponse(html, headers=notes.HEADERS)


def done(request: Request, values: Any, *, go_to: str = "/") -> Response:
    """Lead a browser on, answer other clients with what came of it."""
    if notes.wants_page(request.headers.get("accept")):
        return RedirectResponse(go_to, status_code=303)
    return JSONResponse(values)


# --- the notes ----------------------------------------------------------------------------------


@auth.requires
async def home(request: Request) -> Response:
    return show(request, "notes", notes=NOTES.of(owner_of(request)))


@auth.requires
async def add(request: Request) -> Response:
    note = NOTES.add(owner_of(request), (await values_of(request)).text("text"))
    LIVE.publish(owner_of(request), note)
    return done(request, note)


@auth.requires
async def delete(request: Request) -> Response:
    if not NOTES.delete(owner_of(request), request.path_params["note"]):
        raise HTTPException(404)
    return done(request, {})


@auth.requires(max_age=timedelta(minutes=5), max_lag=timedelta(0))
async def clear(request: Request) -> Response:
    return done(request, {"deleted": NOTES.clear(owner_of(request))})


@auth.requires
async def live(websocket: WebSocket) -> None:
    await websocket.accept()
    await LIVE.tell(owner_of(websocket), websocket.send_json, until=websocket.receive())


# --- signing in and out: the application's own views --------------------------------------------

PEOPLE = notes.People(notes.DATABASE)


async def show_login(request: Request) -> Response:
    return show(request, "login")


async def login(request: Request) -> Response:
    values = await values_of(request)
    person, attempt = await prove(request, values.text("name"), values.text("password"))
    signed_in = await auth.login(
        request,
        person.name,
        attempt=attempt,
        roles=person.roles,
        amr=["pwd"],
        transport=values.one_of("transport", "cookie", "bearer"),
    )
    go_to = notes.safe_next(request.query_params.get("next"))
    return done(request, signed_in.public(), go_to=go_to)


async def prove(request: Request, name: str, password: str) -> tuple[notes.Person, Attempt]:
    attempt = await auth.begin(name)  # before the password is checked, which takes a while
    person = await PEOPLE.aprove(name, password)
    if person is None:
        await auth.sojourn.login_failed(incoming_of(request), name, reason="wrong_password")
        raise InvalidCredentials("the name and the password do not belong together")
    return person, attempt


async def refresh(request: Request) -> Response:
    token = (await values_of(request)).get("refresh_token")
    return JSONResponse((await auth.refresh(request, refresh_token=token)).public())


async def logout(request: Request) -> Response:
    await auth.logout(request)
    return done(request, {}, go_to="/login")


@auth.requires
async def me(request: Request) -> Response:
    return JSONResponse(about(request.user.principal))


@auth.requires
async def devices(request: Request) -> Response:
    sessions = await auth.sojourn.sessions(owner_of(request))
    return show(request, "devices", devices=device_list(sessions, request.user.principal))


@auth.requires
async def end_device(request: Request) -> Response:
    owner, sid = owner_of(request), request.path_params["sid"]
    if sid not in {session.sid for session in await auth.sojourn.sessions(owner)}:
        raise NotFound("you have no such session")
    await auth.sojourn.revoke(sid, subject=owner, by=owner, incoming=incoming_of(request))
    return done(request, {}, go_to="/devices")


@auth.requires
async def end_others(request: Request) -> Response:
    await auth.logout_others(request)
    return done(request, {}, go_to="/devices")


@auth.requires
async def show_confirm(request: Request) -> Response:
    return show(request, "confirm")


@auth.requires
async def confirm(request: Request) -> Response:
    password = (await values_of(request)).text("password")
    _, attempt = await prove(request, owner_of(request), password)
    signed_in = await auth.reauthenticate(request, amr=["pwd"], attempt=attempt)
    go_to = notes.safe_next(request.query_params.get("next"))
    return done(request, signed_in.public(), go_to=go_to)


@auth.requires
async def show_password(request: Request) -> Response:
    return show(request, "password")


@auth.requires
async def change_password(request: Request) -> Response:
    values = await values_of(request)
    await prove(request, owner_of(request), values.text("current"))
    await PEOPLE.aset_password(owner_of(request), values.text("new"))
    await auth.logout_others(request)
    signed_in = await auth.reauthenticate(request, amr=["pwd"])
    return done(request, signed_in.public())


@auth.requires(roles={"admin"})
async def admin(request: Request) -> Response:
    counts = NOTES.counts()
    people = [{"name": name, "notes": counts.get(name, 0)} for name in PEOPLE.names()]
    return show(request, "admin", people=people)


@auth.requires(roles={"admin"}, max_lag=timedelta(0))
async def sign_out(request: Request) -> Response:
    await auth.sojourn.revoke_all(
        request.path_params["name"], by=owner_of(request), incoming=incoming_of(request)
    )
    return done(request, {}, go_to="/admin")


async def refused(request: Request, error: Exception) -> Response:
    assert isinstance(error, SojournError | notes.BadInput)
    target = request.url.path + (f"?{request.url.query}" if request.url.query else "")
    accept = request.headers.get("accept")
    method = request.scope.get("method", "WEBSOCKET")
    who = getattr(request.user, "principal", None)
    return Response(*answer_to(error, method=method, target=target, accept=accept, who=who))


SIGNING_IN = [
    Route("/login", show_login),
    Route("/login", login, methods=["POST"]),
    Route("/refresh", refresh, methods=["POST"]),
    Route("/logout", logout, methods=["POST"]),
    Route("/me", me),
    Route("/devices", devices),
    Route("/devices/end-others", end_others, methods=["POST"]),
    Route("/devices/{sid}/end", end_device, methods=["POST"]),
    Route("/confirm", show_confirm),
    Route("/confirm", confirm, methods=["POST"]),
    Route("/password", show_password),
    Route("/password", change_password, methods=["POST"]),
    Route("/admin", admin),
    Route("/admin/{name}/sign-out", sign_out, methods=["POST"]),
]

# --- the application ----------------------------------------------------------------------------

app = Starlette(
    routes=[
        Route("/", home),
        Route("/notes", add, methods=["POST"]),
        Route("/notes/clear", clear, methods=["POST"]),
        Route("/notes/{note}/delete", delete, methods=["POST"]),
        WebSocketRoute("/live", live),
        Mount("/static", StaticFiles(directory=notes.STATIC)),
        *SIGNING_IN,
    ],
    exception_handlers={notes.BadInput: refused},
)
auth.install(app)
app.add_exception_handler(SojournError, refused)  # as pages, where a browser asks
