"""What a client holds of a sign-in: the tokens, and from when on they are renewed unasked."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any

from sojourn.errors import InvalidInput

RENEW_BEFORE_MS = 30_000
"""So long before its end an access token is renewed, or a tenth of its life where that is less."""


@dataclass(frozen=True, slots=True)
class Tokens:
    """The proofs of one sign-in, as the server handed them out together.

    Args:
        access_token: What requests carry: a signed access token, or in mode ``session`` the handle.
        refresh_token: What a refresh presents; empty in the modes ``session`` and ``jwt``.
        renew_at_ms: From when on a refresh is made before a request, in milliseconds since the
            epoch by this client's clock; 0 where there is nothing to refresh.
    """

    access_token: str = field(repr=False)
    refresh_token: str = field(default="", repr=False)
    renew_at_ms: int = 0

    @classmethod
    def of(cls, answer: Mapping[str, Any], *, now_ms: int) -> Tokens:
        """Read the answer to a login or refresh (RFC 6749 section 5.1).

        Args:
            answer: The JSON object.
            now_ms: The present, by this client's clock.

        Raises:
            InvalidInput: There are no tokens in it, as in an answer to a browser.
        """
        try:
            access_token, refresh_token = answer["access_token"], answer.get("refresh_token", "")
            life_ms = int(answer["expires_in"]) * 1000
        except (KeyError, TypeError, ValueError):
            raise InvalidInput(
                "there are no tokens in the answer; a bearer client asks with 'transport': 'bearer'"
            ) from None
        if not refresh_token:
            return cls(access_token)
        renew_at_ms = now_ms + life_ms - min(RENEW_BEFORE_MS, life_ms // 10)
        return cls(access_token, refresh_token, renew_at_ms)

    @property
    def authorization(self) -> str:
        """The Authorization header of a request that carries them (RFC 6750 section 2.1)."""
        return f"Bearer {self.access_token}"

    def is_renewal_due(self, now_ms: int) -> bool:
        """Tell whether the access token is over, or nearly."""
        return bool(self.refresh_token) and now_ms >= self.renew_at_ms
