"""Signing out: by the client, by the subject from another device, by the application or its staff.

An acknowledged revocation is in the record *and* in the feed: they are one step of the store.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from typing import TYPE_CHECKING, Any

import msgspec

from sojourn.engine.answers import SessionInfo
from sojourn.engine.login import names, plain_claims, refuse_cross_site, refuse_too_large
from sojourn.engine.proof import read_owners
from sojourn.errors import Conflict, InvalidInput
from sojourn.handles import is_sid
from sojourn.messages import Incoming, Outgoing
from sojourn.model import (
    ANY,
    Any_,
    Event,
    Kind,
    Session,
    Subject,
    canonical_subject,
)
from sojourn.modes import MODES, require_stored

if TYPE_CHECKING:
    from sojourn.engine.core import Core

MAX_ATTEMPTS = 5


async def logout(core: Core, incoming: Incoming) -> Outgoing:
    """End the session a request presents, also with an expired access token."""
    await core.ready()
    presented = core.browser.credentials(incoming)
    # Without a cookie too: SameSite keeps it from the request, but not from being taken back.
    refuse_cross_site(core, incoming, presented.transport)
    for sid, subject in await read_owners(core, presented):
        await _delete(core, sid, subject, by=subject, reason="logout", incoming=incoming)
    # Another process may have ended it, and this one not have heard: it is over here, too.
    core.picture.near.entries.pop(presented.handle, None)
    if presented.transport == "bearer":
        return core.browser.no_store()
    return core.browser.remove_cookies()


async def revoke(
    core: Core,
    sid: str,
    *,
    subject: Subject | Any_,
    by: str = "",
    reason: str = "administrator",
    incoming: Incoming | None = None,
) -> bool:
    """End one session by its public name; see `AsyncSojourn.revoke`."""
    await core.ready()
    if not is_sid(sid) or core.shard_of_sid(sid) is None:
        raise InvalidInput("that is not a sid; take it from sessions() or a principal")
    owner = subject if isinstance(subject, Any_) else canonical_subject(subject)
    return await _delete(core, sid, owner, by=by, reason=reason, incoming=incoming)


async def _delete(
    core: Core,
    sid: str,
    subject: str | Any_,
    *,
    by: str,
    reason: str,
    incoming: Incoming | None,
) -> bool:
    record = core.audit(
        "revoked",
        incoming=incoming,
        subject="" if subject is ANY else str(subject),
        sid=sid,
        by=by,
        reason=reason,
    )
    deleted = await core.store.delete(sid, subject=subject, reason=reason, audit=(record,))
    core.picture.note(deleted.entries)
    return bool(deleted.ended)


async def revoke_all(
    core: Core,
    subject: Subject,
    *,
    keep: str | None = None,
    by: str = "",
    reason: str = "administrator",
    incoming: Incoming | None = None,
) -> int:
    """End everything of a subject but one session; see `AsyncSojourn.revoke_all`."""
    await core.ready()
    canonical = canonical_subject(subject)
    if keep is not None and not is_sid(keep):
        raise InvalidInput("keep is not a sid; take it from a principal")
    record = core.audit(
        "revoked_all", incoming=incoming, subject=canonical, sid=keep or "", by=by, reason=reason
    )
    deleted = await core.store.delete_subject(canonical, keep=keep, reason=reason, audit=(record,))
    core.picture.note(deleted.entries)
    return len(deleted.ended)


async def sessions(core: Core, subject: Subject) -> list[SessionInfo]:
    """List the live sessions of a subject; see `AsyncSojourn.sessions`."""
    if not any(MODES[mode].is_stored for mode in core.settings.allowed_modes):
        require_stored(core.settings.mode, "a list of sessions")
    await core.ready()
    return [shown(session) for session in await core.store.list(canonical_subject(subject))]


def shown(session: Session) -> SessionInfo:
    """Reduce a session to what its subject may see."""
    return SessionInfo(
        sid=session.sid,
        subject=session.subject,
        mode=session.mode,
        created_at=session.created_at_ms // 1000,
        seen_at=session.seen_at_ms // 1000,
        expires_at=session.dies_at_ms // 1000,
        auth_time=session.auth_time_ms // 1000,
        user_agent=session.user_agent,
        address=session.address,
        roles=session.roles,
        scopes=session.scopes,
    )


async def update(
    core: Core,
    subject: Subject,
    *,
    roles: Iterable[str] | None = None,
    scopes: Iterable[str] | None = None,
    claims: Mapping[str, Any] | msgspec.Struct | None = None,
    by: str = "",
) -> int:
    """Change roles, scopes or claims of a subject's live sessions; see `AsyncSojourn.update`."""
    await core.ready()
    canonical = canonical_subject(subject)
    changes: dict[str, Any] = {}
    if roles is not None:
        changes["roles"] = names(roles, "roles")
    if scopes is not None:
        changes["scopes"] = names(scopes, "scopes")
    if claims is not None:
        changes["claims"] = plain_claims(core, claims)
    if not changes:
        raise InvalidInput("nothing to update: give roles, scopes or claims")
    sessions_now = await core.store.list(canonical)
    for session in sessions_now:
        refuse_too_large(msgspec.structs.replace(session, **changes))
    count = 0
    for session in sessions_now:
        count += await _update_one(core, session, changes)
    # Tokens with nothing stored behind them can only be asked to sign in again. There may be some
    # whatever the mode is now: from before it was changed, or of an earlier library (doors).
    event = Event(kind=Kind.OUTDATED, subject=canonical, reason="updated")
    record = core.audit("updated", subject=canonical, by=by, reason=", ".join(sorted(changes)))
    written = await core.store.append(core.shard_of(canonical), (event,), audit=(record,))
    core.picture.note(written.entries)
    return count


async def _update_one(core: Core, session: Session, changes: dict[str, Any]) -> bool:
    current: Session = session
    for _ in range(MAX_ATTEMPTS):
        changed = msgspec.structs.replace(
            current, **changes, version=current.version + 1, revision=current.revision + 1
        )
        event = Event(kind=Kind.CHANGED, sid=changed.sid, version=changed.version)
        written = await core.store.replace(changed, expected_revision=current.revision, event=event)
        if written is not None:
            core.picture.note(written.entries)
            return True
        record = (await core.store.get(session.sid)).record
        if not isinstance(record, Session):
            return False
        current = record
    raise Conflict("a session kept changing during the update; try again")
