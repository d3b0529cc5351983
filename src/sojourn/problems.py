"""An error as an RFC 9457 problem document, with the header that RFC 6750 asks for."""

from __future__ import annotations

from dataclasses import dataclass
from http import HTTPStatus
from typing import Any

import msgspec

from sojourn.errors import (
    Conflict,
    Expired,
    FreshLoginRequired,
    InsufficientScope,
    InvalidToken,
    IssuerUnavailable,
    RefreshRequired,
    Revoked,
    SojournError,
    Stale,
    StoreError,
)

MEDIA_TYPE = "application/problem+json"
_INVALID_TOKEN = (InvalidToken, Expired, Revoked, RefreshRequired)
_UNSAID = "something failed here; the server's log says what"
_INSTEAD = (
    (StoreError, "the store cannot be used at this moment; try again shortly"),
    (IssuerUnavailable, "whether this is good cannot be known at this moment; try again shortly"),
    (Stale, "what was revoked is not known at this moment; try again shortly"),
)
"""What is said in place of causes and remedies that concern those who run the service."""


@dataclass(frozen=True, slots=True)
class Problem:
    """A problem document with its status and headers."""

    status: int
    headers: tuple[tuple[str, str], ...]
    document: dict[str, Any]

    @property
    def body(self) -> bytes:
        """The document as JSON."""
        return msgspec.json.encode(self.document)


def problem_of(error: SojournError, *, retry_after_seconds: int | None = None) -> Problem:
    """Describe an error to a client.

    Args:
        error: What was raised; a developer's mistake is not described to strangers.
        retry_after_seconds: When to come back, where known.
    """
    headers = [("Content-Type", MEDIA_TYPE), ("Cache-Control", "no-store")]
    if error.status == HTTPStatus.UNAUTHORIZED or isinstance(error, InsufficientScope):
        headers.append(("WWW-Authenticate", _challenge(error)))
    if error.status == HTTPStatus.SERVICE_UNAVAILABLE and retry_after_seconds is None:
        retry_after_seconds = 1
    if retry_after_seconds is not None:
        headers.append(("Retry-After", str(retry_after_seconds)))
    return Problem(
        error.status,
        tuple(headers),
        {
            "type": "about:blank",
            "title": HTTPStatus(error.status).phrase,
            "status": error.status,
            "code": error.code,
            "detail": _detail(error),
        },
    )


def _detail(error: SojournError) -> str:
    """Say what a stranger may know: paths and causes of failures are for the log."""
    if error.status == HTTPStatus.INTERNAL_SERVER_ERROR:
        return _UNSAID
    for kinds, said in _INSTEAD:
        if isinstance(error, kinds) and not isinstance(error, Conflict):
            return said
    return str(error)


def _challenge(error: SojournError) -> str:
    """Write WWW-Authenticate (RFC 6750 section 3, RFC 9470 section 3)."""
    if isinstance(error, FreshLoginRequired | InsufficientScope):
        return f'Bearer error="{error.code}"'
    if isinstance(error, _INVALID_TOKEN):
        return 'Bearer error="invalid_token"'
    return "Bearer"
