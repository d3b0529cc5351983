"""`Auth`: Sojourn in the idiom of Starlette."""

from __future__ import annotations

import functools
import inspect
from collections.abc import AsyncIterator, Awaitable, Callable, Iterable, Mapping
from contextlib import asynccontextmanager
from datetime import timedelta
from typing import TYPE_CHECKING, Any, Generic, ParamSpec, TypedDict, Unpack, cast, overload

from starlette.concurrency import run_in_threadpool
from starlette.requests import HTTPConnection

from sojourn.aio import AsyncSojourn
from sojourn.engine.answers import Attempt, Checked, SignedIn
from sojourn.engine.data import SessionData
from sojourn.errors import ConfigurationError, SojournError
from sojourn.model import ClaimsT, Mode, Principal, Subject, Transport
from sojourn.need import ANYONE_SIGNED_IN, Need
from sojourn.starlette.middleware import (
    NOBODY,
    SojournMiddleware,
    incoming_of,
    problem_response,
    show,
    state_of,
)
from sojourn.sync import Sojourn

if TYPE_CHECKING:
    from starlette.applications import Starlette

P = ParamSpec("P")
Endpoint = Callable[P, Any]


class LoginOptions(TypedDict, total=False):
    """The keyword arguments of `AsyncSojourn.login`, which describes them."""

    attempt: Attempt | None
    mode: Mode | None
    transport: Transport | None
    remember: bool
    roles: Iterable[str]
    scopes: Iterable[str]
    claims: Mapping[str, Any] | None
    amr: Iterable[str]
    client_id: str
    carry: Iterable[str]


class Auth(Generic[ClaimsT]):
    """Sojourn in a Starlette application.

    Args:
        sojourn: A store URL, or an `AsyncSojourn` that was made elsewhere.
        **options: Everything `AsyncSojourn` takes.
    """

    def __init__(self, sojourn: str | AsyncSojourn[ClaimsT], **options: Any) -> None:
        """Make or take the engine."""
        if isinstance(sojourn, Sojourn):
            raise ConfigurationError("Auth takes AsyncSojourn; Sojourn is for blocking frameworks")
        if isinstance(sojourn, AsyncSojourn):
            if options:
                raise ConfigurationError("give the settings to AsyncSojourn itself")
            self.sojourn = sojourn
        else:
            self.sojourn = AsyncSojourn(sojourn, **options)

    def install(self, app: Starlette) -> None:
        """Add the middleware, the problem documents, and opening and closing with the application."""
        app.add_middleware(SojournMiddleware, sojourn=self.sojourn)
        app.add_exception_handler(SojournError, problem_response)
        inner = app.router.lifespan_context

        @asynccontextmanager
        async def lifespan(running: Any) -> AsyncIterator[Any]:
            async with self.sojourn, inner(running) as state:
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
            return _before(guarded, required)

        return decorate if endpoint is None else decorate(endpoint)

    async def _required(self, request: HTTPConnection, need: Need) -> Principal[ClaimsT]:
        state = state_of(request)
        if need.max_lag_seconds is not None:
            state.checked = await self.sojourn.check(state.incoming, need=need, renew=False)
        elif state.error is not None:
            raise state.error
        return cast("Principal[ClaimsT]", state.checked.require(need))

    # --- signing in and out -----------------------------------------------------------------------

    async def begin(self, subject: Subject) -> Attempt:
        """See `AsyncSojourn.begin`."""
        return await self.sojourn.begin(subject)

    async def login(
        self, request: HTTPConnection, subject: Subject, **options: Unpack[LoginOptions]
    ) -> SignedIn[ClaimsT]:
        """See `AsyncSojourn.login`; cookies are written by the middleware."""
        signed_in = await self.sojourn.login(incoming_of(request), subject, **options)
        return self.hand_out(request, signed_in)

    async def refresh(
        self, request: HTTPConnection, *, refresh_token: str | None = None
    ) -> SignedIn[ClaimsT]:
        """See `AsyncSojourn.refresh`; what the middleware has just renewed is not rotated again."""
        renewed = state_of(request).checked.renewed
        if refresh_token is None and renewed is not None:
            return renewed
        signed_in = await self.sojourn.refresh(incoming_of(request), refresh_token=refresh_token)
        return self.hand_out(request, signed_in)

    async def reauthenticate(
        self,
        request: HTTPConnection,
        *,
        amr: Iterable[str] = (),
        attempt: Attempt | None = None,
    ) -> SignedIn[ClaimsT]:
        """See `AsyncSojourn.reauthenticate`."""
        signed_in = await self.sojourn.reauthenticate(
            incoming_of(request), amr=amr, attempt=attempt
        )
        return self.hand_out(request, signed_in)

    async def move(
        self, request: HTTPConnection, *, mode: Mode, refresh_token: str | None = None
    ) -> SignedIn[ClaimsT]:
        """See `AsyncSojourn.move`."""
        signed_in = await self.sojourn.move(
            incoming_of(request), mode=mode, refresh_token=refresh_token
        )
        return self.hand_out(request, signed_in)

    async def access_token(
        self, request: HTTPConnection, *, audience: str = ""
    ) -> SignedIn[ClaimsT]:
        """See `AsyncSojourn.access_token`."""
        signed_in = await self.sojourn.access_token(incoming_of(request), audience=audience)
        state_of(request).outgoing += signed_in.outgoing
        return signed_in

    async def logout(self, request: HTTPConnection) -> None:
        """See `AsyncSojourn.logout`."""
        state = state_of(request)
        state.outgoing = await self.sojourn.logout(state.incoming)
        state.checked, state.data = NOBODY, None
        show(request.scope, state)

    async def logout_all(self, request: HTTPConnection) -> None:
        """End everything of whoever is signed in, this session too."""
        await self._revoke_all(request, keep=False, reason="logout_all")
        await self.logout(request)

    async def logout_others(self, request: HTTPConnection) -> None:
        """End all other sessions and tokens of whoever is signed in."""
        await self._revoke_all(request, keep=True, reason="logout_others")

    async def _revoke_all(self, request: HTTPConnection, *, keep: bool, reason: str) -> None:
        principal = await self.current(request)
        await self.sojourn.revoke_all(
            principal.subject,
            keep=principal.sid if keep else None,
            by=principal.subject,
            reason=reason,
            incoming=incoming_of(request),
        )

    def hand_out(self, request: HTTPConnection, signed_in: SignedIn[ClaimsT]) -> SignedIn[ClaimsT]:
        """Have the middleware hand out what a login that was made elsewhere gave."""
        state = state_of(request)
        state.outgoing = state.outgoing.overtaken_by(signed_in.outgoing)
        state.incoming = self.sojourn.core.browser.after(state.incoming, signed_in.outgoing)
        state.checked = Checked(principal=signed_in.principal, now_ms=self.sojourn.core.clock())
        state.error = state.data = None
        show(request.scope, state)
        return signed_in

    # --- session data -----------------------------------------------------------------------------

    async def data(self, request: HTTPConnection) -> SessionData:
        """Load the session's data (or the visitor's); saved by itself with the response."""
        state = state_of(request)
        if state.error is not None:
            raise state.error
        if state.data is None:
            state.data = await self.sojourn.data(state.incoming, state.checked.principal)
        return state.data

    def session_data(self, endpoint: Endpoint[P]) -> Callable[P, Awaitable[Any]]:
        """Have `request.session` in an endpoint: loaded before, saved with the response."""

        async def load(request: HTTPConnection) -> None:
            if not isinstance(request.scope.get("session"), SessionData | None):
                raise ConfigurationError(
                    "another middleware provides request.session (Starlette's SessionMiddleware?); "
                    "use `await auth.data(request)`, which leaves it alone"
                )
            request.scope["session"] = await self.data(request)

        return _before(endpoint, load)


def _before(
    endpoint: Endpoint[P], act: Callable[[HTTPConnection], Awaitable[Any]]
) -> Callable[P, Awaitable[Any]]:
    """Do something with the request before an endpoint, which runs as Starlette would run it."""

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
