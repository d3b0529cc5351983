"""Sojourn for Litestar: a plugin with guards, `request.user`, the dependency `principal`, a router.

    auth = Auth("sqlite:///app.db", url="http://127.0.0.1:8000")

    @get("/me", guards=[auth.signed_in])
    async def me(principal: Principal) -> dict[str, str]:
        return {"subject": principal.subject}

    app = Litestar([me, auth.router()], plugins=[auth])

``on_app_init=[auth.on_app_init]`` does the same. A service that has no store, and verifies what
another one issued, has a `Guard` instead.
"""

try:
    import litestar  # noqa: F401 - looked at only to say what to install
except ModuleNotFoundError as error:
    raise ModuleNotFoundError(
        "sojourn.litestar needs Litestar; install it with: pip install 'sojourn[litestar]'"
    ) from error

from sojourn.asgi import LoginOptions, SojournMiddleware, incoming_of
from sojourn.litestar.auth import Auth
from sojourn.litestar.plugin import Guard
from sojourn.litestar.shown import SignedInUser

__all__ = ["Auth", "Guard", "LoginOptions", "SignedInUser", "SojournMiddleware", "incoming_of"]
