"""The sessions of Starlette's SessionMiddleware (and so of FastAPI), which stand in a signed cookie."""

from __future__ import annotations

import json
from base64 import b64decode
from collections.abc import Iterable
from operator import itemgetter
from typing import Any

from itsdangerous import BadSignature, TimestampSigner

from sojourn.arrivals import Arrival
from sojourn.doors.old_session import Reading, cookie_value, ends_in_time, removal
from sojourn.messages import Incoming

FOURTEEN_DAYS_SECONDS = 14 * 86_400


class StarletteCookies:
    """Carries sessions of `starlette.middleware.sessions.SessionMiddleware` over.

    Nothing is stored that could be ended: each cookie is taken once, and one of another device, or
    an earlier one of the same, is another.

    Args:
        secret_key: The middleware's ``secret_key``.
        subject_key: The value that names the user.
        session_cookie: The middleware's ``session_cookie``.
        longest_seconds: The middleware's ``max_age``. Where that was None: how old a cookie may be
            that is still taken.
        path: The middleware's ``path``.
        domain: The middleware's ``domain``.
        https_only: The middleware's ``https_only``.
        carry: Names of session values that go on in the session's data.
    """

    name = "starlette"

    def __init__(
        self,
        secret_key: str,
        *,
        subject_key: str = "user_id",
        session_cookie: str = "session",
        longest_seconds: int = FOURTEEN_DAYS_SECONDS,
        path: str = "/",
        domain: str | None = None,
        https_only: bool = False,
        carry: Iterable[str] = (),
    ) -> None:
        """Make the signer that verifies."""
        self._signer = TimestampSigner(secret_key)
        self._cookie_name = session_cookie
        self.longest_seconds = longest_seconds
        self._reading = Reading(subject=itemgetter(subject_key), carry=tuple(carry))
        self._removal = removal(session_cookie, path=path, domain=domain, is_secure=https_only)

    def knock(self, incoming: Incoming, *, now_ms: int) -> Arrival | None:
        """See `CookieDoor.knock`."""
        value = cookie_value(incoming, self._cookie_name)
        try:
            payload, signed_at = self._signer.unsign(value, return_timestamp=True)
            session: Any = json.loads(b64decode(payload))
        except (BadSignature, ValueError, RecursionError):
            return None
        now = now_ms // 1000
        expires_at = int(signed_at.timestamp()) + self.longest_seconds
        latest = now + self.longest_seconds  # beyond it: of a time that has not come
        if now > expires_at or not ends_in_time(expires_at, latest=latest, door=self.name):
            return None
        return self._reading.arrival(
            session,
            # What is signed, without the signature: of that, two spellings could be genuine.
            proof=value.rpartition(".")[0],
            expires_at=expires_at,
            remove_cookies=(self._removal,),
        )

    def close_behind(self, arrival: Arrival, *, after_seconds: int) -> None:
        """Nothing is stored; see `CookieDoor.close_behind`."""
