"""Confirming who one is within a session: new handle, new position, new sign-in time.

The seed is made anew, so that every handle from before is refused at its next use, within a grace
window too: a thief's copy does not gain the fresh sign-in.
"""

from __future__ import annotations

import secrets as csprng
from collections.abc import Iterable
from typing import TYPE_CHECKING, Any

import msgspec

from sojourn import handles
from sojourn.engine.answers import Attempt, SignedIn
from sojourn.engine.check import check
from sojourn.engine.draft import session_like, with_access_expiry
from sojourn.engine.grant import grant
from sojourn.engine.login import begin, names, refuse_too_large
from sojourn.engine.proof import read_live
from sojourn.errors import Conflict, InvalidInput, Superseded
from sojourn.messages import Incoming
from sojourn.model import Chain, Event, Kind, Principal, Session
from sojourn.need import Need
from sojourn.ports import ATTEMPT_MS

if TYPE_CHECKING:
    from sojourn.engine.core import Core

MAX_ATTEMPTS = 5
_ASKING = Need(max_lag_seconds=0)


async def reauthenticate(
    core: Core, incoming: Incoming, *, amr: Iterable[str] = (), attempt: Attempt | None = None
) -> SignedIn[Any]:
    """Renew a live session after its subject proved who they are; see `AsyncSojourn`."""
    checked = await check(core, incoming)
    principal = checked.require()
    if attempt is None:
        attempt = await begin(core, principal.subject)
    elif attempt.subject != principal.subject:
        raise InvalidInput("the attempt was begun for another subject than is signed in")
    elif core.clock() - attempt.at_ms > ATTEMPT_MS:
        raise Superseded("the sign-in took longer than 10 minutes; begin again")
    # Asked once the position is taken: what was revoked within the lag gets no new life.
    incoming = core.browser.after(incoming, checked.outgoing)
    principal = (await check(core, incoming, need=_ASKING, renew=False)).require()
    if attempt.position < principal.position:
        # What was checked then may have been changed since, with everything signed out.
        raise Superseded("the attempt was begun before this sign-in; begin again")
    methods = names((*principal.amr, *names(amr, "amr")), "amr")
    if principal.mode == "jwt":
        return await _renew_token(core, incoming, principal, methods, attempt)
    for _ in range(MAX_ATTEMPTS):
        record = await read_live(core, principal.sid)
        renewed = _renewed(core, record, methods, attempt)
        refuse_too_large(renewed)
        written = await core.store.replace(
            renewed,
            expected_revision=record.revision,
            event=Event(kind=Kind.CHANGED, sid=renewed.sid, version=renewed.version),
            audit=(
                core.audit(
                    "reauthenticated",
                    incoming=incoming,
                    subject=renewed.subject,
                    sid=renewed.sid,
                    mode=renewed.mode,
                ),
            ),
        )
        if written is not None:
            core.picture.note(written.entries)
            return await grant(core, renewed)
    raise Conflict("the session kept changing during re-authentication; try again")


def _renewed(core: Core, record: Session, amr: tuple[str, ...], attempt: Attempt) -> Session:
    now_ms = core.clock()
    life_seconds = core.settings.absolute_seconds(record.mode, remember=record.remember)
    chains = {
        purpose: Chain(chain.generation + 1, core.secrets.current.id, now_ms)
        for purpose, chain in record.chains.items()
    }
    renewed = msgspec.structs.replace(
        record,
        seed=csprng.token_bytes(handles.SEED_BYTES),
        chains=chains,
        position=attempt.position,
        auth_time_ms=now_ms,
        seen_at_ms=now_ms,
        expires_at_ms=now_ms + life_seconds * 1000,
        amr=amr,
        version=record.version + 1,
        revision=record.revision + 1,
    )
    return with_access_expiry(core, renewed)


async def _renew_token(
    core: Core,
    incoming: Incoming,
    principal: Principal[Any],
    amr: tuple[str, ...],
    attempt: Attempt,
) -> SignedIn[Any]:
    """In `jwt` a new token under a new sid is handed out, and the old one revoked."""
    session = session_like(core, incoming, principal, position=attempt.position, amr=amr)
    refuse_too_large(session)
    record = core.audit(
        "reauthenticated",
        incoming=incoming,
        subject=session.subject,
        sid=session.sid,
        mode="jwt",
        reason=f"instead of {principal.sid}",
    )
    deleted = await core.store.delete(
        principal.sid, subject=principal.subject, reason="replaced", audit=(record,)
    )
    core.picture.note(deleted.entries)
    return await grant(core, session)
