"""From a presented handle to the stored session it proves, or to the reason why it proves none."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING

from sojourn import handles, policy
from sojourn.engine.old_tokens import old_principal
from sojourn.errors import (
    Expired,
    ExpiredToken,
    InvalidToken,
    RefreshLate,
    RefreshReuse,
    Refused,
    Revoked,
)
from sojourn.model import Chain, Purpose, Session, Tombstone
from sojourn.revocations import Verdict

if TYPE_CHECKING:
    from sojourn.browser import Credentials
    from sojourn.engine.core import Core

REFRESH_REUSE = "refresh_reuse"
REFRESH_LATE = "refresh_late"

WHY_ENDED: dict[str, str] = {
    "logout": "you signed out",
    "logout_others": "you signed out your other sessions",
    "logout_all": "you signed out everywhere",
    "password_changed": "the password was changed",
    "session_limit": "another sign-in took its place, since only so many are allowed",
    "replaced": "another sign-in from the same browser took its place",
    "moved": "it was exchanged for another kind of sign-in",
    "account_disabled": "the account was disabled",
    "account_removed": "the account was removed",
    "administrator": "an administrator ended it",
    "restored": "it was ended earlier, and the store had lost that",
}


@dataclass(frozen=True, slots=True)
class Proven:
    """A session that its holder's handle proves, with what a decision about it needs."""

    session: Session
    chain: Chain
    generation: int
    store_now_ms: int


async def read_proof(core: Core, text: str, purpose: Purpose) -> Proven:
    """Read the session behind a handle.

    The MAC is verified before anything about the record is told: a sid is public.

    Raises:
        InvalidToken: It is not a handle of this purpose, of this server, of a known session.
        Revoked: The session was ended; RefreshReuse and RefreshLate where that was why.
        Expired: Its absolute or idle life is over.
    """
    handle = handles.parse(text)
    if handle is None or handle.purpose is not purpose:
        raise InvalidToken("this is not a handle of this server", reason="malformed_handle")
    if core.shard_of_sid(handle.sid) is None:
        raise InvalidToken("this is not a handle of this server", reason="unknown_shard")
    # What was announced before the question must be in the answer; what comes after it need not.
    announced_version = core.picture.view.changed.get(handle.sid, (0, 0))[1]
    found = await core.store.get(handle.sid)
    record = found.record
    if record is None:
        raise InvalidToken("no session is known by this handle", reason="unknown_session")
    if not handles.is_authentic(handle, seed=record.seed, secrets=core.secrets):
        raise InvalidToken("this is not a handle of this server", reason="bad_mac")
    if isinstance(record, Tombstone):
        raise why_ended(record.reason)
    if not policy.is_alive(record, now_ms=core.clock()):
        raise Expired("the session reached the end of its life; sign in again")
    is_over = core.picture.judge_session(record) is Verdict.REVOKED
    if is_over or record.version < announced_version:
        # It may have ended while the reply was under way: then its tombstone says why.
        later = (await core.store.get(handle.sid)).record
        if isinstance(later, Tombstone):
            raise why_ended(later.reason)
        # A failed-over store can have lost an end, or a change of roles, that was acknowledged.
        raise Revoked("this sign-in was ended; sign in again")
    chain = record.chains.get(purpose)
    if chain is None:
        raise InvalidToken("the session moved to another mode", reason="moved")
    return Proven(record, chain, handle.generation, found.now_ms)


async def read_live(core: Core, sid: str) -> Session:
    """Read the session behind a principal that was just recognised, perhaps by a token alone.

    Raises:
        Revoked: It was ended meanwhile.
        Expired: Its absolute or idle life is over; the token did not know.
    """
    record = (await core.store.get(sid)).record
    if not isinstance(record, Session):
        raise Revoked("the session was ended meanwhile; sign in again")
    if not policy.is_alive(record, now_ms=core.clock()):
        raise Expired("the session reached the end of its life; sign in again")
    return record


async def read_owners(core: Core, presented: Credentials) -> set[tuple[str, str]]:
    """Read whose sessions a request presents proofs of, as (sid, subject), to end them.

    An expired access token counts; what is not ours, or over already, does not.
    """
    owners = {
        await _owner_by_handle(core, presented.handle, Purpose.SESSION),
        await _owner_by_handle(core, presented.refresh, Purpose.REFRESH),
        await _owner_by_token(core, presented.access),
    }
    for text in presented.copies:
        handle = handles.parse(text)
        if handle is None:
            owners.add(await _owner_by_token(core, text))
        else:
            owners.add(await _owner_by_handle(core, text, handle.purpose))
    return {owner for owner in owners if owner is not None}


async def _owner_by_handle(core: Core, text: str, purpose: Purpose) -> tuple[str, str] | None:
    if not text:
        return None
    try:
        session = (await read_proof(core, text, purpose)).session
    except Refused:
        return None  # not a session of ours, or over already
    return session.sid, session.subject


async def _owner_by_token(core: Core, token: str) -> tuple[str, str] | None:
    if not token:
        return None
    if core.keys.is_outdated:
        await core.keys.load(core)
    try:
        claims = core.keys.verify(token, now_ms=core.clock())
    except ExpiredToken as error:
        claims = error.claims
        if claims.ver is None:
            return None  # nothing stands behind it that could still be ended
    except InvalidToken as error:
        if error.reason == "unknown_kid" and await core.keys.reload_for_unknown_kid(core):
            # A key of another process, that the feed has not told of yet.
            return await _owner_by_token(core, token)
        old = await old_principal(core, token, transport="bearer")
        return (old.sid, old.subject) if old else None
    verdict = core.picture.view.judge(
        subject=claims.sub, sid=claims.sid, position=claims.pos, version=claims.ver
    )
    # What is known to be over is not ended again: each time would be an entry in the feed.
    return None if verdict is Verdict.REVOKED else (claims.sid, claims.sub)


def why_ended(reason: str) -> Refused:
    """Turn the reason of an ended session into what its holder is told."""
    match reason:
        case "refresh_reuse":
            return RefreshReuse(
                "an old refresh handle of this session was used again, so a copy of it exists; "
                "the session was ended. Sign in again"
            )
        case "refresh_late":
            return RefreshLate(
                "a replaced refresh handle came back too late: its answer was lost, or it was "
                "copied; the session was ended. Sign in again"
            )
        case _:
            told = WHY_ENDED.get(reason)
            return Revoked(f"the session was ended: {told}" if told else "the session was ended")
