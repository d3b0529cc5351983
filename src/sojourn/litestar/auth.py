"""`Auth`: Sojourn in the idiom of Litestar."""

from __future__ import annotations

from collections.abc import Iterable
from typing import Any, cast

from litestar import Request, Response, Router, route
from litestar.handlers import HTTPRouteHandler

from sojourn import asgi
from sojourn.adapting.endpoints import ENDPOINTS, MAX_BODY_BYTES, Asked, Endpoint
from sojourn.aio import AsyncSojourn
from sojourn.asgi.scope import Connection, Scope, scope_of, state_of
from sojourn.engine.data import SessionData
from sojourn.errors import ConfigurationError
from sojourn.litestar.needs import EXCLUDE_KEY
from sojourn.litestar.plugin import Guard
from sojourn.litestar.shown import show
from sojourn.model import ClaimsT


class Auth(Guard[ClaimsT], asgi.Auth[ClaimsT]):
    """Sojourn in a Litestar application.

    Args:
        sojourn: A store URL, or an `AsyncSojourn` that was made elsewhere.
        exclude: As in `Guard`: where given, every other route needs a signed-in principal.
        **options: Everything `AsyncSojourn` takes.
    """

    def __init__(
        self,
        sojourn: str | AsyncSojourn[ClaimsT],
        *,
        exclude: str | Iterable[str] | None = None,
        **options: Any,
    ) -> None:
        """Make or take the engine."""
        cast("Any", asgi.Auth).__init__(self, sojourn, **options)
        self._prepare(exclude)

    def changed(self, connection: Connection) -> None:
        """Show `request.user` who has signed in or out."""
        show(cast("Scope", scope_of(connection)), state_of(connection))

    async def session_data(self, request: Request[Any, Any, Any]) -> None:
        """Have `request.session`: loaded before the handler, saved with the response.

        Give it as ``before_request=auth.session_data`` to a route, a controller, a router or the
        application.

        Raises:
            ConfigurationError: Another middleware provides it.
        """
        if not isinstance(request.scope.get("session"), SessionData | None):
            raise ConfigurationError(
                "another middleware provides request.session (Litestar's session middleware?); "
                "use `await auth.data(request)`, which leaves it alone"
            )
        request.set_session(cast("Any", await self.data(request)))

    def router(self, *, path: str = "/auth", tags: Iterable[str] = ("auth",)) -> Router:
        """Make a router for what a client may ask about its own sign-in.

        Who is signed in, refresh, sign out here, elsewhere or everywhere, list and end sessions: the
        paths and answers of the standalone server. Signing in is the application's own endpoint.

        Args:
            path: Before every path.
            tags: How the schema groups them.
        """
        return Router(
            path,
            route_handlers=[self._handler(endpoint) for endpoint in ENDPOINTS],
            tags=list(tags),
            opt={EXCLUDE_KEY: True},  # each says itself whether somebody has to be signed in
            security=[{name: []} for name in self._schemes],
        )

    def _handler(self, endpoint: Endpoint) -> HTTPRouteHandler:
        @route(
            endpoint.path.replace("{sid}", "{sid:str}"),
            http_method=endpoint.method,  # type: ignore[arg-type]
            name=endpoint.name,
            summary=endpoint.summary,
            status_code=200,
            request_max_body_size=MAX_BODY_BYTES,
        )
        async def act(request: Request[Any, Any, Any]) -> Response[bytes]:
            asked = Asked(body=await request.body(), sid=request.path_params.get("sid", ""))
            answer = await endpoint.act(self.sojourn.core, state_of(request), asked)
            self.changed(request)
            return Response(
                answer.body,
                status_code=answer.status,
                media_type="application/json",
                headers={"Cache-Control": "no-store"},
            )

        return act
