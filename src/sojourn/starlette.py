"""Sojourn for Starlette: one pure ASGI middleware, `request.user`, `request.auth`, `request.session`.

    auth = Auth("sqlite:///app.db", url="http://127.0.0.1:8000")
    app = Starlette(routes=[...])
    auth.install(app)

The middleware checks each request that presents a credential, and alone writes headers: what a
login or a renewal in passing hands out is added to whatever response the handler returns.
"""

from __future__ import annotations

import functools
from collections.abc import AsyncIterator, Awaitable, Callable, Iterable, Mapping
from contextlib import asynccontextmanager
from datetime import timedelta
from typing import TYPE_CHECKING, Any, Generic, ParamSpec, TypedDict, TypeVar, Unpack, cast

from starlette.authentication import AuthCredentials, BaseUser, UnauthenticatedUser
from starlette.datastructures import MutableHeaders
from starlette.requests import HTTPConnection, Request
from starlette.responses import Response

from sojourn.aio import AsyncSojourn
from sojourn.engine.answers import Attempt, Checked, SignedIn
from sojourn.engine.data import SessionData
from sojourn.errors import ConfigurationError, SojournError, Unauthenticated
from sojourn.messages import Incoming, Outgoing
from sojourn.model import ClaimsT, Mode, Principal, Subject, Transport
from sojourn.need import ANYONE_SIGNED_IN, Need
from sojourn.problems import problem_of

if TYPE_CHECKING:
    from starlette.applications import Starlette
    from starlette.types import ASGIApp, Message, Receive, Scope, Send

P = ParamSpec("P")
R = TypeVar("R")
_STATE = "sojourn"


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


class SignedInUser(BaseUser):
    """`request.user` of a signed-in request.

    Args:
        principal: Who it is.
    """

    def __init__(self, principal: Principal[Any]) -> None:
        """Wrap the principal."""
        self.principal = principal

    @property
    def is_authenticated(self) -> bool:
        """Always: others are Starlette's UnauthenticatedUser."""
        return True

    @property
    def display_name(self) -> str:
        """The subject; an application knows better names."""
        return self.principal.subject

    @property
    def identity(self) -> str:
        """The subject."""
        return self.principal.subject


_NOBODY: Checked[Any] = Checked(refusal=Unauthenticated("sign in first"))


class _Failed(SojournError):
    """The application failed in a request that had to hand something out."""

    code = "internal"


class _Request:
    """What the middleware keeps of one request."""

    __slots__ = ("checked", "data", "error", "incoming", "outgoing")

    def __init__(self, incoming: Incoming) -> None:
        self.incoming = incoming
        self.checked: Checked[Any] = _NOBODY
        self.error: SojournError | None = None
        self.outgoing = Outgoing()
        self.data: SessionData | None = None


class Auth(Generic[ClaimsT]):
    """Sojourn in a Starlette application.

    Args:
        sojourn: A store URL, or an `AsyncSojourn` that was made elsewhere.
        **options: Everything `AsyncSojourn` takes.
    """

    def __init__(self, sojourn: str | AsyncSojourn[ClaimsT], **options: Any) -> None:
        """Make or take the engine."""
        if isinstance(sojourn, AsyncSojourn):
            if options:
                raise ConfigurationError("give the settings to AsyncSojourn itself")
            self.sojourn = sojourn
        else:
            self.sojourn = AsyncSojourn(sojourn, **options)

    def install(self, app: Starlette) -> None:
        """Add the middleware, the problem documents, and opening and closing with the application."""
        app.add_middleware(SojournMiddleware, auth=self)
        app.add_exception_handler(SojournError, _problem)
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
        return cast("Principal[ClaimsT] | None", _of(request).checked.principal)

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

    def requires(
        self, **need: Any
    ) -> Callable[[Callable[P, Awaitable[R]]], Callable[P, Awaitable[R]]]:
        """Guard an async endpoint; takes what `require` takes.

        The endpoint's first argument (or the one named `request` or `websocket`) is the request.
        """
        required = self.require(**need)

        def decorate(endpoint: Callable[P, Awaitable[R]]) -> Callable[P, Awaitable[R]]:
            @functools.wraps(endpoint)
            async def guarded(*args: P.args, **kwargs: P.kwargs) -> R:
                await required(_connection(args, kwargs))
                return await endpoint(*args, **kwargs)

            return guarded

        return decorate

    async def _required(self, request: HTTPConnection, need: Need) -> Principal[ClaimsT]:
        state = _of(request)
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
        renewed = _of(request).checked.renewed
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

    async def move(self, request: HTTPConnection, *, mode: Mode) -> SignedIn[ClaimsT]:
        """See `AsyncSojourn.move`."""
        return self.hand_out(request, await self.sojourn.move(incoming_of(request), mode=mode))

    async def access_token(
        self, request: HTTPConnection, *, audience: str = ""
    ) -> SignedIn[ClaimsT]:
        """See `AsyncSojourn.access_token`."""
        signed_in = await self.sojourn.access_token(incoming_of(request), audience=audience)
        _of(request).outgoing += signed_in.outgoing
        return signed_in

    async def logout(self, request: HTTPConnection) -> None:
        """See `AsyncSojourn.logout`."""
        state = _of(request)
        state.outgoing = await self.sojourn.logout(state.incoming)
        state.checked, state.data = _NOBODY, None
        _show(request.scope, state)

    def hand_out(self, request: HTTPConnection, signed_in: SignedIn[ClaimsT]) -> SignedIn[ClaimsT]:
        """Have the middleware hand out what a login that was made elsewhere gave."""
        state = _of(request)
        # What a renewal in passing handed out is overtaken by what was just handed out.
        state.outgoing = signed_in.outgoing
        state.incoming = self.sojourn.core.browser.after(state.incoming, signed_in.outgoing)
        state.checked = Checked(principal=signed_in.principal, now_ms=self.sojourn.core.clock())
        state.error = state.data = None
        _show(request.scope, state)
        return signed_in

    # --- session data -----------------------------------------------------------------------------

    async def data(self, request: HTTPConnection) -> SessionData:
        """Load the session's data (or the visitor's); saved by itself with the response."""
        state = _of(request)
        if state.error is not None:
            raise state.error
        if state.data is None:
            state.data = await self.sojourn.data(state.incoming, state.checked.principal)
            request.scope["session"] = state.data
        return state.data

    def session_data(self, endpoint: Callable[P, Awaitable[R]]) -> Callable[P, Awaitable[R]]:
        """Have `request.session` in an async endpoint: loaded before, saved with the response."""

        @functools.wraps(endpoint)
        async def with_data(*args: P.args, **kwargs: P.kwargs) -> R:
            await self.data(_connection(args, kwargs))
            return await endpoint(*args, **kwargs)

        return with_data


class _NotSaved(Exception):
    """Session data could not be saved when the response was about to start; it must not claim so.

    Not a `SojournError`: Starlette's handlers believe that the response has started by then.
    """

    def __init__(self, error: SojournError) -> None:
        super().__init__(str(error))
        self.error = error


class SojournMiddleware:
    """Checks each request that presents a credential, and writes what is handed out.

    Args:
        app: The application it stands before.
        auth: The adapter.
    """

    def __init__(self, app: ASGIApp, auth: Auth[Any]) -> None:
        """Stand before an application."""
        self.app = app
        self.auth = auth

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """Handle one connection."""
        if scope["type"] not in {"http", "websocket"}:
            await self.app(scope, receive, send)
            return
        core = self.auth.sojourn.core
        is_websocket = scope["type"] == "websocket"
        client = scope.get("client")
        incoming = Incoming.of(
            # A handshake is a GET that a page of any origin may make with our cookies; it counts
            # as unsafe, so that Origin is looked at (cross-site WebSocket hijacking).
            "WEBSOCKET" if is_websocket else scope["method"],
            scope["headers"],
            peer=client[0] if client else "",
        )
        is_shared = bool(core.settings.trusted_origins) and bool(incoming.origin)
        if is_shared and scope.get("method") == "OPTIONS" and _is_preflight(scope):
            answer = core.browser.cors(incoming, preflight=True)
            await Response(status_code=204, headers=dict(answer.headers))(scope, receive, send)
            return
        state = scope[_STATE] = _Request(incoming)
        try:
            state.checked = await self.auth.sojourn.check(incoming, renew=not is_websocket)
            state.outgoing = state.checked.outgoing
            if state.checked.renewed is not None:
                state.incoming = core.browser.after(incoming, state.outgoing)
        except SojournError as error:
            state.error = error  # a public page works without the store; `current` raises it
        cors = core.browser.cors(incoming) if is_shared else Outgoing()
        _show(scope, state)

        has_started = False

        async def send_with_headers(message: Message) -> None:
            nonlocal has_started
            if message["type"] in {"http.response.start", "websocket.accept"}:
                data, state.data = state.data, None
                if data is not None:
                    try:
                        state.outgoing += await self.auth.sojourn.save(state.incoming, data)
                    except SojournError as error:
                        raise _NotSaved(error) from error
                _write(message, state.outgoing + cors)
                has_started = True
            await send(message)

        try:
            await self.app(scope, receive, send_with_headers)
        except _NotSaved as failure:
            response = await _problem(Request(scope), failure.error)
            await response(scope, receive, send_with_headers)
        except Exception:
            if has_started or is_websocket or not state.outgoing.headers:
                raise
            # Starlette's own 500 is sent outside of every middleware. A handle that was rotated in
            # this request has to reach the browser all the same, or the old one will look stolen.
            state.data = None
            response = await _problem(Request(scope), _Failed("something failed here"))
            await response(scope, receive, send_with_headers)
            raise


def incoming_of(request: HTTPConnection) -> Incoming:
    """Give what decides about a request."""
    return _of(request).incoming


def _of(request: HTTPConnection) -> _Request:
    state = request.scope.get(_STATE)
    if not isinstance(state, _Request):
        raise ConfigurationError("Sojourn's middleware is missing; call auth.install(app)")
    return state


def _connection(args: tuple[Any, ...], kwargs: Mapping[str, Any]) -> HTTPConnection:
    for value in (*args, kwargs.get("request"), kwargs.get("websocket")):
        if isinstance(value, HTTPConnection):
            return value
    raise ConfigurationError("the guarded endpoint was called without a request")


def _show(scope: Scope, state: _Request) -> None:
    """Set what Starlette's `request.user` and `request.auth` read."""
    principal = state.checked.principal
    if principal is None:
        scope["user"], scope["auth"] = UnauthenticatedUser(), AuthCredentials()
        return
    scope["user"] = SignedInUser(principal)
    scope["auth"] = AuthCredentials(["authenticated", *sorted(principal.scopes)])


def _is_preflight(scope: Scope) -> bool:
    return any(name == b"access-control-request-method" for name, _ in scope["headers"])


def _write(message: Message, outgoing: Outgoing) -> None:
    if not outgoing.headers:
        return
    headers = MutableHeaders(scope=message)
    for name, value in outgoing.headers:
        match name:
            case "Set-Cookie":
                headers.append(name, value)
            case "Vary":
                headers.add_vary_header(value)
            case _:
                headers[name] = value


async def _problem(_: Request, error: Exception) -> Response:
    assert isinstance(error, SojournError)  # noqa: S101 - registered for it
    problem = problem_of(error)
    return Response(problem.body, status_code=problem.status, headers=dict(problem.headers))


__all__ = ["Auth", "LoginOptions", "SignedInUser", "SojournMiddleware", "incoming_of"]
