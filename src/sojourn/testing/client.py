"""Testing an application that uses Sojourn: a client with cookies, signing in, acting as somebody."""

from __future__ import annotations

import asyncio
import threading
from collections.abc import Coroutine, Iterable, Iterator, Mapping
from contextlib import contextmanager
from typing import TYPE_CHECKING, Any, TypeVar, Unpack
from unittest.mock import patch

import httpx2
from starlette.testclient import TestClient

from sojourn.aio import AsyncSojourn
from sojourn.engine.answers import Checked, SignedIn
from sojourn.messages import Incoming
from sojourn.model import Mode, Principal, Subject, Transport, canonical_subject
from sojourn.need import ANYONE_SIGNED_IN, Need
from sojourn.starlette import Auth, LoginOptions

if TYPE_CHECKING:
    from starlette.types import ASGIApp

T = TypeVar("T")
_DAY_SECONDS = 86_400


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


@contextmanager
def acting_as(
    auth: Auth[Any] | AsyncSojourn[Any],
    subject: Subject,
    *,
    mode: Mode = "session",
    transport: Transport = "cookie",
    roles: Iterable[str] = (),
    scopes: Iterable[str] = (),
    claims: Mapping[str, Any] | None = None,
    amr: Iterable[str] = (),
    auth_time: int | None = None,
) -> Iterator[Principal[Any]]:
    """Have every request within the block come from a subject, with no session at all.

    What a route needs (roles, scopes, freshness, transport) is still judged.

    Args:
        auth: The adapter or the engine.
        subject: Who every request is.
        mode: By which kind of proof.
        transport: Over which transport.
        roles: Their roles.
        scopes: Their scopes.
        claims: Their claims.
        amr: How they signed in.
        auth_time: When they did, in seconds since the epoch; now by default.
    """
    sojourn = auth.sojourn if isinstance(auth, Auth) else auth
    now_ms = sojourn.core.clock()
    principal: Principal[Any] = Principal(
        subject=canonical_subject(subject),
        issuer=sojourn.settings.issuer,
        sid="acting_as",
        mode=mode,
        transport=transport,
        auth_time=now_ms // 1000 if auth_time is None else auth_time,
        expires_at=now_ms // 1000 + _DAY_SECONDS,
        roles=frozenset(roles),
        scopes=frozenset(scopes),
        amr=tuple(amr),
        claims=sojourn.core.typed_claims(dict(claims or {})),
        position=0,
    )

    async def check(
        _: Incoming, *, need: Need = ANYONE_SIGNED_IN, renew: bool = True
    ) -> Checked[Any]:
        del renew
        refusal = need.refusal(principal, now_ms=sojourn.core.clock())
        known = principal if refusal is None else None
        return Checked(principal=known, refusal=refusal, now_ms=sojourn.core.clock())

    with patch.object(sojourn, "check", check):
        yield principal


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
