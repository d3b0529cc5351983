"""Applications mounted in an application: guards in them answer as guards outside."""

import pytest
from fastapi import APIRouter, Depends, FastAPI
from starlette.applications import Starlette
from starlette.middleware import Middleware
from starlette.middleware.gzip import GZipMiddleware
from starlette.responses import JSONResponse, PlainTextResponse
from starlette.routing import Host, Mount, Route
from starlette.testclient import TestClient

from sojourn import fastapi
from sojourn.errors import Forbidden, SojournError, Unauthenticated
from sojourn.starlette import Auth

URL = "http://127.0.0.1:8000"


@pytest.fixture
def auth():
    return Auth("memory://", url=URL)


def part_of(auth, **options):
    """Make an application with a guarded endpoint."""

    @auth.requires
    async def me(request):
        return JSONResponse({"subject": request.user.identity})

    @auth.requires(roles={"admin"})
    async def admin(request):
        return JSONResponse({"subject": request.user.identity})

    async def login(request):
        await auth.login(request, "ann")
        return JSONResponse({})

    routes = [Route("/me", me), Route("/admin", admin), Route("/login", login, methods=["POST"])]
    return Starlette(routes=routes, **options)


PLACES = {
    "mounted": lambda part: [Mount("/in", part)],
    "in a mounted application": lambda part: [
        Mount("/in", Starlette(routes=[Mount("/deep", part)]))
    ],
    "among a mount's routes": lambda part: [Mount("/in", routes=[Mount("/deep", part)])],
    "behind a middleware": lambda part: [
        Mount("/in", part, middleware=[Middleware(GZipMiddleware)])
    ],
    "behind one of its own": lambda part: [Mount("/in", GZipMiddleware(part))],
    "at a host": lambda part: [Host("127.0.0.1", Starlette(routes=[Mount("/in", part)]))],
    "beside something else": lambda part: [
        Mount("/other", PlainTextResponse("static")),
        Mount("/in", part),
    ],
}


@pytest.mark.parametrize("where", PLACES)
def test_a_guard_in_a_mounted_application(where, auth):
    """A problem document with its status and its challenge, wherever the application is."""
    routes = PLACES[where](part_of(auth))
    base = "/in/deep" if where in {"in a mounted application", "among a mount's routes"} else "/in"
    app = Starlette(routes=routes)
    auth.install(app)
    with TestClient(app, base_url=URL) as client:
        refused = client.get(f"{base}/me")
        assert (401, "application/problem+json") == (
            refused.status_code,
            refused.headers["content-type"],
        )
        assert refused.headers["www-authenticate"].startswith("Bearer")
        assert 200 == client.post(f"{base}/login", headers={"Origin": URL}).status_code
        assert {"subject": "ann"} == client.get(f"{base}/me").json()
        assert 403 == client.get(f"{base}/admin").status_code


def test_pages_of_the_application_hold_in_what_is_mounted(auth):
    """What somebody registered for an error outside answers inside, unless the inner one has its own."""

    def page(text):
        async def answer(_, __):
            return PlainTextResponse(text, status_code=418)

        return answer

    part = part_of(auth, exception_handlers={Forbidden: page("inner")})
    handlers = {Unauthenticated: page("outer"), Forbidden: page("outer"), 404: page("nowhere")}
    app = Starlette(routes=[Mount("/in", part)], exception_handlers=handlers)
    auth.install(app)
    with TestClient(app, base_url=URL) as client:
        assert "outer" == client.get("/in/me").text
        assert 404 == client.get("/in/nothing").status_code
        client.post("/in/login", headers={"Origin": URL})
        assert "inner" == client.get("/in/admin").text
    assert SojournError in part.exception_handlers


def test_fastapi_in_fastapi():
    """Dependencies in a mounted FastAPI application, mounted after `install`, and by a router too."""
    auth = fastapi.Auth("memory://", url=URL)
    app, part = FastAPI(), FastAPI()
    auth.install(app)

    @part.get("/me")
    async def me(principal=Depends(auth.current)):  # noqa: B008 - FastAPI's way
        return principal.subject

    app.mount("/v1", part)
    router = APIRouter()
    router.mount("/v2", part)
    app.mount("/by-router", router)
    with TestClient(app, base_url=URL) as client:
        for path in ("/v1/me", "/by-router/v2/me"):
            assert (401, "unauthenticated") == (
                client.get(path).status_code,
                client.get(path).json()["code"],
            )
