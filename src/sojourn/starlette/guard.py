"""`Guard`: who may see what, in the idiom of Starlette; for a verifier all there is, `Auth` adds to it."""

from __future__ import annotations

import functools
import inspect
from collections.abc import AsyncIterator, Awaitable, Callable, Mapping
from contextlib import asynccontextmanager
from typing import TYPE_CHECKING, Any, ParamSpec, Unpack, overload

from starlette.concurrency import run_in_threadpool
from starlette.requests import HTTPConnection

from sojourn import asgi
from sojourn.asgi.running import running
from sojourn.asgi.scope import Application
from sojourn.errors import ConfigurationError, SojournError
from sojourn.model import ClaimsT
from sojourn.need import NeedOptions
from sojourn.starlette.mounted import share_handlers
from sojourn.starlette.shown import problem_response, show

if TYPE_CHECKING:
    from starlette.applications import Starlette

P = ParamSpec("P")
Endpoint = Callable[P, Any]


class Guard(asgi.Guard[ClaimsT]):
    """A verifier in a Starlette application: a service that checks what another one issues.

    Args:
        checker: The verifier.
    """

    def install(self, app: Starlette) -> None:
        """Add the middleware, the problem documents, and opening and closing with the application."""

        def middleware(inner: Application) -> Application:
            share_handlers(app)  # called as the application starts, when all is mounted
            return asgi.SojournMiddleware(inner, self.checker, show=show)

        app.add_middleware(middleware)
        app.exception_handlers.setdefault(SojournError, problem_response)
        inner = app.router.lifespan_context

        @asynccontextmanager
        async def lifespan(served: Any) -> AsyncIterator[Any]:
            async with running(self.checker), inner(served) as state:
                yield state

        app.router.lifespan_context = lifespan

    @overload
    def requires(self, endpoint: Endpoint[P], /) -> Callable[P, Awaitable[Any]]: ...

    @overload
    def requires(
        self, /, **need: Unpack[NeedOptions]
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
