"""The server as an ASGI application: parts put together, errors as problem documents."""

from __future__ import annotations

import asyncio
import logging
import signal
import threading
from collections.abc import AsyncIterator, Callable
from contextlib import asynccontextmanager
from http import HTTPStatus
from typing import TYPE_CHECKING, Any, cast

from starlette.applications import Starlette
from starlette.exceptions import HTTPException
from starlette.requests import Request
from starlette.responses import Response

from sojourn.aio import AsyncSojourn
from sojourn.errors import SojournError
from sojourn.problems import problem_of
from sojourn.server import openapi, pages
from sojourn.server.accounts import MIGRATIONS, NAMESPACE, Accounts
from sojourn.server.admin import Admin
from sojourn.server.api import Api
from sojourn.server.database import database_of
from sojourn.server.feed import RevocationFeed
from sojourn.server.hashing import Hasher
from sojourn.server.operations import Metrics, Operations
from sojourn.server.requests import MAX_HEADER_BYTES
from sojourn.server.service import Service
from sojourn.server.throttle import RateLimited, Throttle
from sojourn.server.trail import Outbox, Trail
from sojourn.server.verifiers import Verifiers
from sojourn.starlette import Auth
from sojourn.stores import async_store
from sojourn.stores.memory import system_clock

if TYPE_CHECKING:
    from starlette.types import ASGIApp, Message, Receive, Scope, Send

    from sojourn.ports import Clock
    from sojourn.server.config import ServerConfig

log = logging.getLogger("sojourn.server")
OBSERVE_SECONDS = 1.0
SECURITY_HEADERS = (
    (b"x-content-type-options", b"nosniff"),
    (b"referrer-policy", b"same-origin"),
    (b"cross-origin-opener-policy", b"same-origin"),
)
_PLAIN_CODES = {
    HTTPStatus.NOT_FOUND: "not_found",
    HTTPStatus.METHOD_NOT_ALLOWED: "method_not_allowed",
    HTTPStatus.BAD_REQUEST: "invalid_request",
}


class HeadersTooLarge(SojournError):
    """The request's headers are larger than any sensible client's."""

    code = "headers_too_large"
    status = 431


class Server:
    """The parts of one server process.

    Args:
        config: What it runs by.
        clock: The wall clock.
        moves_trail: Whether the trail of sessions in Redis is kept in the database; an application
            that uses the library alone keeps its own where it is.
    """

    def __init__(
        self, config: ServerConfig, *, clock: Clock = system_clock, moves_trail: bool = True
    ) -> None:
        """Put the parts together; nothing is opened yet."""
        self.config = config
        self.metrics = Metrics()
        store = async_store(config.store, clock=clock)
        self.database = database_of(config.database, beside=store)
        is_apart = moves_trail and config.database != config.store and hasattr(store, "take_audit")
        self.trail = Trail(cast("Outbox", store), self.database) if is_apart else None
        if self.trail is not None:
            store = self.trail.present()
        self.sojourn: AsyncSojourn[Any] = AsyncSojourn.of(
            settings=config.settings,
            secrets=config.secrets,
            store=self.metrics.counted(store),
            clock=clock,
        )
        self.accounts = Accounts(self.database, clock=clock)
        self.verifiers = Verifiers(self.database, clock=clock)
        self.hasher = Hasher(workers=config.workers)
        self.service = Service(
            self.sojourn, self.accounts, self.hasher, Throttle(self.database, clock=clock)
        )

    async def open(self) -> None:
        """Open store and database, and bring their tables up to date."""
        await self.sojourn.core.ready()
        await self.database.open(namespace=NAMESPACE, migrations=MIGRATIONS)
        if self.trail is not None:
            await self.trail.open()

    async def close(self) -> None:
        """Finish what was begun and close."""
        self.hasher.close()
        await self.database.close()
        await self.sojourn.close()

    def app(self) -> ASGIApp:
        """Make the ASGI application."""
        auth: Auth[Any] = Auth(self.sojourn)
        feed = RevocationFeed(auth, self.verifiers)
        routes = [
            *Api(auth, self.service, is_open=self.config.is_open).routes(),
            *Admin(auth, self.service).routes(),
            *Operations(auth, self.metrics).routes(),
            feed.route(),
            openapi.route(self.config.settings),
            *pages.Pages(auth, self.service, is_open=self.config.is_open).routes(),
        ]
        app = Starlette(routes=routes, lifespan=lambda _: self._lifespan(feed))
        auth.install(app)
        app.add_exception_handler(SojournError, self._problem)
        app.add_exception_handler(HTTPException, self._plain_problem)
        app.add_exception_handler(Exception, self._failure)
        return _Outermost(app, self.metrics)

    @asynccontextmanager
    async def _lifespan(self, feed: RevocationFeed) -> AsyncIterator[None]:
        await self.open()
        _call_at_signal(feed.stop)
        upkeep = [
            asyncio.create_task(self._observe_now_and_then()),
        ]
        if self.trail is not None:
            upkeep.append(asyncio.create_task(self.trail.move_now_and_then()))
        try:
            yield
        finally:
            feed.stop()
            for task in upkeep:
                task.cancel()
            await asyncio.gather(*upkeep, return_exceptions=True)
            self.hasher.close()
            await self.database.close()

    async def _observe_now_and_then(self) -> None:
        while True:  # another worker may be the one that is asked for the metrics
            self.metrics.observe(self.sojourn.core.picture)
            await asyncio.sleep(OBSERVE_SECONDS)

    # --- errors -----------------------------------------------------------------------------------

    async def _problem(self, request: Request, error: Exception) -> Response:
        assert isinstance(error, SojournError)  # noqa: S101 - registered for it
        self.metrics.refusals.labels(error.code).inc()
        if error.status == HTTPStatus.SERVICE_UNAVAILABLE:
            log.warning("%s %s: %s", request.method, request.url.path, error)
        if pages.is_page(request):
            return pages.error_page(request, error)
        wait = error.retry_after_seconds if isinstance(error, RateLimited) else None
        problem = problem_of(error, retry_after_seconds=wait)
        return Response(problem.body, status_code=problem.status, headers=dict(problem.headers))

    async def _plain_problem(self, request: Request, error: Exception) -> Response:
        assert isinstance(error, HTTPException)  # noqa: S101 - registered for it
        code = _PLAIN_CODES.get(HTTPStatus(error.status_code), "refused")
        plain = plain_error(code, error.status_code, str(error.detail))
        response = await self._problem(request, plain)
        for name, value in (error.headers or {}).items():
            response.headers[name] = value
        return response

    async def _failure(self, request: Request, error: Exception) -> Response:
        log.error("a request failed", exc_info=error)
        return await self._problem(request, plain_error("internal", 500, "something failed here"))


def _call_at_signal(stop: Callable[[], None]) -> None:
    """Have something stopped as soon as a signal comes; the HTTP server would wait for it.

    The HTTP server hears of a signal through the event loop's wake-up descriptor, which is written
    whatever handler is set (`signal.set_wakeup_fd`), so that setting one takes nothing from it.
    """
    if threading.current_thread() is threading.main_thread():
        for number in (signal.SIGTERM, signal.SIGINT):
            signal.signal(number, lambda *_: stop())


def plain_error(code: str, status: int, detail: str) -> SojournError:
    """Make an error for what the framework refused."""
    kind = type("PlainError", (SojournError,), {"code": code, "status": status})
    error: SojournError = kind(detail)
    return error


class _Outermost:
    """Outside everything: header size, security headers, the count of answers."""

    def __init__(self, app: ASGIApp, metrics: Metrics) -> None:
        self._app = app
        self._metrics = metrics

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        if scope["type"] != "http":
            await self._app(scope, receive, send)
            return

        async def send_with_headers(message: Message) -> None:
            if message["type"] == "http.response.start":
                self._metrics.requests.labels(f"{message['status'] // 100}xx").inc()
                message["headers"] = [*message.get("headers", []), *SECURITY_HEADERS]
            await send(message)

        if sum(len(n) + len(v) for n, v in scope["headers"]) > MAX_HEADER_BYTES:
            error = HeadersTooLarge(f"the headers may have {MAX_HEADER_BYTES} bytes together")
            problem = problem_of(error)
            response = Response(
                problem.body, status_code=problem.status, headers=dict(problem.headers)
            )
            await response(scope, receive, send_with_headers)
            return
        await self._app(scope, receive, send_with_headers)
