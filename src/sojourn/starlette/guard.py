"""`Guard`: who may see what, in the idiom of Starlette; for a verifier all there is, `Auth` adds to it."""

from __future__ import annotations

import functools
import inspect
from collections.abc import AsyncIterator, Awaitable, Callable, Iterable, Mapping
from contextlib import asynccontextmanager
from datetime import timedelta
from typing import TYPE_CHECKING, Any, Generic, ParamSpec, cast, overload

from starlette.concurrency import run_in_threadpool
from starlette.requests import HTTPConnection

from sojourn.aio import AsyncSojourn
from sojourn.errors import ConfigurationError, SojournError
from sojourn.model import ClaimsT, Principal, Transport
from sojourn.need import ANYONE_SIGNED_IN, Need
from sojourn.starlette.middleware import SojournMiddleware, problem_response, state_of
from sojourn.verifier import AsyncVerifier

if TYPE_CHECKING:
    from starlette.applications import Starlette

P = ParamSpec("P")
Endpoint = Callable[P, Any]


class Guard(Generic[ClaimsT]):
    """A verifier in a Starlette application: a service that checks what another one issues.

    Args:
        checker: The verifier.
    """

    def __init__(self, checker: AsyncVerifier | AsyncSojourn[ClaimsT]) -> None:
        """Take the verifier."""
        if not inspect.iscoroutinefunction(checker.check):
            raise ConfigurationError(
                "a blocking Verifier was given and would stop the event loop; give AsyncVerifier"
            )
        self.checker = checker

    def install(self, app: Starlette) -> None:
        """Add the middleware, the problem documents, and opening and closing with the application."""
        app.add_middleware(SojournMiddleware, checker=self.checker)
        app.add_exception_handler(SojournError, problem_response)
        inner = app.router.lifespan_context

        @asynccontextmanager
        async def lifespan(running: Any) -> AsyncIterator[Any]:
            async with self.checker, inner(running) as state:
                yield state

        app.router.lifespan_context = lifespan

    # --- who is it --------------------------------------------------------------------------------

    async def current(self, request: HTTPConnection) -> Principal[ClaimsT]:
        """Give the principal of a request.

        Raises:
            Refused: Why there is none.
            StoreError: The store had to be asked and cannot be reached.
        """
        return await self._required(request, ANYONE_SIGNED_IN)

    async def optional(self, request: HTTPConnection) -> Principal[ClaimsT] | None:
        """Give the principal of a request, or None."""
        return cast("Principal[ClaimsT] | None", state_of(request).checked.principal)

    def require(
        self,
        *,
        roles: Iterable[str] = (),
        scopes: Iterable[str] = (),
        max_age: timedelta | None = None,
        max_lag: timedelta | None = None,
        accept: Iterable[Transport] = ("cookie", "bearer"),
    ) -> Callable[[HTTPConnection], Awaitable[Principal[ClaimsT]]]:
        """Make a function of the request that gives the principal where it meets a `Need`."""
        need = Need.of(roles=roles, scopes=scopes, max_age=max_age, max_lag=max_lag, accept=accept)

        async def required(request: HTTPConnection) -> Principal[ClaimsT]:
            return await self._required(request, need)

        return required

    @overload
    def requires(self, endpoint: Endpoint[P], /) -> Callable[P, Awaitable[Any]]: ...

    @overload
    def requires(
        self,
        /,
        *,
        roles: Iterable[str] = (),
        scopes: Iterable[str] = (),
        max_age: timedelta | None = None,
        max_lag: timedelta | None = None,
        accept: Iterable[Transport] = ("cookie", "bearer"),
    ) -> Callable[[Endpoint[P]], Callable[P, Awaitable[Any]]]: ...

    def requires(self, endpoint: Endpoint[P] | None = None, /, **need: Any) -> Any:
        """Guard an endpoint, ``async`` or not; takes what `require` takes.

        The endpoint's first argument (or the one named `request` or `websocket`) is the request.
        Written ``@auth.requires`` or ``@auth.requires(roles={"admin"})``.
        """
        required = self.require(**need)

        def decorate(guarded: Endpoint[P]) -> Callable[P, Awaitable[Any]]:
            return before(guarded, required)

        return decorate if endpoint is None else decorate(endpoint)

    async def _required(self, request: HTTPConnection, need: Need) -> Principal[ClaimsT]:
        state = state_of(request)
        if need.max_lag_seconds is not None:
            state.checked = await self.checker.check(state.incoming, need=need, renew=False)
        elif state.error is not None:
            raise state.error
        return cast("Principal[ClaimsT]", state.checked.require(need))


def before(
    endpoint: Endpoint[P], act: Callable[[HTTPConnection], Awaitable[Any]]
) -> Callable[P, Awaitable[Any]]:
    """Have something done with the request before an endpoint, which runs as Starlette would run it."""

    @functools.wraps(endpoint)
    async def wrapped(*args: P.args, **kwargs: P.kwargs) -> Any:
        await act(_connection(args, kwargs))
        if inspect.iscoroutinefunction(endpoint):
            return await endpoint(*args, **kwargs)
        return await run_in_threadpool(endpoint, *args, **kwargs)

    return wrapped


def _connection(args: tuple[Any, ...], kwargs: Mapping[str, Any]) -> HTTPConnection:
    for value in (*args, kwargs.get("request"), kwargs.get("websocket")):
        if isinstance(value, HTTPConnection):
            return value
    raise ConfigurationError("the guarded endpoint was called without a request")
