"""The notes application in FastAPI; `examples/fastapi/run` serves it."""

from datetime import timedelta
from typing import Annotated, Any

from fastapi import APIRouter, Depends, FastAPI, HTTPException, Request, Response, WebSocket
from fastapi.responses import HTMLResponse, JSONResponse, RedirectResponse
from fastapi.staticfiles import StaticFiles
from starlette.requests import HTTPConnection

import notes
from notes.account import about, answer_to, device_list
from sojourn import Attempt, InvalidCredentials, NotFound, Principal, SojournError
from sojourn.fastapi import Auth, incoming_of

auth = Auth(notes.STORE, url=notes.URL)
User = Annotated[Principal, Depends(auth.current)]
NOTES = notes.Notes(notes.DATABASE)
LIVE = notes.Live()
app = FastAPI(title="Notes")


async def owner_of(user: User) -> str:
    return user.subject


async def values_of(request: Request) -> notes.Values:
    return notes.read_values(await request.body(), request.headers.get("content-type"))


Owner = Annotated[str, Depends(owner_of)]
Values = Annotated[notes.Values, Depends(values_of)]


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


FRESH = Depends(auth.require(max_age=timedelta(minutes=5), max_lag=timedelta(0)))


@app.post("/notes/clear", dependencies=[FRESH])
async def clear(request: Request, owner: Owner) -> Response:
    return done(request, {"deleted": NOTES.clear(owner)})


@app.websocket("/live")
async def live(websocket: WebSocket, owner: Owner) -> None:
    await websocket.accept()
    await LIVE.tell(owner, websocket.send_json, until=websocket.receive())


app.mount("/static", StaticFiles(directory=notes.STATIC))

# --- signing in and out: the application's own views --------------------------------------------

PEOPLE = notes.People(notes.DATABASE)
account = APIRouter()


@account.get("/login")
async def show_login(request: Request) -> Response:
    return show(request, "login")


@account.post("/login")
async def login(request: Request, values: Values, next: str = "/") -> Response:  # noqa: A002
    person, attempt = await prove(request, values.text("name"), values.text("password"))
    signed_in = await auth.login(
        request,
        person.name,
        attempt=attempt,
        roles=person.roles,
        amr=["pwd"],
        transport=values.one_of("transport", "cookie", "bearer"),
    )
    return done(request, signed_in.public(), go_to=notes.safe_next(next))


async def prove(request: Request, name: str, password: str) -> tuple[notes.Person, Attempt]:
    attempt = await auth.begin(name)  # before the password is checked, which takes a while
    person = await PEOPLE.aprove(name, password)
    if person is None:
        await auth.sojourn.login_failed(incoming_of(request), name, reason="wrong_password")
        raise InvalidCredentials("the name and the password do not belong together")
    return person, attempt


@account.post("/refresh")
async def refresh(request: Request, values: Values) -> dict[str, Any]:
    return (await auth.refresh(request, refresh_token=values.get("refresh_token"))).public()


@account.post("/logout")
async def logout(request: Request) -> Response:
    await auth.logout(request)
    return done(request, {}, go_to="/login")


@account.get("/me")
async def me(user: User) -> dict[str, Any]:
    return about(user)


@account.get("/devices")
async def devices(request: Request, user: User) -> Response:
    sessions = await auth.sojourn.sessions(user.subject)
    return show(request, "devices", devices=device_list(sessions, user))


@account.post("/devices/end-others")
async def end_others(request: Request) -> Response:
    await auth.logout_others(request)
    return done(request, {}, go_to="/devices")


@account.post("/devices/{sid}/end")
async def end_device(request: Request, owner: Owner, sid: str) -> Response:
    if sid not in {session.sid for session in await auth.sojourn.sessions(owner)}:
        raise NotFound("you have no such session")
    await auth.sojourn.revoke(sid, subject=owner, by=owner, incoming=incoming_of(request))
    return done(request, {}, go_to="/devices")


@account.get("/confirm", dependencies=[Depends(auth.current)])
async def show_confirm(request: Request) -> Response:
    return show(request, "confirm")


@account.post("/confirm")
async def confirm(request: Request, owner: Owner, values: Values, next: str = "/") -> Response:  # noqa: A002
    _, attempt = await prove(request, owner, values.text("password"))
    signed_in = await auth.reauthenticate(request, amr=["pwd"], attempt=attempt)
    return done(request, signed_in.public(), go_to=notes.safe_next(next))


@account.get("/password", dependencies=[Depends(auth.current)])
async def show_password(request: Request) -> Response:
    return show(request, "password")


@account.post("/password")
async def change_password(request: Request, owner: Owner, values: Values) -> Response:
    await prove(request, owner, values.text("current"))
    await PEOPLE.aset_password(owner, values.text("new"))
    await auth.logout_others(request)
    return done(request, (await auth.reauthenticate(request, amr=["pwd"])).public())


@account.get("/admin", dependencies=[Depends(auth.require(roles={"admin"}))])
async def admin(request: Request) -> Response:
    counts = NOTES.counts()
    people = [{"name": name, "notes": counts.get(name, 0)} for name in PEOPLE.names()]
    return show(request, "admin", people=people)


Admin = Annotated[Principal, Depends(auth.require(roles={"admin"}, max_lag=timedelta(0)))]


@account.post("/admin/{name}/sign-out")
async def sign_out(request: Request, user: Admin, name: str) -> Response:
    await auth.sojourn.revoke_all(name, by=user.subject, incoming=incoming_of(request))
    return done(request, {}, go_to="/admin")


async def refused(request: HTTPConnection, error: Exception) -> Response:
    assert isinstance(error, SojournError | notes.BadInput)
    target = request.url.path + (f"?{request.url.query}" if request.url.query else "")
    accept = request.headers.get("accept")
    method = request.scope.get("method", "WEBSOCKET")
    who = getattr(request.user, "principal", None)
    return Response(*answer_to(error, method=method, target=target, accept=accept, who=who))


# --- the application ----------------------------------------------------------------------------

app.add_exception_handler(notes.BadInput, refused)
app.include_router(account)
auth.install(app)
app.add_exception_handler(SojournError, refused)  # as pages, where a browser asks
