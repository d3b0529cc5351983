"""What a session may do at an instant: the rotation table, lives, and when a touch is due."""

from __future__ import annotations

from enum import Enum
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from sojourn.model import Chain, Session

TOUCH_MS = 60_000
TOUCH_OFTEN_MS = 1_000
_SHORT_IDLE_MS = 3_600_000
ACCESS_JITTER = 0.2


class Rotation(Enum):
    """The answer to a presented handle whose MAC is good (protocol.md, "Rotation")."""

    ROTATE = "rotate"
    """The current generation: compare-and-swap to the next."""
    SAME = "same"
    """The one before, within the grace window: the same successor again."""
    AHEAD = "ahead"
    """Ahead of the record: the store lost a write; roll forward, then rotate."""
    LATE = "late"
    """The one before, after the grace window: a lost reply, or theft. The session ends."""
    THEFT = "theft"
    """Older still: two parties hold copies. The session ends."""


def judge_generation(
    chain: Chain, *, generation: int, store_now_ms: int, grace_ms: int
) -> Rotation:
    """Read the rotation table.

    Args:
        chain: How far the purpose has rotated.
        generation: The presented handle's; its MAC is already verified.
        store_now_ms: The store's clock as returned with the record, never this process's.
        grace_ms: The grace window from the rotation, never sliding; 0 is strict.
    """
    behind = chain.generation - generation
    if behind < 0:
        return Rotation.AHEAD
    if behind == 0:
        return Rotation.ROTATE
    if behind == 1:
        # A store whose clock stepped back by more than the window says nothing of the age.
        age_ms = abs(store_now_ms - chain.rotated_at_ms)
        return Rotation.SAME if grace_ms and age_ms <= grace_ms else Rotation.LATE
    return Rotation.THEFT


def is_alive(session: Session, *, now_ms: int) -> bool:
    """Tell whether a session is within its absolute and its idle life."""
    return now_ms < session.dies_at_ms


def is_touch_due(session: Session, *, now_ms: int) -> bool:
    """Tell whether "last seen" is old enough to be written: each minute, each second if idle is short."""
    if session.idle_ms is None:
        return False
    interval = TOUCH_OFTEN_MS if session.idle_ms <= _SHORT_IDLE_MS else TOUCH_MS
    return now_ms - session.seen_at_ms >= interval


def access_expiry_ms(
    *, now_ms: int, access_ms: int, session_expires_at_ms: int, randomness: float
) -> int:
    """Decide when an access token expires.

    The life is shortened by a random part of up to 20 %: two holders of a copied handle then drift
    apart and one of them presents an old generation. Without it no such theft was found in 30
    simulated days.

    Args:
        now_ms: The issuing instant.
        access_ms: The configured life.
        session_expires_at_ms: The session's absolute end, which a token never outlives.
        randomness: 0 to 1, from a CSPRNG.
    """
    life = int(access_ms * (1 - ACCESS_JITTER * randomness))
    return min(now_ms + life, session_expires_at_ms)
