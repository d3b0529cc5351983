"""Sojourn for Starlette: one pure ASGI middleware, `request.user`, `request.auth`, `request.session`.

    auth = Auth("sqlite:///app.db", url="http://127.0.0.1:8000")
    app = Starlette(routes=[...])
    auth.install(app)

A service that has no store, and verifies what another one issued, has a `Guard` instead:

    guard = Guard(AsyncVerifier(audience="billing", issuers=[Issuer.sojourn("https://…")]))
    guard.install(app)

The middleware checks each request that presents a credential, and alone writes headers: what a
login or a renewal in passing hands out is added to whatever response the handler returns. FastAPI
works through the same adapter.
"""

try:
    import starlette.requests  # noqa: F401 - looked at only to say what to install
except ModuleNotFoundError as error:
    raise ModuleNotFoundError(
        "sojourn.starlette needs Starlette; install it with: pip install 'sojourn[starlette]'"
    ) from error

from sojourn.asgi import LoginOptions, SojournMiddleware, incoming_of
from sojourn.starlette.auth import Auth
from sojourn.starlette.guard import Guard
from sojourn.starlette.shown import SignedInUser

__all__ = ["Auth", "Guard", "LoginOptions", "SignedInUser", "SojournMiddleware", "incoming_of"]
