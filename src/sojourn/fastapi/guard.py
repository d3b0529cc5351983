"""`Guard`: who may do what, as FastAPI's dependencies; `Auth` adds signing in and out."""

from __future__ import annotations

import functools
import inspect
from collections.abc import Awaitable, Callable
from functools import cached_property
from typing import TYPE_CHECKING, Any, Unpack, cast

from fastapi import Depends, FastAPI
from starlette.requests import HTTPConnection

from sojourn import starlette
from sojourn.aio import AsyncSojourn
from sojourn.asgi.scope import state_of
from sojourn.fastapi.schemes import Shown, bearer, cookie, describe_refusals
from sojourn.model import ClaimsT, Principal
from sojourn.modes import MODES
from sojourn.need import ANYONE_SIGNED_IN, Need, NeedOptions
from sojourn.stores.memory import system_clock

if TYPE_CHECKING:
    from starlette.applications import Starlette

Dependency = Callable[..., Awaitable[Any]]


class Guard(starlette.Guard[ClaimsT]):
    """A verifier in a FastAPI application: a service that checks what another one issues.

    Its requirements are dependencies that take nothing but the request, so that they may be called
    as well: ``Depends(guard.current)`` or ``await guard.current(request)``.

    Args:
        checker: The verifier.
    """

    def install(self, app: Starlette) -> None:
        """Add the middleware, problem documents, the lifespan, and what OpenAPI says of refusals."""
        super().install(app)
        if isinstance(app, FastAPI):
            describe_refusals(app)

    @cached_property
    def schemes(self) -> tuple[Shown, ...]:
        """How a request may say who it is, for OpenAPI."""
        if not isinstance(self.checker, AsyncSojourn):
            return (bearer(),)
        names, rules = self.checker.core.browser.names, MODES[self.checker.settings.mode]
        return bearer(), cookie(names.access if rules.has_access_token else names.handle)

    # FastAPI reads a dependency's signature, and the schemes in it depend on the settings: these
    # are functions of one instance where the plain adapters have methods.

    @cached_property
    def current(self) -> Dependency:  # type: ignore[override]
        """Give the principal of a request, or refuse it."""

        async def current(request: HTTPConnection) -> Principal[ClaimsT]:
            return await self.check(request, ANYONE_SIGNED_IN)

        return self._with_schemes(current)

    @cached_property
    def optional(self) -> Dependency:  # type: ignore[override]
        """Give the principal of a request, or None."""

        async def optional(request: HTTPConnection) -> Principal[ClaimsT] | None:
            return state_of(request).principal

        return self._with_schemes(optional)

    def require(self, **need: Unpack[NeedOptions]) -> Dependency:
        """Make a dependency that gives the principal where it meets a `Need`.

        It is built on `current`: who a test puts in its place is judged by the rest of the need.
        """
        needed = Need.of(**need)

        async def required(
            request: HTTPConnection,
            principal: Any = Depends(self.current),  # noqa: B008 - FastAPI's way
        ) -> Principal[ClaimsT]:
            overrides = getattr(request.scope.get("app"), "dependency_overrides", {})
            if self.current not in overrides:
                return await self.check(request, needed)
            refusal = needed.refusal(principal, now_ms=system_clock())
            if refusal is not None:
                raise refusal
            return cast("Principal[ClaimsT]", principal)

        return required

    def _with_schemes(self, give: Callable[[HTTPConnection], Awaitable[Any]]) -> Dependency:
        """Have FastAPI see the security schemes beside the request."""

        @functools.wraps(give)
        async def dependency(request: HTTPConnection, **_: None) -> Any:
            return await give(request)

        shown: list[tuple[str, Any, Any]] = [("request", HTTPConnection, inspect.Parameter.empty)]
        shown += [(one.scheme_name, None, Depends(one)) for one in self.schemes]
        parameters = [
            inspect.Parameter(
                name, inspect.Parameter.POSITIONAL_OR_KEYWORD, annotation=kind, default=default
            )
            for name, kind, default in shown
        ]
        dependency.__signature__ = inspect.Signature(parameters)  # type: ignore[attr-defined]
        return dependency
