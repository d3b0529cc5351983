"""The extension, used as its users use extensions: factories, blueprints, several applications."""

import json
from datetime import timedelta

import pytest
from flask import Blueprint, Flask, Response, jsonify, request, stream_with_context

from sojourn import (
    AsyncSojourn,
    AsyncVerifier,
    ConfigurationError,
    Forbidden,
    Incoming,
    Issuer,
    Sojourn,
    SojournError,
    StoreError,
    Verifier,
)
from sojourn.flask import (
    Auth,
    Guard,
    SojournSessionInterface,
    current_user,
    login_required,
    login_user,
)
from sojourn.flask.testing import SignedInClient
from sojourn.stores.memory import MemoryStore
from sojourn.testing import ManualClock
from sojourn.verifier import Answer

URL = "http://127.0.0.1:5000"
PAGE = "http://localhost:3000"
MODES = ("session", "jwt", "hybrid")


@pytest.fixture
def clock():
    return ManualClock()


@pytest.fixture
def auth(clock):
    return Auth(store="memory://", url=URL, modes=MODES, clock=clock, monotonic_ms=clock)


def create_app(auth, **options):
    """Make an application as its factory would."""
    app = Flask(__name__)
    app.config["TESTING"] = True
    app.test_client_class = SignedInClient
    auth.init_app(app, **options)
    app.register_blueprint(auth.blueprint())

    @app.post("/login")
    def login():
        return auth.login(**request.get_json()).public()

    @app.get("/me")
    def me():
        principal = auth.current()
        return jsonify(subject=principal.subject, claims=principal.claims)

    @app.get("/public")
    def public():
        principal = auth.optional()
        return jsonify(principal.subject if principal else None)

    @app.get("/admin")
    @auth.requires(roles={"admin"}, max_age=timedelta(minutes=5))
    def admin():
        return current_user.get_id()

    @app.get("/notes")
    @auth.requires(scopes={"notes"}, max_lag=timedelta(0), accept={"bearer"})
    def notes():
        return auth.require(scopes={"notes"})().subject

    @app.route("/basket", methods=["GET", "POST"])
    def basket():
        data = auth.data()
        if request.method == "POST":
            data.setdefault("basket", []).append(request.get_json())
        return jsonify(data.get("basket", []))

    return app


@pytest.fixture
def app(auth):
    return create_app(auth)


@pytest.fixture
def client(app):
    return app.test_client()


@pytest.mark.parametrize("mode", MODES)
@pytest.mark.parametrize("transport", ["cookie", "bearer"])
def test_signing_in_and_out(mode, transport, client):
    """A login, a check and a logout, in each mode over each transport."""
    body = {"user": "ann", "mode": mode, "transport": transport, "claims": {"plan": "pro"}}
    told = client.post("/login", json=body).json
    headers = {"Authorization": f"Bearer {told['access_token']}"} if transport == "bearer" else {}
    assert {"subject": "ann", "claims": {"plan": "pro"}} == client.get("/me", headers=headers).json
    assert 204 == client.post("/auth/logout", headers=headers).status_code
    refused = client.get("/me", headers=headers)
    expected = "revoked" if transport == "bearer" else "unauthenticated"
    assert (401, expected) == (refused.status_code, refused.json["code"])


def test_requirements(app, clock):
    """Roles, freshness, scopes and transport are asked for where a view says so."""
    client = app.test_client(user="ann")
    assert (403, "forbidden") == ((r := client.get("/admin")).status_code, r.json["code"])
    client = app.test_client(user="ann", roles={"admin"})
    assert "ann" == client.get("/admin").text
    clock.advance(seconds=301)
    stale = client.get("/admin")
    assert (401, "insufficient_user_authentication") == (stale.status_code, stale.json["code"])
    assert "credential_not_accepted" == client.get("/notes").json["code"]
    bearer = app.test_client(user="ann", transport="bearer")
    assert "insufficient_scope" == bearer.get("/notes").json["code"]
    bearer = app.test_client(user="ann", transport="bearer", scopes={"notes"})
    assert "ann" == bearer.get("/notes").text


def test_renewed_in_passing(app, clock):
    """An access token that is over costs the visitor nothing: the answer carries new cookies."""
    client = app.test_client(user="ann")
    clock.advance(seconds=901)
    answer = client.get("/public")
    assert ("ann", 2) == (answer.json, len(answer.headers.getlist("Set-Cookie")))
    assert [] == client.get("/public").headers.getlist("Set-Cookie")


def test_renewed_even_where_nothing_is_found(app, clock):
    """What is handed out reaches the browser with every answer: a 404, a 500, a page of an error."""

    @app.get("/crash")
    def crash():
        raise RuntimeError("the application's own mistake")

    client = app.test_client(user="ann")
    clock.advance(seconds=901)
    assert 2 == len(client.get("/no/where").headers.getlist("Set-Cookie"))
    clock.advance(seconds=901)
    app.config.update(TESTING=False, PROPAGATE_EXCEPTIONS=False)
    answer = client.get("/crash")
    assert (500, 2) == (answer.status_code, len(answer.headers.getlist("Set-Cookie")))
    assert "Internal Server Error" in answer.text, "Flask's own, as ever"


def test_a_crash_that_propagates(clock):
    """In debugging and tests the error is raised as ever; what was renewed is handed out before."""
    auth = Auth(store="memory://", url=URL, grace_seconds=0, clock=clock, monotonic_ms=clock)
    app = create_app(auth)

    @app.get("/crash")
    def crash():
        raise RuntimeError("the application's own mistake")

    client = app.test_client(user="ann")
    clock.advance(seconds=901)
    with pytest.raises(RuntimeError):
        client.get("/crash", buffered=True)


def test_session_data_and_guests(client):
    """Data is there for visitors too, and the named keys go along at a sign-in."""
    assert [] == client.get("/basket").json
    assert ["pear"] == client.post("/basket", json="pear").json
    client.post("/login", json={"user": "ann", "carry": ["basket"]})
    assert ["pear", "fig"] == client.post("/basket", json="fig").json
    too_large = client.post("/basket", json="x" * 40_000)
    assert (400, "invalid_input") == (too_large.status_code, too_large.json["code"])
    assert ["pear", "fig"] == client.get("/basket").json


def test_another_origin(auth):
    """A page of another origin touches nothing; a trusted one reads answers and errors."""
    app = create_app(auth, trusted_origins=(PAGE,))
    client = app.test_client(user="ann")
    evil, page = {"Origin": "https://evil.example"}, {"Origin": PAGE}
    assert "cross_site" == client.post("/auth/logout", headers=evil).json["code"]
    preflight = client.options("/me", headers={**page, "Access-Control-Request-Method": "POST"})
    assert (204, PAGE) == (
        preflight.status_code,
        preflight.headers["Access-Control-Allow-Origin"],
    )
    answer = client.post("/login", json={"user": "ann"}, headers=page)
    assert (200, PAGE) == (answer.status_code, answer.headers["Access-Control-Allow-Origin"])
    assert PAGE == client.get("/no/where", headers=page).headers["Access-Control-Allow-Origin"]


# --- the blueprint -------------------------------------------------------------------------------


def test_the_blueprints_endpoints(app):
    """The calls of the standalone server, with its answers."""
    here = app.test_client(user="ann", roles={"editor"})
    there = app.test_client(user="ann")
    session = here.get("/auth/session").json
    assert ("ann", "hybrid", ["editor"]) == (
        session["subject"],
        session["mode"],
        session["roles"],
    )
    listed = here.get("/auth/sessions").json["sessions"]
    (other,) = (one["sid"] for one in listed if not one["current"])
    assert 404 == here.delete("/auth/sessions/nonsense").status_code
    assert 204 == here.delete(f"/auth/sessions/{other}").status_code
    assert 401 == there.get("/me").status_code
    assert "ann" == here.post("/auth/refresh").json["subject"]
    assert "Bearer" == here.post("/auth/access-token", json={}).json["token_type"]
    assert "session" == here.post("/auth/mode", json={"mode": "session"}).json["mode"]
    assert 200 == here.get("/me").status_code
    there = app.test_client(user="ann")
    assert 204 == here.post("/auth/logout-others").status_code
    assert (200, 401) == (here.get("/me").status_code, there.get("/me").status_code)
    answer = here.post("/auth/logout-all")
    assert (204, "no-store") == (answer.status_code, answer.headers["Cache-Control"])
    assert 401 == here.get("/me").status_code


def test_the_blueprint_for_bearer_clients(app):
    """A refresh token in the body is rotated; a body that does not fit is refused with a word."""
    client = app.test_client()
    told = client.post("/login", json={"user": "ann", "transport": "bearer"}).json
    renewed = client.post("/auth/refresh", json={"refresh_token": told["refresh_token"]}).json
    assert renewed["refresh_token"] != told["refresh_token"]
    for body in (b"{", b'{"other": 1}', b"x" * 100_000):
        refused = client.post("/auth/refresh", data=body)
        assert (400, "invalid_request") == (refused.status_code, refused.json["code"])
    jwt = app.test_client(user="ann", mode="jwt")
    refused = jwt.get("/auth/sessions")
    assert (409, "unsupported_in_mode") == (refused.status_code, refused.json["code"])


def test_the_blueprint_never_answers_with_a_page(app, auth):
    """Programs call it, whatever they say they accept."""
    auth.login_view = "public"
    refused = app.test_client().get("/auth/session", headers={"Accept": "text/html"})
    assert (401, "application/problem+json") == (refused.status_code, refused.content_type)


def test_verbs(app, auth, clock):
    """What views do beside login and logout: move, confirm, refresh, hand out, sign out others."""

    @app.post("/<verb>")
    def act(verb):
        options = {"mode": "session"} if verb == "move" else {}
        answer = getattr(auth, verb)(**options)
        return jsonify(answer.public() if answer else {})

    @app.post("/hand-out")
    def hand_out():
        made = auth.sojourn.login(Incoming(), "bob", attempt=auth.begin("bob"))
        return auth.hand_out(made).public()

    client = app.test_client(user="ann")
    for verb in ("access_token", "reauthenticate", "refresh", "logout_others", "move"):
        assert 200 == client.post(f"/{verb}").status_code, verb
    assert "ann" == client.get("/me").json["subject"]
    assert 200 == client.post("/logout_all").status_code
    assert 401 == client.get("/me").status_code
    client.post("/hand-out")
    assert "bob" == client.get("/me").json["subject"]
    clock.advance(seconds=901)
    assert 200 == client.post("/refresh").status_code, "renewed in passing, and not once more"


# --- applications --------------------------------------------------------------------------------


def test_several_applications(clock):
    """One `auth` serves applications with settings and stores of their own; neither knows the other's."""
    auth = Auth(clock=clock, monotonic_ms=clock)
    here = create_app(auth, store="memory://", url=URL)
    there = create_app(auth, store="memory://", url="http://127.0.0.1:5001", mode="session")
    client = here.test_client(user="ann")
    assert 200 == client.get("/me").status_code
    cookies = "; ".join(
        f"{name}={client.get_cookie(name).value}"
        for name in ("sojourn-5000-access", "sojourn-5000-refresh")
    )
    assert 401 == there.test_client().get("/me", headers={"Cookie": cookies}).status_code
    assert 200 == there.test_client(user="ann").get("/me").status_code
    with there.app_context():
        assert "session" == auth.sojourn.settings.mode
    with here.app_context():
        assert "hybrid" == auth.sojourn.settings.mode


def test_blueprints_of_the_application(app, auth):
    """A whole blueprint is guarded by one function before its requests."""
    private = Blueprint("private", __name__, url_prefix="/private")
    private.before_request(lambda: auth.current() and None)
    private.add_url_rule("/x", "x", lambda: "x")
    app.register_blueprint(private)
    assert 401 == app.test_client().get("/private/x").status_code
    assert "x" == app.test_client(user="ann").get("/private/x").text


def test_async_views(app, auth):
    """`async` views are guarded, and sign in, as others do."""

    @app.get("/awaited")
    @login_required
    async def awaited():
        return current_user.get_id()

    @app.get("/of-admins")
    @auth.requires(roles={"admin"})
    async def of_admins():
        return auth.current().subject

    @app.post("/in")
    async def log_in():
        return login_user("ann", roles={"admin"}).public()

    client = app.test_client()
    assert 401 == client.get("/awaited").status_code
    client.post("/in")
    assert ("ann", "ann") == (client.get("/awaited").text, client.get("/of-admins").text)


def test_streams(app, auth):
    """A view that streams is checked before, and what it hands out is in the headers."""

    @app.post("/stream")
    def stream():
        login_user("ann")

        def parts():
            yield "one "
            yield current_user.get_id()

        return Response(stream_with_context(parts()))

    answer = app.test_client().post("/stream")
    assert ("one ann", 2) == (answer.text, len(answer.headers.getlist("Set-Cookie")))


def test_the_applications_own_error_pages(app):
    """A page registered for a status takes the problem document's place."""

    @app.errorhandler(403)
    def no_entry(error):
        return f"<p>{error.description}</p>", error.code

    answer = app.test_client(user="ann").get("/admin")
    assert (403, "<p>this needs the role admin</p>") == (answer.status_code, answer.text)


def test_the_applications_own_handler_of_an_error(app):
    """A handler of one of our errors is asked before ours."""

    @app.errorhandler(Forbidden)
    def forbidden(error):
        return error.code, 418

    answer = app.test_client(user="ann").get("/admin")
    assert (418, "forbidden") == (answer.status_code, answer.text)


def test_an_error_of_the_applications_own(app):
    """A `SojournError` of the application's own is answered with its status, whatever that is."""

    class PaymentRequired(SojournError):
        """The trial is over."""

        code = "payment_required"
        status = 402

    @app.get("/paid")
    def paid():
        raise PaymentRequired("the trial is over; choose a plan")

    answer = app.test_client().get("/paid")
    assert (402, "payment_required") == (answer.status_code, answer.json["code"])


def test_an_error_handler_registered_before_is_kept(auth):
    """`init_app` does not replace what the application says of our errors."""
    app = Flask(__name__)
    app.register_error_handler(SojournError, lambda error: (error.code, 418))
    auth.init_app(app)
    app.add_url_rule("/", view_func=login_required(lambda: "x"))
    assert (418, "unauthenticated") == (
        (answer := app.test_client().get("/")).status_code,
        answer.text,
    )


def test_what_a_developer_has_to_know_is_logged(app, caplog):
    """Failures of the store leave a line; strangers learn nothing of them."""

    @app.get("/away")
    def away():
        raise StoreError("the database /srv/app.db cannot be opened")

    refused = app.test_client().get("/away")
    assert (503, "1") == (refused.status_code, refused.headers["Retry-After"])
    assert "/srv" not in refused.text
    assert "GET /away: the database /srv/app.db" in caplog.text


def test_secure_cookies(clock):
    """Behind https the cookies are `__Host-`, and Flask's test client brings them back."""
    app = create_app(
        Auth(),
        store="memory://",
        url="https://app.example.com",
        secret="only-for-this-test-Zq8Lx2Vm5Rk7Ty4Wn1Bp3Cd6",
    )
    client = app.test_client(user="ann")
    assert "ann" == client.get("/me").json["subject"]
    assert client.get_cookie("__Host-sojourn-access")


# --- a service with a verifier -------------------------------------------------------------------


@pytest.fixture
def issuer():
    with Sojourn("memory://", mode="jwt", url=URL, audience="billing") as sojourn:
        yield sojourn


@pytest.fixture
def guard(issuer):
    class Wire:
        def fetch(self, fetch):
            return Answer(200, json.dumps(issuer.jwks()).encode())

    verifier = Verifier(
        audience="billing",
        issuers=[Issuer.sojourn(URL, jwks_uri=f"{URL}/keys")],
        fetcher=Wire(),
    )
    return Guard(verifier)


def test_a_service_with_a_verifier(issuer, guard):
    """The same `requires`, `current` and `login_required`, over bearer tokens of another."""
    app = Flask(__name__)
    guard.init_app(app)

    @app.get("/me")
    @login_required
    def me():
        return guard.current().subject

    @app.get("/admin")
    @guard.requires(roles={"admin"})
    def admin():
        return current_user.get_id()

    client = app.test_client()
    signed_in = issuer.login(Incoming(), "ann", transport="bearer")
    bearer = {"Authorization": f"Bearer {signed_in.access_token}"}
    assert "ann" == client.get("/me", headers=bearer).text
    assert "forbidden" == client.get("/admin", headers=bearer).json["code"]
    assert 401 == client.get("/me").status_code


def test_a_verifier_signs_nobody_in(guard):
    """Whoever tries is told what to use."""
    app = Flask(__name__)
    Guard(guard._guard.checker, app)
    app.session_interface = SojournSessionInterface()

    @app.get("/in")
    def log_in():
        login_user("ann")

    answer = app.test_client().get("/in")
    assert (500, "configuration") == (answer.status_code, answer.json["code"])
    with (
        pytest.raises(ConfigurationError, match="use Auth"),
        app.test_client().session_transaction() as session,
    ):
        session["x"] = 1


def test_typical_mistakes_name_the_remedy():
    """What one writes by mistake is answered with what to write."""
    twice = Flask("twice")
    auth = Auth(twice, store=MemoryStore(), url=URL)
    sojourn = Sojourn("memory://", url=URL)
    assert sojourn is Auth(one := Flask("one"), store=sojourn) or one.extensions["sojourn"]
    for make, remedy in (
        (lambda: auth.init_app(twice), "once"),
        (lambda: Auth(Flask("x"), url=URL), "SOJOURN_STORE"),
        (lambda: Auth(Flask("x"), store="memory://"), "SOJOURN_URL"),
        (lambda: Auth(Flask("x"), store=AsyncSojourn("memory://", url=URL)), "takes Sojourn"),
        (lambda: Auth(Flask("x"), store=sojourn, mode="jwt"), "to Sojourn itself"),
        (lambda: Guard(AsyncVerifier(audience="x", issuers=[Issuer.sojourn(URL)])), "Verifier"),
        (lambda: auth.requires(max_age=900), r"timedelta\(seconds"),
    ):
        with pytest.raises(ConfigurationError, match=remedy):
            make()
    with pytest.raises(RuntimeError, match="application context"):
        auth.begin("ann")
