"""An old token that a browser keeps in a cookie, as Flask-JWT-Extended and fastapi-users can."""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import replace

from sojourn.arrivals import Arrival, TokenDoor
from sojourn.doors.old_session import cookie_value, removal
from sojourn.doors.token_dialect import Kind
from sojourn.messages import Incoming


class TokenCookie:
    """Carries the holder of a token in a cookie over to a session, once.

    Args:
        tokens: Reads the token.
        cookie_name: The cookie.
        kind: Which kind of token it holds. An access token is taken only where it *is* the sign-in,
            as with fastapi-users: whoever copied one would get a session that outlives it.
        beside: Other cookies to take back with it.
        path: Their path.
        domain: Their domain.
        is_secure: Whether they are sent over TLS only.
    """

    def __init__(
        self,
        tokens: TokenDoor,
        cookie_name: str,
        *,
        kind: Kind = "refresh",
        beside: Iterable[str] = (),
        path: str = "/",
        domain: str | None = None,
        is_secure: bool = False,
    ) -> None:
        """Share the name of the tokens: one taken here is not taken from a header again."""
        self.name = tokens.name
        self.longest_seconds = tokens.longest_seconds
        self._read = tokens.read_refresh if kind == "refresh" else tokens.read_access
        self._cookie_name = cookie_name
        self._removals = tuple(
            removal(name, path=path, domain=domain, is_secure=is_secure)
            for name in (cookie_name, *beside)
        )

    def knock(self, incoming: Incoming, *, now_ms: int) -> Arrival | None:
        """See `CookieDoor.knock`."""
        arrival = self._read(cookie_value(incoming, self._cookie_name), now_ms=now_ms)
        return None if arrival is None else replace(arrival, remove_cookies=self._removals)

    def close_behind(self, arrival: Arrival, *, after_seconds: int) -> None:
        """Nothing is stored; see `CookieDoor.close_behind`."""
