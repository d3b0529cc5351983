"""The application's own data of a session, and of a visitor who is not signed in (a guest).

A separate row by sid with its own version, loaded only by those who touch it. A save is a
compare-and-swap; where another request was first, the keys this one changed are applied to what
the other wrote, so that nothing is lost. A guest's row comes into being at the first write.
"""

from __future__ import annotations

import secrets as csprng
from collections.abc import Iterable, Iterator, Mapping, MutableMapping
from typing import TYPE_CHECKING, Any

import msgspec

from sojourn.engine.draft import new_session
from sojourn.engine.grant import mint_current
from sojourn.engine.proof import read_proof
from sojourn.errors import Conflict, InvalidInput, Refused
from sojourn.messages import NOTHING_TO_SEND, Incoming, Outgoing
from sojourn.model import Chain, Principal, Purpose, Session
from sojourn.modes import DAY, MODES, require_stored
from sojourn.plain_json import encode_json
from sojourn.policy import is_touch_due
from sojourn.ports import MAX_DATA_BYTES

if TYPE_CHECKING:
    from sojourn.engine.core import Core

MAX_ATTEMPTS = 5
GUEST_LIFE_MS = 30 * DAY * 1000


class SessionData(MutableMapping[str, Any]):
    """A session's data: a dictionary of JSON values, saved by `save` where it changed.

    Nested values may be changed in place; what changed is found by comparing with what was loaded.
    """

    __slots__ = ("_loaded", "_values", "guest", "sid")

    def __init__(self, encoded: bytes, *, sid: str, guest: Session | None) -> None:
        """Decode what was loaded."""
        self.sid = sid
        """The session it belongs to; empty for a visitor without a row yet."""
        self.guest = guest
        self._values: dict[str, Any] = msgspec.json.decode(encoded)
        self._loaded = {key: _encoded(value) for key, value in self._values.items()}

    def __getitem__(self, key: str) -> Any:
        """Read a key."""
        return self._values[key]

    def __setitem__(self, key: str, value: Any) -> None:
        """Set a key."""
        self._values[key] = value

    def __delitem__(self, key: str) -> None:
        """Remove a key."""
        del self._values[key]

    def __iter__(self) -> Iterator[str]:
        """Go over the keys."""
        return iter(self._values)

    def __len__(self) -> int:
        """Count the keys."""
        return len(self._values)

    def __repr__(self) -> str:
        """Show the keys; values are the application's secrets."""
        return f"SessionData(keys={sorted(self._values)!r})"

    def changes(self) -> dict[str, bytes | None]:
        """Give the keys that differ from what was loaded, encoded; None where removed.

        Raises:
            InvalidInput: A key is not text, or a value is not JSON.
        """
        changed: dict[str, bytes | None] = {
            key: None for key in self._loaded if key not in self._values
        }
        for key, value in self._values.items():
            if not isinstance(key, str):
                raise InvalidInput(f"session data has text keys, not {type(key).__name__}")
            _encoded(key)
            encoded = _encoded(value)
            if self._loaded.get(key) != encoded:
                changed[key] = encoded
        return changed

    def mark_saved(self, changes: dict[str, bytes | None]) -> None:
        """Take note that these were saved: a later save must not undo what others wrote since."""
        for key, encoded in changes.items():
            if encoded is None:
                del self._loaded[key]
            else:
                self._loaded[key] = encoded


def _encoded(value: Any) -> bytes:
    return encode_json(value, "session data")


async def load(core: Core, incoming: Incoming, principal: Principal[Any] | None) -> SessionData:
    """Load the data of whoever a request is; see `AsyncSojourn.data`."""
    await core.ready()
    if principal is not None:
        require_stored(principal.mode, "session data")
        return await _load(core, principal.sid, guest=None)
    if core.browser.is_cross_site(incoming):
        # Another site's page could fill a visitor's basket, or hide that somebody is signed in.
        raise core.browser.cross_site_error(incoming)
    guest = await _proven_guest(core, core.browser.credentials(incoming).guest)
    if guest is None:
        return SessionData(b"{}", sid="", guest=None)
    return await _load(core, guest.sid, guest=guest)


async def _load(core: Core, sid: str, *, guest: Session | None) -> SessionData:
    stored = await core.store.get_data(sid)
    return SessionData(stored.payload if stored else b"{}", sid=sid, guest=guest)


async def _proven_guest(core: Core, text: str) -> Session | None:
    if not text:
        return None
    try:
        return (await read_proof(core, text, Purpose.GUEST)).session
    except Refused:
        return None


async def save(core: Core, incoming: Incoming, data: SessionData) -> Outgoing:
    """Save what changed; see `AsyncSojourn.save`."""
    changes = data.changes()
    if not changes:
        return NOTHING_TO_SEND
    if sum(len(encoded or b"") for encoded in changes.values()) > MAX_DATA_BYTES:
        raise too_large()
    outgoing = NOTHING_TO_SEND
    if not data.sid:
        outgoing = await become_guest(core, incoming, data)
    elif data.guest is not None and is_touch_due(data.guest, now_ms=core.clock()):
        touched = msgspec.structs.replace(
            data.guest, seen_at_ms=core.clock(), revision=data.guest.revision + 1
        )
        await core.store.replace(touched, expected_revision=data.guest.revision)
    await _merge(core, data.sid, changes)
    data.mark_saved(changes)
    return outgoing


def too_large() -> InvalidInput:
    """Say that session data is too large, and what to do."""
    return InvalidInput(
        f"session data may be {MAX_DATA_BYTES} bytes as JSON; keep what is large in your "
        "database, by its key"
    )


async def put(core: Core, sid: str, values: Mapping[str, Any]) -> None:
    """Put values into the data of a session that was just made.

    Raises:
        InvalidInput: Not JSON, or too large.
    """
    if values:
        await _merge(core, sid, {key: _encoded(value) for key, value in values.items()})


def refuse_unfit(values: Mapping[str, Any]) -> None:
    """Refuse what session data has no room for.

    Raises:
        InvalidInput: Not JSON, or too large.
    """
    if len(encode_json(dict(values), "session data")) > MAX_DATA_BYTES:
        raise too_large()


async def _merge(core: Core, sid: str, changes: dict[str, bytes | None]) -> None:
    for _ in range(MAX_ATTEMPTS):
        stored = await core.store.get_data(sid)
        values: dict[str, msgspec.Raw] = (
            msgspec.json.decode(stored.payload, type=dict[str, msgspec.Raw]) if stored else {}
        )
        for key, encoded in changes.items():
            if encoded is None:
                values.pop(key, None)
            else:
                values[key] = msgspec.Raw(encoded)
        payload = msgspec.json.encode(values)
        if len(payload) > MAX_DATA_BYTES:
            raise too_large()
        version = stored.version if stored else 0
        if await core.store.put_data(sid, payload, expected_version=version):
            return
    raise Conflict("the session's data could not be saved: it kept changing, or was ended")


async def become_guest(core: Core, incoming: Incoming, data: SessionData) -> Outgoing:
    """Make the row of a visitor at the first write, and give them its handle."""
    now_ms = core.clock()
    draft = new_session(
        core,
        incoming,
        "",
        mode="session",
        transport="cookie",
        position=0,
        remember=False,
        claims={},
    )
    guest = msgspec.structs.replace(
        draft,
        chains={Purpose.GUEST: Chain(1, core.secrets.current.id, now_ms)},
        expires_at_ms=now_ms + GUEST_LIFE_MS,
        idle_ms=core.settings.guest_ttl_seconds * 1000,
    )
    created = await core.store.create(guest, limit=_guest_limit(core), on_excess="end_oldest")
    core.picture.note(created.entries)
    data.sid, data.guest = guest.sid, guest
    handle = mint_current(core, guest, Purpose.GUEST)
    return core.browser.set_cookies({core.browser.names.guest: handle}, max_age_seconds=None)


def _guest_limit(core: Core) -> int | None:
    """Count the guests at some of the creations only, where many are allowed.

    All guests are one subject to the store, and counting a hundred thousand of them at each first
    write would stall everybody's writes. The bound is overshot by about a thousandth.
    """
    most = core.settings.max_guests
    return most if csprng.randbelow(max(1, most // 1000)) == 0 else None


async def carry_over(
    core: Core, incoming: Incoming, session: Session, *, keys: Iterable[str]
) -> Outgoing:
    """At a login, take the named keys of the guest over and delete the guest."""
    wanted = set(keys)
    if core.browser.is_cross_site(incoming):  # who signs in there is not who the cookie is of
        return NOTHING_TO_SEND
    guest = await _proven_guest(core, core.browser.credentials(incoming).guest)
    if guest is None:
        return NOTHING_TO_SEND
    stored = await core.store.get_data(guest.sid)
    if stored is not None and wanted and MODES[session.mode].is_stored:
        values = msgspec.json.decode(stored.payload, type=dict[str, msgspec.Raw])
        carried = {key: bytes(value) for key, value in values.items() if key in wanted}
        if carried:
            await _merge(core, session.sid, dict(carried))
    await end_guest(core, guest, reason="signed_in")
    return core.browser.remove_cookies(frozenset({core.browser.names.guest}))


async def end_guest(core: Core, guest: Session, *, reason: str) -> None:
    """End a visitor's row, with their data."""
    deleted = await core.store.delete(guest.sid, subject="", reason=reason)
    core.picture.note(deleted.entries)
