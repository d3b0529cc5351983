"""Handing out: what a client gets for a session, by mode and transport."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from sojourn import handles
from sojourn.engine.answers import SignedIn
from sojourn.model import Purpose, Session
from sojourn.modes import MODES

if TYPE_CHECKING:
    from sojourn.engine.core import Core


async def grant(core: Core, session: Session) -> SignedIn[Any]:
    """Make the proofs of a session as its record stands, and put them where its transport wants.

    A repeated call derives the same handle: it depends on the record only.

    Args:
        core: The core.
        session: The record; its chain says when the access token ends, where it has one.
    """
    rules = MODES[session.mode]
    now_ms = core.clock()
    handle = access = ""
    access_expires_at_ms = session.expires_at_ms
    if rules.handle is not None:
        handle = mint_current(core, session, rules.handle)
        access_expires_at_ms = session.chains[rules.handle].access_expires_at_ms
    if rules.has_access_token:
        access = await core.keys.access_token(
            core,
            session,
            expires_at_ms=access_expires_at_ms,
            is_stored=rules.is_stored,
        )
    else:
        access_expires_at_ms = session.expires_at_ms
    answer: dict[str, Any] = {
        "principal": core.principal_of(session, transport=session.transport),
        "mode": session.mode,
        "transport": session.transport,
        "expires_at": session.expires_at_ms // 1000,
    }
    if session.transport == "bearer":
        return SignedIn(
            **answer,
            access_token=access or handle,
            expires_in=max(0, (access_expires_at_ms - now_ms) // 1000),
            refresh_token=handle if access else "",
            outgoing=core.browser.no_store(),
        )
    names = core.browser.names
    values = {names.access: access} if access else {}
    if handle:
        values[names.refresh if rules.is_refreshed else names.handle] = handle
    life_seconds = max(1, (session.expires_at_ms - now_ms) // 1000)
    outgoing = core.browser.set_cookies(
        values, max_age_seconds=life_seconds if session.remember else None
    )
    return SignedIn(**answer, outgoing=outgoing)


def mint_current(core: Core, session: Session, purpose: Purpose) -> str:
    """Derive the handle of a chain's current generation, under the record's secret."""
    chain = session.chains[purpose]
    secret = core.secrets.named(chain.secret_id) or core.secrets.current
    return handles.mint(
        secret,
        purpose=purpose,
        sid=session.sid,
        generation=chain.generation,
        seed=session.seed,
    )
