"""The notes application on plain ASGI, without a framework; `examples/asgi/run` serves it."""

import json
from datetime import timedelta
from typing import Any

import notes
from notes.account import about, answer_to, device_list
from notes.bare import (
    MOST_BYTES,
    Answer,
    NoSuchPage,
    Request,
    Routes,
    as_json,
    done,
    show,
    static_file,
)
from sojourn import Attempt, InvalidCredentials, NotFound, SojournError
from sojourn.asgi import Auth, incoming_of

auth = Auth(notes.STORE, url=notes.URL)
fresh = auth.require(max_age=timedelta(minutes=5), max_lag=timedelta(0))
NOTES = notes.Notes(notes.DATABASE)
LIVE = notes.Live()
routes = Routes()


async def owner_of(request: Request) -> str:
    return (await auth.current(request)).subject


# --- the notes ----------------------------------------------------------------------------------


@routes("GET", "/")
async def home(request: Request) -> Answer:
    owner = await owner_of(request)
    return show(
        request, "notes", notes=NOTES.of(owner), live="events", who=await auth.optional(request)
    )


@routes("POST", "/notes")
async def add(request: Request) -> Answer:
    owner = await owner_of(request)
    note = NOTES.add(owner, request.values.text("text"))
    LIVE.publish(owner, note)
    return done(request, note)


@routes("POST", "/notes/clear")
async def clear(request: Request) -> Answer:
    await fresh(request)
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


# --- signing in and out: the application's own views --------------------------------------------

PEOPLE = notes.People(notes.DATABASE)


@routes("GET", "/login")
async def show_login(request: Request) -> Answer:
    return show(request, "login")


@routes("POST", "/login")
async def login(request: Request) -> Answer:
    values = request.values
    person, attempt = await prove(request, values.text("name"), values.text("password"))
    signed_in = await auth.login(
        request,
        person.name,
        attempt=attempt,
        roles=person.roles,
        amr=["pwd"],
        transport=values.one_of("transport", "cookie", "bearer"),
    )
    return done(request, signed_in.public(), go_to=notes.safe_next(request.query.get("next")))


async def prove(request: Request, name: str, password: str) -> tuple[notes.Person, Attempt]:
    attempt = await auth.begin(name)  # before the password is checked, which takes a while
    person = await PEOPLE.aprove(name, password)
    if person is None:
        await auth.sojourn.login_failed(incoming_of(request), name, reason="wrong_password")
        raise InvalidCredentials("the name and the password do not belong together")
    return person, attempt


@routes("POST", "/refresh")
async def refresh(request: Request) -> Answer:
    token = request.values.get("refresh_token")
    return as_json((await auth.refresh(request, refresh_token=token)).public())


@routes("POST", "/logout")
async def logout(request: Request) -> Answer:
    await auth.logout(request)
    return done(request, {}, go_to="/login")


@routes("GET", "/me")
async def me(request: Request) -> Answer:
    return as_json(about(await auth.current(request)))


@routes("GET", "/devices")
async def devices(request: Request) -> Answer:
    who = await auth.current(request)
    sessions = await auth.sojourn.sessions(who.subject)
    return show(request, "devices", devices=device_list(sessions, who), who=who)


@routes("POST", "/devices/end-others")
async def end_others(request: Request) -> Answer:
    await auth.logout_others(request)
    return done(request, {}, go_to="/devices")


@routes("POST", "/devices/{sid}/end")
async def end_device(request: Request) -> Answer:
    owner, sid = await owner_of(request), request.params["sid"]
    if sid not in {session.sid for session in await auth.sojourn.sessions(owner)}:
        raise NotFound("you have no such session")
    await auth.sojourn.revoke(sid, subject=owner, by=owner, incoming=incoming_of(request))
    return done(request, {}, go_to="/devices")


@routes("GET", "/confirm")
async def show_confirm(request: Request) -> Answer:
    return show(request, "confirm", who=await auth.current(request))


@routes("POST", "/confirm")
async def confirm(request: Request) -> Answer:
    owner = await owner_of(request)
    _, attempt = await prove(request, owner, request.values.text("password"))
    signed_in = await auth.reauthenticate(request, amr=["pwd"], attempt=attempt)
    return done(request, signed_in.public(), go_to=notes.safe_next(request.query.get("next")))


@routes("GET", "/password")
async def show_password(request: Request) -> Answer:
    return show(request, "password", who=await auth.current(request))


@routes("POST", "/password")
async def change_password(request: Request) -> Answer:
    owner, values = await owner_of(request), request.values
    await prove(request, owner, values.text("current"))
    await PEOPLE.aset_password(owner, values.text("new"))
    await auth.logout_others(request)
    return done(request, (await auth.reauthenticate(request, amr=["pwd"])).public())


@routes("GET", "/admin")
async def admin(request: Request) -> Answer:
    who = await auth.require(roles={"admin"})(request)
    counts = NOTES.counts()
    people = [{"name": name, "notes": counts.get(name, 0)} for name in PEOPLE.names()]
    return show(request, "admin", people=people, who=who)


@routes("POST", "/admin/{name}/sign-out")
async def sign_out(request: Request) -> Answer:
    who = await auth.require(roles={"admin"}, max_lag=timedelta(0))(request)
    name = request.params["name"]
    await auth.sojourn.revoke_all(name, by=who.subject, incoming=incoming_of(request))
    return done(request, {}, go_to="/admin")


async def refused(request: Request, error: SojournError | notes.BadInput) -> Answer:
    return answer_to(
        error,
        method=request.method,
        target=request.target,
        accept=request.accept,
        who=await auth.optional(request),
    )


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
    except (notes.BadInput, SojournError) as error:
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


app = auth.wrap(application)
