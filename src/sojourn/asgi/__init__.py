"""Sojourn for any ASGI application, without a framework: one pure middleware.

    auth = Auth("sqlite:///app.db", url="http://127.0.0.1:8000")

    async def application(scope, receive, send):
        principal = await auth.current(scope)
        ...

    app = auth.wrap(application)

The middleware checks each request that presents a credential, and alone writes headers: what a
login or a renewal in passing hands out is added to whatever response the application sends. A
WebSocket or event stream of somebody signed in is closed when their session ends. The adapters of
Starlette, FastAPI and Litestar, and WebSockets in Django Channels, stand on it.

A service that has no store, and verifies what another one issued, has a `Guard` instead.
"""

from sojourn.adapting.acts import LoginOptions
from sojourn.asgi.auth import Auth
from sojourn.asgi.guard import Guard
from sojourn.asgi.middleware import SojournMiddleware
from sojourn.asgi.scope import incoming_of, state_of

__all__ = ["Auth", "Guard", "LoginOptions", "SojournMiddleware", "incoming_of", "state_of"]
