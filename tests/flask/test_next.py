"""Leading people to the login page and back, and never to somebody else's."""

from urllib.parse import parse_qs, urlsplit

import pytest
from flask import Blueprint, Flask, get_flashed_messages, redirect

from sojourn.flask import (
    Auth,
    SojournSessionInterface,
    fresh_login_required,
    login_required,
    login_user,
    safe_next,
)
from sojourn.flask.testing import SignedInClient
from sojourn.testing import ManualClock

URL = "http://127.0.0.1:5000"
PAGE = {"Accept": "text/html,application/xhtml+xml,*/*;q=0.8"}


@pytest.fixture
def clock():
    return ManualClock()


@pytest.fixture
def auth():
    auth = Auth()
    auth.login_view = "login"
    return auth


@pytest.fixture
def app(auth, clock):
    app = Flask(__name__)
    app.config.update(SOJOURN_STORE="memory://", SOJOURN_URL=URL)
    app.test_client_class = SignedInClient
    app.session_interface = SojournSessionInterface()
    auth.init_app(app, clock=clock, monotonic_ms=clock)

    @app.get("/login")
    def login():
        return {"messages": get_flashed_messages(with_categories=True)}

    @app.post("/login")
    def signed_in():
        login_user("ann")
        return redirect(safe_next("/home"))

    @app.route("/private/<path:name>", methods=["GET", "POST"])
    @login_required
    def private(name):
        return name

    @app.get("/fresh")
    @fresh_login_required
    def fresh():
        return "fresh"

    return app


@pytest.fixture
def client(app):
    return app.test_client()


def location_of(answer):
    """Split where an answer leads to: the path, and `next`."""
    assert 302 == answer.status_code
    parts = urlsplit(answer.headers["Location"])
    return parts.path, parse_qs(parts.query).get("next", [None])[0]


def test_people_are_led_to_the_login_page_and_back(client):
    """A browser without a sign-in goes to `login_view`, and afterwards to where it wanted to go."""
    asked = client.get("/private/a b/ü?q=1&r=%26x", headers=PAGE)
    path, next_path = location_of(asked)
    assert ("/login", "/private/a%20b/%C3%BC?q=1&r=%26x") == (path, next_path)
    back = client.post(asked.headers["Location"], headers=PAGE)
    assert "/private/a%20b/%C3%BC?q=1&r=%26x" == back.headers["Location"]
    assert "a b/ü" == client.get(back.headers["Location"]).text


@pytest.mark.parametrize(
    "headers",
    [
        {},
        {"Accept": "*/*"},
        {"Accept": "application/json"},
        {"Accept": "text/html;q=0.5, application/json"},
        {**PAGE, "Authorization": "Bearer sj_nonsense"},
    ],
    ids=["nothing said", "fetch", "json", "json rather", "bearer"],
)
def test_programs_get_a_problem_document(headers, client):
    """Whoever did not ask for a page is not led to one."""
    refused = client.get("/private/x", headers=headers)
    assert (401, "application/problem+json") == (refused.status_code, refused.content_type)


def test_behind_basic_authentication(client):
    """A browser that sends a proxy's password with everything is a person's all the same."""
    headers = {**PAGE, "Authorization": "Basic c3RhZ2luZzpwdw=="}
    assert ("/login", "/private/x") == location_of(client.get("/private/x", headers=headers))


def test_a_post_is_not_come_back_to(client):
    """What was sent is not sent again after the sign-in."""
    assert ("/login", None) == location_of(client.post("/private/x", headers=PAGE))


def test_below_a_prefix(app):
    """Where the application is mounted below a path, `next` has it too."""
    answer = app.test_client().get("/private/x", headers=PAGE, base_url="http://localhost/shop")
    assert ("/shop/login", "/shop/private/x") == location_of(answer)


def test_a_hostile_request_line_makes_no_next(client):
    """A path that is another site to a browser is not offered to come back to."""
    answer = client.get("/private/x", headers=PAGE, base_url="http://localhost//evil.example")
    path, next_path = location_of(answer)
    assert path.endswith("/login")
    assert next_path is None


@pytest.mark.parametrize(
    "view",
    ["/sign-in", "/sign-in?from=here", "https://id.example.com/in", "account.login"],
)
def test_the_login_page_may_be_anywhere(view, app, auth):
    """`login_view` is an endpoint, of a blueprint too, or an address."""
    account = Blueprint("account", __name__, url_prefix="/account")
    account.add_url_rule("/login", "login", lambda: "in")
    app.register_blueprint(account)
    auth.login_view = view
    location = app.test_client().get("/private/x", headers=PAGE).headers["Location"]
    assert location.startswith("/account/login" if view == "account.login" else view)
    assert ["/private/x"] == parse_qs(urlsplit(location).query)["next"]
    location = app.test_client().post("/private/x", headers=PAGE).headers["Location"]
    assert ("/account/login" if view == "account.login" else view) == location


def test_messages_are_flashed(client, auth):
    """`login_message` is there on the login page, for a visitor without a session before."""
    auth.login_message, auth.login_message_category = "Please sign in.", "info"
    client.get("/private/x", headers=PAGE)
    assert {"messages": [["info", "Please sign in."]]} == client.get("/login").json
    assert {"messages": []} == client.get("/login").json


def test_a_message_that_cannot_be_flashed(client, auth):
    """Another site's page learns that it is refused, and writes nothing to a visitor's session."""
    auth.login_message = "Please sign in."
    evil = {**PAGE, "Origin": "https://evil.example"}
    refused = client.post("/private/x", headers=evil)
    assert (403, "cross_site") == (refused.status_code, refused.json["code"])


def test_refresh_view(app, auth, clock):
    """Whose sign-in is too old goes to `refresh_view`, where there is one."""
    client = app.test_client(user="ann")
    clock.advance(seconds=16 * 60)
    assert 401 == client.get("/fresh", headers=PAGE).status_code
    auth.refresh_view, auth.needs_refresh_message = "login", "Your password again, please."
    assert ("/login", "/fresh") == location_of(client.get("/fresh", headers=PAGE))
    assert "Your password again, please." == client.get("/login").json["messages"][0][1]


HOSTILE = [
    "//evil.example",
    "///evil.example",
    "/\\evil.example",
    "\\\\evil.example",
    "/\t/evil.example",
    "\t//evil.example",
    "/\n/evil.example",
    "/\r\nSet-Cookie: x=1",
    "/\x00/evil.example",
    "/ok\\..\\..\\evil",
    "/.//evil.example",
    "/..//evil.example",
    "/a/..//evil.example",
    "/%2e//evil.example",
    "/.%2E//evil.example?q",
    "/a/..",
    "/./",
    " //evil.example",
    "https:evil.example",
    "https://evil.example",
    "HTTPS:/evil.example",
    "javascript:alert(1)",
    "data:text/html,x",
    "evil.example",
    "@evil.example",
    ".evil.example",
    "/ü",  # not as a browser writes it
    "／／evil.example",
    "/" + "x" * 2000,
    "",
]


@pytest.mark.parametrize("text", HOSTILE, ids=[ascii(text)[:24] for text in HOSTILE])
@pytest.mark.parametrize("where", ["query_string", "data"])
def test_a_hostile_next_leads_home(where, text, client):
    """Only a path of this site is gone on to, whatever a link or form asks for."""
    answer = client.post("/login", **{where: {"next": text}})
    assert "/home" == answer.headers["Location"]


@pytest.mark.parametrize(
    "text",
    [
        "/",
        "/private/x",
        "/a?b=c&d=%2F%2Fevil.example",
        "/%2F/evil.example",
        "/a#b",
        "/:x@y",
        "/.well-known/x",
        "/a.../..b/%2ec?d=/../e#/./f",
    ],
)
def test_a_path_of_this_site_is_gone_on_to(text, client):
    """What is encoded stays so, and so is a path of this site to every browser."""
    answer = client.post("/login", query_string={"next": text})
    assert text == answer.headers["Location"]


def test_a_next_encoded_twice_is_only_a_name(client):
    """What is decoded once does not become another site by being decoded once."""
    assert "/home" == client.post("/login?next=%2F%2Fevil.example").headers["Location"]
    assert "/home" == client.post("/login?next=%252F%252Fevil.example").headers["Location"]
    assert "/home" == client.post("/login?next=/%09/evil.example").headers["Location"]
    assert "/home" == client.post("/login?next=/%5Cevil.example").headers["Location"]
