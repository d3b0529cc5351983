"""For your tests: a client with cookies, signing in, acting as somebody, a clock in your hand.

`sojourn.testing.contract` holds what every store keeps, `sojourn.testing.sabotage` the broken stores
that prove it. What needs Starlette or pytest is imported when it is first asked for.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from sojourn.testing.acting import acting_as
from sojourn.testing.clock import ManualClock

if TYPE_CHECKING:
    from sojourn.testing.client import Client, sign_in

__all__ = ["Client", "ManualClock", "acting_as", "sign_in"]


def __getattr__(name: str) -> Any:
    """Import the client, which needs Starlette and httpx2, at first use (PEP 562)."""
    if name in __all__:
        from sojourn.testing import client  # noqa: PLC0415 - only where it is installed

        return getattr(client, name)
    raise AttributeError(f"module {__name__!r} has no attribute {name!r}")
