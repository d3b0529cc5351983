"""The words the pages use: for modes, instants, errors, and for what has just been done."""

from __future__ import annotations

from dataclasses import dataclass
from datetime import UTC, datetime
from typing import TYPE_CHECKING

from sojourn.problems import problem_of
from sojourn.server.throttle import RateLimited

if TYPE_CHECKING:
    from sojourn.errors import SojournError
    from sojourn.model import Mode, Principal

MINUTE = 60
HOUR = 60 * MINUTE
DAY = 24 * HOUR
_DAYS_IN_WORDS = 7


@dataclass(frozen=True, slots=True)
class ModeWords:
    """How a mode is called and what it means for whoever signs in."""

    name: str
    meaning: str
    recognised_by: str


MODES: dict[Mode, ModeWords] = {
    "session": ModeWords(
        "Session",
        "Kept on the server, and ended at any time.",
        "an opaque handle in a cookie; the session itself is kept on the server",
    ),
    "jwt": ModeWords(
        "JWT",
        "A signed token; the server keeps nothing.",
        "a signed token in a cookie; nothing is kept on the server",
    ),
    "hybrid": ModeWords(
        "Hybrid",
        "A short token, renewed from a kept session.",
        "a short-lived signed token in a cookie, renewed from a session kept on the server",
    ),
}

DONE = {
    "registered": "Your account is ready. Sign in with it.",
    "signed-out": "You are signed out.",
    "signed-out-everywhere": "You are signed out, here and everywhere else.",
    "session-ended": "That session is ended.",
    "others-ended": "All your other sessions are ended.",
    "password-changed": "Your password is changed, and all your other sessions are ended.",
}
"""What a page says after something was done, by the word in its address."""


_SENTENCES = {
    "invalid_token": "Your sign-in is not valid any more. Sign in again.",
    "refresh_required": "Your sign-in is over. Sign in again.",
    "refresh_reuse": "An old copy of your sign-in was used, perhaps by somebody else. "
    "It was ended to keep you safe. Sign in again.",
    "refresh_late": "A replaced copy of your sign-in came back too late to be sure of it. "
    "It was ended to keep you safe. Sign in again.",
    "insufficient_user_authentication": "This needs your password again. "
    "What you sent was not carried out.",
}
"""What a person is told where the error speaks to developers."""


@dataclass(frozen=True, slots=True)
class Instant:
    """An instant as a page shows it: for machines, exactly, and in words."""

    machine: str
    exact: str
    words: str


def instant(seconds: int, *, now: int) -> Instant:
    """Put an instant into words.

    Args:
        seconds: Since the epoch.
        now: The present, likewise.
    """
    at = datetime.fromtimestamp(seconds, UTC)
    exact = f"{at.day} {at:%B %Y, %H:%M} UTC"
    words = _distance(now - seconds) or f"{at.day} {at:%b %Y}"
    return Instant(at.strftime("%Y-%m-%dT%H:%M:%SZ"), exact, words)


def _distance(seconds: int) -> str:
    if not -MINUTE < seconds < _DAYS_IN_WORDS * DAY:
        return ""
    for unit, name in ((DAY, "day"), (HOUR, "hour"), (MINUTE, "minute")):
        count = seconds // unit
        if count >= 1:
            return f"{count} {name}{'s' if count > 1 else ''} ago"
    return "just now"


def recognised_by(principal: Principal[object]) -> str:
    """Say by what a request was recognised."""
    if principal.transport == "bearer":
        return "a token in the Authorization header"
    return MODES[principal.mode].recognised_by


def sentence(error: SojournError) -> str:
    """Turn an error's message into a sentence for a person."""
    if isinstance(error, RateLimited):
        return f"Too many failed attempts. Try again in {_wait(error.retry_after_seconds)}."
    if error.code in _SENTENCES:
        return _SENTENCES[error.code]
    text = problem_of(error).document["detail"].rstrip(".")
    return f"{text[:1].upper()}{text[1:]}."


def _wait(seconds: int) -> str:
    if seconds <= MINUTE:
        return f"{seconds} second{'' if seconds == 1 else 's'}"
    return f"{-(-seconds // MINUTE)} minutes"
