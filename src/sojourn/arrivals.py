"""Who arrives with the proof of what was used before: an old cookie or an old token.

A door recognises such a proof; the engine (`engine/arrive.py`) turns it into a session, once. A door
decides nothing else, and is blocking: it is asked only about requests that nobody is known by.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any, Protocol, runtime_checkable

from sojourn.messages import Incoming
from sojourn.model import Subject


@dataclass(frozen=True, slots=True, kw_only=True)
class Arrival:
    """Somebody whom an earlier sign-in is known by.

    Args:
        subject: Whose it is.
        proof: The old cookie's or token's own identity (a session id, a ``jti``), by which it is
            taken once only; never stored but as a digest.
        expires_at: When the old proof ends by itself, in seconds since the epoch; None where it
            does not say. What replaces it lives by our settings, an old access token until then.
        auth_time: When the subject proved who they are, in seconds since the epoch; None where
            that is not known, and then it is long ago.
        roles: What the subject may do.
        scopes: What the client may do on the subject's behalf.
        claims: Facts for `Principal.claims`.
        data: Session data to carry over.
        remove_cookies: Set-Cookie values that take the old cookies back.
    """

    subject: Subject
    proof: str = field(repr=False)
    expires_at: int | None = None
    auth_time: int | None = None
    roles: frozenset[str] = frozenset()
    scopes: frozenset[str] = frozenset()
    claims: Mapping[str, Any] = field(default_factory=dict)
    data: Mapping[str, Any] = field(default_factory=dict, repr=False)
    remove_cookies: tuple[str, ...] = field(default=(), repr=False)


@runtime_checkable
class CookieDoor(Protocol):
    """Recognises the session cookie of what was used before."""

    name: str
    """A stable word for the audit trail, as ``django``; proofs of different doors never collide."""

    @property
    def longest_seconds(self) -> int:
        """How long an old sign-in can live.

        For so long the store remembers what was revoked, so that whoever was signed out everywhere
        does not come in by an old cookie.
        """
        ...

    def knock(self, incoming: Incoming, *, now_ms: int) -> Arrival | None:
        """Say who an old cookie stands for; changes nothing.

        Returns:
            None where there is no such cookie, or it is not good (any more).

        Raises:
            StoreError: The old sessions cannot be read; the request is answered 503, not 401.
        """
        ...

    def close_behind(self, arrival: Arrival, *, after_seconds: int) -> None:
        """End the old session that has been carried over; a no-op where nothing is stored.

        Args:
            arrival: As it was told.
            after_seconds: Until when it stays recognisable, for what a page asked at the same time;
                0 ends it at once.
        """
        ...


@runtime_checkable
class TokenDoor(Protocol):
    """Recognises the signed tokens of what was used before."""

    name: str
    """See `CookieDoor.name`."""

    @property
    def longest_seconds(self) -> int:
        """How long an old token can live.

        One that says longer is not believed: that it was revoked would be forgotten before it ends.
        """
        ...

    def read_access(self, token_text: str, *, now_ms: int) -> Arrival | None:
        """Say whom an old access token speaks of; None where it is not good (any more)."""
        ...

    def read_refresh(self, token_text: str, *, now_ms: int) -> Arrival | None:
        """Say who may exchange an old refresh token for a session; None where it is not good."""
        ...
