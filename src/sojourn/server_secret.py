"""The server secret: what every handle is derived under and every key at rest is sealed with.

One configured text gives several independent keys by HKDF (RFC 5869), each for one use. A secret
has a public id, so that a record and a handle can name the one they were made under while several
are accepted.
"""

from __future__ import annotations

import hmac
from collections.abc import Sequence

from cryptography.hazmat.primitives.hashes import SHA256
from cryptography.hazmat.primitives.kdf.hkdf import HKDF

from sojourn.errors import ConfigurationError

MIN_SECRET_BYTES = 32


def is_equal(left: bytes, right: bytes) -> bool:
    """Compare two secrets in constant time; the only place of this library that does."""
    return hmac.compare_digest(left, right)


def _derive(raw: bytes, purpose: bytes, length: int) -> bytes:
    return HKDF(algorithm=SHA256(), length=length, salt=b"sojourn/1", info=purpose).derive(raw)


class ServerSecret:
    """One server secret and the keys derived from it.

    Args:
        raw: The configured secret: at least 32 bytes, from a CSPRNG.

    Raises:
        ConfigurationError: It is too short, or visibly not random.
    """

    __slots__ = ("handle_key", "id", "sealing_key")

    def __init__(self, raw: str) -> None:
        """Derive the id and both keys."""
        try:
            encoded = raw.encode()
        except UnicodeEncodeError:  # undecodable bytes of an environment variable
            encoded = b""
        if len(encoded) < MIN_SECRET_BYTES or len(set(encoded)) < 8:  # noqa: PLR2004
            raise ConfigurationError(
                f"the server secret is shorter than {MIN_SECRET_BYTES} characters or not random; "
                "make one with: python -c 'import secrets; print(secrets.token_urlsafe(48))'"
            )
        self.id: str = _derive(encoded, b"id", 4).hex()
        self.handle_key: bytes = _derive(encoded, b"handles", 32)
        self.sealing_key: bytes = _derive(encoded, b"keys at rest", 32)

    def __repr__(self) -> str:
        """Show the public id only."""
        return f"ServerSecret(id={self.id!r})"


class ServerSecrets:
    """The secrets in force: the first makes what is new, each of them is accepted.

    Args:
        raw: One secret, or several with the current one first.
    """

    __slots__ = ("_by_id", "current")

    def __init__(self, raw: str | Sequence[str]) -> None:
        """Derive all of them."""
        if not isinstance(raw, str) and not all(isinstance(one, str) for one in raw):
            raise ConfigurationError("a server secret is text (str), or several of them")
        # Surrounding white space is a file's last line, not part of a secret.
        each = [ServerSecret(one.strip()) for one in ([raw] if isinstance(raw, str) else raw)]
        if not each:
            raise ConfigurationError("no server secret was given; set secret= or SOJOURN_SECRET")
        self.current = each[0]
        self._by_id = {one.id: one for one in each}

    def named(self, secret_id: str) -> ServerSecret | None:
        """Find a secret by its id; None where it is not (or no longer) configured."""
        return self._by_id.get(secret_id)
