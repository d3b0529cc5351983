"""Sojourn for any WSGI application, without a framework: one middleware, blocking throughout.

    auth = Auth("sqlite:///app.db", url="http://127.0.0.1:8000")

    def application(environ, start_response):
        principal = auth.current(environ)
        ...

    app = auth.wrap(application)

The middleware checks each request that presents a credential, and alone writes headers: what a
login or a renewal in passing hands out is added to whatever response the application begins. Where
a request of a framework has its environment as `environ` (Werkzeug, WebOb, Bottle), the request is
taken as well. The Flask extension stands on it.

A service that has no store, and verifies what another one issued, has a `Guard` instead.
"""

from sojourn.adapting.acts import LoginOptions
from sojourn.wsgi.auth import Auth
from sojourn.wsgi.environ import incoming_of, state_of
from sojourn.wsgi.guard import Guard
from sojourn.wsgi.middleware import SojournMiddleware

__all__ = ["Auth", "Guard", "LoginOptions", "SojournMiddleware", "incoming_of", "state_of"]
