"""A live session gives a short access token, or moves to another mode, without a new login."""

from __future__ import annotations

import secrets as csprng
from collections.abc import Awaitable, Callable
from dataclasses import replace
from functools import partial
from typing import TYPE_CHECKING, Any

import msgspec

from sojourn import handles
from sojourn.engine.answers import SignedIn
from sojourn.engine.check import check
from sojourn.engine.draft import access_expiry_ms, first_chains, session_like, with_access_expiry
from sojourn.engine.grant import grant
from sojourn.engine.proof import read_live, read_proof
from sojourn.errors import (
    Conflict,
    InvalidInput,
    InvalidToken,
    Revoked,
    Unauthenticated,
    UnsupportedInMode,
)
from sojourn.messages import Incoming
from sojourn.model import AuditRecord, Event, Kind, Mode, Principal, Purpose, Session
from sojourn.modes import MODES
from sojourn.need import Need

if TYPE_CHECKING:
    from sojourn.engine.core import Core

MAX_ATTEMPTS = 5
_ASKING = Need(max_lag_seconds=0)


async def access_token(core: Core, incoming: Incoming, *, audience: str = "") -> SignedIn[Any]:
    """Give a live session's short access token; see `AsyncSojourn.access_token`."""
    audience = audience or core.settings.audience or core.settings.issuer
    if audience not in core.settings.all_audiences:
        raise InvalidInput(
            f"no access token is issued for audience {audience!r}; add it to the setting audiences (SOJOURN_AUDIENCES)"
        )
    checked = await check(core, incoming)
    principal = checked.require()
    is_stored = MODES[principal.mode].is_stored
    if is_stored:
        session = await read_live(core, principal.sid)
    else:
        session = _as_session(core, incoming, principal)
    # Never beyond the proof presented: a stolen access token must not renew itself for ever.
    expires_at_ms = min(
        access_expiry_ms(core, session, now_ms=core.clock()), principal.expires_at * 1000
    )
    token = await core.keys.access_token(
        core, session, expires_at_ms=expires_at_ms, is_stored=is_stored, audience=audience
    )
    return SignedIn(
        principal=principal,
        mode=principal.mode,
        transport="bearer",
        expires_at=session.expires_at_ms // 1000,
        access_token=token,
        expires_in=max(0, (expires_at_ms - core.clock()) // 1000),
        outgoing=checked.outgoing + core.browser.no_store(),
    )


async def move(
    core: Core, incoming: Incoming, *, mode: Mode, refresh_token: str | None = None
) -> SignedIn[Any]:
    """Exchange a live session for one of another mode; see `AsyncSojourn.move`."""
    if mode not in core.settings.allowed_modes:
        allowed = ", ".join(core.settings.allowed_modes)
        raise UnsupportedInMode(f"mode {mode!r} is not among the allowed ones ({allowed})")
    checked = await check(core, incoming, need=_ASKING)
    principal = checked.require()
    if not MODES[principal.mode].is_stored:
        raise UnsupportedInMode(
            "a JWT has nothing stored behind it that could move; sign in in the other mode"
        )
    incoming = core.browser.after(incoming, checked.outgoing)
    prove = partial(_proven_by_handle, core, incoming, principal, refresh_token)
    if MODES[mode].is_stored:
        moved = await _move_record(core, incoming, prove, mode)
    else:
        moved = await _move_to_jwt(core, incoming, await prove())
    signed_in = await grant(core, moved)
    if moved.transport == "cookie":
        outgoing = signed_in.outgoing + core.browser.remove_others(incoming, mode)
        return replace(signed_in, outgoing=outgoing)
    return signed_in


async def _proven_by_handle(
    core: Core, incoming: Incoming, principal: Principal[Any], refresh_token: str | None
) -> Session:
    """Read the session whose *handle* a request presents.

    An access token is made to be shown to others and to end soon; whoever holds one alone must not
    turn it into a session of thirty days.
    """
    presented = core.browser.credentials(incoming)
    text, purpose = presented.handle, Purpose.SESSION
    if not text:
        text, purpose = refresh_token or presented.refresh, Purpose.REFRESH
    if not text:
        raise Unauthenticated(
            "an access token alone cannot move its session; present the refresh token too"
        )
    proven = await read_proof(core, text, purpose)
    is_current = proven.generation == proven.chain.generation
    if not is_current or proven.session.sid != principal.sid:
        raise InvalidToken("this is not the session's present handle", reason="old_handle")
    return proven.session


def _as_session(core: Core, incoming: Incoming, principal: Principal[Any]) -> Session:
    """Read a verified token as the record that would stand behind it."""
    position, amr = principal.position, principal.amr
    session = session_like(core, incoming, principal, position=position, amr=amr)
    return msgspec.structs.replace(
        session,
        sid=principal.sid,
        auth_time_ms=principal.auth_time * 1000,
        expires_at_ms=principal.expires_at * 1000,
    )


def _in_mode(core: Core, old: Session, mode: Mode) -> Session:
    """Give the record under the other mode: new seed and chain, the same sign-in and end."""
    now_ms = core.clock()
    idle_seconds = core.settings.idle_seconds(mode)
    moved = msgspec.structs.replace(
        old,
        mode=mode,
        seed=csprng.token_bytes(handles.SEED_BYTES),
        chains=first_chains(core, MODES[mode].handle, now_ms=now_ms),
        idle_ms=None if idle_seconds is None else idle_seconds * 1000,
        seen_at_ms=now_ms,
    )
    return with_access_expiry(core, moved)


async def _move_record(
    core: Core, incoming: Incoming, prove: Callable[[], Awaitable[Session]], mode: Mode
) -> Session:
    for _ in range(MAX_ATTEMPTS):
        old = await prove()  # each time: the owner may have made this very handle worthless
        moved = msgspec.structs.replace(
            _in_mode(core, old, mode), version=old.version + 1, revision=old.revision + 1
        )
        written = await core.store.replace(
            moved,
            expected_revision=old.revision,
            event=Event(kind=Kind.CHANGED, sid=moved.sid, version=moved.version),
            audit=(_moved_record(core, incoming, moved, old),),
        )
        if written is not None:
            core.picture.note(written.entries)
            return moved
    raise Conflict("the session kept changing during the move; try again")


async def _move_to_jwt(core: Core, incoming: Incoming, old: Session) -> Session:
    """End the session, and give its facts to a token under a new sid."""
    life_ms = core.settings.absolute_seconds("jwt", remember=old.remember) * 1000
    moved = msgspec.structs.replace(
        _in_mode(core, old, "jwt"),
        sid=core.new_sid(old.subject),
        expires_at_ms=min(old.expires_at_ms, core.clock() + life_ms),
    )
    deleted = await core.store.delete(
        old.sid,
        subject=old.subject,
        reason="moved",
        audit=(_moved_record(core, incoming, moved, old),),
    )
    core.picture.note(deleted.entries)
    if not deleted.ended:
        raise Revoked("the session was ended meanwhile; sign in again")
    return moved


def _moved_record(core: Core, incoming: Incoming, moved: Session, old: Session) -> AuditRecord:
    return core.audit(
        "moved",
        incoming=incoming,
        subject=moved.subject,
        sid=moved.sid,
        mode=moved.mode,
        reason=f"from {old.mode}, {old.sid}",
    )
