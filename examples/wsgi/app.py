"""The notes application on plain WSGI, without a framework; `examples/wsgi/run` serves it."""

from datetime import timedelta
from http import HTTPStatus
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
from sojourn.wsgi import Auth, incoming_of

auth = Auth(notes.STORE, url=notes.URL)
fresh = auth.require(max_age=timedelta(minutes=5), max_lag=timedelta(0))
NOTES = notes.Notes(notes.DATABASE)
routes = Routes()


def owner_of(request: Request) -> str:
    return auth.current(request).subject


# --- the notes ----------------------------------------------------------------------------------


@routes("GET", "/")
def home(request: Request) -> Answer:
    owner = owner_of(request)
    return show(request, "notes", notes=NOTES.of(owner), who=auth.optional(request))


@routes("POST", "/notes")
def add(request: Request) -> Answer:
    owner = owner_of(request)
    note = NOTES.add(owner, request.values.text("text"))
    return done(request, note)


@routes("POST", "/notes/clear")
def clear(request: Request) -> Answer:
    fresh(request)
    return done(request, {"deleted": NOTES.clear(owner_of(request))})


@routes("POST", "/notes/{note}/delete")
def delete(request: Request) -> Answer:
    owner = owner_of(request)
    if not NOTES.delete(owner, request.params["note"]):
        raise NoSuchPage("there is no such note")
    return done(request, {})


@routes("GET", "/static/{name}")
def static(request: Request) -> Answer:
    return static_file(request)


# --- signing in and out: the application's own views --------------------------------------------

PEOPLE = notes.People(notes.DATABASE)


@routes("GET", "/login")
def show_login(request: Request) -> Answer:
    return show(request, "login")


@routes("POST", "/login")
def login(request: Request) -> Answer:
    values = request.values
    person, attempt = prove(request, values.text("name"), values.text("password"))
    signed_in = auth.login(
        request,
        person.name,
        attempt=attempt,
        roles=person.roles,
        amr=["pwd"],
        transport=values.one_of("transport", "cookie", "bearer"),
    )
    return done(request, signed_in.public(), go_to=notes.safe_next(request.query.get("next")))


def prove(request: Request, name: str, password: str) -> tuple[notes.Person, Attempt]:
    attempt = auth.begin(name)  # before the password is checked, which takes a while
    person = PEOPLE.prove(name, password)
    if person is None:
        auth.sojourn.login_failed(incoming_of(request), name, reason="wrong_password")
        raise InvalidCredentials("the name and the password do not belong together")
    return person, attempt


@routes("POST", "/refresh")
def refresh(request: Request) -> Answer:
    token = request.values.get("refresh_token")
    return as_json(auth.refresh(request, refresh_token=token).public())


@routes("POST", "/logout")
def logout(request: Request) -> Answer:
    auth.logout(request)
    return done(request, {}, go_to="/login")


@routes("GET", "/me")
def me(request: Request) -> Answer:
    return as_json(about(auth.current(request)))


@routes("GET", "/devices")
def devices(request: Request) -> Answer:
    who = auth.current(request)
    sessions = auth.sojourn.sessions(who.subject)
    return show(request, "devices", devices=device_list(sessions, who), who=who)


@routes("POST", "/devices/end-others")
def end_others(request: Request) -> Answer:
    auth.logout_others(request)
    return done(request, {}, go_to="/devices")


@routes("POST", "/devices/{sid}/end")
def end_device(request: Request) -> Answer:
    owner, sid = owner_of(request), request.params["sid"]
    if sid not in {session.sid for session in auth.sojourn.sessions(owner)}:
        raise NotFound("you have no such session")
    auth.sojourn.revoke(sid, subject=owner, by=owner, incoming=incoming_of(request))
    return done(request, {}, go_to="/devices")


@routes("GET", "/confirm")
def show_confirm(request: Request) -> Answer:
    return show(request, "confirm", who=auth.current(request))


@routes("POST", "/confirm")
def confirm(request: Request) -> Answer:
    owner = owner_of(request)
    _, attempt = prove(request, owner, request.values.text("password"))
    signed_in = auth.reauthenticate(request, amr=["pwd"], attempt=attempt)
    return done(request, signed_in.public(), go_to=notes.safe_next(request.query.get("next")))


@routes("GET", "/password")
def show_password(request: Request) -> Answer:
    return show(request, "password", who=auth.current(request))


@routes("POST", "/password")
def change_password(request: Request) -> Answer:
    owner, values = owner_of(request), request.values
    prove(request, owner, values.text("current"))
    PEOPLE.set_password(owner, values.text("new"))
    auth.logout_others(request)
    return done(request, auth.reauthenticate(request, amr=["pwd"]).public())


@routes("GET", "/admin")
def admin(request: Request) -> Answer:
    who = auth.require(roles={"admin"})(request)
    counts = NOTES.counts()
    people = [{"name": name, "notes": counts.get(name, 0)} for name in PEOPLE.names()]
    return show(request, "admin", people=people, who=who)


@routes("POST", "/admin/{name}/sign-out")
def sign_out(request: Request) -> Answer:
    who = auth.require(roles={"admin"}, max_lag=timedelta(0))(request)
    name = request.params["name"]
    auth.sojourn.revoke_all(name, by=who.subject, incoming=incoming_of(request))
    return done(request, {}, go_to="/admin")


def refused(request: Request, error: SojournError | notes.BadInput) -> Answer:
    return answer_to(
        error,
        method=request.method,
        target=request.target,
        accept=request.accept,
        who=auth.optional(request),
    )


# --- the application ----------------------------------------------------------------------------


def application(environ: Any, start_response: Any) -> list[bytes]:
    request = read(environ)
    try:
        answer = routes.find(request)(request)
    except (notes.BadInput, SojournError) as error:
        answer = refused(request, error)
    status = f"{answer.status} {HTTPStatus(answer.status).phrase}"
    start_response(status, list(answer.headers.items()))
    return [answer.body]


def read(environ: Any) -> Request:
    length = environ.get("CONTENT_LENGTH", "")
    size = min(int(length), MOST_BYTES) if length.isdecimal() else 0
    return Request(
        environ,
        method=environ["REQUEST_METHOD"],
        path=environ["PATH_INFO"].encode("latin-1").decode(errors="replace"),
        query=environ.get("QUERY_STRING", ""),
        accept=environ.get("HTTP_ACCEPT", ""),
        content_type=environ.get("CONTENT_TYPE", ""),
        body=environ["wsgi.input"].read(size),
    )


app = auth.wrap(application)
