"""Notes for those who signed in, and a basket for visitors: a Starlette application with Sojourn."""

from starlette.applications import Starlette
from starlette.requests import Request
from starlette.responses import JSONResponse
from starlette.routing import Route

from sojourn.starlette import Auth

auth = Auth("sqlite:///app.db", url="http://127.0.0.1:8000")


async def login(request: Request) -> JSONResponse:
    form = await request.json()  # check the password here
    signed_in = await auth.login(request, form["user"], carry=["basket"])
    return JSONResponse(signed_in.public())


@auth.requires()
async def me(request: Request) -> JSONResponse:
    return JSONResponse({"subject": request.user.identity})


@auth.session_data
async def basket(request: Request) -> JSONResponse:
    if request.method == "POST":
        request.session.setdefault("basket", []).append((await request.json())["item"])
    return JSONResponse({"basket": request.session.get("basket", [])})


async def logout(request: Request) -> JSONResponse:
    await auth.logout(request)
    return JSONResponse({})


app = Starlette(
    routes=[
        Route("/login", login, methods=["POST"]),
        Route("/me", me),
        Route("/basket", basket, methods=["GET", "POST"]),
        Route("/logout", logout, methods=["POST"]),
    ]
)
auth.install(app)
