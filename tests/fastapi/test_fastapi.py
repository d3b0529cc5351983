"""The FastAPI adapter, used as its users use it: dependencies, overrides, ``/docs``, a router."""

from datetime import timedelta
from typing import Annotated

import pytest
from fastapi import Depends, FastAPI, Request, WebSocket
from fastapi.testclient import TestClient
from starlette.responses import PlainTextResponse

from sojourn import AsyncVerifier, Incoming, Issuer, Principal, SessionData, Sojourn
from sojourn.fastapi import Auth, Guard
from sojourn.testing import Client, sign_in

URL = "http://127.0.0.1:8000"


def application(auth: Auth) -> FastAPI:
    """A small application with each kind of dependency."""
    app = FastAPI()
    user = Annotated[Principal, Depends(auth.current)]
    anybody = Annotated[Principal | None, Depends(auth.optional)]
    admin = Annotated[Principal, Depends(auth.require(roles={"admin"}))]
    fresh = Annotated[Principal, Depends(auth.require(max_age=timedelta(minutes=5)))]
    asking = Annotated[Principal, Depends(auth.require(max_lag=timedelta(0)))]
    reader = Annotated[Principal, Depends(auth.require(scopes={"notes"}))]
    data = Annotated[SessionData, Depends(auth.data)]

    @app.post("/login")
    async def login(request: Request, body: dict):
        return (await auth.login(request, **body)).public()

    @app.post("/login-as-text")
    async def login_as_text(request: Request):
        await auth.login(request, "ann")
        return PlainTextResponse("a response of its own, in which FastAPI drops cookies")

    @app.get("/me")
    async def me(principal: user):
        return {"subject": principal.subject}

    @app.get("/sync")
    def in_a_thread(principal: user):
        return {"subject": principal.subject}

    @app.get("/public")
    async def public(principal: anybody):
        return {"subject": principal and principal.subject}

    @app.get("/admin")
    async def for_admins(principal: admin):
        return {"subject": principal.subject}

    @app.get("/fresh")
    async def for_the_fresh(principal: fresh):
        return {"subject": principal.subject}

    @app.get("/asking")
    async def asks_the_store(principal: asking):
        return {"subject": principal.subject}

    @app.get("/notes")
    async def notes(principal: reader):
        return {"subject": principal.subject}

    @app.post("/basket")
    async def basket(items: data):
        items["basket"] = [*items.get("basket", []), "tea"]
        return items["basket"]

    @app.websocket("/ws")
    async def socket(websocket: WebSocket, principal: user):
        await websocket.accept()
        await websocket.send_text(principal.subject)
        await websocket.close()

    app.include_router(auth.router())
    auth.install(app)
    return app


@pytest.fixture(params=["session", "jwt", "hybrid"])
def auth(request):
    return Auth("memory://", mode=request.param, url=URL)


@pytest.fixture
def client(auth):
    with Client(application(auth), auth) as client:
        yield client


def test_dependencies_give_the_principal(client):
    """A route has the principal, in a coroutine, a thread and a WebSocket; others are refused."""
    assert client.get("/me").status_code == 401
    assert client.get("/public").json() == {"subject": None}
    assert client.post("/login", json={"subject": "ann"}).json()["subject"] == "ann"
    for path in ("/me", "/sync", "/public", "/fresh", "/asking"):
        assert client.get(path).json() == {"subject": "ann"}
    with client.websocket_connect("/ws", headers={"Origin": URL}) as socket:
        assert socket.receive_text() == "ann"


def test_requirements_are_judged(client):
    """Roles and scopes are asked for, and what is missing has its stable code."""
    sign_in(client, "ann", roles={"editor"})
    assert client.get("/admin").json()["code"] == "forbidden"
    assert client.get("/notes").json()["code"] == "insufficient_scope"
    sign_in(client, "bob", roles={"admin"}, scopes={"notes"})
    assert client.get("/admin").json() == client.get("/notes").json() == {"subject": "bob"}


def test_cookies_reach_a_response_of_the_handlers_own(client):
    """What FastAPI drops, a cookie set in a dependency, is written by the middleware."""
    assert client.post("/login-as-text").text.startswith("a response")
    assert client.get("/me").json() == {"subject": "ann"}


def test_a_bearer_is_as_good(client, auth):
    """The same routes take the token of an application."""
    told = client.post("/login", json={"subject": "ann", "transport": "bearer"}).json()
    headers = {"Authorization": f"Bearer {told['access_token']}"}
    client.cookies.clear()
    assert client.get("/me", headers=headers).json() == {"subject": "ann"}
    client.portal.call(auth.sojourn.revoke_all, "ann")
    refused = client.get("/me", headers=headers)
    assert (401, "revoked") == (refused.status_code, refused.json()["code"])
    assert "invalid_token" in refused.headers["www-authenticate"]


def test_one_override_is_enough(auth):
    """A test puts somebody in the place of `current`; requirements judge whom it puts there."""
    app = application(auth)
    with Sojourn("memory://", url=URL) as maker:
        principal = maker.login(Incoming(), "ann", roles={"admin"}).principal
    app.dependency_overrides[auth.current] = lambda: principal
    with TestClient(app) as client:
        for path in ("/me", "/admin", "/fresh", "/asking"):
            assert client.get(path).json() == {"subject": "ann"}
        assert client.get("/notes").json()["code"] == "insufficient_scope"


def test_what_happens_in_a_request_is_no_override(auth):
    """A dependency that signs out is seen by the requirements after it."""
    app = application(auth)

    async def sign_out(request: Request, _: Annotated[Principal, Depends(auth.current)]) -> None:
        await auth.logout(request)

    @app.get("/gone", dependencies=[Depends(sign_out)])
    async def gone(user: Annotated[Principal, Depends(auth.require(roles={"admin"}))]):
        return {"subject": user.subject}

    with Client(app, auth) as client:
        sign_in(client, "ann", roles={"admin"})
        assert client.get("/gone").json()["code"] == "unauthenticated"


def test_pages_of_one_person_are_kept_out_of_shared_caches(client):
    """Where a cookie says who it is, the response says so to caches; others say nothing."""
    assert "vary" not in client.get("/public").headers
    sign_in(client, "ann")
    headers = client.get("/public").headers
    assert ("Cookie", "private") == (headers["vary"], headers["cache-control"])


def test_openapi_says_how_to_sign_in(client, auth):
    """`/docs` has its Authorize button: schemes on guarded routes alone, refusals described."""
    document = client.get("/openapi.json").json()
    schemes = document["components"]["securitySchemes"]
    assert {"bearerAuth", "cookieAuth"} == set(schemes)
    names = auth.sojourn.core.browser.names
    assert schemes["cookieAuth"]["name"] in {names.handle, names.access}
    for path in ("/me", "/public", "/admin"):
        operation = document["paths"][path]["get"]
        assert [{"bearerAuth": []}, {"cookieAuth": []}] == operation["security"]
        assert {"401", "403"} <= set(operation["responses"])
    assert "security" not in document["paths"]["/login"]["post"]
    assert client.get("/docs").status_code == 200


def test_the_router_answers_as_the_server_does(client, auth):
    """Who am I, refresh, my sessions, sign out: the paths and answers of the standalone server."""
    assert client.get("/auth/session").json()["code"] == "unauthenticated"
    sign_in(client, "ann")
    shown = client.get("/auth/session").json()
    assert ("ann", auth.sojourn.settings.mode) == (shown["subject"], shown["mode"])
    listed = client.get("/auth/sessions")
    if auth.sojourn.settings.mode == "jwt":
        assert (409, "unsupported_in_mode") == (listed.status_code, listed.json()["code"])
    else:
        (mine,) = listed.json()["sessions"]
        assert mine["current"]
        assert client.delete("/auth/sessions/unknown").status_code == 404
    refreshed = client.post("/auth/refresh")
    assert (200 if auth.sojourn.settings.mode == "hybrid" else 409) == refreshed.status_code
    assert client.post("/auth/refresh", content=b"{").json()["code"] == "invalid_request"
    too_large = client.post("/auth/refresh", content=b"x" * 100_000)
    assert too_large.json()["code"] == "invalid_request"
    assert client.post("/auth/logout").status_code == 204
    assert client.get("/me").status_code == 401


def test_session_data_is_a_dependency(client, auth):
    """A visitor's basket lives in the session data, loaded where it is asked for."""
    assert client.post("/basket").json() == ["tea"]
    assert client.post("/basket").json() == ["tea", "tea"]


def test_a_verifier_is_a_guard():
    """A service without the store has the same dependencies, and shows a bearer scheme alone."""
    verifier = AsyncVerifier(audience="billing", issuers=[Issuer.sojourn("http://127.0.0.1:1")])
    guard = Guard(verifier)
    app = FastAPI()

    @app.get("/me")
    async def me(principal: Annotated[Principal, Depends(guard.current)]):
        return {"subject": principal.subject}

    guard.install(app)
    with TestClient(app) as client:
        assert client.get("/me").json()["code"] == "unauthenticated"
        schemes = client.get("/openapi.json").json()["components"]["securitySchemes"]
        assert ["bearerAuth"] == list(schemes)
