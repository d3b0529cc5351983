"""The old application: Starlette with its SessionMiddleware."""

from doors.asking import cookie_in
from starlette.applications import Starlette
from starlette.middleware import Middleware
from starlette.middleware.sessions import SessionMiddleware
from starlette.responses import PlainTextResponse
from starlette.routing import Route
from starlette.testclient import TestClient

SECRET = "the old secret of the middleware"
SESSION = {"user_id": 7, "basket": ["tea"], "visits": 3}


def old_cookie(session=None, **options):
    """Have the middleware set its cookie."""

    async def fill(request):
        request.session.update(SESSION if session is None else session)
        return PlainTextResponse("")

    middleware = Middleware(SessionMiddleware, secret_key=SECRET, **options)
    app = Starlette(routes=[Route("/", fill)], middleware=[middleware])
    answer = TestClient(app).get("/")
    name = options.get("session_cookie", "session")
    return cookie_in(answer.headers.get_list("set-cookie"), name)
