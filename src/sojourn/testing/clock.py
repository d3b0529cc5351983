"""A clock in the test's hand."""

from __future__ import annotations

START_MS = 1_800_000_000_000
"""15 January 2027: any fixed instant does; a test that depends on which is wrong."""


class ManualClock:
    """A `Clock` that moves only when told to.

    Args:
        now_ms: Where it starts, in milliseconds since the epoch.
    """

    def __init__(self, *, now_ms: int = START_MS) -> None:
        """Stand still at the start."""
        self._now_ms = now_ms

    def __call__(self) -> int:
        """Give milliseconds since the epoch."""
        return self._now_ms

    def advance(self, *, seconds: float) -> None:
        """Move on; backwards with a negative number, as a corrected clock does."""
        self._now_ms += round(seconds * 1000)
