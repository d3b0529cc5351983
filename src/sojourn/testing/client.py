"""Testing an application of Starlette or FastAPI: a client with cookies, and signing in."""

from __future__ import annotations

import asyncio
import threading
from collections.abc import Coroutine
from typing import TYPE_CHECKING, Any, TypeVar, Unpack

import httpx2
from starlette.testclient import TestClient

from sojourn.engine.answers import SignedIn
from sojourn.messages import Incoming
from sojourn.model import Subject
from sojourn.starlette import Auth, LoginOptions

if TYPE_CHECKING:
    from starlette.types import ASGIApp

T = TypeVar("T")


class Client(TestClient):
    """Starlette's test client at the application's own url, so that Secure cookies come back.

    Args:
        app: The application.
        auth: Its adapter.
    """

    __test__ = False  # not a test class, though its base's name looks like one

    def __init__(self, app: ASGIApp, auth: Auth[Any], **options: Any) -> None:
        """Speak to the application where its settings say it is."""
        super().__init__(app, base_url=auth.sojourn.settings.url, **options)
        self.sojourn = auth.sojourn

    def websocket_connect(self, url: str, *args: Any, **options: Any) -> Any:
        """Open a WebSocket at the application's own url, where its cookies belong."""
        origin = str(self.base_url).rstrip("/").replace("http", "ws", 1)
        return super().websocket_connect(origin + url, *args, **options)


def sign_in(client: Client, subject: Subject, **options: Unpack[LoginOptions]) -> SignedIn[Any]:
    """Sign a subject in without going through the application's login page.

    A real session: the cookies (or, with ``transport="bearer"``, the Authorization header) are put
    on the client, and everything that follows is checked as in production.

    Args:
        client: Whose cookies to set.
        subject: Whom to sign in.
        **options: What `AsyncSojourn.login` takes.
    """
    signed_in = _run(client.sojourn.login(Incoming(), subject, **options))
    if signed_in.transport == "bearer":
        client.headers["Authorization"] = f"Bearer {signed_in.access_token}"
    answer = httpx2.Response(
        200,
        headers=signed_in.outgoing.headers,
        request=httpx2.Request("POST", client.base_url),
    )
    client.cookies.extract_cookies(answer)
    return signed_in


def _run(coroutine: Coroutine[Any, Any, T]) -> T:
    """Run a coroutine to its end, whether or not a loop runs in this thread."""
    result: list[T] = []
    failure: list[BaseException] = []

    def run() -> None:
        try:
            result.append(asyncio.run(coroutine))
        except BaseException as error:  # noqa: BLE001 - handed to the caller below
            failure.append(error)

    thread = threading.Thread(target=run)
    thread.start()
    thread.join()
    if failure:
        raise failure[0]
    return result[0]
