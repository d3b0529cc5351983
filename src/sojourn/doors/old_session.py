"""What the doors of cookie sessions share: reading the cookie, and who an old session stands for."""

from __future__ import annotations

import json
import logging
from collections.abc import Callable, Iterable, Mapping
from dataclasses import dataclass
from typing import Any
from uuid import UUID

from sojourn.arrivals import Arrival
from sojourn.cookies import read_cookies
from sojourn.errors import InvalidInput
from sojourn.messages import Incoming
from sojourn.model import Subject, canonical_subject

log = logging.getLogger("sojourn.doors")

CLOCK_SKEW_SECONDS = 60
"""How far the clock of what was used before may have been ahead."""

OldSession = Mapping[str, Any]


def cookie_value(incoming: Incoming, name: str) -> str:
    """Read one cookie; empty where it is missing, sent twice, or made of foreign characters."""
    return read_cookies(incoming.cookies, frozenset({name})).values.get(name, "")


def removal(name: str, *, path: str, domain: str | None, is_secure: bool) -> str:
    """Write the Set-Cookie value that takes an old cookie back; path and domain are the old ones."""
    parts = [f"{name}=", f"Path={path}", "Max-Age=0", "HttpOnly", "SameSite=Lax"]
    if domain:
        parts.append(f"Domain={domain}")
    if is_secure:
        parts.append("Secure")
    return "; ".join(parts)


def ends_in_time(expires_at: int | None, *, latest: int, door: str) -> bool:
    """Tell whether an old proof ends before what was revoked is forgotten; warn where it does not.

    Args:
        expires_at: When it ends, in seconds since the epoch; None where it never does.
        latest: What the door's `longest_seconds` allow, likewise.
        door: Its name.
    """
    if expires_at is not None and expires_at <= latest + CLOCK_SKEW_SECONDS:
        return True
    log.warning("somebody at door %r has a sign-in that lives longer than longest_seconds", door)
    return False


def usable_subject(value: object) -> Subject | None:
    """Take what an old session or token calls its user; None where it names nobody."""
    if isinstance(value, bool) or not isinstance(value, str | int | UUID):
        return None
    try:
        canonical_subject(value)
    except InvalidInput:
        return None
    return value


@dataclass(frozen=True, slots=True, kw_only=True)
class Reading:
    """What to take from an old session.

    Args:
        subject: Gives whose it is. None, a missing key or a missing part is a guest's.
        carry: Names of values that go on in the session's data; those that are not JSON stay behind.
    """

    subject: Callable[[OldSession], object]
    carry: Iterable[str] = ()

    def arrival(
        self,
        session: OldSession,
        *,
        proof: str,
        expires_at: int | None,
        remove_cookies: tuple[str, ...],
    ) -> Arrival | None:
        """Say who arrives with an old session; None for a guest.

        Args:
            session: What it holds.
            proof: Its identity.
            expires_at: When it ends, in seconds since the epoch; None where it does not say.
            remove_cookies: Set-Cookie values that take its cookie back.
        """
        try:
            subject = usable_subject(self.subject(session))
        except (LookupError, TypeError):
            return None
        if subject is None:
            return None
        return Arrival(
            subject=subject,
            proof=proof,
            expires_at=expires_at,
            data=carried(session, self.carry),
            remove_cookies=remove_cookies,
        )


def carried(session: OldSession, names: Iterable[str]) -> dict[str, Any]:
    """Pick the values that are carried over."""
    return {name: session[name] for name in names if name in session and _is_json(session[name])}


def _is_json(value: object) -> bool:
    try:
        return bool(json.loads(json.dumps(value, allow_nan=False)) == value)
    except (TypeError, ValueError, RecursionError):
        return False
