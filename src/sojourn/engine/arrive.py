"""Letting in who was signed in by what the application used before, once.

The old cookie becomes a session of ours in the request that brings it. What makes it happen once is a
document of the store, named by a digest of the old proof, that only one writer can be the first to
write. Pages send several requests at once: within the grace window each is given the same session.
"""

from __future__ import annotations

import logging
from collections.abc import Mapping
from dataclasses import replace
from functools import partial
from typing import TYPE_CHECKING, Any

import msgspec

from sojourn.arrivals import CookieDoor
from sojourn.engine import data
from sojourn.engine.answers import SignedIn
from sojourn.engine.draft import new_session
from sojourn.engine.facts import Facts, at_login
from sojourn.engine.grant import grant
from sojourn.engine.login import (
    names,
    plain_claims,
    refuse_cross_site,
    refuse_too_large,
    store_session,
)
from sojourn.engine.old_tokens import BEFORE_EVERYTHING, digest_of
from sojourn.errors import InvalidInput, Revoked, SessionLimit, Superseded
from sojourn.messages import Incoming, Outgoing
from sojourn.model import Session, Transport, canonical_subject
from sojourn.modes import MODES
from sojourn.revocations import Verdict

if TYPE_CHECKING:
    from sojourn.arrivals import Arrival, TokenDoor
    from sojourn.engine.core import Core

log = logging.getLogger("sojourn.doors")


class _Marker(msgspec.Struct, frozen=True):
    """What is kept of a proof that was taken."""

    sid: str
    at_ms: int


async def arrive(core: Core, incoming: Incoming) -> SignedIn[Any] | None:
    """Find out whether an old cookie says who a request is, and sign them in.

    Returns:
        None where no door knows the request.

    Raises:
        Refused: It was taken before, or is not to be believed from there.
    """
    await core.ready()
    for door in core.cookie_doors:
        arrival = await core.application.call(partial(door.knock, incoming, now_ms=core.clock()))
        if arrival is None:
            continue
        refuse_cross_site(core, incoming, "cookie")
        signed_in = await _carry_over(core, incoming, door, arrival, transport="cookie")
        removed = Outgoing(headers=tuple(("Set-Cookie", c) for c in arrival.remove_cookies))
        return replace(signed_in, outgoing=signed_in.outgoing + removed)
    return None


async def exchange_refresh(core: Core, incoming: Incoming, text: str) -> SignedIn[Any] | None:
    """Exchange an old refresh token for a session of ours, once; None where no door knows it."""
    for door in core.token_doors:
        arrival = await core.application.call(partial(door.read_refresh, text, now_ms=core.clock()))
        if arrival is not None:
            return await _carry_over(core, incoming, door, arrival, transport="bearer")
    return None


async def _carry_over(
    core: Core,
    incoming: Incoming,
    door: CookieDoor | TokenDoor,
    arrival: Arrival,
    *,
    transport: Transport,
) -> SignedIn[Any]:
    """Make the session, or find the one that another request has just made of the same proof.

    Raises:
        Revoked: The proof was taken before, or everything of its subject was signed out since.
        Forbidden: The application does not let the subject sign in.
    """
    marker = f"door/{door.name}/{digest_of(arrival).hex()}"
    known = await core.store.get_document(marker)
    if known is not None:
        return await _again(core, incoming, arrival, known.payload, transport)
    session = await _draft(core, incoming, arrival, transport)
    carried = _fitting_data(door, arrival)
    is_stored = MODES[session.mode].is_stored
    signed_in = await grant(core, session)
    if is_stored:  # first, so that a crash here loses nobody: the old proof is still good
        await _store(core, incoming, door, session)
    payload = msgspec.json.encode(_Marker(session.sid, core.clock()))
    if not await core.store.put_document(marker, payload, expected_version=0):
        if is_stored:
            record = core.audit(
                "revoked", subject=session.subject, sid=session.sid, reason="replaced"
            )
            deleted = await core.store.delete(
                session.sid, subject=session.subject, reason="replaced", audit=(record,)
            )
            core.picture.note(deleted.entries)
        winner = await core.store.get_document(marker)
        assert winner is not None  # noqa: S101 - it is why ours was not written
        return await _again(core, incoming, arrival, winner.payload, transport)
    if is_stored:
        await data.put(core, session.sid, carried)
    else:
        await _store(core, incoming, door, session)
    if isinstance(door, CookieDoor):
        await _close_behind(core, door, arrival)
    return signed_in


def _fitting_data(door: CookieDoor | TokenDoor, arrival: Arrival) -> Mapping[str, Any]:
    """Give the session data to carry; none where it has no room, which must lock nobody out."""
    try:
        data.refuse_unfit(arrival.data)
    except InvalidInput as error:
        log.warning("session data behind door %r is left behind: %s", door.name, error)
        return {}
    return arrival.data


async def _draft(core: Core, incoming: Incoming, arrival: Arrival, transport: Transport) -> Session:
    """Draft the session, judged by everything that was ever revoked of its subject.

    Raises:
        Revoked: Everything of the subject was signed out, or the facts that the old proof tells of
            were changed since.
        Forbidden: The application does not let the subject sign in.
    """
    subject = canonical_subject(arrival.subject)
    shard = core.shard_of(subject)
    head = await core.store.head(shard)
    await core.catch_up(shard)
    facts = await _facts(core, arrival, subject)
    session = new_session(
        core,
        incoming,
        subject,
        mode=core.settings.mode,
        transport=transport,
        # Where nothing is stored, `create` refuses nobody: judged here, by a place before everything,
        # the token is given the place from before that was read.
        position=BEFORE_EVERYTHING if MODES[core.settings.mode].is_stored else head.id,
        remember=True,
        roles=names(facts.roles, "roles"),
        scopes=names(facts.scopes, "scopes"),
        claims=plain_claims(core, facts.claims),
    )
    refuse_too_large(session)
    # Not now: whoever came with an old cookie proves nothing that a fresh sign-in would.
    return msgspec.structs.replace(session, auth_time_ms=(arrival.auth_time or 0) * 1000)


async def _facts(core: Core, arrival: Arrival, subject: str) -> Facts:
    """Give what holds of the subject: what the application says now, else what the old proof tells.

    That is refused where `update` has changed it since, as it is of a JWT of ours.
    """
    loads = core.application.facts is not None
    has_facts = bool(arrival.roles or arrival.scopes or arrival.claims)
    verdict = core.picture.view.judge(
        subject=subject,
        sid="",
        position=BEFORE_EVERYTHING,
        version=None if has_facts and not loads else 0,
    )
    if verdict is not Verdict.GOOD:
        raise Revoked("this sign-in was ended, or what it tells of has changed; sign in again")
    if loads:
        return await at_login(core, subject, roles=(), scopes=(), claims=None)
    return Facts(roles=arrival.roles, scopes=arrival.scopes, claims=arrival.claims)


async def _store(
    core: Core, incoming: Incoming, door: CookieDoor | TokenDoor, session: Session
) -> None:
    try:
        await store_session(core, incoming, session, action="arrived", reason=door.name)
    except (SessionLimit, Superseded) as error:
        raise Revoked("this sign-in was ended; sign in again") from error


async def _again(
    core: Core, incoming: Incoming, arrival: Arrival, payload: bytes, transport: Transport
) -> SignedIn[Any]:
    """Give a request that came beside the first one the same session."""
    marker = msgspec.json.decode(payload, type=_Marker)
    refusal = Revoked("this sign-in was carried over before; sign in again")
    if core.clock() - marker.at_ms >= core.settings.grace_seconds * 1000:
        raise refusal
    if MODES[core.settings.mode].is_stored:
        record = (await core.store.get(marker.sid)).record
        if not isinstance(record, Session) or record.subject != str(arrival.subject):
            raise refusal
        return await grant(core, msgspec.structs.replace(record, transport=transport))
    session = await _draft(core, incoming, arrival, transport)
    session = msgspec.structs.replace(session, sid=marker.sid)
    if core.picture.judge_session(session) is not Verdict.GOOD:
        raise refusal
    return await grant(core, session)


async def _close_behind(core: Core, door: CookieDoor, arrival: Arrival) -> None:
    try:
        after_seconds = core.settings.grace_seconds
        await core.application.call(
            partial(door.close_behind, arrival, after_seconds=after_seconds)
        )
    except Exception:  # the session is carried over all the same, and the old proof is taken
        log.exception("ending the old session behind door %r failed", door.name)
