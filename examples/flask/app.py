"""The notes application in Flask; `examples/flask/run` serves it."""

from datetime import timedelta
from typing import Any

from flask import Blueprint, Flask, Response, abort, jsonify, redirect, request
from flask.typing import ResponseReturnValue as Answer

import notes
from notes.account import about, answer_to, device_list
from sojourn import Attempt, InvalidCredentials, NotFound, SojournError
from sojourn.flask import Auth, current_user, login_required, safe_next

app = Flask("notes", static_folder=notes.STATIC, static_url_path="/static")
auth = Auth(app, store=notes.STORE, url=notes.URL)
NOTES = notes.Notes(notes.DATABASE)


def owner() -> str:
    return str(current_user.get_id())


def values() -> notes.Values:
    return notes.read_values(request.get_data(), request.content_type)


def show(template: str, **values: Any) -> Answer:
    """Show a page in a browser, the values alone to other clients."""
    if not notes.wants_page(request.headers.get("Accept")):
        return jsonify(values), notes.HEADERS
    values |= {"who": auth.optional()}
    return notes.page(template, query=request.args, **values), notes.HEADERS


def done(values: Any, *, go_to: str = "/") -> Answer:
    """Lead a browser on, answer other clients with what came of it."""
    if notes.wants_page(request.headers.get("Accept")):
        return redirect(go_to, 303)
    return jsonify(values)


# --- the notes ----------------------------------------------------------------------------------


@app.get("/")
@login_required
def home() -> Answer:
    return show("notes", notes=NOTES.of(owner()))


@app.post("/notes")
@login_required
def add() -> Answer:
    return done(NOTES.add(owner(), values().text("text")))


@app.post("/notes/<note>/delete")
@login_required
def delete(note: str) -> Answer:
    if not NOTES.delete(owner(), note):
        abort(404)
    return done({})


@app.post("/notes/clear")
@auth.requires(max_age=timedelta(minutes=5), max_lag=timedelta(0))
def clear() -> Answer:
    return done({"deleted": NOTES.clear(owner())})


# --- signing in and out: the application's own views --------------------------------------------

PEOPLE = notes.People(notes.DATABASE)
account = Blueprint("account", __name__)


@account.get("/login")
def show_login() -> Answer:
    return show("login")


@account.post("/login")
def login() -> Answer:
    form = values()
    person, attempt = prove(form.text("name"), form.text("password"))
    signed_in = auth.login(
        person.name,
        attempt=attempt,
        roles=person.roles,
        amr=["pwd"],
        transport=form.one_of("transport", "cookie", "bearer"),
    )
    return done(signed_in.public(), go_to=safe_next())


def prove(name: str, password: str) -> tuple[notes.Person, Attempt]:
    attempt = auth.begin(name)  # before the password is checked, which takes a while
    person = PEOPLE.prove(name, password)
    if person is None:
        auth.login_failed(name, reason="wrong_password")
        raise InvalidCredentials("the name and the password do not belong together")
    return person, attempt


@account.post("/refresh")
def refresh() -> Answer:
    return auth.refresh(refresh_token=values().get("refresh_token")).public()


@account.post("/logout")
def logout() -> Answer:
    auth.logout()
    return done({}, go_to="/login")


@account.get("/me")
@login_required
def me() -> Answer:
    return about(auth.current())


@account.get("/devices")
@login_required
def devices() -> Answer:
    return show("devices", devices=device_list(auth.sojourn.sessions(owner()), auth.current()))


@account.post("/devices/end-others")
@login_required
def end_others() -> Answer:
    auth.logout_others()
    return done({}, go_to="/devices")


@account.post("/devices/<sid>/end")
@login_required
def end_device(sid: str) -> Answer:
    if sid not in {session.sid for session in auth.sojourn.sessions(owner())}:
        raise NotFound("you have no such session")
    auth.sojourn.revoke(sid, subject=owner(), by=owner(), incoming=auth.incoming)
    return done({}, go_to="/devices")


@account.get("/confirm")
@login_required
def show_confirm() -> Answer:
    return show("confirm")


@account.post("/confirm")
@login_required
def confirm() -> Answer:
    _, attempt = prove(owner(), values().text("password"))
    signed_in = auth.reauthenticate(amr=["pwd"], attempt=attempt)
    return done(signed_in.public(), go_to=safe_next())


@account.get("/password")
@login_required
def show_password() -> Answer:
    return show("password")


@account.post("/password")
@login_required
def change_password() -> Answer:
    form = values()
    prove(owner(), form.text("current"))
    PEOPLE.set_password(owner(), form.text("new"))
    auth.logout_others()
    return done(auth.reauthenticate(amr=["pwd"]).public())


@account.get("/admin")
@auth.requires(roles={"admin"})
def admin() -> Answer:
    counts = NOTES.counts()
    people = [{"name": name, "notes": counts.get(name, 0)} for name in PEOPLE.names()]
    return show("admin", people=people)


@account.post("/admin/<name>/sign-out")
@auth.requires(roles={"admin"}, max_lag=timedelta(0))
def sign_out(name: str) -> Answer:
    auth.sojourn.revoke_all(name, by=owner(), incoming=auth.incoming)
    return done({}, go_to="/admin")


@app.errorhandler(SojournError)
@app.errorhandler(notes.BadInput)
def refused(error: SojournError | notes.BadInput) -> Answer:
    answer = answer_to(
        error,
        method=request.method,
        target=request.full_path.removesuffix("?"),
        accept=request.headers.get("Accept"),
        who=auth.optional(),
    )
    return Response(*answer)


# --- the application ----------------------------------------------------------------------------

app.register_blueprint(account)
