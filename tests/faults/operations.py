"""What a recorded run consists of: calls at processes, by the one monotonic clock of the machine.

An outcome that nobody saw (a time-out, a 503, a killed process) is *unknown*: it may have happened at
any time from its start on, or never.
"""

from __future__ import annotations

from typing import Literal

import msgspec

NEVER = 2**63 - 1
"""The end of what nobody saw end."""
MS = 1_000_000
"""Nanoseconds in a millisecond."""
Name = Literal[
    "login", "check", "refresh", "logout", "revoke", "revoke_all", "update", "store_loss"
]
Outcome = Literal["ok", "refused", "unknown"]


class Operation(msgspec.Struct, frozen=True, kw_only=True, omit_defaults=True):
    """One call.

    Args:
        process: Where it was made.
        name: Which call; `store_loss` is the fault injector's word that acknowledged writes went.
        start: When it was made, in monotonic nanoseconds.
        end: When its outcome was there; NEVER where it is unknown.
        outcome: What came of it.
        code: The refusal's, or the error's.
        subject: Whose, where the call or its answer says.
        sid: Which session, where the call or its answer says.
        presented: The generation of the refresh handle that was presented.
        successor: What was handed out for it, as a digest: the handle and its access token's end.
        keep: The sid that `revoke_all` spared.
        roles: What the answer showed, or what an update set.
        max_lag_ms: How old a picture the check was content with.
        is_stateless: Whether nothing is stored of the session (mode ``jwt``).
    """

    process: str
    name: Name
    start: int
    end: int = NEVER
    outcome: Outcome = "unknown"
    code: str = ""
    subject: str = ""
    sid: str = ""
    presented: int | None = None
    successor: str = ""
    keep: str = ""
    roles: tuple[str, ...] = ()
    max_lag_ms: float = 0
    is_stateless: bool = False

    @property
    def is_ok(self) -> bool:
        """Whether it was done, or accepted."""
        return self.outcome == "ok"

    @property
    def accepts(self) -> bool:
        """Whether somebody was taken for signed in."""
        return self.is_ok and self.name in {"check", "refresh"}


class Violation(msgspec.Struct, frozen=True):
    """A promise that was broken, and by which operations."""

    promise: str
    by: tuple[Operation, ...]

    def __str__(self) -> str:
        """Tell it in lines."""
        return "\n  ".join((self.promise, *(repr(one) for one in self.by)))
