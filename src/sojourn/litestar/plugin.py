"""`Guard`: the plugin, and who may see what; for a verifier all there is, `Auth` adds to it."""

from __future__ import annotations

from collections.abc import AsyncIterator, Iterable
from contextlib import asynccontextmanager
from functools import cached_property
from typing import TYPE_CHECKING, Any, Self, Unpack, cast

from litestar.di import Provide
from litestar.middleware.base import DefineMiddleware
from litestar.plugins import InitPlugin, ReceiveRoutePlugin
from litestar.routes import HTTPRoute
from litestar.types import Scope

from sojourn import asgi
from sojourn.aio import AsyncSojourn
from sojourn.asgi.running import running
from sojourn.asgi.scope import Connection, scope_of
from sojourn.errors import SojournError
from sojourn.litestar.describing import describe, schemes_of, with_schemes
from sojourn.litestar.needs import NeedGuard, SignedInUnless
from sojourn.litestar.shown import problem_response, refused_socket, show
from sojourn.model import ClaimsT, Principal
from sojourn.need import ANYONE_SIGNED_IN, Need, NeedOptions
from sojourn.verifier import AsyncVerifier

if TYPE_CHECKING:
    from litestar import Litestar
    from litestar.config.app import AppConfig
    from litestar.routes.base import BaseRoute


class Guard(asgi.Guard[ClaimsT], InitPlugin, ReceiveRoutePlugin):
    """A verifier in a Litestar application: a service that checks what another one issues.

    Args:
        checker: The verifier.
        exclude: Where given, every route needs a signed-in principal, but those whose path matches
            one of these patterns from its beginning, and those with ``exclude_from_auth=True``. By
            default each route says what it needs.
    """

    def __init__(
        self,
        checker: AsyncVerifier | AsyncSojourn[ClaimsT],
        *,
        exclude: str | Iterable[str] | None = None,
    ) -> None:
        """Take the verifier."""
        super().__init__(checker)
        self._prepare(exclude)

    def _prepare(self, exclude: str | Iterable[str] | None) -> None:
        self._middleware = DefineMiddleware(
            cast("Any", asgi.SojournMiddleware), checker=self.checker, show=show
        )
        self._schemes = schemes_of(self.checker)
        self._everywhere = None if exclude is None else SignedInUnless(self.check, exclude)

    def __deepcopy__(self, _: Any) -> Self:
        """Give itself: Litestar copies what handlers were made with, and an engine is one."""
        return self

    def on_app_init(self, app_config: AppConfig) -> AppConfig:
        """Add the middleware, problem documents, the lifespan, and what OpenAPI says of it.

        Given to `plugins` or to `on_app_init`, and harmless in both.
        """
        if self._middleware in app_config.middleware:
            return app_config
        app_config.middleware.insert(0, self._middleware)
        app_config.exception_handlers.setdefault(SojournError, problem_response)
        app_config.lifespan.insert(0, self._lifespan)
        app_config.dependencies.setdefault("principal", Provide(self._principal))
        app_config.dependencies.setdefault("optional_principal", Provide(self._optional_principal))
        if self not in app_config.plugins:
            app_config.plugins.append(self)  # to be shown the routes
        if self._everywhere is not None:
            app_config.guards.insert(0, self._everywhere)
        if app_config.openapi_config is not None:
            app_config.openapi_config = with_schemes(app_config.openapi_config, self._schemes)
        return app_config

    def receive_route(self, route: BaseRoute) -> None:
        """Describe a route that asks for something."""
        if not isinstance(route, HTTPRoute):
            return
        for handler in route.route_handlers:
            guards = [g for g in handler.resolve_guards() if isinstance(g, NeedGuard)]
            needs = [g.need for g in guards if g.concerns(handler, route.path)]
            if needs:
                describe(handler, needs, self._schemes)

    @asynccontextmanager
    async def _lifespan(self, _: Litestar) -> AsyncIterator[None]:
        async with running(self.checker):
            yield

    async def _principal(self, scope: Scope) -> Principal[Any]:
        return await self.current(cast("Connection", scope))

    async def _optional_principal(self, scope: Scope) -> Principal[Any] | None:
        return await self.optional(cast("Connection", scope))

    @cached_property
    def signed_in(self) -> NeedGuard:
        """The guard of a route for anybody who is signed in."""
        return NeedGuard(self.check, ANYONE_SIGNED_IN)

    def guard(self, **need: Unpack[NeedOptions]) -> NeedGuard:
        """Make the guard of a route: ``guards=[auth.guard(roles={"admin"})]``; takes what `require` takes."""
        return NeedGuard(self.check, Need.of(**need))

    async def check(self, connection: Connection, need: Need) -> Principal[ClaimsT]:
        """Give the principal of a request where it meets a need.

        Raises:
            SojournError: Why it does not, or why that cannot be known now.
            WebSocketException: The same, for a WebSocket, which Litestar closes by no other.
        """
        try:
            return await super().check(connection, need)
        except SojournError as error:
            if scope_of(connection)["type"] == "websocket":
                raise refused_socket(error) from error
            raise
