"""A second process on the server's file: an application of its own, for ./run --check.

It believes the server's cookies and tokens, keeps session data, and signs in whomever it is told to.
"""

import os
import sys

from granian import Granian
from granian.constants import Interfaces
from granian.log import LogLevels
from starlette.applications import Starlette
from starlette.requests import Request
from starlette.responses import JSONResponse
from starlette.routing import Route

from sojourn.starlette import Auth


def create() -> Starlette:
    """Make the application; settings come from the environment, as in production."""
    auth = Auth(os.environ["CHECK_STORE"], modes=("session", "jwt", "hybrid"))

    async def me(request: Request) -> JSONResponse:
        principal = await auth.current(request)
        return JSONResponse({"subject": principal.subject, "roles": sorted(principal.roles)})

    async def data(request: Request) -> JSONResponse:
        values = await auth.data(request)
        if request.method == "POST":
            values.update(await request.json())
        return JSONResponse(dict(values))

    async def login(request: Request) -> JSONResponse:
        told = await request.json()
        signed_in = await auth.login(request, told["subject"], mode=told["mode"], carry=["basket"])
        return JSONResponse(signed_in.public())

    app = Starlette(
        routes=[
            Route("/me", me),
            Route("/data", data, methods=["GET", "POST"]),
            Route("/login", login, methods=["POST"]),
        ]
    )
    auth.install(app)
    return app


if __name__ == "__main__":
    Granian(
        "check_app:create",
        factory=True,
        address="127.0.0.1",
        port=int(sys.argv[1]),
        interface=Interfaces.ASGI,
        log_level=LogLevels.warning,
    ).serve()
