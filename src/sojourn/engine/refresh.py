"""Refreshing: one compare-and-swap rotates the handle; the rotation table decides everything else."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any, NoReturn, assert_never, cast

import msgspec

from sojourn import handles, policy
from sojourn.engine.answers import SignedIn
from sojourn.engine.arrive import exchange_refresh
from sojourn.engine.core import shown_agent
from sojourn.engine.draft import access_expiry_ms
from sojourn.engine.facts import is_changed, load
from sojourn.engine.grant import grant
from sojourn.engine.login import names, plain_claims, refuse_too_large
from sojourn.engine.proof import REFRESH_LATE, REFRESH_REUSE, Proven, read_proof, why_ended
from sojourn.errors import (
    Conflict,
    Expired,
    RefreshLate,
    RefreshReuse,
    Refused,
    Revoked,
    Unauthenticated,
    UnsupportedInMode,
)
from sojourn.messages import Incoming
from sojourn.model import AuditRecord, Chain, Event, Kind, Principal, Purpose, Session, Transport
from sojourn.policy import Rotation

if TYPE_CHECKING:
    from sojourn.engine.core import Core
    from sojourn.handles import Handle

MAX_ATTEMPTS = 5


async def refresh(
    core: Core, incoming: Incoming, *, refresh_token: str | None = None
) -> SignedIn[Any]:
    """Rotate the refresh handle that a request presents; see `AsyncSojourn.refresh`."""
    await core.ready()
    if refresh_token is not None:
        exchanged = await exchange_refresh(core, incoming, refresh_token)
        if exchanged is not None:
            return exchanged
        return await _refresh(core, incoming, refresh_token, transport="bearer")
    presented = core.browser.credentials(incoming)
    if presented.transport == "cookie" and core.browser.is_cross_site(incoming):
        raise core.browser.cross_site_error(incoming)
    if presented.refresh:
        return await _refresh(core, incoming, presented.refresh, transport="cookie")
    if presented.is_empty:
        raise Unauthenticated("no refresh token was presented; sign in")
    raise UnsupportedInMode(
        "only mode 'hybrid' has refresh tokens: a session renews itself as it is used, and a JWT "
        "ends at its expiry"
    )


async def recent(core: Core, incoming: Incoming, principal: Principal[Any]) -> SignedIn[Any] | None:
    """Answer a browser that refreshes what was only just rotated with the same once more.

    Its cookie jar has the new pair already: another tab's refresh filled it while this request was
    being made. Rotating again would make the requests that are still under way two generations
    old, which is what theft looks like.

    Returns:
        None where this has to rotate: nothing recent, or no cookies of this principal's session.
    """
    presented = core.browser.credentials(incoming)
    is_browser = presented.transport == "cookie" and presented.access and presented.refresh
    if not is_browser or core.browser.is_cross_site(incoming):
        return None
    proven = await read_proof(core, presented.refresh, Purpose.REFRESH)
    age_ms = proven.store_now_ms - proven.chain.rotated_at_ms
    is_recent = age_ms < core.settings.grace_seconds * 1000
    is_current = proven.generation == proven.chain.generation
    if not (is_recent and is_current and proven.session.sid == principal.sid):
        return None
    return await _granted(core, proven.session, "cookie")


async def renew_in_passing(core: Core, incoming: Incoming, text: str) -> SignedIn[Any]:
    """Refresh over cookies within another request: hybrid works without JavaScript."""
    return await _refresh(core, incoming, text, transport="cookie", is_in_passing=True)


async def _refresh(
    core: Core,
    incoming: Incoming,
    text: str,
    *,
    transport: Transport,
    is_in_passing: bool = False,
) -> SignedIn[Any]:
    for _ in range(MAX_ATTEMPTS):
        try:
            proven = await read_proof(core, text, Purpose.REFRESH)
        except (Revoked, RefreshReuse, RefreshLate, Expired) as error:
            if not is_in_passing:  # else each request of a signed-out browser would write a line
                await _note_refusal(core, incoming, text, error)
            raise
        decision = policy.judge_generation(
            proven.chain,
            generation=proven.generation,
            store_now_ms=proven.store_now_ms,
            grace_ms=core.settings.grace_seconds * 1000,
        )
        match decision:
            case Rotation.ROTATE | Rotation.AHEAD:
                session, audit = _rotated(core, incoming, proven)
                session, event = await _up_to_date(core, incoming, session)
            case Rotation.SAME:
                session = proven.session
                await _note_suspicion(core, incoming, session)
                return await _granted(core, session, transport)
            case Rotation.LATE:
                await _end(core, incoming, proven.session, REFRESH_LATE)
            case Rotation.THEFT:
                await _end(core, incoming, proven.session, REFRESH_REUSE)
            case _:  # pragma: no cover - every decision is above
                assert_never(decision)
        # Made before it is written: what cannot be handed out must not rotate.
        signed_in = await _granted(core, session, transport)
        revision = proven.session.revision
        written = await core.store.replace(
            session, expected_revision=revision, event=event, audit=audit
        )
        if written is not None:
            core.picture.note(written.entries)
            return signed_in
        # Somebody else was first: decide again.
    raise Conflict(
        f"this session was changed by others {MAX_ATTEMPTS} times during one refresh; try again"
    )


async def _granted(core: Core, session: Session, transport: Transport) -> SignedIn[Any]:
    if session.transport != transport:
        session = msgspec.structs.replace(session, transport=transport)
    return await grant(core, session)


def _rotated(
    core: Core, incoming: Incoming, proven: Proven
) -> tuple[Session, tuple[AuditRecord, ...]]:
    """Give the record at its next generation, to be written by compare-and-swap."""
    session = proven.session
    chain = Chain(
        generation=max(proven.chain.generation, proven.generation) + 1,
        secret_id=core.secrets.current.id,
        rotated_at_ms=proven.store_now_ms,
        access_expires_at_ms=access_expiry_ms(core, session, now_ms=core.clock()),
    )
    rotated = msgspec.structs.replace(
        session,
        chains={**session.chains, Purpose.REFRESH: chain},
        revision=session.revision + 1,
        seen_at_ms=core.clock(),
    )
    audit: tuple[AuditRecord, ...] = ()
    if proven.generation > proven.chain.generation:
        audit = (
            core.audit(
                "rolled_forward",
                incoming=incoming,
                subject=session.subject,
                sid=session.sid,
                reason=f"generation {proven.chain.generation} to {proven.generation}",
            ),
        )
    return rotated, audit


async def _up_to_date(
    core: Core, incoming: Incoming, session: Session
) -> tuple[Session, Event | None]:
    """Give the record with what the application says of its subject now.

    Raises:
        Revoked: The application knows the subject no more; the session is ended.
    """
    if core.application.facts is None:
        return session, None
    facts = await load(core, session.subject)
    if facts is None:
        await _end(core, incoming, session, "account_removed")
    renewed = msgspec.structs.replace(
        session,
        roles=names(facts.roles, "roles"),
        scopes=names(facts.scopes, "scopes"),
        claims=plain_claims(core, facts.claims),
    )
    if not is_changed(session, renewed):
        return session, None
    refuse_too_large(renewed)
    renewed = msgspec.structs.replace(renewed, version=session.version + 1)
    return renewed, Event(kind=Kind.CHANGED, sid=renewed.sid, version=renewed.version)


async def _note_refusal(core: Core, incoming: Incoming, text: str, error: Refused) -> None:
    """Put on the trail that a handle of an ended session came back; its MAC was good."""
    sid = cast("Handle", handles.parse(text)).sid
    if not core.is_note_due(f"refused {sid}"):
        return
    record = (await core.store.get(sid)).record
    subject = record.subject if record else ""
    audit = core.audit(
        "refresh_refused", incoming=incoming, subject=subject, sid=sid, reason=error.code
    )
    await core.store.append(core.shard_of(subject), (), audit=(audit,))


async def _note_suspicion(core: Core, incoming: Incoming, session: Session) -> None:
    """Put a grace answer to another client on the trail: a lost reply comes back from the same."""
    address = core.browser.client_address(incoming)
    is_same = (shown_agent(incoming), address) == (session.user_agent, session.address)
    if is_same or not core.is_note_due(f"suspicion {session.sid}"):
        return
    record = core.audit(
        "suspicion",
        incoming=incoming,
        subject=session.subject,
        sid=session.sid,
        reason="a replaced handle was used again by another client within the grace window",
    )
    await core.store.append(core.shard_of(session.subject), (), audit=(record,))


async def _end(core: Core, incoming: Incoming, session: Session, reason: str) -> NoReturn:
    """End a session, and say why to whoever wanted to refresh it."""
    record = core.audit(
        "revoked", incoming=incoming, subject=session.subject, sid=session.sid, reason=reason
    )
    deleted = await core.store.delete(
        session.sid, subject=session.subject, reason=reason, audit=(record,)
    )
    core.picture.note(deleted.entries)
    raise why_ended(reason)
