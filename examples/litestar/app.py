"""The notes application in Litestar; `examples/litestar/run` serves it."""

from datetime import timedelta
from typing import Any

from litestar import Litestar, MediaType, Request, Response, WebSocket, get, post, websocket
from litestar.connection import ASGIConnection
from litestar.exceptions import NotFoundException
from litestar.response import Redirect
from litestar.static_files import create_static_files_router

import notes
from notes.account import about, answer_to, device_list
from sojourn import Attempt, InvalidCredentials, NotFound, SojournError
from sojourn.litestar import Auth, incoming_of

auth = Auth(notes.STORE, url=notes.URL, exclude=("/static", "/login", "/logout", "/refresh"))
NOTES = notes.Notes(notes.DATABASE)
LIVE = notes.Live()


def owner_of(request: ASGIConnection) -> str:
    return str(request.user.identity)


async def values_of(request: Request) -> notes.Values:
    return notes.read_values(await request.body(), request.headers.get("content-type"))


def show(request: Request, template: str, **values: Any) -> Response:
    """Show a page in a browser, the values alone to other clients."""
    if not notes.wants_page(request.headers.get("accept")):
        return Response(values, headers=notes.HEADERS)
    values |= {"who": request.auth}
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


@post("/notes/clear", guards=[auth.guard(max_age=timedelta(minutes=5), max_lag=timedelta(0))])
async def clear(request: Request) -> Response:
    return done(request, {"deleted": NOTES.clear(owner_of(request))})


@websocket("/live")
async def live(socket: WebSocket) -> None:
    await socket.accept()
    await LIVE.tell(owner_of(socket), socket.send_json, until=socket.receive())


# --- signing in and out: the application's own views --------------------------------------------

PEOPLE = notes.People(notes.DATABASE)


@get("/login")
async def show_login(request: Request) -> Response:
    return show(request, "login")


@post("/login")
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


@post("/refresh", status_code=200)
async def refresh(request: Request) -> dict[str, Any]:
    token = (await values_of(request)).get("refresh_token")
    return (await auth.refresh(request, refresh_token=token)).public()


@post("/logout")
async def logout(request: Request) -> Response:
    await auth.logout(request)
    return done(request, {}, go_to="/login")


@get("/me")
async def me(request: Request) -> dict[str, Any]:
    return about(request.auth)


@get("/devices")
async def devices(request: Request) -> Response:
    sessions = await auth.sojourn.sessions(owner_of(request))
    return show(request, "devices", devices=device_list(sessions, request.auth))


@post("/devices/end-others")
async def end_others(request: Request) -> Response:
    await auth.logout_others(request)
    return done(request, {}, go_to="/devices")


@post("/devices/{sid:str}/end")
async def end_device(request: Request, sid: str) -> Response:
    owner = owner_of(request)
    if sid not in {session.sid for session in await auth.sojourn.sessions(owner)}:
        raise NotFound("you have no such session")
    await auth.sojourn.revoke(sid, subject=owner, by=owner, incoming=incoming_of(request))
    return done(request, {}, go_to="/devices")


@get("/confirm")
async def show_confirm(request: Request) -> Response:
    return show(request, "confirm")


@post("/confirm")
async def confirm(request: Request) -> Response:
    password = (await values_of(request)).text("password")
    _, attempt = await prove(request, owner_of(request), password)
    signed_in = await auth.reauthenticate(request, amr=["pwd"], attempt=attempt)
    go_to = notes.safe_next(request.query_params.get("next"))
    return done(request, signed_in.public(), go_to=go_to)


@get("/password")
async def show_password(request: Request) -> Response:
    return show(request, "password")


@post("/password")
async def change_password(request: Request) -> Response:
    values = await values_of(request)
    await prove(request, owner_of(request), values.text("current"))
    await PEOPLE.aset_password(owner_of(request), values.text("new"))
    await auth.logout_others(request)
    return done(request, (await auth.reauthenticate(request, amr=["pwd"])).public())


@get("/admin", guards=[auth.guard(roles={"admin"})])
async def admin(request: Request) -> Response:
    counts = NOTES.counts()
    people = [{"name": name, "notes": counts.get(name, 0)} for name in PEOPLE.names()]
    return show(request, "admin", people=people)


@post("/admin/{name:str}/sign-out", guards=[auth.guard(roles={"admin"}, max_lag=timedelta(0))])
async def sign_out(request: Request, name: str) -> Response:
    await auth.sojourn.revoke_all(name, by=owner_of(request), incoming=incoming_of(request))
    return done(request, {}, go_to="/admin")


def refused(request: Request, error: SojournError | notes.BadInput) -> Response:
    target = request.url.path + (f"?{request.url.query}" if request.url.query else "")
    accept = request.headers.get("accept")
    answer = answer_to(error, method=request.method, target=target, accept=accept, who=request.auth)
    kind = answer.headers.pop("Content-Type", "text/html")
    return Response(answer.body, status_code=answer.status, headers=answer.headers, media_type=kind)


SIGNING_IN = [
    show_login,
    login,
    refresh,
    logout,
    me,
    devices,
    end_others,
    end_device,
    show_confirm,
    confirm,
    show_password,
    change_password,
    admin,
    sign_out,
]

# --- the application ----------------------------------------------------------------------------

app = Litestar(
    route_handlers=[
        home,
        add,
        delete,
        clear,
        live,
        create_static_files_router("/static", directories=[notes.STATIC]),
        *SIGNING_IN,
    ],
    plugins=[auth],
    exception_handlers={notes.BadInput: refused, SojournError: refused},
)
