"""What a user's type checker sees; checked by mypy --strict and pyright, never run."""

from datetime import timedelta
from typing import Any, assert_type
from uuid import UUID

import msgspec
from starlette.requests import Request

from sojourn import (
    ANY,
    AsyncSojourn,
    Checked,
    Incoming,
    Need,
    Outgoing,
    Principal,
    SessionData,
    SessionInfo,
    SignedIn,
    Sojourn,
    flask,
    wsgi,
)
from sojourn.jose import AccessClaims, SigningKey, VerifyingKey
from sojourn.starlette import Auth


class Plan(msgspec.Struct):
    """An application's typed claims."""

    plan: str


def blocking(incoming: Incoming) -> None:
    plain = Sojourn("memory://", mode="session", url="http://127.0.0.1:8000")
    assert_type(plain, Sojourn[dict[str, Any]])
    typed = Sojourn("memory://", mode="session", url="http://127.0.0.1:8000", claims=Plan)
    signed_in = typed.login(incoming, 7, claims=Plan("pro"), roles={"admin"}, amr=["pwd"])
    assert_type(signed_in, SignedIn[Plan])
    assert_type(signed_in.principal.claims.plan, str)
    checked = typed.check(incoming, need=Need.of(max_age=timedelta(minutes=5)))
    assert_type(checked, Checked[Plan])
    assert_type(checked.require(), Principal[Plan])
    assert_type(typed.logout(incoming), Outgoing)
    assert_type(typed.sessions(UUID(int=1)), list[SessionInfo])
    assert_type(typed.revoke("sid", subject=ANY), bool)
    assert_type(typed.revoke_all("ann", keep="sid"), int)


async def awaited(incoming: Incoming) -> None:
    async with AsyncSojourn("memory://", url="http://127.0.0.1:8000", claims=Plan) as auth:
        attempt = await auth.begin("ann")
        assert_type(await auth.login(incoming, "ann", attempt=attempt), SignedIn[Plan])
        assert_type((await auth.check(incoming)).principal, Principal[Plan] | None)
        assert_type(await auth.data(incoming), SessionData)


async def starlette(request: Request) -> None:
    auth = Auth(AsyncSojourn("memory://", url="http://127.0.0.1:8000", claims=Plan))
    assert_type(await auth.current(request), Principal[Plan])
    assert_type(await auth.optional(request), Principal[Plan] | None)
    assert_type(await auth.require(roles={"admin"})(request), Principal[Plan])
    assert_type(await auth.login(request, "ann", remember=False), SignedIn[Plan])


def tokens() -> None:
    key = SigningKey.generate("ES256")
    assert_type(key.verifying, VerifyingKey)
    assert_type(AccessClaims.__name__, str)


def endpoints(auth: Auth[Plan]) -> None:
    @auth.requires
    async def one(request: Request) -> str:
        return str(request.url)

    @auth.requires(roles={"admin"})
    def two(request: Request, number: int) -> str:
        return str(number)

    @auth.session_data
    async def three(request: Request) -> str:
        return str(request.url)

    _ = (one, two, three)


def plain_wsgi(environ: dict[str, Any]) -> None:
    auth = wsgi.Auth(Sojourn("memory://", url="http://127.0.0.1:8000", claims=Plan))
    assert_type(auth.current(environ), Principal[Plan])
    assert_type(auth.optional(environ), Principal[Plan] | None)
    assert_type(auth.require(roles={"admin"})(environ), Principal[Plan])
    assert_type(auth.login(environ, "ann", remember=False), SignedIn[Plan])
    assert_type(auth.data(environ), SessionData)


def flask_views(auth: flask.Auth[Plan]) -> None:
    assert_type(auth.current(), Principal[Plan])
    assert_type(auth.optional(), Principal[Plan] | None)
    assert_type(auth.require(roles={"admin"})(), Principal[Plan])
    assert_type(auth.login("ann", remember=False), SignedIn[Plan])
    assert_type(auth.sojourn, Sojourn[Plan])

    @auth.requires
    def one(number: int) -> str:
        return str(number)

    @auth.requires(roles={"admin"}, max_age=timedelta(minutes=5))
    @flask.login_required
    async def two(*, name: str) -> str:
        return name

    @auth.user_loader
    def load(subject: str) -> int | None:
        return int(subject)

    assert_type(load("7"), int | None)
    one(number=7)
    two(name="ann")
