"""Drafting a session: the record as it will be stored, its chain begun and its lives decided."""

from __future__ import annotations

import secrets as csprng
from typing import TYPE_CHECKING, Any

import msgspec

from sojourn import handles, policy
from sojourn.engine.core import shown_agent
from sojourn.messages import Incoming
from sojourn.model import Chain, Mode, Principal, Purpose, Session, Transport
from sojourn.modes import MODES

if TYPE_CHECKING:
    from sojourn.engine.core import Core


def new_session(
    core: Core,
    incoming: Incoming,
    subject: str,
    *,
    mode: Mode,
    transport: Transport,
    position: int,
    remember: bool,
    roles: tuple[str, ...] = (),
    scopes: tuple[str, ...] = (),
    claims: dict[str, Any],
    amr: tuple[str, ...] = (),
    client_id: str = "",
) -> Session:
    """Make a session's record, with a new sid and seed; nothing is stored yet."""
    now_ms = core.clock()
    settings = core.settings
    idle_seconds = settings.idle_seconds(mode)
    session = Session(
        sid=core.new_sid(subject),
        subject=subject,
        mode=mode,
        transport=transport,
        seed=csprng.token_bytes(handles.SEED_BYTES),
        position=position,
        chains=first_chains(core, MODES[mode].handle, now_ms=now_ms),
        created_at_ms=now_ms,
        auth_time_ms=now_ms,
        seen_at_ms=now_ms,
        expires_at_ms=now_ms + settings.absolute_seconds(mode, remember=remember) * 1000,
        idle_ms=None if idle_seconds is None else idle_seconds * 1000,
        remember=remember,
        amr=amr,
        roles=roles,
        scopes=scopes,
        claims=claims,
        client_id=client_id,
        user_agent=shown_agent(incoming),
        address=core.browser.client_address(incoming),
    )
    return with_access_expiry(core, session)


def session_like(
    core: Core,
    incoming: Incoming,
    principal: Principal[Any],
    *,
    position: int,
    amr: tuple[str, ...],
) -> Session:
    """Draft a session of mode `jwt` with the facts that a verified token carries."""
    return new_session(
        core,
        incoming,
        principal.subject,
        mode="jwt",
        transport=principal.transport,
        position=position,
        remember=True,
        roles=tuple(sorted(principal.roles)),
        scopes=tuple(sorted(principal.scopes)),
        claims=msgspec.to_builtins(principal.claims),
        amr=amr,
        client_id=principal.client_id,
    )


def with_access_expiry(core: Core, session: Session) -> Session:
    """Decide when the access token of a chain's current generation ends, and note it there."""
    purpose = MODES[session.mode].handle
    if purpose is None or not MODES[session.mode].has_access_token:
        return session
    expires_at_ms = access_expiry_ms(core, session, now_ms=core.clock())
    chain = msgspec.structs.replace(session.chains[purpose], access_expires_at_ms=expires_at_ms)
    return msgspec.structs.replace(session, chains={**session.chains, purpose: chain})


def first_chains(core: Core, purpose: Purpose | None, *, now_ms: int) -> dict[Purpose, Chain]:
    """Begin the chain of a new session's handle; none where the mode has no handle."""
    if purpose is None:
        return {}
    return {purpose: Chain(1, core.secrets.current.id, now_ms)}


def access_expiry_ms(core: Core, session: Session, *, now_ms: int) -> int:
    """Decide when the next short access token of a session ends."""
    return policy.access_expiry_ms(
        now_ms=now_ms,
        access_ms=core.settings.access_seconds * 1000,
        session_expires_at_ms=session.expires_at_ms,
        randomness=csprng.randbelow(1 << 20) / (1 << 20),
    )
