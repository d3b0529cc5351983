"""`Auth`: Sojourn in the idiom of Starlette."""

from __future__ import annotations

from collections.abc import Awaitable, Callable
from typing import Any

from starlette.requests import HTTPConnection

from sojourn import asgi
from sojourn.adapting import acts
from sojourn.asgi.scope import Connection, state_of
from sojourn.engine.data import SessionData
from sojourn.errors import ConfigurationError
from sojourn.model import ClaimsT
from sojourn.starlette.guard import Endpoint, Guard, P, before
from sojourn.starlette.shown import show


class Auth(Guard[ClaimsT], asgi.Auth[ClaimsT]):
    """Sojourn in a Starlette application.

    Args:
        sojourn: A store URL, or an `AsyncSojourn` that was made elsewhere.
        **options: Everything `AsyncSojourn` takes.
    """

    def changed(self, connection: Connection) -> None:
        """Show `request.user` who has signed in or out."""
        assert isinstance(connection, HTTPConnection)  # noqa: S101 - Starlette gives nothing else
        show(connection.scope, state_of(connection))

    def session_data(self, endpoint: Endpoint[P]) -> Callable[P, Awaitable[Any]]:
        """Have `request.session` in an endpoint: loaded before, saved with the response."""
        return before(endpoint, self.load_session)

    async def load_session(self, request: HTTPConnection) -> SessionData:
        """Load the data, and have `request.session` be it for the rest of the request.

        Raises:
            ConfigurationError: Another middleware provides `request.session`.
        """
        if not isinstance(request.scope.get("session"), SessionData | None):
            raise ConfigurationError(
                "another middleware provides request.session (Starlette's SessionMiddleware?); "
                "use `await auth.data(request)`, which leaves it alone"
            )
        data = request.scope["session"] = await acts.load_data(self.sojourn.core, state_of(request))
        return data
