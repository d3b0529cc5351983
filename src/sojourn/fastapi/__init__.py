"""Sojourn for FastAPI: dependencies, security schemes for ``/docs``, a router for the rest.

    auth = Auth("sqlite:///app.db", url="http://127.0.0.1:8000")
    app = FastAPI()
    auth.install(app)
    app.include_router(auth.router())

    User = Annotated[Principal, Depends(auth.current)]
    Admin = Annotated[Principal, Depends(auth.require(roles={"admin"}))]

Everything of `sojourn.starlette` is there too. A test overrides one thing, and `require` follows:
``app.dependency_overrides[auth.current] = lambda: principal``.
"""

try:
    import fastapi  # noqa: F401 - looked at only to say what to install
except ModuleNotFoundError as error:
    raise ModuleNotFoundError(
        "sojourn.fastapi needs FastAPI; install it with: pip install 'sojourn[fastapi]'"
    ) from error

from sojourn.asgi import LoginOptions, SojournMiddleware, incoming_of
from sojourn.fastapi.auth import Auth
from sojourn.fastapi.guard import Guard
from sojourn.starlette import SignedInUser

__all__ = ["Auth", "Guard", "LoginOptions", "SignedInUser", "SojournMiddleware", "incoming_of"]
