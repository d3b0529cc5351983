"""The real server in this process, with its clock in the test's hand, and what it was asked."""

from __future__ import annotations

import secrets
import threading
from collections import Counter
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import httpx2
import uvicorn
from servers import free_port
from starlette.requests import Request
from starlette.responses import JSONResponse, RedirectResponse, Response
from starlette.routing import Route, Router

from sojourn import Incoming
from sojourn.problems import problem_of
from sojourn.server.app import Server
from sojourn.server.config import load_config
from sojourn.testing import ManualClock

PASSWORD = "four unrelated calm words"
START_SECONDS = 30


class Service:
    """A Sojourn server with a few routes of an application before it.

    ``/echo`` gives back what came to whoever is not refused, ``/hop?to=`` redirects there, and a POST
    to ``/save`` redirects to ``/auth/session``, as a form does.
    """

    def __init__(self, folder: Path) -> None:
        port = free_port()
        self.url = f"http://127.0.0.1:{port}"
        self.clock = ManualClock()
        self.asked: Counter[str] = Counter()
        self.carried: list[tuple[str, str]] = []
        self.refusing: dict[str, Response] = {}
        """By path, what is answered in place of the server."""
        environ = {"SOJOURN_DATA": str(folder), "SOJOURN_URL": self.url}
        self.server = Server(load_config(environ=environ), clock=self.clock)
        self._app = self.server.app()
        self._own = Router(
            [
                Route("/echo", self._echo, methods=["GET", "POST"]),
                Route("/hop", self._hop),
                Route("/save", lambda _: RedirectResponse("/auth/session", 303), methods=["POST"]),
            ]
        )

    async def __call__(self, scope: Any, receive: Any, send: Any) -> None:
        app = self._app
        if scope["type"] == "http":
            path = scope["path"]
            headers = dict(scope["headers"])
            self.asked[f"{scope['method']} {path}"] += 1
            self.carried.append((path, headers.get(b"authorization", b"").decode()))
            app = self.refusing.get(path, self._app)
            if path in {route.path for route in self._own.routes}:
                app = self._own
        await app(scope, receive, send)

    async def _echo(self, request: Request) -> Response:
        incoming = Incoming.of(request.method, request.headers.raw)
        checked = await self.server.sojourn.check(incoming)
        body = await request.body()
        if checked.refusal is not None:
            problem = problem_of(checked.refusal)
            return Response(problem.body, problem.status, dict(problem.headers))
        return JSONResponse({"subject": checked.principal.subject, "body": body.decode()})

    async def _hop(self, request: Request) -> Response:
        return RedirectResponse(request.query_params["to"], 307)

    def register(self) -> str:
        """Make an account, and give its address."""
        email = f"{secrets.token_hex(6)}@example.com"
        answer = httpx2.post(
            f"{self.url}/auth/register", json={"email": email, "password": PASSWORD}, timeout=20
        )
        assert 201 == answer.status_code, answer.text
        return email

    @property
    def refreshes(self) -> int:
        """How many refreshes were asked for."""
        return self.asked["POST /auth/refresh"]

    def authorizations(self, path: str) -> list[str]:
        """The Authorization headers that came with requests of a path."""
        return [text for where, text in self.carried if where == path]


@contextmanager
def in_this_process(app: Any, url: str, **options: Any) -> Iterator[None]:
    """Serve an ASGI application at a url of this machine as long as the block lasts."""
    port = int(url.rpartition(":")[2])
    config = uvicorn.Config(app, port=port, ws="none", log_level="error", **options)
    server = uvicorn.Server(config)
    started = threading.Event()
    startup = server.startup

    async def and_say_so(*args: Any, **more: Any) -> None:
        await startup(*args, **more)
        started.set()

    server.startup = and_say_so  # type: ignore[method-assign]
    thread = threading.Thread(target=server.run)
    thread.start()
    try:
        assert started.wait(START_SECONDS)
        yield
    finally:
        server.should_exit = True
        thread.join(START_SECONDS)
        assert not thread.is_alive()
