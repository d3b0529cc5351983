"""What a client may ask about its own sign-in, as one table: each adapter routes it in its own way.

Signing in is not here: the application checks its own passwords. Paths and answers are those of the
standalone server, so that a client speaks to both alike.
"""

from __future__ import annotations

from collections.abc import Callable, Coroutine
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any, TypeVar

import msgspec

from sojourn.adapting import acts
from sojourn.adapting.state import RequestState
from sojourn.engine import revoke
from sojourn.engine.answers import SessionInfo
from sojourn.errors import BadRequest, NotFound, UnsupportedInMode
from sojourn.handles import is_sid
from sojourn.model import Mode, Principal, Tombstone

if TYPE_CHECKING:
    from sojourn.engine.core import Core

T = TypeVar("T")
MAX_BODY_BYTES = 64 * 1024


@dataclass(frozen=True, slots=True, kw_only=True)
class Asked:
    """What an endpoint reads of a request beside its credentials.

    Args:
        body: The body, of at most `MAX_BODY_BYTES`; empty where there is none.
        sid: The sid in the path, where the path has one.
    """

    body: bytes = b""
    sid: str = ""


@dataclass(frozen=True, slots=True)
class Answer:
    """What to answer: JSON with a status, or 204 where there is nothing to say."""

    document: Any = None

    @property
    def status(self) -> int:
        """The HTTP status."""
        return 204 if self.document is None else 200

    @property
    def body(self) -> bytes:
        """The document as JSON; empty where there is none."""
        return b"" if self.document is None else msgspec.json.encode(self.document)


Act = Callable[["Core", RequestState, Asked], Coroutine[Any, Any, Answer]]


class RefreshBody(msgspec.Struct, forbid_unknown_fields=True):
    """`POST /refresh` of a bearer client; a browser sends its cookie."""

    refresh_token: str | None = None


class AudienceBody(msgspec.Struct, forbid_unknown_fields=True):
    """`POST /access-token`."""

    audience: str = ""


class MoveBody(msgspec.Struct, forbid_unknown_fields=True):
    """`POST /mode`; bearer clients of mode hybrid send their refresh token too."""

    mode: Mode
    refresh_token: str | None = None


@dataclass(frozen=True, slots=True, kw_only=True)
class Endpoint:
    """One call.

    Args:
        method: The HTTP method.
        path: Below the prefix; may hold ``{sid}``.
        act: What it does.
        summary: What it does, in words.
        body: The shape of its body, for descriptions; None where it takes none.
    """

    method: str
    path: str
    act: Act
    summary: str
    body: type[msgspec.Struct] | None = None

    @property
    def name(self) -> str:
        """A name for the route."""
        return "sojourn_" + self.act.__name__


async def session(_: Core, state: RequestState, __: Asked) -> Answer:
    """Say who is signed in."""
    return Answer(shown_principal(state.require()))


async def refresh(core: Core, state: RequestState, asked: Asked) -> Answer:
    """Rotate the refresh handle, from the body or the cookie."""
    body = decoded(asked.body, RefreshBody)
    signed_in = await acts.refresh(core, state, refresh_token=body.refresh_token)
    return Answer(signed_in.public())


async def access_token(core: Core, state: RequestState, asked: Asked) -> Answer:
    """Give a live session's short access token."""
    body = decoded(asked.body, AudienceBody)
    return Answer((await acts.access_token(core, state, audience=body.audience)).public())


async def move(core: Core, state: RequestState, asked: Asked) -> Answer:
    """Exchange a live session for one of another mode."""
    body = decoded(asked.body, MoveBody)
    moved = await acts.move(core, state, mode=body.mode, refresh_token=body.refresh_token)
    return Answer(moved.public())


async def logout(core: Core, state: RequestState, _: Asked) -> Answer:
    """End this session; the same answer where nobody was signed in."""
    await acts.logout(core, state)
    return Answer()


async def logout_others(core: Core, state: RequestState, _: Asked) -> Answer:
    """End all other sessions and tokens of the subject."""
    await acts.logout_others(core, state)
    return Answer()


async def logout_all(core: Core, state: RequestState, _: Asked) -> Answer:
    """End everything of the subject, this session too."""
    await acts.logout_all(core, state)
    return Answer()


async def sessions(core: Core, state: RequestState, _: Asked) -> Answer:
    """List the subject's sessions."""
    principal = stored(state.require())
    infos = await revoke.sessions(core, principal.subject)
    listed = [{**shown_session(info), "current": info.sid == principal.sid} for info in infos]
    return Answer({"sessions": listed})


async def end_session(core: Core, state: RequestState, asked: Asked) -> Answer:
    """End one of the subject's sessions."""
    await end_own(core, state, asked.sid)
    return Answer()


async def end_own(core: Core, state: RequestState, sid: str) -> None:
    """End a session of whoever is signed in; one that is over already counts as ended.

    Raises:
        NotFound: It is another's, or there is none; the two are not told apart.
    """
    principal = stored(state.require())
    record = (await core.store.get(sid)).record if is_sid(sid) else None
    if record is None or record.subject != principal.subject:
        raise NotFound("you have no session of this name")
    if not isinstance(record, Tombstone):
        await revoke.revoke(
            core,
            sid,
            subject=principal.subject,
            by=principal.subject,
            reason="logout",
            incoming=state.incoming,
        )


ENDPOINTS = (
    Endpoint(method="GET", path="/session", act=session, summary="Who is signed in"),
    Endpoint(method="POST", path="/refresh", act=refresh, summary="Renew", body=RefreshBody),
    Endpoint(
        method="POST",
        path="/access-token",
        act=access_token,
        summary="A short access token",
        body=AudienceBody,
    ),
    Endpoint(method="POST", path="/mode", act=move, summary="Change the mode", body=MoveBody),
    Endpoint(method="POST", path="/logout", act=logout, summary="Sign out"),
    Endpoint(method="POST", path="/logout-others", act=logout_others, summary="Sign out elsewhere"),
    Endpoint(method="POST", path="/logout-all", act=logout_all, summary="Sign out everywhere"),
    Endpoint(method="GET", path="/sessions", act=sessions, summary="My sessions"),
    Endpoint(
        method="DELETE", path="/sessions/{sid}", act=end_session, summary="End one of my sessions"
    ),
)


def decoded(body: bytes, shape: type[T]) -> T:
    """Decode a JSON body; an empty one has nothing but defaults.

    Raises:
        BadRequest: It is not JSON, not of the shape, or larger than any call takes.
    """
    if len(body) > MAX_BODY_BYTES:
        raise BadRequest(f"a body may have {MAX_BODY_BYTES} bytes")
    try:
        return msgspec.json.decode(body or b"{}", type=shape)
    except msgspec.ValidationError as error:
        raise BadRequest(f"the body does not fit this call: {error}") from error
    except (msgspec.DecodeError, UnicodeError, RecursionError) as error:
        raise BadRequest("the body is not JSON") from error


def stored(principal: Principal[Any]) -> Principal[Any]:
    """Refuse what only a stored session can answer.

    Raises:
        UnsupportedInMode: The principal was recognised by a JWT with nothing stored behind it.
    """
    if principal.mode == "jwt":
        raise UnsupportedInMode(
            "a JWT has no session in the store to list or end; sign in in mode 'session' or 'hybrid'"
        )
    return principal


def shown_session(info: SessionInfo) -> dict[str, Any]:
    """Describe a session to its subject, and to staff."""
    return {
        "sid": info.sid,
        "mode": info.mode,
        "created_at": info.created_at,
        "seen_at": info.seen_at,
        "expires_at": info.expires_at,
        "user_agent": info.user_agent,
        "address": info.address,
    }


def shown_principal(principal: Principal[Any]) -> dict[str, Any]:
    """Describe a principal to its client."""
    return {
        "subject": principal.subject,
        "sid": principal.sid,
        "mode": principal.mode,
        "roles": sorted(principal.roles),
        "scopes": sorted(principal.scopes),
        "claims": principal.claims,
        "amr": list(principal.amr),
        "auth_time": principal.auth_time,
        "expires_at": principal.expires_at,
    }
