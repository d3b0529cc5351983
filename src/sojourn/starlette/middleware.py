"""The middleware: checks each request that presents a credential, and alone writes headers."""

from __future__ import annotations

import logging
from typing import TYPE_CHECKING, Any

from starlette.authentication import AuthCredentials, BaseUser, UnauthenticatedUser
from starlette.datastructures import MutableHeaders
from starlette.requests import HTTPConnection, Request
from starlette.responses import Response

from sojourn.aio import AsyncSojourn
from sojourn.engine.answers import Checked
from sojourn.engine.data import SessionData
from sojourn.errors import (
    ConfigurationError,
    CrossSite,
    InvalidInput,
    InvalidToken,
    SojournError,
    Unauthenticated,
    UnsupportedInMode,
)
from sojourn.messages import Incoming, Outgoing
from sojourn.model import Principal
from sojourn.problems import problem_of

if TYPE_CHECKING:
    from starlette.types import ASGIApp, Message, Receive, Scope, Send

    from sojourn.verifier import AsyncVerifier

log = logging.getLogger("sojourn.starlette")
_STATE = "sojourn"
_INTERNAL, _UNAVAILABLE = 500, 503


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


NOBODY: Checked[Any] = Checked(refusal=Unauthenticated("sign in first"))


class _Failed(SojournError):
    """The application failed in a request that had to hand something out."""

    code = "internal"


class RequestState:
    """What the middleware keeps of one request."""

    __slots__ = ("checked", "data", "error", "incoming", "outgoing")

    def __init__(self, incoming: Incoming) -> None:
        """Know nobody yet."""
        self.incoming = incoming
        self.checked: Checked[Any] = NOBODY
        self.error: SojournError | None = None
        self.outgoing = Outgoing()
        self.data: SessionData | None = None


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
        checker: The engine, or a verifier, which looks at bearer tokens alone and hands nothing out.
    """

    def __init__(self, app: ASGIApp, checker: AsyncSojourn[Any] | AsyncVerifier) -> None:
        """Stand before an application."""
        self.app = app
        self.checker = checker
        self.browser = checker.core.browser if isinstance(checker, AsyncSojourn) else None

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """Handle one connection."""
        if scope["type"] not in {"http", "websocket"}:
            await self.app(scope, receive, send)
            return
        browser = self.browser
        is_websocket = scope["type"] == "websocket"
        client = scope.get("client")
        incoming = Incoming.of(
            # A handshake is a GET that a page of any origin may make with our cookies; it counts
            # as unsafe, so that Origin is looked at (cross-site WebSocket hijacking).
            "WEBSOCKET" if is_websocket else scope["method"],
            scope["headers"],
            peer=client[0] if client else "",
        )
        shared = browser if browser and browser.is_shared and incoming.origin else None
        if shared and scope.get("method") == "OPTIONS" and _is_preflight(scope):
            answer = shared.cors(incoming, preflight=True)
            await Response(status_code=204, headers=dict(answer.headers))(scope, receive, send)
            return
        state = scope[_STATE] = RequestState(incoming)
        try:
            state.checked = await self.checker.check(incoming, renew=not is_websocket)
            state.outgoing = state.checked.outgoing
            if state.checked.renewed is not None and browser is not None:
                state.incoming = browser.after(incoming, state.outgoing)
        except SojournError as error:
            state.error = error  # a public page works without the store; `current` raises it
        cors = shared.cors(incoming) if shared else Outgoing()
        show(scope, state)

        has_started = False

        async def send_with_headers(message: Message) -> None:
            nonlocal has_started
            if message["type"] in {"http.response.start", "websocket.accept"}:
                data, state.data = state.data, None
                if data is not None and isinstance(self.checker, AsyncSojourn):
                    try:
                        state.outgoing += await self.checker.save(state.incoming, data)
                    except SojournError as error:
                        raise _NotSaved(error) from error
                _write(message, state.outgoing + cors)
                has_started = True
            await send(message)

        try:
            await self.app(scope, receive, send_with_headers)
        except _NotSaved as failure:
            response = await problem_response(Request(scope), failure.error)
            await response(scope, receive, send_with_headers)
        except Exception:
            if has_started or is_websocket or not state.outgoing.headers:
                raise
            # Starlette's own 500 is sent outside of every middleware. A handle that was rotated in
            # this request has to reach the browser all the same, or the old one will look stolen.
            state.data = None
            response = await problem_response(Request(scope), _Failed("something failed here"))
            await response(scope, receive, send_with_headers)
            raise


def incoming_of(request: HTTPConnection) -> Incoming:
    """Give what decides about a request."""
    return state_of(request).incoming


def state_of(request: HTTPConnection) -> RequestState:
    """Give what the middleware keeps of a request.

    Raises:
        ConfigurationError: The middleware is not there.
    """
    state = request.scope.get(_STATE)
    if not isinstance(state, RequestState):
        raise ConfigurationError("Sojourn's middleware is missing; call auth.install(app)")
    return state


def show(scope: Scope, state: RequestState) -> None:
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


async def problem_response(request: Request, error: Exception) -> Response:
    """Answer an error with its problem document; what a developer has to know goes to the log."""
    assert isinstance(error, SojournError)  # noqa: S101 - registered for it
    log_error(request, error)
    problem = problem_of(error)
    return Response(problem.body, status_code=problem.status, headers=dict(problem.headers))


def log_error(request: HTTPConnection, error: SojournError) -> None:
    """Log what a client is not told: mistakes of the application, failures of the store."""
    what = f"{request.scope.get('method', 'WEBSOCKET')} {request.url.path}"
    if error.status == _INTERNAL or isinstance(error, InvalidInput | UnsupportedInMode):
        log.error("%s: %s", what, error, exc_info=error)
    elif error.status == _UNAVAILABLE:
        log.warning("%s: %s", what, error)
    elif isinstance(error, CrossSite):
        log.info("%s: %s", what, error)
    elif isinstance(error, InvalidToken):
        log.info("%s: %s (%s)", what, error, error.reason)  # the reason is not for the client
