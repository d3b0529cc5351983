"""Flask-Login's patterns, as its documentation writes them."""

from dataclasses import dataclass, field

import pytest
from blinker import Signal
from flask import Flask, render_template_string, request, session

from sojourn import ConfigurationError, InvalidCredentials, InvalidInput, StoreError
from sojourn.flask import (
    AnonymousUser,
    Auth,
    SignedInUser,
    UserMixin,
    confirm_login,
    current_user,
    fresh_login_required,
    login_required,
    login_user,
    logout_user,
    session_renewed,
    user_logged_in,
    user_logged_out,
    user_login_confirmed,
    user_needs_refresh,
    user_unauthorized,
)
from sojourn.flask.testing import SignedInClient
from sojourn.testing import ManualClock, acting_as

URL = "http://127.0.0.1:5000"


@dataclass
class User(UserMixin):
    id: int
    name: str
    api_key: str = ""
    is_active: bool = field(default=True)


@pytest.fixture
def users():
    return {1: User(1, "Notch", api_key="of-notch"), 2: User(2, "Steve"), 3: User(3, "Creeper")}


@pytest.fixture
def clock():
    return ManualClock()


@pytest.fixture
def auth():
    return Auth()


@pytest.fixture
def app(auth, clock, users):
    """Make an application from what Flask-Login's documentation shows."""
    app = Flask(__name__)
    app.config.update(TESTING=True, SOJOURN_STORE="memory://", SOJOURN_URL=URL)
    app.test_client_class = SignedInClient
    auth.init_app(app, clock=clock, monotonic_ms=clock)

    @auth.user_loader
    def load_user(subject):
        return users.get(int(subject))

    @app.get("/")
    def index():
        return {"name": getattr(current_user, "name", None)}

    @app.post("/login/<int:number>")
    def login(number):
        return {
            "is_signed_in": bool(login_user(users[number], remember="remember" in request.args))
        }

    @app.post("/logout")
    @login_required
    def logout():
        return {"is_signed_out": logout_user(), "is_authenticated": current_user.is_authenticated}

    @app.get("/settings")
    @login_required
    def settings():
        return current_user.name

    @app.get("/delete")
    @fresh_login_required
    def delete():
        return current_user.name

    @app.post("/confirm")
    def confirm():
        confirm_login(amr=["pwd"])
        return current_user.name

    return app


@pytest.fixture
def client(app):
    return app.test_client()


def test_user_loader(client, users):
    """`current_user` is the application's own user object, from the login on until the logout."""
    assert {"name": None} == client.get("/").json
    assert {"is_signed_in": True} == client.post("/login/1").json
    assert {"name": "Notch"} == client.get("/").json
    assert "Notch" == client.get("/settings").text
    assert {"is_signed_out": True, "is_authenticated": False} == client.post("/logout").json
    assert {"name": None} == client.get("/").json
    assert 401 == client.get("/settings").status_code


def test_a_user_that_is_gone_is_signed_out(app, auth, users):
    """Where the `user_loader` gives None, nobody is signed in, for every way to ask."""

    @app.get("/principal")
    @auth.requires
    def principal():
        return auth.current().subject

    @app.get("/optional")
    def optional():
        return {"is_somebody": auth.optional() is not None}

    app.register_blueprint(auth.blueprint())
    client = app.test_client(user=users[1])
    assert ("1", True) == (
        client.get("/principal").text,
        client.get("/optional").json["is_somebody"],
    )
    del users[1]
    for path in ("/settings", "/principal", "/auth/session", "/delete"):
        refused = client.get(path)
        assert (401, "unauthenticated") == (refused.status_code, refused.json["code"])
    assert {"is_somebody": False} == client.get("/optional").json
    assert {"name": None} == client.get("/").json


def test_a_user_is_loaded_once_in_a_request(app, auth, users):
    """The loader is called once in a request, not at all after a login, and not for strangers."""
    calls = []

    @auth.user_loader
    def load_user(subject):
        calls.append(subject)
        return users[int(subject)]

    @app.get("/twice")
    @login_required
    def twice():
        return f"{current_user.name} {current_user.name} {auth.current().subject}"

    @app.post("/in")
    def log_in():
        login_user(users[2])
        return current_user.name

    client = app.test_client()
    assert "Steve" == client.post("/in").text
    assert [] == calls
    assert "Steve Steve 2" == client.get("/twice").text
    assert ["2"] == calls
    app.test_client().get("/")
    assert ["2"] == calls


def test_request_loader(app, auth, users):
    """A request without a sign-in may prove a user by what the application knows of."""

    @auth.request_loader
    def load_by_key(request):
        key = request.headers.get("X-Api-Key")
        return next((user for user in users.values() if key and user.api_key == key), None)

    client = app.test_client()
    by_key = {"X-Api-Key": "of-notch"}
    assert "Notch" == client.get("/settings", headers=by_key).text
    assert 401 == client.get("/settings", headers={"X-Api-Key": "of-nobody"}).status_code
    assert "Steve" == app.test_client(user=users[2]).get("/settings", headers=by_key).text
    refused = client.get("/delete", headers=by_key)
    assert "insufficient_user_authentication" == refused.json["code"]


def test_request_loader_is_no_way_around_csrf(app, auth, users):
    """What another site had a browser send is refused, whatever else the request holds."""

    @auth.request_loader
    def load_always(_):
        return users[1]

    client = app.test_client(user=users[2])
    evil = {"Origin": "https://evil.example"}
    refused = client.post("/logout", headers=evil)
    assert (403, "cross_site") == (refused.status_code, refused.json["code"])


def test_unauthorized_handler(app, auth, client):
    """The application's own answer to whoever has to sign in."""
    auth.login_view = "index"

    @auth.unauthorized_handler
    def unauthorized():
        return "who are you?", 403

    answer = client.get("/settings", headers={"Accept": "text/html"})
    assert (403, "who are you?") == (answer.status_code, answer.text)


def test_fresh_login(app, auth, clock, users):
    """A view may ask for a recent sign-in; to confirm it makes it one again."""
    client = app.test_client(user=users[1])
    assert "Notch" == client.get("/delete").text
    clock.advance(seconds=15 * 60 + 1)
    assert "Notch" == client.get("/settings").text
    stale = client.get("/delete")
    assert (401, "insufficient_user_authentication") == (stale.status_code, stale.json["code"])
    assert "Notch" == client.post("/confirm").text
    assert "Notch" == client.get("/delete").text

    @auth.needs_refresh_handler
    def needs_refresh():
        return "your password again, please", 401

    clock.advance(seconds=15 * 60 + 1)
    assert "your password again, please" == client.get("/delete").text
    assert "unauthenticated" == app.test_client().get("/delete").json["code"]


def test_how_fresh_is_a_setting(auth, clock, users):
    """`SOJOURN_FRESH_SECONDS` says how old a sign-in may be."""
    app = Flask(__name__)
    app.config.update(SOJOURN_STORE="memory://", SOJOURN_URL=URL, SOJOURN_FRESH_SECONDS=60)
    app.test_client_class = SignedInClient
    auth.init_app(app, clock=clock, monotonic_ms=clock)
    app.add_url_rule("/", view_func=fresh_login_required(lambda: "fresh"))
    client = app.test_client(user=1)
    clock.advance(seconds=60)
    assert "fresh" == client.get("/").text
    clock.advance(seconds=2)
    assert 401 == client.get("/").status_code


def test_inactive_users_do_not_get_in(client, users, app):
    """`login_user` answers None for whoever is not active; an account that became so is refused."""
    users[2].is_active = False
    assert {"is_signed_in": False} == client.post("/login/2").json
    assert 401 == client.get("/settings").status_code
    there = app.test_client(user=users[3])
    assert "Creeper" == there.get("/settings").text
    users[3].is_active = False
    assert (401, "unauthenticated") == (
        (refused := there.get("/settings")).status_code,
        refused.json["code"],
    )


def test_remember(client):
    """As in Flask-Login, a sign-in ends with the browser, unless it is to be remembered."""
    forgotten = client.post("/login/1").headers.getlist("Set-Cookie")
    assert not any("Max-Age" in cookie for cookie in forgotten)
    remembered = client.post("/login/1?remember").headers.getlist("Set-Cookie")
    assert all("Max-Age" in cookie for cookie in remembered)


def test_without_a_user_loader():
    """`current_user` then stands for the principal: who it is, and what is known of them."""
    app = Flask(__name__)
    app.config.update(SOJOURN_STORE="memory://", SOJOURN_URL=URL)
    app.test_client_class = SignedInClient
    Auth(app)

    @app.get("/")
    def index():
        return {
            "is_authenticated": current_user.is_authenticated,
            "is_active": current_user.is_active,
            "is_anonymous": current_user.is_anonymous,
            "id": current_user.get_id(),
            "roles": sorted(current_user.principal.roles) if current_user.principal else None,
        }

    assert {
        "is_authenticated": False,
        "is_active": False,
        "is_anonymous": True,
        "id": None,
        "roles": None,
    } == app.test_client().get("/").json
    assert {
        "is_authenticated": True,
        "is_active": True,
        "is_anonymous": False,
        "id": "ann",
        "roles": ["editor"],
    } == app.test_client(user="ann", roles={"editor"}).get("/").json


def test_current_user_in_templates(app, users):
    """Every template has `current_user`; one that does not look at it loads nobody."""

    @app.get("/page")
    def page():
        return render_template_string("{{ current_user.name }}")

    @app.get("/plain")
    def plain():
        return render_template_string("plain")

    client = app.test_client(user=users[1])
    assert "Notch" == client.get("/page").text
    users.clear()
    assert "plain" == client.get("/plain").text


def test_within_a_test_request_context(app, users):
    """Without a client too, as in tests of functions: signed in, known, signed out."""
    with app.test_request_context():
        assert not current_user.is_authenticated
        assert login_user(users[1])
        assert "Notch" == current_user.name
        assert logout_user()
        assert isinstance(current_user._get_current_object(), AnonymousUser)


def test_other_user_objects(app):
    """Whatever has an `id` or a `get_id` can sign in, and what has neither is refused with a word."""

    class Plain:
        id = 7

    class Unsaved(UserMixin):
        id = None

    with app.test_request_context():
        assert "7" == login_user(Plain()).principal.subject
        assert "7" == login_user(7).principal.subject
        assert "ann" == login_user("ann").principal.subject
        with pytest.raises(InvalidInput, match="neither get_id"):
            login_user(object())
        with pytest.raises(InvalidInput, match="save the user first"):
            login_user(Unsaved())


class Heard:
    """What was said by a signal while connected."""

    def __init__(self, signal: Signal, app: Flask):
        self.said = []
        signal.connect(self.hear, app)

    def hear(self, sender, **said):
        self.said.append(said)


def test_signals(app, clock, users):
    """Whoever listens hears of logins, logouts, confirmations, refusals and renewals."""
    signed_in, signed_out, confirmed, refused, stale, renewed = (
        Heard(signal, app)
        for signal in (
            user_logged_in,
            user_logged_out,
            user_login_confirmed,
            user_unauthorized,
            user_needs_refresh,
            session_renewed,
        )
    )
    client = app.test_client()
    client.get("/settings")
    client.post("/login/1")
    client.post("/confirm")
    clock.advance(seconds=15 * 60 + 1)
    client.get("/delete")
    client.post("/logout")
    assert ["unauthenticated"] == [said["error"].code for said in refused.said]
    assert [users[1]] == [said["user"] for said in signed_in.said]
    assert [users[1]] == [said["user"] for said in confirmed.said]
    assert ["insufficient_user_authentication"] == [said["error"].code for said in stale.said]
    assert ["1"] == [said["signed_in"].principal.subject for said in renewed.said]
    assert [users[1]] == [said["user"] for said in signed_out.said]


def test_acting_as(app, auth, users):
    """A test acts as anybody, with no session at all; freshness is still judged."""
    client = app.test_client()
    with app.app_context(), acting_as(auth, 2):
        assert "Steve" == client.get("/settings").text
        assert "Steve" == client.get("/delete").text
    with app.app_context(), acting_as(auth.sojourn, 2, auth_time=0):
        assert 401 == client.get("/delete").status_code


def test_wrong_passwords_are_told_where_they_were_typed(app, auth, client):
    """A failed login is not answered by leading to the login page."""
    auth.login_view = "index"

    @app.post("/wrong")
    def wrong():
        auth.login_failed("1", reason="wrong_password")
        raise InvalidCredentials("the name and the password do not belong together")

    answer = client.post("/wrong", headers={"Accept": "text/html"})
    assert (401, "invalid_credentials") == (answer.status_code, answer.json["code"])


def test_loaders_may_be_async(app, auth, users):
    """A coroutine is not taken for a user: `async` loaders are awaited as Flask awaits views."""

    @auth.user_loader
    async def load_user(subject):
        return users.get(int(subject))

    @auth.request_loader
    async def load_nobody(_):
        return None

    @app.get("/awaited")
    @login_required
    async def awaited():
        return current_user.name

    assert "Notch" == app.test_client(user=users[1]).get("/awaited").text
    assert 401 == app.test_client().get("/awaited").status_code


def test_public_pages_work_without_the_store(app, auth, users, monkeypatch):
    """Where the store fails, a page for everybody answers, and a private one says 503."""
    client = app.test_client(user=users[1], mode="hybrid")

    async def failing(*_: object, **__: object) -> None:
        raise StoreError("the store is away; check it")

    with app.app_context():
        core = auth.sojourn.core
    monkeypatch.setattr(core.picture, "lag_ms", lambda: 10_000.0)
    monkeypatch.setattr(core.store, "read", failing)
    assert {"name": None} == client.get("/").json
    for path in ("/settings", "/delete"):
        assert (503, "store_unavailable") == (
            (refused := client.get(path)).status_code,
            refused.json["code"],
        )


def test_flask_session_is_left_alone(app, users):
    """Without our session interface, `flask.session` stays Flask's own cookie."""
    app.secret_key = "signs-flasks-own-cookie"

    @app.get("/visits")
    def visits():
        session["n"] = session.get("n", 0) + 1
        return str(session["n"])

    client = app.test_client(user=users[1])
    assert ["1", "2"] == [client.get("/visits").text for _ in range(2)]


def test_signed_in_user_is_what_it_says(app):
    """`SignedInUser` is what applications without user objects test with."""
    with app.app_context(), acting_as(app.extensions["sojourn"].auth, "ann") as principal:
        assert "ann" == SignedInUser(principal).get_id()


def test_without_init_app():
    """Forgetting `init_app` is said, with the remedy."""
    app = Flask(__name__)
    with app.test_request_context(), pytest.raises(ConfigurationError, match="init_app"):
        login_user("ann")
