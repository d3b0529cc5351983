"""The plain WSGI adapter, before applications as people write them by hand."""

import json
from datetime import timedelta
from wsgiref.validate import validator

import pytest
from werkzeug.test import Client

from sojourn import (
    AsyncSojourn,
    AsyncVerifier,
    ConfigurationError,
    InvalidInput,
    Issuer,
    Sojourn,
    StoreError,
    Verifier,
)
from sojourn.stores.memory import MemoryStore
from sojourn.testing import ManualClock, acting_as
from sojourn.verifier import Answer
from sojourn.wsgi import Auth, Guard, incoming_of

pytestmark = pytest.mark.filterwarnings(
    # wsgiref's validator says so of the query-less requests of Werkzeug's client.
    "ignore::wsgiref.validate.WSGIWarning"
)

URL = "http://127.0.0.1:8000"
PAGE = "http://localhost:3000"
JSON = [("Content-Type", "application/json")]


def application(auth):
    """Make an application that does what its path says."""
    admin = auth.require(roles={"admin"}, max_age=timedelta(minutes=5))
    now = auth.require(max_lag=timedelta(0))

    def login(environ, body):
        return auth.login(environ, **body).public()

    def me(environ, _):
        return {"subject": auth.current(environ).subject}

    def public(environ, _):
        principal = auth.optional(environ)
        return {"subject": principal.subject if principal else None}

    def basket(environ, body):
        data = auth.data(environ)
        if body is not None:
            data.setdefault("basket", []).append(body)
        return data.get("basket", [])

    routes = {
        "/login": login,
        "/me": me,
        "/public": public,
        "/basket": basket,
        "/admin": lambda environ, _: admin(environ).subject,
        "/now": lambda environ, _: now(environ).subject,
        "/refresh": lambda environ, _: auth.refresh(environ).public(),
        "/reauthenticate": lambda environ, _: auth.reauthenticate(environ).public(),
        "/move": lambda environ, _: auth.move(environ, mode="session").public(),
        "/access-token": lambda environ, _: auth.access_token(environ).public(),
        "/logout": lambda environ, _: auth.logout(environ),
        "/logout-all": lambda environ, _: auth.logout_all(environ),
        "/logout-others": lambda environ, _: auth.logout_others(environ),
    }

    def answer(environ, start_response):
        length = int(environ.get("CONTENT_LENGTH") or 0)
        body = json.loads(environ["wsgi.input"].read(length)) if length else None
        text = json.dumps(routes[environ["PATH_INFO"]](environ, body)).encode()
        start_response("200 OK", [*JSON, ("Vary", "Accept"), ("Set-Cookie", "theme=dark; Path=/")])
        return [text]

    return answer


class Browser(Client):
    """A client that reads answers to their end, and closes them, as servers do."""

    def open(self, *args, **options):
        return super().open(*args, **{"buffered": True, **options})


def browser(auth, app=None):
    """Make a browser of an application, with a checker of PEP 3333 on both sides of the middleware."""
    return Browser(validator(auth.wrap(validator(app or application(auth)))))


@pytest.fixture
def clock():
    return ManualClock()


@pytest.fixture
def auth(clock):
    return Auth(
        "memory://",
        mode="hybrid",
        modes=("session", "jwt", "hybrid"),
        url=URL,
        clock=clock,
        monotonic_ms=clock,
        trusted_origins=(PAGE,),
    )


@pytest.fixture
def client(auth):
    return browser(auth)


def ours(answer):
    """Give the names of the cookies an answer sets, without the application's."""
    names = [text.partition("=")[0] for text in answer.headers.getlist("Set-Cookie")]
    return [name for name in names if name.startswith("sojourn")]


@pytest.mark.parametrize("mode", ["session", "jwt", "hybrid"])
@pytest.mark.parametrize("transport", ["cookie", "bearer"])
def test_signing_in_and_out(mode, transport, client):
    """A login, a check and a logout, in each mode over each transport."""
    body = {"subject": "ann", "mode": mode, "transport": transport}
    told = client.post("/login", json=body).json
    headers = {"Authorization": f"Bearer {told['access_token']}"} if transport == "bearer" else {}
    assert {"subject": "ann"} == client.get("/me", headers=headers).json
    assert 200 == client.post("/logout", headers=headers).status_code
    refused = client.get("/me", headers=headers)
    expected = "revoked" if transport == "bearer" else "unauthenticated"
    assert (401, expected) == (refused.status_code, refused.json["code"])
    assert "application/problem+json" == refused.content_type


def test_the_applications_own_headers_stay(client):
    """Cookies and Vary of the application are kept; what carries secrets is never cached."""
    answer = client.post("/login", json={"subject": "ann"})
    assert 2 == len(ours(answer))
    assert "theme=dark; Path=/" in answer.headers.getlist("Set-Cookie")
    assert "no-store" == answer.headers["Cache-Control"]
    assert {"Accept", "Cookie"} == set(answer.vary) | {"Accept", "Cookie"}


def test_renewed_in_passing(client, clock):
    """An access token that is over costs the visitor nothing: the answer carries new cookies."""
    client.post("/login", json={"subject": "ann"})
    clock.advance(seconds=901)
    answer = client.get("/public")
    assert ("ann", 2) == (answer.json["subject"], len(ours(answer)))
    assert [] == ours(client.get("/public"))


@pytest.mark.parametrize("verb", ["reauthenticate", "refresh", "access-token", "move"])
@pytest.mark.parametrize("is_over", [False, True])
def test_verbs_in_a_strict_window(verb, is_over, clock):
    """With no grace at all, a verb after a renewal in passing goes on with the new credentials."""
    auth = Auth(
        "memory://",
        modes=("session", "hybrid"),
        url=URL,
        grace_seconds=0,
        clock=clock,
        monotonic_ms=clock,
    )
    client = browser(auth)
    client.post("/login", json={"subject": "ann"})
    if is_over:
        clock.advance(seconds=901)
    assert 200 == client.post(f"/{verb}").status_code
    assert 200 == client.get("/me").status_code


def test_requirements(client, clock, auth):
    """Roles and freshness are asked for where a route says so, and the store where it has to be."""
    client.post("/login", json={"subject": "ann"})
    assert "forbidden" == client.get("/admin").json["code"]
    client.post("/login", json={"subject": "ann", "roles": ["admin"]})
    assert "ann" == client.get("/admin").json
    clock.advance(seconds=301)
    stale = client.get("/admin")
    assert "insufficient_user_authentication" == stale.json["code"]
    assert 'Bearer error="insufficient_user_authentication"' == stale.headers["WWW-Authenticate"]
    assert "ann" == client.get("/now").json
    auth.sojourn.revoke_all("ann")
    assert 401 == client.get("/now").status_code


def test_logout_all_and_others(auth):
    """One sign-in stays, or none."""
    here, there = browser(auth), browser(auth)
    for client in (here, there):
        client.post("/login", json={"subject": "ann"})
    assert 200 == here.post("/logout-others").status_code
    assert (200, 401) == (here.get("/me").status_code, there.get("/me").status_code)
    assert 200 == here.post("/logout-all").status_code
    assert 401 == here.post("/logout-all").status_code


def test_session_data_and_guests(client):
    """Data is there for visitors too, is saved with the answer, and is carried over."""
    assert ([], []) == ((answer := client.get("/basket")).json, ours(answer))
    assert ["pear"] == client.post("/basket", json="pear").json
    client.post("/login", json={"subject": "ann", "carry": ["basket"]})
    assert ["pear", "fig"] == client.post("/basket", json="fig").json
    too_large = client.post("/basket", json="x" * 40_000)
    assert (400, "invalid_input") == (too_large.status_code, too_large.json["code"])
    assert ["pear", "fig"] == client.get("/basket").json


def test_another_origin_touches_nothing(client):
    """A page of another origin neither acts for who is signed in nor fills a visitor's basket."""
    evil = {"Origin": "https://evil.example"}
    assert "cross_site" == client.post("/basket", json="x", headers=evil).json["code"]
    client.post("/login", json={"subject": "ann"})
    assert None is client.post("/public", headers=evil).json["subject"]
    assert "cross_site" == client.post("/logout", headers=evil).json["code"]
    assert "ann" == client.get("/me").json["subject"]


def test_trusted_origin(client):
    """A trusted page passes CSRF, reads answers and errors, and its preflight is answered."""
    page = {"Origin": PAGE}
    preflight = client.options("/me", headers={**page, "Access-Control-Request-Method": "POST"})
    assert (204, PAGE) == (
        preflight.status_code,
        preflight.headers["Access-Control-Allow-Origin"],
    )
    answer = client.post("/login", json={"subject": "ann"}, headers=page)
    assert (200, PAGE) == (answer.status_code, answer.headers["Access-Control-Allow-Origin"])
    client.delete_cookie("sojourn-8000-access")
    client.delete_cookie("sojourn-8000-refresh")
    refused = client.get("/me", headers=page)
    assert (401, PAGE) == (refused.status_code, refused.headers["Access-Control-Allow-Origin"])


def test_public_pages_work_without_the_store(client, auth, monkeypatch):
    """Where the store fails, a public page answers, and a private one says 503."""
    client.post("/login", json={"subject": "ann", "mode": "session"})
    auth.sojourn.core.picture.near.entries.clear()

    async def failing(*_: object) -> None:
        raise StoreError("the store is away; check it")

    monkeypatch.setattr(auth.sojourn.core.store, "get", failing)
    assert None is client.get("/public").json["subject"]
    refused = client.get("/me")
    assert (503, "store_unavailable") == (refused.status_code, refused.json["code"])
    assert "1" == refused.headers["Retry-After"]
    assert 503 == client.get("/basket").status_code
    assert b"" == client.head("/me").data, "the answer to HEAD has no body"


# --- how applications begin their answers --------------------------------------------------------


class Body(list):
    """A body that knows whether it was closed."""

    is_closed = False

    def close(self):
        self.is_closed = True


def test_a_body_is_passed_on_as_it_is(auth):
    """What the application returns reaches the server unwrapped: its length, its file."""
    body = [b"as it is"]

    def app(environ, start_response):
        start_response("200 OK", JSON)
        return body

    environ = {"REQUEST_METHOD": "GET", "PATH_INFO": "/"}
    assert body is auth.wrap(app)(environ, lambda *_: None)


def generator(auth, act):
    """Make an application that says nothing until its body is asked for."""

    def app(environ, start_response):
        start_response("200 OK", [("Content-Type", "text/plain")])
        act(auth, environ)
        yield b"one "
        yield b"two"

    return app


def test_an_application_that_is_a_generator(auth, clock):
    """What it does before its first part reaches the headers; so do its errors."""
    client = browser(auth, generator(auth, lambda auth, environ: auth.login(environ, "ann")))
    answer = client.get("/")
    assert ("one two", 2) == (answer.text, len(ours(answer)))

    def refuse(auth, environ):
        auth.require(roles={"admin"})(environ)

    client = browser(auth, generator(auth, refuse))
    assert (401, "unauthenticated") == ((a := client.get("/")).status_code, a.json["code"])

    def write(auth, environ):
        auth.data(environ)["seen"] = True

    assert 1 == len(ours(browser(auth, generator(auth, write)).get("/")))

    def empty(environ, start_response):
        start_response("204 No Content", [])
        auth.login(environ, "ann")
        yield from ()

    assert 2 == len(ours(Client(auth.wrap(empty)).get("/")))


def test_a_generator_that_fails_half_way_fails_as_it_would_without_us(auth):
    """Once the answer has begun, an error is the server's to deal with."""

    def app(environ, start_response):
        start_response("200 OK", [("Content-Type", "text/plain")])
        yield b"one "
        auth.require(roles={"admin"})(environ)

    with pytest.raises(Exception, match="sign in first"):
        Client(auth.wrap(app)).get("/", buffered=True)


def test_an_application_that_writes(auth):
    """The old `write` gets the headers too, and what comes after is as without us."""

    def app(environ, start_response):
        write = start_response("200 OK", [("Content-Type", "text/plain")])
        auth.login(environ, "ann")
        write(b"written ")
        write(b"twice ")
        return [b"returned"]

    answer = Client(auth.wrap(app)).get("/")
    assert ("written twice returned", 2) == (answer.text, len(ours(answer)))


def test_an_error_page_of_the_application_carries_what_is_handed_out(auth):
    """An answer taken back by `exc_info` is replaced, before it began and after."""
    import sys

    def before(environ, start_response):
        start_response("200 OK", JSON)
        auth.login(environ, "ann")
        try:
            int("the application's own mistake")
        except ValueError:
            start_response("500 Oh no", JSON, sys.exc_info())
        return [b"{}"]

    answer = browser(auth, before).get("/")
    assert (500, 2) == (answer.status_code, len(ours(answer)))

    def after(environ, start_response):
        start_response("200 OK", JSON)(b"begun")
        try:
            int("too late")
        except ValueError:
            start_response("500 Oh no", JSON, sys.exc_info())
        return [b"{}"]

    with pytest.raises(ValueError, match="too late"):
        browser(auth, after).get("/")


def test_data_that_cannot_be_saved_is_not_claimed_to_be(auth, monkeypatch):
    """A failing save is answered with its problem, in place of what the application said."""

    async def failing(*_: object, **__: object) -> bool:
        raise StoreError("the store is away; check it")

    body, plain = Body([b"saved!"]), [b"saved!"]

    def app(environ, start_response):
        auth.data(environ)["seen"] = True
        start_response("200 OK", JSON)
        return body if environ["PATH_INFO"] == "/" else plain

    def writing(environ, start_response):
        auth.data(environ)["seen"] = True
        start_response("200 OK", JSON)(b"saved!")
        raise AssertionError

    auth.sojourn.login(incoming_of_nobody(), "ann")
    monkeypatch.setattr(auth.sojourn.core.store, "put_data", failing)
    answer = Client(auth.wrap(app)).get("/")
    assert (503, "store_unavailable") == (answer.status_code, answer.json["code"])
    assert body.is_closed
    assert 503 == Client(auth.wrap(app)).get("/plain").status_code
    assert 503 == Client(auth.wrap(writing)).get("/").status_code

    def refusing(environ, start_response):
        auth.data(environ)["seen"] = True
        raise InvalidInput("one error after another; the later one is told")

    assert 503 == Client(auth.wrap(refusing)).get("/").status_code


def incoming_of_nobody():
    from sojourn import Incoming

    return Incoming()


def test_a_crash_still_hands_out_what_was_renewed(clock):
    """A crash in the request that renewed in passing signs nobody out, and is the server's to log."""
    auth = Auth("memory://", url=URL, grace_seconds=0, clock=clock, monotonic_ms=clock)

    def app(environ, start_response):
        if environ["PATH_INFO"] == "/login":
            auth.login(environ, "ann")
            start_response("200 OK", JSON)
            return [b"{}"]
        if environ["PATH_INFO"] == "/data":
            start_response("200 OK", JSON)
            return [json.dumps(dict(auth.data(environ))).encode()]
        auth.data(environ)["half"] = "done"
        raise RuntimeError("the application's own mistake")

    client = Client(auth.wrap(app))
    client.get("/login")
    with pytest.raises(RuntimeError):
        client.get("/fail")
    clock.advance(seconds=901)
    began, parts = [], []
    environ = {
        "REQUEST_METHOD": "GET",
        "PATH_INFO": "/fail",
        "HTTP_COOKIE": "; ".join(
            f"{name}={client.get_cookie(name).value}"
            for name in ("sojourn-8000-access", "sojourn-8000-refresh")
        ),
    }
    with pytest.raises(RuntimeError):
        parts.extend(auth.wrap(app)(environ, lambda *said: began.append(said)))
    ((status, headers),) = began
    assert "500 Internal Server Error" == status
    assert 2 == sum(name == "Set-Cookie" for name, _ in headers)
    for name, value in headers:
        if name == "Set-Cookie":
            key, _, rest = value.partition("=")
            client.set_cookie(key, rest.partition(";")[0])
    assert {} == client.get("/data").json


# --- what is given, and what is missing ----------------------------------------------------------


def test_a_request_of_a_framework_is_taken(auth):
    """Whatever has its environment as `environ` is a request too."""
    from werkzeug import Request, Response

    @Request.application
    def app(request):
        auth.login(request, "ann")
        assert "GET" == incoming_of(request).method
        return Response(auth.current(request).subject)

    answer = Client(auth.wrap(app)).get("/")
    assert ("ann", 2) == (answer.text, len(ours(answer)))


def test_a_login_made_elsewhere_is_handed_out(auth):
    """`hand_out` gives the answer what `Sojourn` itself made."""

    def app(environ, start_response):
        attempt = auth.begin("ann")
        signed_in = auth.sojourn.login(incoming_of(environ), "ann", attempt=attempt)
        auth.hand_out(environ, signed_in)
        start_response("200 OK", JSON)
        return [auth.current(environ).subject.encode()]

    answer = Client(auth.wrap(app)).get("/")
    assert ("ann", 2) == (answer.text, len(ours(answer)))


def test_after_logout_a_visitor_begins_anew(auth):
    """Data written after a logout in the same request is the next visitor's, and is kept."""

    def app(environ, start_response):
        if environ["PATH_INFO"] == "/out":
            auth.data(environ)["basket"] = ["pear"]
            auth.logout(environ)
        data = auth.data(environ)
        data["seen"] = data.get("seen", 0) + 1
        start_response("200 OK", JSON)
        return [json.dumps(dict(data)).encode()]

    client = Client(auth.wrap(app))
    assert [{"seen": 1}, {"seen": 2}] == [client.get("/").json for _ in range(2)]
    assert {"seen": 1} == client.get("/out").json
    assert {"seen": 2} == client.get("/").json


def test_acting_as(client, auth):
    """A test acts as anybody, and what the route needs is still judged."""
    with acting_as(auth, 7, roles={"admin"}):
        assert "7" == client.get("/admin").json
    with acting_as(auth.sojourn, 7):
        assert "7" == client.get("/me").json["subject"]
        assert 403 == client.get("/admin").status_code
    assert 401 == client.get("/me").status_code


def test_a_service_with_a_verifier():
    """A service without the store takes bearer tokens of another, and hands nothing out."""
    with Sojourn("memory://", mode="jwt", url=URL, audience="billing") as issuer:
        keys = json.dumps(issuer.jwks()).encode()

        class Wire:
            def fetch(self, fetch):
                return Answer(200, keys)

        guard = Guard(
            Verifier(
                audience="billing",
                issuers=[Issuer.sojourn(URL, jwks_uri=f"{URL}/keys")],
                fetcher=Wire(),
            )
        )
        admin = guard.require(roles={"admin"})

        def app(environ, start_response):
            subject = (admin if environ["PATH_INFO"] == "/admin" else guard.current)(environ)
            start_response("200 OK", JSON)
            return [subject.subject.encode()]

        client = browser(guard, app)
        signed_in = issuer.login(incoming_of_nobody(), "ann", transport="bearer")
        bearer = {"Authorization": f"Bearer {signed_in.access_token}"}
        assert "ann" == client.get("/", headers=bearer).text
        assert "forbidden" == client.get("/admin", headers=bearer).json["code"]
        assert 401 == client.get("/").status_code


def test_an_engine_made_elsewhere():
    """The adapter takes a `Sojourn`, or a store; settings are given where the engine is made."""
    sojourn = Sojourn(MemoryStore(), url=URL)
    assert sojourn is Auth(sojourn).sojourn
    assert "jwt" == Auth(MemoryStore(), url=URL, mode="jwt").sojourn.settings.mode


def test_typical_mistakes_name_the_remedy(auth):
    """What one writes by mistake is answered with what to write."""
    for make, remedy in (
        (lambda: Auth(AsyncSojourn("memory://", url=URL)), "takes Sojourn"),
        (lambda: Auth(Sojourn("memory://", url=URL), mode="jwt"), "to Sojourn itself"),
        (lambda: Guard(AsyncVerifier(audience="x", issuers=[Issuer.sojourn(URL)])), "Verifier"),
        (lambda: Guard(AsyncSojourn("memory://", url=URL)), "blocking form"),
        (lambda: auth.require(max_age=900), r"timedelta\(seconds"),
        (lambda: auth.current({"REQUEST_METHOD": "GET"}), r"auth\.wrap"),
    ):
        with pytest.raises(ConfigurationError, match=remedy):
            make()
