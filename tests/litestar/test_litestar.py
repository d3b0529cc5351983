"""The Litestar adapter, used as its users use it."""

from __future__ import annotations

from datetime import timedelta
from typing import Any

import pytest
from litestar import (
    Controller,
    Litestar,
    Request,
    Response,
    Router,
    WebSocket,
    get,
    post,
    route,
    websocket,
)
from litestar.di import NamedDependency, Provide
from litestar.exceptions import HTTPException, WebSocketDisconnect
from litestar.handlers import asgi
from litestar.middleware.session.client_side import CookieBackendConfig
from litestar.openapi import OpenAPIConfig
from litestar.openapi.spec import Components
from litestar.testing import TestClient, create_test_client

from sojourn import (
    AsyncVerifier,
    ConfigurationError,
    Incoming,
    Issuer,
    Principal,
    Refused,
    Sojourn,
    StoreError,
    Verifier,
)
from sojourn.litestar import Auth, Guard
from sojourn.testing import ManualClock, acting_as
from sojourn.verifier import Answer

URL = "http://127.0.0.1:8000"
PAGE = "http://localhost:3000"


@pytest.fixture
def clock() -> ManualClock:
    return ManualClock()


@pytest.fixture
def make_auth(clock):
    def make_auth(**options) -> Auth:
        modes = ("session", "jwt", "hybrid")
        options = {"mode": "hybrid", "modes": modes, "trusted_origins": (PAGE,)} | options
        return Auth("memory://", url=URL, clock=clock, monotonic_ms=clock, **options)

    return make_auth


@pytest.fixture
def auth(make_auth) -> Auth:
    return make_auth()


def login_of(auth: Auth):
    @post("/login", status_code=200, exclude_from_auth=True)
    async def login(request: Request) -> dict[str, Any]:
        return (await auth.login(request, **await request.json())).public()

    return login


@get("/me")
async def me(principal: NamedDependency[Principal]) -> dict[str, Any]:
    return {"subject": principal.subject, "claims": principal.claims}


@get("/public")
async def public(
    request: Request, optional_principal: NamedDependency[Principal | None]
) -> dict[str, Any]:
    return {
        "subject": optional_principal.subject if optional_principal else None,
        "user": request.user.identity if request.user else None,
        "is_same": request.auth is optional_principal,
    }


def application(auth: Auth, *handlers: Any, **options: Any) -> Litestar:
    options = {"plugins": [auth]} | options
    return Litestar([login_of(auth), me, public, *handlers], **options)


def client_of(app: Litestar, **options: Any) -> TestClient:
    return TestClient(app, base_url=URL, **options)


@pytest.fixture
def client(auth):
    with client_of(application(auth, auth.router())) as client:
        yield client


def sign_in(client: TestClient, subject: str = "ann", **options: Any) -> dict[str, Any]:
    answer = client.post("/login", json={"subject": subject, **options})
    assert answer.status_code == 200, answer.text
    if "access_token" in answer.json():
        client.headers["Authorization"] = f"Bearer {answer.json()['access_token']}"
    return answer.json()


def code_of(answer) -> tuple[int, str]:
    assert "application/problem+json" == answer.headers["content-type"]
    return answer.status_code, answer.json()["code"]


# --- who it is -------------------------------------------------------------------------------------


@pytest.mark.parametrize("mode", ["session", "jwt", "hybrid"])
@pytest.mark.parametrize("transport", ["cookie", "bearer"])
def test_signing_in_and_out(mode, transport, client):
    """A login, a check and a logout, in each mode over each transport."""
    told = sign_in(client, mode=mode, transport=transport, claims={"plan": "pro"})
    assert (transport == "bearer") == ("access_token" in told)
    assert {"subject": "ann", "claims": {"plan": "pro"}} == client.get("/me").json()
    assert 204 == client.post("/auth/logout").status_code
    assert not client.cookies
    expected = "revoked" if transport == "bearer" else "unauthenticated"
    assert (401, expected) == code_of(client.get("/me"))


def test_request_user_and_auth(client):
    """`request.user` is a wrapper or None, `request.auth` the principal; they follow a sign-in."""
    assert {"subject": None, "user": None, "is_same": True} == client.get("/public").json()
    sign_in(client)
    assert {"subject": "ann", "user": "ann", "is_same": True} == client.get("/public").json()


def test_request_user_follows_a_sign_in_within_the_request(auth):
    """After `login` and `logout` the rest of the request sees who it is."""

    @post("/both")
    async def both(request: Request) -> list[Any]:
        await auth.login(request, "ann")
        there = request.user.is_authenticated, request.user.display_name
        await auth.logout(request)
        return [*there, request.user]

    with client_of(application(auth, both)) as client:
        assert [True, "ann", None] == client.post("/both").json()


def test_it_is_installed_either_way_and_once(auth):
    """As a plugin, as an `on_app_init`, or both: one middleware, one lifespan."""
    ways = (
        {"plugins": [auth]},
        {"plugins": [], "on_app_init": [auth.on_app_init]},
        {"plugins": [auth], "on_app_init": [auth.on_app_init]},
    )
    for way in ways:
        app = application(auth, **way)
        assert 1 == len(app.middleware)
        with client_of(app) as client:
            assert auth.sojourn.core.is_open
            assert (401, "unauthenticated") == code_of(client.get("/me"))
            assert "cookieAuth" in str(client.get("/schema/openapi.json").json()["components"])
        assert not auth.sojourn.core.is_open


def test_without_the_plugin_the_remedy_is_named(auth):
    """Forgetting to install it is said, with the remedy."""

    @get("/current")
    async def current(request: Request) -> None:
        await auth.current(request)

    with create_test_client(current, debug=True) as client:
        assert "plugins=[auth]" in client.get("/current").text


# --- guards ----------------------------------------------------------------------------------------


def guarded(auth: Auth) -> list[Any]:
    @get("/admin", guards=[auth.guard(roles={"admin"}, max_age=timedelta(minutes=5))])
    async def admin(principal: NamedDependency[Principal]) -> str:
        return principal.subject

    @get("/notes", guards=[auth.guard(scopes={"notes"}, max_lag=timedelta(0), accept={"bearer"})])
    async def notes(request: Request) -> str:
        return request.user.identity

    class Orders(Controller):
        path = "/orders"
        guards = [auth.signed_in]  # noqa: RUF012 - Litestar's own way

        @get()
        async def mine(self, request: Request) -> str:
            return request.user.identity

    return [admin, notes, Orders]


def test_guards(auth, clock):
    """Roles, scopes, a fresh sign-in, the store at once, one transport: on routes and controllers."""
    app = application(auth, *guarded(auth))
    with client_of(app) as client:
        assert (401, "unauthenticated") == code_of(client.get("/orders"))
        sign_in(client, scopes=["notes"])
        assert "ann" == client.get("/orders").text
        assert (403, "forbidden") == code_of(client.get("/admin"))
        assert (403, "credential_not_accepted") == code_of(client.get("/notes"))
        sign_in(client, roles=["admin"])
        assert "ann" == client.get("/admin").text
        clock.advance(seconds=301)
        assert "insufficient_user_authentication" == code_of(client.get("/admin"))[1]
    with client_of(app) as client:
        sign_in(client, transport="bearer")
        refused = client.get("/notes")
        assert (403, "insufficient_scope") == code_of(refused)
        assert 'Bearer error="insufficient_scope"' == refused.headers["WWW-Authenticate"]
        sign_in(client, transport="bearer", scopes=["notes"])
        assert "ann" == client.get("/notes").text


def mount() -> Any:
    @asgi("/mounted", is_mount=True, copy_scope=True)
    async def mounted(scope: Any, receive: Any, send: Any) -> None:
        await Response(scope["path"]).to_asgi_response(None, Request(scope))(scope, receive, send)

    return mounted


def everything(auth: Auth, **options: Any) -> Litestar:
    @get(["/", "/inner", "/admin/login"])
    async def page() -> str:
        return "page"

    return application(auth, auth.router(), page, mount(), **options)


def test_everything_needs_a_sign_in_but_what_is_excluded(make_auth):
    """With `exclude`, no route is open by oversight; patterns count from a path's beginning."""
    auth = make_auth(exclude=["/public$", "/schema", "/inner"])
    with client_of(everything(auth)) as client:
        for path in ("/", "/admin/login", "/mounted/inner", "/auth/session"):
            assert 401 == client.get(path).status_code, path
        for path in ("/public", "/schema/openapi.json", "/inner"):
            assert 200 == client.get(path).status_code, path
        assert 204 == client.options("/").status_code, "asks what may be asked"
        assert 204 == client.post("/auth/logout").status_code, "also where nobody is signed in"
        sign_in(client)
        for path in ("/", "/admin/login", "/mounted/inner", "/me"):
            assert 200 == client.get(path).status_code, path
        assert 404 == client.get("/nowhere").status_code


def test_what_is_excluded_leads_nowhere_else(make_auth):
    """OPTIONS is free where Litestar answers it alone, and ``..`` leads out of nothing excluded."""

    @route("/asked", http_method=["GET", "OPTIONS"], status_code=200)
    async def asked() -> str:
        return "secret"

    @get("/public/{rest:path}")
    async def below(request: Request) -> str:
        return request.path_params["rest"]

    auth = make_auth(exclude=["/public", "/mounted/public"])
    with client_of(application(auth, mount(), asked, below)) as client:
        for path in ("/asked", "/mounted/x"):
            assert 401 == client.options(path).status_code, path
        for path in ("/public/a", "/mounted/public/a"):
            assert 200 == client.get(path).status_code, path
        for path in ("/public", "/mounted/public"):
            for up in ("%2e%2e", ".%2E", "%2e%2e%2fx", "..%5cx"):
                assert 401 == client.get(f"{path}/{up}/a").status_code, (path, up)


def test_one_pattern_and_none(make_auth):
    """A single pattern is text; an empty list excludes nothing."""
    for exclude, status in (("/public", 200), ([], 401)):
        with client_of(everything(make_auth(exclude=exclude))) as client:
            assert status == client.get("/public").status_code
    with pytest.raises(ConfigurationError, match="no regular expression"):
        make_auth(exclude="(")


# --- refusals and failures -------------------------------------------------------------------------


def test_an_applications_own_page_for_refusals(auth):
    """A handler of the application's own for `Refused` counts, with what it knows of the error."""

    def page(_: Request, error: Refused) -> Response:
        return Response(f"sign in: {error.code}", status_code=401, media_type="text/plain")

    app = application(auth, exception_handlers={Refused: page})
    with client_of(app) as client:
        assert "sign in: unauthenticated" == client.get("/me").text
    status_pages = {500: lambda *_: Response("oh", status_code=500)}
    with client_of(application(auth, exception_handlers=status_pages)) as client:
        assert (401, "unauthenticated") == code_of(client.get("/me"))


def test_public_pages_work_without_the_store(auth, client, monkeypatch):
    """Where the store fails, a public page answers, and a private one says 503."""
    sign_in(client, mode="session")
    auth.sojourn.core.picture.near.entries.clear()

    async def failing(*_: object) -> None:
        raise StoreError("the database /srv/app.db is away")

    monkeypatch.setattr(auth.sojourn.core.store, "get", failing)
    assert None is client.get("/public").json()["subject"]
    refused = client.get("/me")
    assert (503, "store_unavailable") == code_of(refused)
    assert ("1", False) == (refused.headers["retry-after"], "/srv" in refused.text)


def test_cookies_reach_the_browser_whatever_the_answer_is(auth, clock):
    """What was renewed in passing is handed out with errors of the application, too."""

    @get("/teapot")
    async def teapot() -> None:
        raise HTTPException(status_code=418, detail="short and stout")

    @get("/broken")
    async def broken() -> None:
        raise RuntimeError("the application's own mistake")

    app = application(auth, teapot, broken)
    with client_of(app, raise_server_exceptions=False) as client:
        for path, status in (("/teapot", 418), ("/broken", 500)):
            sign_in(client)
            clock.advance(seconds=901)
            answer = client.get(path)
            assert status == answer.status_code
            assert 2 == len(answer.headers.get_list("set-cookie"))
            assert "ann" == client.get("/me").json()["subject"]


def test_another_origin(client):
    """A trusted page is let in, pre-flight included; a form of a stranger's is refused."""
    asked = {"Origin": PAGE, "Access-Control-Request-Method": "POST"}
    preflight = client.options("/me", headers=asked)
    assert (204, PAGE) == (
        preflight.status_code,
        preflight.headers["access-control-allow-origin"],
    )
    sign_in(client)
    assert (
        PAGE == client.get("/me", headers={"Origin": PAGE}).headers["access-control-allow-origin"]
    )
    refused = client.post("/auth/logout", headers={"Origin": "https://evil.example"})
    assert (403, "cross_site") == code_of(refused)


# --- session data -----------------------------------------------------------------------------------


def test_session_data(auth):
    """`request.session` where it is asked for, on a route or a router; saved with the response."""

    @get("/basket")
    async def basket(request: Request) -> list[str]:
        return request.session.get("basket", [])

    @post("/basket", status_code=200)
    async def put(request: Request) -> list[str]:
        request.session.setdefault("basket", []).append((await request.json())["item"])
        return request.session["basket"]

    router = Router("/shop", route_handlers=[basket, put], before_request=auth.session_data)
    with client_of(application(auth, router)) as client:
        assert [] == client.get("/shop/basket").json()
        assert ["tea"] == client.post("/shop/basket", json={"item": "tea"}).json()
        sign_in(client, carry=["basket"])
        assert ["tea"] == client.get("/shop/basket").json()


def test_beside_litestars_session_middleware(auth):
    """Where another middleware provides request.session, ours leaves it alone, or says so."""

    @get("/both")
    async def both(request: Request) -> list[Any]:
        ours = await auth.data(request)
        ours["a"], request.session["b"] = 1, 2
        return [dict(ours), dict(request.session)]

    @get("/clash", before_request=auth.session_data)
    async def clash() -> None:
        raise AssertionError

    middleware = [CookieBackendConfig(secret=b"x" * 32).middleware]
    app = application(auth, both, clash, middleware=middleware)
    with client_of(app, raise_server_exceptions=False) as client:
        assert [{"a": 1}, {"b": 2}] == client.get("/both").json()
        assert (500, "configuration") == code_of(client.get("/clash"))


# --- the router -------------------------------------------------------------------------------------


def test_the_router_answers_as_the_server_does(client, clock):
    """Who is signed in, refresh, an access token, devices, ending them: paths and answers."""
    told = sign_in(client, transport="bearer", roles=["admin"])
    session = client.get("/auth/session").json()
    assert ("ann", told["sid"], "hybrid", ["admin"]) == tuple(
        session[name] for name in ("subject", "sid", "mode", "roles")
    )
    clock.advance(seconds=901)
    assert (401, "refresh_required") == code_of(client.get("/auth/session"))
    body = {"refresh_token": told["refresh_token"]}
    renewed = client.post("/auth/refresh", json=body)
    assert (200, "no-store") == (renewed.status_code, renewed.headers["cache-control"])
    client.headers["Authorization"] = f"Bearer {renewed.json()['access_token']}"
    assert "expires_in" in client.post("/auth/access-token").json()
    other = client_of(client.app)
    theirs = sign_in(other)["sid"]
    listed = client.get("/auth/sessions").json()["sessions"]
    assert {told["sid"]: True, theirs: False} == {s["sid"]: s["current"] for s in listed}
    assert 204 == client.delete(f"/auth/sessions/{theirs}").status_code
    assert (401, "revoked") == code_of(other.get("/me"))
    assert (404, "not_found") == code_of(client.delete("/auth/sessions/nobodys"))
    sign_in(other)
    assert 204 == client.post("/auth/logout-others").status_code
    assert 401 == other.get("/me").status_code
    assert (400, "invalid_request") == code_of(client.post("/auth/refresh", json={"x": 1}))
    assert 413 == client.post("/auth/refresh", content=b"x" * 70_000).status_code
    assert 204 == client.post("/auth/logout-all").status_code
    assert (401, "revoked") == code_of(client.get("/auth/session"))


# --- OpenAPI ---------------------------------------------------------------------------------------


def test_openapi(make_auth):
    """Schemes, and on guarded routes what they ask for and how they refuse; nothing on others."""
    auth = make_auth()
    app = application(auth, *guarded(auth), auth.router())
    with client_of(app) as client:
        document = client.get("/schema/openapi.json").json()
    schemes = document["components"]["securitySchemes"]
    assert {"type": "http", "scheme": "bearer"}.items() <= schemes["bearerAuth"].items()
    assert ("cookie", "sojourn-8000-access") == (
        schemes["cookieAuth"]["in"],
        schemes["cookieAuth"]["name"],
    )
    operations = {path: item["get"] for path, item in document["paths"].items() if "get" in item}
    assert [{"cookieAuth": []}, {"bearerAuth": []}] == operations["/admin"]["security"]
    assert [{"bearerAuth": ["notes"]}] == operations["/notes"]["security"]
    for path in ("/admin", "/notes", "/orders"):
        refusals = [operations[path]["responses"][status] for status in ("401", "403")]
        assert all("application/problem+json" in r["content"] for r in refusals)
    assert "security" not in operations["/public"]
    assert "401" not in operations["/public"]["responses"]
    assert "/auth/sessions/{sid}" in document["paths"]


def test_openapi_of_everything(make_auth):
    """With `exclude`, every route but the excluded is described as guarded."""
    auth = make_auth(exclude=["/public", "/schema"], mode="session")
    config = OpenAPIConfig(title="t", version="1", components=[Components()])
    with client_of(everything(auth, openapi_config=config)) as client:
        document = client.get("/schema/openapi.json").json()
    described = {
        path for path, item in document["paths"].items() for op in item.values() if "401" in op["responses"]
    }  # fmt: skip
    assert {"/", "/inner", "/admin/login", "/me"} == described
    assert "sojourn-8000" == document["components"]["securitySchemes"]["cookieAuth"]["name"]
    assert isinstance(config.components, list)
    assert 1 == len(config.components), "the application's own configuration is left as it is"
    assert (
        404 == client_of(application(make_auth(), openapi_config=None)).get("/schema").status_code
    )


# --- tests of applications ---------------------------------------------------------------------------


def test_acting_as(auth):
    """A test acts as anybody, and what a route asks for is still judged."""
    with client_of(application(auth, *guarded(auth))) as client:
        with acting_as(auth, 7, roles={"admin"}) as principal:
            assert "7" == principal.subject
            assert "7" == client.get("/admin").text
            assert "credential_not_accepted" == client.get("/notes").json()["code"]
        assert 401 == client.get("/admin").status_code


def test_overriding_the_dependency(auth):
    """A test gives another `principal`; an application's own of that name counts anywhere."""
    somebody = Principal(
        subject="fake", issuer="", sid="", mode="session", transport="cookie", auth_time=0,
        expires_at=0, roles=frozenset(), scopes=frozenset(), amr=(), claims={}, position=0,
    )  # fmt: skip
    dependencies = {"principal": Provide(lambda: somebody, sync_to_thread=False)}
    with create_test_client([me], plugins=[auth], dependencies=dependencies) as client:
        assert "fake" == client.get("/me").json()["subject"]


# --- WebSockets -------------------------------------------------------------------------------------


def test_websockets(auth, clock):
    """A handshake is checked by guards, dependencies and in handlers; a refusal says its code."""

    @websocket("/echo", guards=[auth.signed_in])
    async def echo(socket: WebSocket) -> None:
        await socket.accept()
        await socket.send_text(socket.user.identity)
        await socket.close()

    @websocket("/late")
    async def late(socket: WebSocket) -> None:
        await socket.accept()
        await auth.require(roles={"admin"})(socket)

    with client_of(application(auth, echo, late)) as client:
        for path, headers in (("/echo", {}), ("/late", {})):
            with pytest.raises(WebSocketDisconnect) as refused:  # noqa: SIM117 - it opens or receives
                with client.websocket_connect(path, headers=headers) as socket:
                    socket.receive_text()
            assert (4401, "unauthenticated") == (refused.value.code, refused.value.detail)
        sign_in(client)
        with client.websocket_connect("/echo") as socket:
            assert "ann" == socket.receive_text()
        with (
            pytest.raises(WebSocketDisconnect) as refused,
            client.websocket_connect("/echo", headers={"Origin": "https://evil.example"}),
        ):
            pass
        assert "cross_site" == refused.value.detail


# --- a service with a verifier ------------------------------------------------------------------------


def test_a_verifier(auth):
    """A service without the store: the same guards; bearer tokens alone are shown to OpenAPI."""

    class Wire:
        def fetch(self, _):
            import msgspec

            return Answer(200, msgspec.json.encode(issuer.jwks()))

    with Sojourn("memory://", mode="jwt", url=URL, audience="billing") as issuer:
        issuers = [Issuer.sojourn(URL, jwks_uri=f"{URL}/keys")]
        guard = Guard(AsyncVerifier(audience="billing", issuers=issuers, fetcher=Wire()))

        @get("/admin", guards=[guard.guard(roles={"admin"})])
        async def admin(principal: NamedDependency[Principal]) -> str:
            return principal.subject

        def bearer(**options):
            token = issuer.login(Incoming(), "ann", transport="bearer", **options).access_token
            return {"Authorization": f"Bearer {token}"}

        with client_of(Litestar([admin], plugins=[guard])) as client:
            assert (401, "unauthenticated") == code_of(client.get("/admin"))
            assert (403, "forbidden") == code_of(client.get("/admin", headers=bearer()))
            assert "ann" == client.get("/admin", headers=bearer(roles={"admin"})).text
            document = client.get("/schema/openapi.json").json()
            assert ["bearerAuth"] == list(document["components"]["securitySchemes"])
        with pytest.raises(ConfigurationError, match="AsyncVerifier"):
            Guard(Verifier(audience="billing", issuers=issuers))
