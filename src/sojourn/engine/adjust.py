"""Changing a live session where nobody signs in: another handle, another end.

For frameworks whose own session interface knows both (`cycle_key` and `set_expiry` of Django).
"""

from __future__ import annotations

import secrets as csprng
from typing import TYPE_CHECKING

import msgspec

from sojourn import handles
from sojourn.engine.data import GUEST_LIFE_MS
from sojourn.engine.grant import mint_current
from sojourn.engine.proof import read_live, read_proof
from sojourn.errors import Conflict
from sojourn.messages import Incoming
from sojourn.model import Chain, Event, Kind, Purpose, Session
from sojourn.policy import TOUCH_MS

if TYPE_CHECKING:
    from sojourn.engine.core import Core

MAX_ATTEMPTS = 5


async def rekey(core: Core, sid: str) -> str:
    """Give a live session of mode ``session`` another handle; those from before are refused.

    The sign-in stays as old as it is, unlike in `reauthenticate`.

    Args:
        core: The core.
        sid: Of a principal that was just recognised.

    Returns:
        The handle.

    Raises:
        Refused: The session was ended meanwhile.
        Conflict: Others kept changing it.
    """
    for _ in range(MAX_ATTEMPTS):
        record = await read_live(core, sid)
        chain = record.chains[Purpose.SESSION]
        rekeyed = msgspec.structs.replace(
            record,
            seed=csprng.token_bytes(handles.SEED_BYTES),
            chains={
                Purpose.SESSION: Chain(chain.generation + 1, core.secrets.current.id, core.clock())
            },
        )
        if await _write(core, record, rekeyed, is_told=True):
            return mint_current(core, rekeyed, Purpose.SESSION)
    raise Conflict("the session kept changing while it was given another handle; try again")


async def end_after(core: Core, incoming: Incoming, *, seconds: int, remember: bool) -> None:
    """Have the session that a handle proves end so long from now, as far as the settings allow.

    Written where the record says something else by a minute, or a sixtieth of a short life.

    Args:
        core: The core.
        incoming: Presents the handle of a session or of a guest.
        seconds: From now; negative to have it be over.
        remember: Whether it may outlive the browser, which decides the longest life.

    Raises:
        Refused: There is no such session, or it was ended.
        Conflict: Others kept changing it.
    """
    presented = core.browser.credentials(incoming)
    near = core.picture.near.entries.get(presented.handle)
    purpose = Purpose.SESSION if presented.handle else Purpose.GUEST
    if near is not None:
        record = near.session
    else:
        record = (await read_proof(core, presented.handle or presented.guest, purpose)).session
    for _ in range(MAX_ATTEMPTS):
        expires_at_ms = min(core.clock() + seconds * 1000, _latest_ms(core, record, remember))
        later_ms = expires_at_ms - record.expires_at_ms
        if record.remember == remember and abs(later_ms) < min(TOUCH_MS, abs(seconds) * 1000 // 60):
            return
        changed = msgspec.structs.replace(record, expires_at_ms=expires_at_ms, remember=remember)
        if await _write(core, record, changed, is_told=later_ms < 0):
            core.picture.near.entries.pop(presented.handle, None)
            return
        record = await read_live(core, record.sid)
    raise Conflict("the session kept changing while its end was written; try again")


def _latest_ms(core: Core, record: Session, remember: bool) -> int:  # noqa: FBT001 - internal
    if not record.subject:
        return record.created_at_ms + GUEST_LIFE_MS
    seconds = core.settings.absolute_seconds(record.mode, remember=remember)
    # Who came in by a door signed in at a time that nobody knows.
    return max(record.created_at_ms, record.auth_time_ms) + seconds * 1000


async def _write(core: Core, record: Session, changed: Session, *, is_told: bool) -> bool:
    """Write by compare-and-swap; tell the near copies of others where they would say too much."""
    event = None
    if is_told and record.subject:
        changed = msgspec.structs.replace(changed, version=record.version + 1)
        event = Event(kind=Kind.CHANGED, sid=changed.sid, version=changed.version)
    changed = msgspec.structs.replace(changed, revision=record.revision + 1)
    written = await core.store.replace(changed, expected_revision=record.revision, event=event)
    if written is None:
        return False
    core.picture.note(written.entries)
    return True
