"""The one table in which the three modes differ. Everything else reads it.

| | session | jwt | hybrid |
|---|---|---|---|
| the client holds | opaque handle | access token | access token and refresh handle |
| stored at login | a session | nothing | a session |
"""

from __future__ import annotations

from dataclasses import dataclass

from sojourn.errors import UnsupportedInMode
from sojourn.model import Mode, Purpose

HOUR = 3600
DAY = 24 * HOUR


@dataclass(frozen=True, slots=True, kw_only=True)
class ModeRules:
    """What one mode hands out, keeps and can answer.

    Args:
        handle: The purpose of the handle a client holds; None where it holds none.
        has_access_token: Whether the client holds a signed access token.
        is_stored: Whether a session is stored, so that it can be listed, limited, idle and hold data.
        absolute_ttl_seconds: The default life.
        idle_ttl_seconds: The default idle life; None where idleness cannot be seen.
    """

    handle: Purpose | None
    has_access_token: bool
    is_stored: bool
    absolute_ttl_seconds: int
    idle_ttl_seconds: int | None

    @property
    def is_refreshed(self) -> bool:
        """Whether a refresh rotates the handle."""
        return self.handle is Purpose.REFRESH


MODES: dict[Mode, ModeRules] = {
    "session": ModeRules(
        handle=Purpose.SESSION,
        has_access_token=False,
        is_stored=True,
        absolute_ttl_seconds=30 * DAY,
        idle_ttl_seconds=14 * DAY,
    ),
    "jwt": ModeRules(
        handle=None,
        has_access_token=True,
        is_stored=False,
        absolute_ttl_seconds=12 * HOUR,
        idle_ttl_seconds=None,
    ),
    "hybrid": ModeRules(
        handle=Purpose.REFRESH,
        has_access_token=True,
        is_stored=True,
        absolute_ttl_seconds=30 * DAY,
        idle_ttl_seconds=14 * DAY,
    ),
}


def require_stored(mode: Mode, what: str) -> None:
    """Refuse what only a stored session can answer.

    Raises:
        UnsupportedInMode: In `jwt`, where nothing is stored.
    """
    if not MODES[mode].is_stored:
        raise UnsupportedInMode(
            f"{what} needs a stored session, and mode {mode!r} stores none; "
            "use mode 'session' or 'hybrid'"
        )
