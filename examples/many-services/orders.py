"""Orders: an ASGI service that verifies in its event loop and follows the revocations."""

import os

from starlette.applications import Starlette
from starlette.requests import Request
from starlette.responses import JSONResponse
from starlette.routing import Route

from sojourn import AsyncVerifier, Issuer
from sojourn.starlette import Guard

guard = Guard(
    AsyncVerifier(
        audience="shop",
        issuers=[Issuer.sojourn(os.environ["ISSUER"], feed_token=os.environ["FEED_TOKEN"])],
    )
)


@guard.requires()
async def orders(request: Request) -> JSONResponse:
    return JSONResponse({"orders": [], "of": request.user.identity})


app = Starlette(routes=[Route("/", orders)])
guard.install(app)
