"""The words of Sojourn as values: session, chain, tombstone, principal, event, entry, audit record.

Everything here is frozen; a change is a new value handed to the store. Instants are integer
milliseconds since the epoch (``_ms``), lifetimes are seconds (``_seconds``).
"""

from __future__ import annotations

from enum import Enum, StrEnum
from typing import TYPE_CHECKING, Any, Generic, Literal
from uuid import UUID

import msgspec

from sojourn.errors import InvalidInput

if TYPE_CHECKING:
    from typing_extensions import TypeVar

    ClaimsT = TypeVar("ClaimsT", default=dict[str, Any], covariant=True)
else:
    from typing import TypeVar

    ClaimsT = TypeVar("ClaimsT")

Mode = Literal["session", "jwt", "hybrid"]
Transport = Literal["cookie", "bearer"]
OnExcess = Literal["refuse", "end_oldest"]
Subject = str | int | UUID

MAX_SUBJECT_BYTES = 255


class Any_(Enum):  # noqa: N801 - a sentinel's type; callers use the value ANY
    """The type of `ANY`."""

    ANY = "any"


ANY = Any_.ANY
"""Stands for "whoever owns it" where an owner is asked for: an administrator's permission."""


class Purpose(StrEnum):
    """What a handle is for; a handle of one purpose is never taken for another."""

    SESSION = "s"
    REFRESH = "r"
    GUEST = "g"


def canonical_subject(subject: Subject) -> str:
    """Give the one spelling under which a subject is stored, signed and compared.

    Args:
        subject: The application's own identifier: text of 1 to 255 bytes in UTF-8, an int or a UUID.

    Returns:
        The text; ``7`` and ``"7"`` are one subject.

    Raises:
        InvalidInput: It is empty, too long, of another type, or holds NUL or lone surrogates.
    """
    if isinstance(subject, bool) or not isinstance(subject, str | int | UUID):
        raise InvalidInput(
            f"a subject is a str, int or UUID, not {type(subject).__name__}; "
            "pass the identifier of your user"
        )
    if isinstance(subject, int) and abs(subject) >= 10**MAX_SUBJECT_BYTES:
        # Python itself refuses to spell an int of more than 4,300 digits.
        raise InvalidInput(f"a subject has 1 to {MAX_SUBJECT_BYTES} bytes of UTF-8")
    text = str(subject)
    if not is_storable(text):
        raise InvalidInput("a subject holds NUL or a lone surrogate; pass plain text")
    if not 1 <= len(text.encode()) <= MAX_SUBJECT_BYTES:
        raise InvalidInput(f"a subject has 1 to {MAX_SUBJECT_BYTES} bytes of UTF-8")
    return text


def is_storable(text: str) -> bool:
    """Tell whether every engine can keep this text: no NUL, no lone surrogates."""
    return "\x00" not in text and not any("\ud800" <= c <= "\udfff" for c in text)


class Chain(msgspec.Struct, frozen=True):
    """How far the handles of one purpose have rotated (protocol.md, "Rotation")."""

    generation: int
    secret_id: str
    rotated_at_ms: int
    access_expires_at_ms: int = 0
    """When the access token handed out at this rotation expires; a grace answer outlives it never."""


class Session(msgspec.Struct, frozen=True, kw_only=True):
    """What the store knows of one signed-in client. A guest is a session with subject ``""``.

    `revision` moves with every write and is what `replace` compares. `version` moves only when
    something others must see has changed (roles, claims, re-authentication), and is what near
    copies and access tokens are judged by.
    """

    sid: str
    subject: str
    mode: Mode
    transport: Transport
    seed: bytes
    position: int
    chains: dict[Purpose, Chain]
    created_at_ms: int
    auth_time_ms: int
    seen_at_ms: int
    expires_at_ms: int
    idle_ms: int | None
    revision: int = 1
    version: int = 1
    remember: bool = True
    amr: tuple[str, ...] = ()
    roles: tuple[str, ...] = ()
    scopes: tuple[str, ...] = ()
    claims: dict[str, Any] = {}
    client_id: str = ""
    user_agent: str = ""
    address: str = ""

    def __repr__(self) -> str:
        """Show whose it is; the seed is half of every handle, and claims are the subject's own."""
        return (
            f"Session(sid={self.sid!r}, subject={self.subject!r}, mode={self.mode!r}, "
            f"revision={self.revision}, version={self.version})"
        )

    @property
    def dies_at_ms(self) -> int:
        """The instant at which the session ends if nothing touches it."""
        if self.idle_ms is None:
            return self.expires_at_ms
        return min(self.expires_at_ms, self.seen_at_ms + self.idle_ms)


class Tombstone(msgspec.Struct, frozen=True, kw_only=True):
    """What stays of an ended session, so that its holder can be told why (and only its holder)."""

    sid: str
    subject: str
    seed: bytes
    chains: dict[Purpose, Chain]
    reason: str
    ended_at_ms: int

    def __repr__(self) -> str:
        """Show whose it was, without the seed."""
        return f"Tombstone(sid={self.sid!r}, subject={self.subject!r}, reason={self.reason!r})"


class Principal(msgspec.Struct, Generic[ClaimsT], frozen=True, kw_only=True):
    """Who a checked request is.

    `mode` says by which kind of proof it was recognised: an opaque handle (``session``), a token
    with nothing stored behind it (``jwt``), or a token of a stored session (``hybrid``).
    """

    subject: str
    issuer: str
    sid: str
    mode: Mode
    transport: Transport
    auth_time: int
    expires_at: int
    roles: frozenset[str]
    scopes: frozenset[str]
    amr: tuple[str, ...]
    claims: ClaimsT
    position: int
    version: int | None = None
    """Of the stored session it was made from; None where nothing is stored."""
    client_id: str = ""


class Cutoff(msgspec.Struct, frozen=True, array_like=True):
    """Everything of a subject before `cutoff` is refused, except `keep`, which is not below `floor`."""

    floor: int
    cutoff: int
    keep: str | None = None

    def refuses(self, *, position: int, sid: str) -> bool:
        """Tell whether something issued at `position` under `sid` is refused."""
        return position < self.floor or (position < self.cutoff and sid != self.keep)

    def succeeded_by(self, position: int, *, keep: str | None) -> Cutoff:
        """Give the cutoff that holds after another "sign out all but `keep`" at `position`.

        With another `keep` the old cutoff becomes the floor; else two concurrent "sign out the
        others" would revive each other.
        """
        if keep is None:
            return Cutoff(position, position)
        floor = self.floor if keep == self.keep else self.cutoff
        return Cutoff(floor, position, keep)


NO_CUTOFF = Cutoff(0, 0)


class Kind(StrEnum):
    """What a feed entry says."""

    ENDED = "ended"
    """The session `sid` (of `subject`, where given) is over."""
    CHANGED = "changed"
    """The session `sid` is now at `version`: older copies and tokens are out of date."""
    CUTOFF = "cutoff"
    """Everything of `subject` before this entry is over, but for `keep`."""
    OUTDATED = "outdated"
    """Tokens of `subject` with nothing stored behind them, issued before this entry: sign in again."""
    KEY = "key"
    """The signing key `kid` is revoked, for good."""
    RING = "ring"
    """The key ring changed; read it again."""


class Event(msgspec.Struct, frozen=True, kw_only=True, omit_defaults=True):
    """What happened, before it has a position."""

    kind: Kind
    subject: str | None = None
    sid: str | None = None
    version: int = 0
    floor: int = 0
    keep: str | None = None
    kid: str | None = None
    reason: str = ""


class Entry(msgspec.Struct, frozen=True):
    """An event at its position in the feed of a shard, chained to the entry before it by tags."""

    id: int
    tag: int
    previous_tag: int
    event: Event
    expires_at_ms: int


class Head(msgspec.Struct, frozen=True, array_like=True):
    """The newest entry of a feed. Fresh means: the head's id *and* tag equal the reader's."""

    id: int
    tag: int


class AuditRecord(msgspec.Struct, frozen=True, kw_only=True, omit_defaults=True):
    """One line of the trail: what happened, when, to whom, by whom, from where, and why."""

    at_ms: int
    action: str
    subject: str = ""
    sid: str = ""
    by: str = ""
    reason: str = ""
    mode: str = ""
    address: str = ""
    user_agent: str = ""
