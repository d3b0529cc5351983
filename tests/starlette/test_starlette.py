"""The Starlette adapter, used as its users use it."""

from datetime import timedelta

import pytest
from starlette.applications import Starlette
from starlette.authentication import requires
from starlette.requests import Request
from starlette.responses import JSONResponse, PlainTextResponse
from starlette.routing import Route, WebSocketRoute
from starlette.testclient import WebSocketDenialResponse
from starlette.websockets import WebSocket

from sojourn import AsyncSojourn, ConfigurationError, StoreError
from sojourn.starlette import Auth
from sojourn.stores.memory import MemoryStore
from sojourn.testing import Client, ManualClock, acting_as, sign_in

URL = "http://127.0.0.1:8000"
PAGE = "http://localhost:3000"


def application(auth: Auth) -> Starlette:
    async def login(request: Request) -> JSONResponse:
        body = await request.json()
        return JSONResponse((await auth.login(request, **body)).public())

    async def me(request: Request) -> JSONResponse:
        principal = await auth.current(request)
        return JSONResponse({"subject": principal.subject, "claims": principal.claims})

    async def public(request: Request) -> JSONResponse:
        principal = await auth.optional(request)
        return JSONResponse(
            {
                "subject": principal.subject if principal else None,
                "is_authenticated": request.user.is_authenticated,
                "name": request.user.display_name,
                "scopes": request.auth.scopes,
            }
        )

    @auth.requires(roles={"admin"}, max_age=timedelta(minutes=5))
    async def admin(request: Request) -> PlainTextResponse:
        return PlainTextResponse(request.user.identity)

    @auth.requires(scopes={"notes"}, max_lag=timedelta(0), accept={"bearer"})
    async def notes(request: Request) -> PlainTextResponse:
        return PlainTextResponse(request.user.identity)

    @requires("authenticated")
    async def in_starlettes_own_way(request: Request) -> PlainTextResponse:
        return PlainTextResponse(request.user.identity)

    @auth.session_data
    async def basket(request: Request) -> JSONResponse:
        if request.method == "POST":
            request.session.setdefault("basket", []).append(await request.json())
        return JSONResponse(request.session.get("basket", []))

    async def verb(request: Request) -> JSONResponse:
        name = request.path_params["name"]
        options = {"mode": "session"} if name == "move" else {}
        answer = await getattr(auth, name)(request, **options)
        return JSONResponse(answer.public() if answer else {})

    async def own_cookie(request: Request) -> PlainTextResponse:
        await auth.login(request, "ann")
        response = PlainTextResponse("ok", headers={"Vary": "Accept", "Cache-Control": "public"})
        response.set_cookie("theme", "dark")
        return response

    async def echo(websocket: WebSocket) -> None:
        principal = await auth.current(websocket)
        await websocket.accept()
        await websocket.send_text(principal.subject)
        await websocket.close()

    app = Starlette(
        routes=[
            Route("/login", login, methods=["POST"]),
            Route("/me", me),
            Route("/public", public, methods=["GET", "POST"]),
            Route("/admin", admin),
            Route("/notes", notes),
            Route("/own-way", in_starlettes_own_way),
            Route("/basket", basket, methods=["GET", "POST"]),
            Route("/own-cookie", own_cookie, methods=["POST"]),
            Route("/{name}", verb, methods=["POST"]),
            WebSocketRoute("/echo", echo),
        ]
    )
    auth.install(app)
    return app


@pytest.fixture
def clock() -> ManualClock:
    return ManualClock()


@pytest.fixture
def auth(clock) -> Auth:
    modes = ("session", "jwt", "hybrid")
    return Auth(
        "memory://",
        mode="hybrid",
        modes=modes,
        url=URL,
        clock=clock,
        monotonic_ms=clock,
        trusted_origins=(PAGE,),
    )


@pytest.fixture
def client(auth):
    with Client(application(auth), auth) as client:
        yield client


@pytest.mark.parametrize("mode", ["session", "jwt", "hybrid"])
@pytest.mark.parametrize("transport", ["cookie", "bearer"])
def test_signing_in_and_out(mode, transport, client):
    """A login, a check and a logout, in each mode over each transport."""
    body = {"subject": "ann", "mode": mode, "transport": transport, "claims": {"plan": "pro"}}
    told = client.post("/login", json=body).json()
    if transport == "bearer":
        client.headers["Authorization"] = f"Bearer {told['access_token']}"
    else:
        assert "access_token" not in told
    assert {"subject": "ann", "claims": {"plan": "pro"}} == client.get("/me").json()
    assert client.post("/logout").status_code == 200
    assert [] == list(client.cookies.jar)
    refused = client.get("/me")
    expected = "revoked" if transport == "bearer" else "unauthenticated"
    assert (401, expected) == (refused.status_code, refused.json()["code"])


def test_request_user_and_auth(client):
    """Starlette's own `request.user`, `request.auth` and `requires` work, signed in or not."""
    nobody = client.get("/public").json()
    assert {"subject": None, "is_authenticated": False, "name": "", "scopes": []} == nobody
    assert 403 == client.get("/own-way").status_code
    sign_in(client, "ann", scopes={"notes"})
    somebody = client.get("/public").json()
    assert ["authenticated", "notes"] == somebody["scopes"]
    assert ("ann", True, "ann") == (
        somebody["subject"],
        somebody["is_authenticated"],
        somebody["name"],
    )
    assert "ann" == client.get("/own-way").text


def test_requirements(client, clock):
    """Roles, freshness, scopes and transport are asked for where a route says so."""
    sign_in(client, "ann")
    refused = client.get("/admin")
    assert (403, "forbidden") == (refused.status_code, refused.json()["code"])
    sign_in(client, "ann", roles={"admin"})
    assert "ann" == client.get("/admin").text
    clock.advance(seconds=301)
    stale = client.get("/admin")
    assert (401, "insufficient_user_authentication") == (stale.status_code, stale.json()["code"])
    assert 'Bearer error="insufficient_user_authentication"' == stale.headers["www-authenticate"]
    assert "credential_not_accepted" == client.get("/notes").json()["code"]
    client.cookies.clear()
    sign_in(client, "ann", transport="bearer")
    assert "insufficient_scope" == client.get("/notes").json()["code"]
    sign_in(client, "ann", transport="bearer", scopes={"notes"})
    assert "ann" == client.get("/notes").text


def test_renewed_in_passing(client, clock):
    """An access token that is over costs the visitor nothing: the response carries new cookies."""
    sign_in(client, "ann")
    clock.advance(seconds=901)
    answer = client.get("/public")
    assert "ann" == answer.json()["subject"]
    assert 2 == len(answer.headers.get_list("set-cookie"))
    assert [] == client.get("/public").headers.get_list("set-cookie")


@pytest.mark.parametrize("verb", ["reauthenticate", "refresh", "access_token", "move"])
@pytest.mark.parametrize("is_over", [False, True])
def test_verbs_in_a_strict_window(verb, is_over, clock):
    """With no grace at all, a verb after a renewal in passing goes on with the new credentials."""
    auth = Auth(
        "memory://",
        mode="hybrid",
        modes=("session", "hybrid"),
        url=URL,
        grace_seconds=0,
        clock=clock,
        monotonic_ms=clock,
    )
    with Client(application(auth), auth) as client:
        sign_in(client, "ann")
        if is_over:
            clock.advance(seconds=901)
        assert client.post(f"/{verb}").status_code == 200
        assert client.get("/me").status_code == 200


def test_session_data_and_guests(client):
    """`request.session` is there where a route asks, for visitors too, and is carried over."""
    assert [] == client.get("/basket").json()
    assert [] == list(client.cookies.jar), "reading makes no guest"
    assert ["pear"] == client.post("/basket", json="pear").json()
    assert ["pear", "fig"] == client.post("/basket", json="fig").json()
    client.post("/login", json={"subject": "ann", "carry": ["basket"]})
    assert ["pear", "fig"] == client.get("/basket").json()
    assert not any(cookie.name.endswith("guest") for cookie in client.cookies.jar)
    too_large = client.post("/basket", json="x" * 40_000)
    assert (400, "invalid_input") == (too_large.status_code, too_large.json()["code"])
    assert ["pear", "fig"] == client.get("/basket").json()


def test_another_origin_touches_nothing(client):
    """A page of another origin neither acts for who is signed in nor fills a visitor's basket."""
    evil = {"Origin": "https://evil.example"}
    assert "cross_site" == client.post("/basket", json="x", headers=evil).json()["code"]
    sign_in(client, "ann")
    assert None is client.post("/public", headers=evil).json()["subject"]
    assert "cross_site" == client.post("/logout", headers=evil).json()["code"]
    assert "cross_site" == client.post("/basket", json="x", headers=evil).json()["code"]
    assert "ann" == client.get("/me").json()["subject"]


def test_trusted_origin(client):
    """A trusted page passes CSRF, reads answers and errors, and its preflight is answered."""
    page = {"Origin": PAGE}
    preflight = client.options("/me", headers={**page, "Access-Control-Request-Method": "POST"})
    assert (204, PAGE) == (
        preflight.status_code,
        preflight.headers["access-control-allow-origin"],
    )
    answer = client.post("/login", json={"subject": "ann"}, headers=page)
    assert (200, PAGE) == (answer.status_code, answer.headers["access-control-allow-origin"])
    assert {"Cookie", "Origin"} == {v.strip() for v in answer.headers["vary"].split(",")}
    assert PAGE == client.post("/no/where", headers=page).headers["access-control-allow-origin"]


def test_the_handlers_own_headers_stay(client):
    """Cookies and Vary of the handler are kept; what carries secrets is never cached."""
    answer = client.post("/own-cookie")
    names = {text.partition("=")[0] for text in answer.headers.get_list("set-cookie")}
    assert {"theme", "sojourn-8000-access", "sojourn-8000-refresh"} == names
    assert "no-store" == answer.headers["cache-control"]
    assert {"Accept", "Cookie"} == {v.strip() for v in answer.headers["vary"].split(",")}


def test_websocket(client, clock):
    """A WebSocket knows who opened it; another origin's page cannot open one with our cookies."""
    sign_in(client, "ann")
    with client.websocket_connect("/echo") as socket:
        assert "ann" == socket.receive_text()
    with (
        pytest.raises(WebSocketDenialResponse) as refused,
        client.websocket_connect("/echo", headers={"Origin": "https://evil.example"}),
    ):
        pass
    assert "cross_site" == refused.value.json()["code"]
    clock.advance(seconds=901)
    with pytest.raises(WebSocketDenialResponse) as over, client.websocket_connect("/echo"):
        pass
    assert "refresh_required" == over.value.json()["code"]
    assert client.get("/me").status_code == 200, "nothing rotated where no cookie could be set"


def test_public_pages_work_without_the_store(client, auth, monkeypatch):
    """Where the store fails, a public page answers, and a private one says 503."""
    sign_in(client, "ann", mode="session")
    auth.sojourn.core.picture.near.entries.clear()

    async def failing(*_: object) -> None:
        raise StoreError("the store is away; check it")

    monkeypatch.setattr(auth.sojourn.core.store, "get", failing)
    assert None is client.get("/public").json()["subject"]
    refused = client.get("/me")
    assert (503, "store_unavailable") == (refused.status_code, refused.json()["code"])
    assert "1" == refused.headers["retry-after"]
    assert 503 == client.get("/basket").status_code


def test_a_failing_handler_still_hands_out_what_was_renewed(clock):
    """A 500 in the request that renewed in passing signs nobody out; data is then not saved."""
    auth = Auth("memory://", url=URL, grace_seconds=0, clock=clock, monotonic_ms=clock)

    async def fail(request: Request) -> None:
        (await auth.data(request))["half"] = "done"
        raise RuntimeError("the application's own mistake")

    async def data(request: Request) -> JSONResponse:
        return JSONResponse(dict(await auth.data(request)))

    app = Starlette(routes=[Route("/fail", fail), Route("/data", data)])
    auth.install(app)
    with Client(app, auth, raise_server_exceptions=False) as client:
        sign_in(client, "ann")
        assert "Internal Server Error" == client.get("/fail").text, "Starlette's own, as ever"
        clock.advance(seconds=901)
        answer = client.get("/fail")
        assert (500, "internal") == (answer.status_code, answer.json()["code"])
        assert 2 == len(answer.headers.get_list("set-cookie"))
        assert {} == client.get("/data").json()


def test_after_logout_nobody_is_signed_in_within_the_request(clock):
    """`current` after `logout` in one request refuses, as the next request will."""
    auth = Auth("memory://", url=URL, clock=clock, monotonic_ms=clock)

    async def out(request: Request) -> JSONResponse:
        await auth.logout(request)
        await auth.current(request)
        raise AssertionError

    app = Starlette(routes=[Route("/out", out, methods=["POST"])])
    auth.install(app)
    with Client(app, auth) as client:
        sign_in(client, "ann")
        answer = client.post("/out")
        assert (401, "unauthenticated") == (answer.status_code, answer.json()["code"])
        assert [] == list(client.cookies.jar)


def test_acting_as(client, auth):
    """A test acts as anybody, and what the route needs is still judged."""
    with acting_as(auth, 7, roles={"admin"}) as principal:
        assert "7" == principal.subject
        assert "7" == client.get("/admin").text
        assert "credential_not_accepted" == client.get("/notes").json()["code"]
    with acting_as(auth.sojourn, 7, transport="bearer", scopes={"notes"}, auth_time=0):
        assert "7" == client.get("/notes").text
        assert 403 == client.get("/admin").status_code
    assert 401 == client.get("/me").status_code


async def test_sign_in_within_a_running_loop(auth):
    """`sign_in` works in an async test too."""
    with Client(application(auth), auth) as client:
        sign_in(client, "ann")
        assert 200 == client.get("/me").status_code
        with pytest.raises(Exception, match="subject"):
            sign_in(client, "")


def test_secure_cookies_come_back(clock):
    """The test client speaks to the application's own https url, so `__Host-` cookies work."""
    auth = Auth(
        "memory://",
        url="https://app.example.com",
        secret="only-for-this-test-Zq8Lx2Vm5Rk7Ty4Wn1Bp3Cd6",
        clock=clock,
        monotonic_ms=clock,
    )
    with Client(application(auth), auth) as client:
        sign_in(client, "ann")
        assert "ann" == client.get("/me").json()["subject"]
        assert all(cookie.name.startswith("__Host-") for cookie in client.cookies.jar)


def test_an_engine_made_elsewhere():
    """The adapter takes an `AsyncSojourn`; its settings are then given there."""
    sojourn = AsyncSojourn(MemoryStore(), url=URL)
    assert sojourn is Auth(sojourn).sojourn
    with pytest.raises(ConfigurationError, match="to AsyncSojourn itself"):
        Auth(sojourn, mode="jwt")


def test_without_install_the_remedy_is_named(auth):
    """Forgetting `install` is said, with the remedy."""

    async def me(request: Request) -> None:
        await auth.current(request)

    with (
        Client(Starlette(routes=[Route("/me", me)]), auth) as client,
        pytest.raises(ConfigurationError, match=r"auth\.install"),
    ):
        client.get("/me")


async def test_a_guarded_function_needs_a_request(auth):
    """Calling a guarded endpoint without a request is a mistake that says so."""

    @auth.requires()
    async def endpoint() -> None:
        raise AssertionError

    with pytest.raises(ConfigurationError, match="without a request"):
        await endpoint()


def verbs_app(auth: Auth, **endpoints) -> Starlette:
    app = Starlette(
        routes=[
            Route(f"/{name}", verb, methods=["GET", "POST"]) for name, verb in endpoints.items()
        ]
    )
    auth.install(app)
    return app


def test_logout_all_and_others(auth):
    """Both revoke with their reason on the trail; one stays, or nobody."""

    async def everywhere(request: Request) -> JSONResponse:
        await auth.logout_all(request)
        return JSONResponse({})

    async def others(request: Request) -> JSONResponse:
        await auth.logout_others(request)
        return JSONResponse({})

    async def me(request: Request) -> JSONResponse:
        return JSONResponse((await auth.current(request)).subject)

    app = verbs_app(auth, everywhere=everywhere, others=others, me=me)
    with Client(app, auth) as here:
        there = Client(app, auth)
        for client in (here, there):
            sign_in(client, "ann")
        assert 200 == here.post("/others").status_code
        assert (200, 401) == (here.get("/me").status_code, there.get("/me").status_code)
        assert 200 == here.post("/everywhere").status_code
        assert [] == list(here.cookies.jar)
        assert 401 == here.post("/everywhere").status_code


def test_endpoints_that_are_not_async(auth):
    """`requires` and `session_data` guard a plain function too, run in a thread as Starlette does."""

    @auth.requires
    def plain(request: Request) -> PlainTextResponse:
        return PlainTextResponse(request.user.identity)

    @auth.session_data
    def data(request: Request) -> JSONResponse:
        request.session["n"] = request.session.get("n", 0) + 1
        return JSONResponse(request.session["n"])

    with Client(verbs_app(auth, plain=plain, data=data), auth) as client:
        assert 401 == client.get("/plain").status_code
        sign_in(client, "ann")
        assert "ann" == client.get("/plain").text
        assert [1, 2] == [client.get("/data").json() for _ in range(2)]


def test_beside_starlettes_session_middleware(auth):
    """Where another middleware provides request.session, ours leaves it alone, or says so."""
    from starlette.middleware.sessions import SessionMiddleware

    @auth.session_data
    async def clash(request: Request) -> None:
        raise AssertionError

    async def both(request: Request) -> JSONResponse:
        ours = await auth.data(request)
        ours["a"], request.session["b"] = 1, 2
        return JSONResponse([dict(ours), dict(request.session)])

    app = verbs_app(auth, clash=clash, both=both)
    app.add_middleware(SessionMiddleware, secret_key="x" * 32)
    with Client(app, auth) as client:
        assert [{"a": 1}, {"b": 2}] == client.get("/both").json()
        assert 500 == client.get("/clash").status_code


def test_what_a_developer_has_to_know_is_logged(auth, caplog):
    """Mistakes of the application and failures of the store leave a line; strangers learn nothing."""

    async def mistaken(request: Request) -> None:
        raise ConfigurationError("the secret is not the one of this store")

    async def wrong(request: Request) -> None:
        await auth.login(request, "ann", roles="admin")

    async def away(request: Request) -> None:
        raise StoreError("the database /srv/app.db cannot be opened")

    app = verbs_app(auth, mistaken=mistaken, wrong=wrong, away=away)
    with Client(app, auth, raise_server_exceptions=False) as client:
        assert "log says what" in client.get("/mistaken").json()["detail"]
        assert 400 == client.get("/wrong").status_code
        refused = client.get("/away")
    assert (503, "store_unavailable") == (refused.status_code, refused.json()["code"])
    assert "/srv" not in refused.text
    for line in ("GET /mistaken: the secret is", "GET /wrong: roles is a set", "/srv/app.db"):
        assert line in caplog.text


def test_a_cross_site_refusal_names_both_origins(client):
    """Whoever opened localhost instead of 127.0.0.1 reads what to do."""
    sign_in(client, "ann")
    refused = client.post("/logout", headers={"Origin": "http://localhost:8000"})
    assert "http://localhost:8000" in refused.json()["detail"]
    assert URL in refused.json()["detail"]


def test_typical_mistakes_name_the_remedy(auth):
    """What one writes by mistake is answered with what to write."""
    from sojourn import Sojourn

    for make, remedy in (
        (lambda: Auth(Sojourn("memory://", url=URL)), "takes AsyncSojourn"),
        (lambda: Auth(None, url=URL), "give a URL as text"),
        (lambda: auth.requires(max_age=900), r"timedelta\(seconds"),
        (lambda: Auth("memory://", url=URL, idle_ttl=5), "did you mean idle_ttl_seconds"),
        (lambda: Auth("memory://", url=URL, secret=b"x" * 40), "is text"),
        (lambda: Auth("app.db", url=URL), "without a scheme"),
    ):
        with pytest.raises(ConfigurationError, match=remedy):
            make()
