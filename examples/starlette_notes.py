"""A basket for visitors that is kept when they sign in: a Starlette application with Sojourn."""

from starlette.applications import Starlette
from starlette.requests import Request
from starlette.responses import JSONResponse
from starlette.routing import Route

from sojourn import InvalidCredentials
from sojourn.starlette import Auth

auth = Auth("sqlite:///app.db", url="http://127.0.0.1:8000")
PASSWORDS = {"ann": "seven unrelated words"}  # yours are hashed, in your database


async def login(request: Request) -> JSONResponse:
    form = await request.json()
    attempt = await auth.begin(form["user"])  # before the password is checked
    if PASSWORDS.get(form["user"]) != form["password"]:
        raise InvalidCredentials("the name and the password do not belong together")
    signed_in = await auth.login(request, form["user"], attempt=attempt, carry=["basket"])
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
