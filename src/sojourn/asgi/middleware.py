"""The middleware: checks each request that presents a credential, and alone writes headers."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

from sojourn.adapting import Failed, RequestState, acts, with_outgoing
from sojourn.aio import AsyncSojourn
from sojourn.asgi.closing import Closing, is_event_stream
from sojourn.asgi.lifespan import run_with
from sojourn.asgi.problems import send_problem
from sojourn.asgi.scope import Application, Message, Receive, Scope, Send, keep_state
from sojourn.errors import SojournError
from sojourn.messages import Incoming, Outgoing
from sojourn.verifier import AsyncVerifier

Show = Callable[[Scope, RequestState], None]

_STARTS = frozenset({"http.response.start", "websocket.accept"})


def show_nothing(_: Scope, __: RequestState) -> None:
    """Leave it at `state_of`; a framework's adapter sets its own ``request.user``."""


class _NotSaved(Exception):
    """Session data could not be saved when the response was about to start; it must not claim so.

    Not a `SojournError`: a framework's handlers believe that the response has started by then.
    """

    def __init__(self, error: SojournError) -> None:
        super().__init__(str(error))
        self.error = error


class SojournMiddleware:
    """Checks each request that presents a credential, and writes what is handed out.

    Args:
        app: The application it stands before.
        checker: The engine, or a verifier, which looks at bearer tokens alone and hands nothing out.
        show: Sets what the framework's own ``request.user`` reads.
        opens: Whether the checker is opened and closed here, with the application's lifespan.
    """

    def __init__(
        self,
        app: Application,
        checker: AsyncSojourn[Any] | AsyncVerifier,
        *,
        show: Show = show_nothing,
        opens: bool = False,
    ) -> None:
        """Stand before an application."""
        self.app = app
        self.checker = checker
        self._show = show
        self._opens = opens
        self._core = checker.core if isinstance(checker, AsyncSojourn) else None
        self._browser = self._core.browser if self._core else None

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """Handle one connection."""
        if scope["type"] in {"http", "websocket"}:
            await self._handle(scope, receive, send)
        elif scope["type"] == "lifespan" and self._opens:
            await run_with(self.checker, self.app, scope, receive, send)
        else:
            await self.app(scope, receive, send)

    async def _handle(self, scope: Scope, receive: Receive, send: Send) -> None:
        is_websocket = scope["type"] == "websocket"
        client = scope.get("client")
        incoming = Incoming.of(
            # A handshake is a GET that a page of any origin may make with our cookies; it counts
            # as unsafe, so that Origin is looked at (cross-site WebSocket hijacking).
            "WEBSOCKET" if is_websocket else scope["method"],
            scope["headers"],
            peer=client[0] if client else "",
        )
        browser = self._browser
        shared = browser if browser and browser.is_shared and incoming.origin else None
        if shared and scope.get("method") == "OPTIONS" and _is_preflight(scope):
            start: Message = {"type": "http.response.start", "status": 204, "headers": []}
            _write(start, shared.cors(incoming, preflight=True))
            await send(start)
            await send({"type": "http.response.body", "body": b""})
            return
        state = RequestState(incoming)
        keep_state(scope, state)
        try:
            state.take(await self.checker.check(incoming, renew=not is_websocket), browser)
        except SojournError as error:
            state.error = error
        cors = shared.cors(incoming) if shared else Outgoing()
        closing = Closing(scope, receive, send)
        try:
            if is_websocket and state.principal is not None:
                await closing.watch(self.checker.watching, state.principal)
            await self._answer(scope, state, cors, closing)
        finally:
            await closing.stop()

    async def _answer(
        self, scope: Scope, state: RequestState, cors: Outgoing, closing: Closing
    ) -> None:
        has_started, is_websocket = False, scope["type"] == "websocket"

        async def send(message: Message) -> None:
            nonlocal has_started
            if message["type"] in _STARTS:
                await self._save(state)
                _write(message, state.outgoing + cors)
                if state.is_personal:
                    _mark_personal(message)
                has_started = True
            await closing.send(message)
            if state.principal is not None and is_event_stream(message):
                await closing.watch(self.checker.watching, state.principal)

        try:
            self._show(scope, state)
            await self.app(scope, closing.receive, send)
        except _NotSaved as failure:
            await send_problem(scope, failure.error, send)
        except Exception as error:
            if closing.explains(error):
                return
            if isinstance(error, SojournError) and (is_websocket or not has_started):
                # Of an application without handlers of its own.
                await send_problem(scope, error, send)
                return
            if has_started or is_websocket or not state.outgoing.headers:
                raise
            # The server's own 500 is sent outside of every middleware. A handle that was rotated in
            # this request has to reach the browser all the same, or the old one will look stolen.
            state.data = None
            await send_problem(scope, Failed("something failed here"), send)
            raise

    async def _save(self, state: RequestState) -> None:
        if self._core is None or state.data is None:
            return
        try:
            await acts.save_data(self._core, state)
        except SojournError as error:
            raise _NotSaved(error) from error


def _is_preflight(scope: Scope) -> bool:
    return any(name == b"access-control-request-method" for name, _ in scope["headers"])


def _mark_personal(message: Message) -> None:
    """Say of a response what `adapting.headers.as_personal` says, without spelling it out anew."""
    headers = list(message.get("headers", ()))
    if not any(name.lower() == b"vary" and b"cookie" in value.lower() for name, value in headers):
        headers.append((b"vary", b"Cookie"))
    if not any(name.lower() == b"cache-control" for name, _ in headers):
        headers.append((b"cache-control", b"private"))
    message["headers"] = headers


def _write(message: Message, outgoing: Outgoing) -> None:
    if not outgoing.headers:
        return
    headers = [(n.decode("latin-1"), v.decode("latin-1")) for n, v in message.get("headers", ())]
    message["headers"] = [
        (name.lower().encode("latin-1"), value.encode("latin-1"))
        for name, value in with_outgoing(headers, outgoing)
    ]
