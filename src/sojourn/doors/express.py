"""The sessions of Node's express-session that connect-redis keeps in Redis or Valkey."""

from __future__ import annotations

import json
from base64 import b64encode
from collections.abc import Callable, Iterable, Sequence
from datetime import datetime
from typing import Any, cast
from urllib.parse import unquote

from cryptography.hazmat.primitives.hashes import SHA256
from cryptography.hazmat.primitives.hmac import HMAC
from redis import Redis, RedisCluster, RedisError

from sojourn.arrivals import Arrival
from sojourn.doors.old_session import OldSession, Reading, cookie_value, ends_in_time, removal
from sojourn.errors import ConfigurationError, StoreError
from sojourn.messages import Incoming
from sojourn.server_secret import is_equal

DAY_SECONDS = 86_400
_SIGNED = "s:"


def passport_user(session: OldSession) -> object:
    """Give the user of a session that Passport signed in."""
    return session["passport"]["user"]


class ExpressSessions:
    """Carries sessions of express-session with connect-redis over.

    Args:
        redis: A blocking client of the database that holds them.
        secrets: The ``secret`` of express-session, or each of several.
        subject: Gives the user of a session; by default whom Passport signed in.
        longest_seconds: The cookie's ``maxAge``, in seconds, or the ``ttl`` of connect-redis; that is a
            day where neither was set.
        cookie_name: The ``name`` of express-session.
        prefix: The ``prefix`` of connect-redis.
        path: The cookie's ``path``.
        domain: The cookie's ``domain``.
        is_secure: The cookie's ``secure``.
        carry: Names of session values that go on in the session's data.

    Raises:
        ConfigurationError: There is no secret, or an empty one.
    """

    name = "express"

    def __init__(
        self,
        redis: Redis | RedisCluster,
        *,
        secrets: Sequence[str],
        subject: Callable[[OldSession], object] = passport_user,
        longest_seconds: int = DAY_SECONDS,
        cookie_name: str = "connect.sid",
        prefix: str = "sess:",
        path: str = "/",
        domain: str | None = None,
        is_secure: bool = False,
        carry: Iterable[str] = (),
    ) -> None:
        """Keep the client; it is asked when somebody arrives."""
        if isinstance(secrets, str) or not secrets or not all(secrets):
            raise ConfigurationError("secrets is a list of express-session's secrets, none empty")
        self._redis = redis
        self._secrets = tuple(secret.encode() for secret in secrets)
        self.longest_seconds = longest_seconds
        self._cookie_name = cookie_name
        self._prefix = prefix
        self._reading = Reading(subject=subject, carry=tuple(carry))
        self._removal = removal(cookie_name, path=path, domain=domain, is_secure=is_secure)

    def knock(self, incoming: Incoming, *, now_ms: int) -> Arrival | None:
        """See `CookieDoor.knock`."""
        sid = self._unsigned(cookie_value(incoming, self._cookie_name))
        if not sid:
            return None
        stored, left_ms = self._read(sid)
        session = _parsed(stored)
        expires_at = (now_ms + left_ms) // 1000 if left_ms > 0 else _expiry_of(session)
        if expires_at is not None and expires_at * 1000 <= now_ms:
            return None
        arrival = self._reading.arrival(
            session, proof=sid, expires_at=expires_at, remove_cookies=(self._removal,)
        )
        latest = now_ms // 1000 + self.longest_seconds
        if arrival is None or not ends_in_time(expires_at, latest=latest, door=self.name):
            return None
        return arrival

    def close_behind(self, arrival: Arrival, *, after_seconds: int) -> None:
        """See `CookieDoor.close_behind`."""
        try:  # an expiry of 0 deletes
            self._redis.expire(self._prefix + arrival.proof, after_seconds)
        except RedisError as error:
            raise StoreError("the old session of express-session cannot be ended") from error

    def _unsigned(self, cookie: str) -> str:
        """Verify a cookie as ``cookie-signature`` signs it; empty where it is not genuine."""
        try:
            text = unquote(cookie, errors="strict")
        except UnicodeDecodeError:
            return ""
        sid, _, signature = text.removeprefix(_SIGNED).rpartition(".")
        if not text.startswith(_SIGNED) or not text.isascii():
            return ""
        given = signature.encode()
        for secret in self._secrets:
            if is_equal(given, _signature(sid, secret)):
                return sid
        return ""

    def _read(self, sid: str) -> tuple[str | bytes | None, int]:
        """Read a session, and how many milliseconds it has left; negative where it has no expiry.

        Every request of an active browser renews the key's expiry, but not the one in the session.
        """
        try:
            pipeline = self._redis.pipeline(transaction=False)
            pipeline.get(self._prefix + sid)
            pipeline.pttl(self._prefix + sid)
            stored, left_ms = cast("list[Any]", pipeline.execute())
        except RedisError as error:
            raise StoreError("the old sessions of express-session cannot be read") from error
        return stored, left_ms


def _signature(sid: str, secret: bytes) -> bytes:
    mac = HMAC(secret, SHA256())
    mac.update(sid.encode())
    return b64encode(mac.finalize()).rstrip(b"=")


def _parsed(stored: str | bytes | None) -> dict[str, Any]:
    try:
        session = json.loads(stored or "{}")
    except (ValueError, RecursionError):
        return {}
    return session if isinstance(session, dict) else {}


def _expiry_of(session: dict[str, Any]) -> int | None:
    """Read the expiry of a session's cookie; None where it is the browser's end."""
    try:
        return int(datetime.fromisoformat(session["cookie"]["expires"]).timestamp())
    except (LookupError, TypeError, ValueError):
        return None
