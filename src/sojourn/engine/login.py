"""Signing in: a session is made, in the mode's way, and its proofs are handed out."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from dataclasses import replace
from typing import TYPE_CHECKING, Any

import msgspec

from sojourn.engine import data
from sojourn.engine.answers import Attempt, SignedIn
from sojourn.engine.core import shown_text
from sojourn.engine.draft import new_session
from sojourn.engine.facts import at_login
from sojourn.engine.grant import grant
from sojourn.engine.proof import read_owners
from sojourn.errors import (
    InvalidInput,
    SessionLimit,
    Superseded,
    UnsupportedInMode,
)
from sojourn.messages import Incoming
from sojourn.model import (
    MAX_SUBJECT_BYTES,
    Mode,
    Session,
    Subject,
    Transport,
    canonical_subject,
    is_storable,
)
from sojourn.modes import MODES
from sojourn.plain_json import encode_json
from sojourn.ports import ATTEMPT_MS

if TYPE_CHECKING:
    from sojourn.engine.core import Core

MAX_FACTS_BYTES = 1536
"""Roles, scopes, methods and claims together, as JSON: what a token in a cookie has room for."""
MAX_NAMES = 100
_NAME_CHARACTERS = 128


async def begin(core: Core, subject: Subject) -> Attempt:
    """Take a position before a credential is checked.

    A revoke-all that happens while the password is being checked then also covers this sign-in.
    """
    await core.ready()
    canonical = canonical_subject(subject)
    head = await core.store.head(core.shard_of(canonical))
    return Attempt(canonical, head.id, core.clock())


async def login(
    core: Core,
    incoming: Incoming,
    subject: Subject,
    *,
    attempt: Attempt | None = None,
    mode: Mode | None = None,
    transport: Transport | None = None,
    remember: bool = True,
    roles: Iterable[str] = (),
    scopes: Iterable[str] = (),
    claims: Mapping[str, Any] | msgspec.Struct | None = None,
    amr: Iterable[str] = (),
    client_id: str = "",
    carry: Iterable[str] = (),
) -> SignedIn[Any]:
    """Sign a subject in; see `AsyncSojourn.login`."""
    await core.ready()
    canonical = canonical_subject(subject)
    mode = mode or core.settings.mode
    if mode not in core.settings.allowed_modes:
        allowed = ", ".join(core.settings.allowed_modes)
        raise UnsupportedInMode(f"mode {mode!r} is not among the allowed ones ({allowed})")
    transport = transport or core.settings.transport
    if transport not in {"cookie", "bearer"}:
        raise InvalidInput(f"transport is {transport!r}; choose cookie or bearer")
    if isinstance(carry, str):
        raise InvalidInput(f'carry is a set of keys; write {{"{carry}"}}')
    refuse_cross_site(core, incoming, transport)
    position = (await _usable(core, attempt, canonical)).position
    facts = await at_login(core, canonical, roles=roles, scopes=scopes, claims=claims)
    session = new_session(
        core,
        incoming,
        canonical,
        mode=mode,
        transport=transport,
        position=position,
        remember=remember,
        roles=names(facts.roles, "roles"),
        scopes=names(facts.scopes, "scopes"),
        claims=plain_claims(core, facts.claims),
        amr=names(amr, "amr"),
        client_id=client_id,
    )
    refuse_too_large(session)
    # The proofs depend on the record alone: they are made before anything is stored, so that what
    # cannot be handed out leaves no session behind.
    signed_in = await grant(core, session)
    replaced = await _replaced(core, incoming) if transport == "cookie" else set()
    # Where sessions are counted, the subject's own earlier one in this browser makes room first.
    is_counted = core.settings.max_sessions is not None
    making_room = {one for one in replaced if is_counted and one[1] == canonical}
    await _end(core, incoming, making_room)
    await store_session(core, incoming, session)
    outgoing = signed_in.outgoing + await data.carry_over(core, incoming, session, keys=carry)
    if transport == "cookie":
        await _end(core, incoming, replaced - making_room)
        outgoing += core.browser.remove_others(incoming, mode)
    return replace(signed_in, outgoing=outgoing)


async def failed(core: Core, incoming: Incoming, subject: str, *, reason: str) -> None:
    """Put a failed sign-in on the trail."""
    await core.ready()
    shown = shown_text(subject, MAX_SUBJECT_BYTES)  # anybody can write anything there
    record = core.audit("login_failed", incoming=incoming, subject=shown, reason=reason)
    await core.store.append(0, (), audit=(record,))


# --- the parts ------------------------------------------------------------------------------------


def refuse_cross_site(core: Core, incoming: Incoming, transport: Transport) -> None:
    """Refuse what another site's page sends where cookies are set or believed (login CSRF too)."""
    if transport == "cookie" and core.browser.is_cross_site(incoming):
        raise core.browser.cross_site_error(incoming)


async def _usable(core: Core, attempt: Attempt | None, subject: str) -> Attempt:
    if attempt is None:
        return await begin(core, subject)
    if attempt.subject != subject:
        raise InvalidInput("the attempt was begun for another subject; begin one for this one")
    if core.clock() - attempt.at_ms > ATTEMPT_MS:
        raise Superseded("the sign-in took longer than 10 minutes; begin again")
    return attempt


async def store_session(
    core: Core, incoming: Incoming, session: Session, *, action: str = "login", reason: str = ""
) -> None:
    """Keep a new session, where its mode keeps any, and put the sign-in on the trail.

    Raises:
        Superseded: Everything of the subject was revoked since its position was taken.
        SessionLimit: There are too many already, and `on_excess` is ``refuse``.
    """
    record = core.audit(
        action,
        incoming=incoming,
        subject=session.subject,
        sid=session.sid,
        mode=session.mode,
        reason=reason,
    )
    if not MODES[session.mode].is_stored:
        shard = core.shard_of(session.subject)
        await core.store.append(shard, (), audit=(record,))
        return
    created = await core.store.create(
        session,
        limit=core.settings.max_sessions,
        on_excess=core.settings.on_excess,
        audit=(record,),
        ended_audit=core.audit(
            "revoked", incoming=incoming, subject=session.subject, reason="session_limit"
        ),
    )
    core.picture.note(created.entries)
    match created.outcome:
        case "superseded":
            await failed(core, incoming, session.subject, reason="superseded")
            raise Superseded("everything of this subject was signed out meanwhile; sign in again")
        case "limit":
            await failed(core, incoming, session.subject, reason="session_limit")
            raise SessionLimit(
                f"there are already {core.settings.max_sessions} sessions; end one first"
            )


async def _replaced(core: Core, incoming: Incoming) -> set[tuple[str, str]]:
    """Find the sessions this browser held before: their cookies are about to be overwritten."""
    presented = core.browser.credentials(incoming)
    return await read_owners(core, presented) if presented.transport == "cookie" else set()


async def _end(core: Core, incoming: Incoming, owners: Iterable[tuple[str, str]]) -> None:
    for sid, subject in owners:
        record = core.audit(
            "revoked", incoming=incoming, subject=subject, sid=sid, reason="replaced"
        )
        deleted = await core.store.delete(sid, subject=subject, reason="replaced", audit=(record,))
        core.picture.note(deleted.entries)


def names(values: Iterable[str], what: str) -> tuple[str, ...]:
    """Check and order roles, scopes or authentication methods.

    Raises:
        InvalidInput: A bare string, too many, or one that no token could carry.
    """
    if isinstance(values, str):
        raise InvalidInput(f'{what} is a set of names; write {{"{values}"}}')
    if not isinstance(values, Iterable):
        raise InvalidInput(f"{what} is a set of names, not {type(values).__name__}")
    each = tuple(sorted(set(values)))
    if len(each) > MAX_NAMES:
        raise InvalidInput(f"{what} has more than {MAX_NAMES} names")
    for name in each:
        if not isinstance(name, str) or not 1 <= len(name) <= _NAME_CHARACTERS:
            raise InvalidInput(f"a name in {what} is text of 1 to {_NAME_CHARACTERS} characters")
        if not is_storable(name) or any(c.isspace() for c in name):
            raise InvalidInput(f"the name {name!r} in {what} holds white space or NUL")
    return each


def plain_claims(core: Core, claims: Mapping[str, Any] | msgspec.Struct | None) -> dict[str, Any]:
    """Reduce an application's claims to JSON, refusing what is of the wrong type.

    Raises:
        InvalidInput: Not JSON, or not the declared type.
    """
    try:
        builtins = msgspec.to_builtins({} if claims is None else claims)
        plain: dict[str, Any] = msgspec.json.decode(
            encode_json(builtins, "the claims"), type=dict[str, Any]
        )
    except (TypeError, ValueError, RecursionError, msgspec.MsgspecError) as error:
        raise InvalidInput(f"the claims are not a JSON object: {error}") from error
    core.typed_claims(plain)
    return plain


def refuse_too_large(session: Session) -> None:
    """Refuse facts that a token in a cookie has no room for, whatever the mode: it may change.

    Raises:
        InvalidInput: Roles, scopes, methods and claims are over 1,536 bytes together.
    """
    facts = (session.roles, session.scopes, session.amr, session.claims)
    size = len(msgspec.json.encode(facts))
    if size > MAX_FACTS_BYTES:
        raise InvalidInput(
            f"roles, scopes and claims are {size} bytes together and may be {MAX_FACTS_BYTES}, "
            "since a cookie holds 4,096; keep what is large in session data or your database"
        )
