"""What a verifier pins for an issuer, so that nothing is left to the token (RFC 8725)."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Final

from sojourn.errors import ConfigurationError
from sojourn.jose.algorithms import ALL, Algorithm
from sojourn.jose.jws import MAX_TOKEN_BYTES

ACCESS_TOKEN_TYP: Final = "at+jwt"  # noqa: S105 - a media type
MAX_LEEWAY_SECONDS: Final = 60
MAX_TOKEN_BYTES_LIMIT: Final = 64 * 1024


@dataclass(frozen=True, slots=True, kw_only=True)
class Expectation:
    """What a token has to be, pinned for its issuer (RFC 8725 sections 3.1, 3.8, 3.9, 3.11).

    Args:
        issuer: The exact ``iss``.
        audience: The exact ``aud``, or an exact member of it.
        algorithms: The algorithms the issuer may use. An empty set accepts nothing.
        typ: The header's ``typ``, whatever its case, with or without ``application/``; ``JWT`` at
            many providers. None where the issuer sends none.
        leeway_seconds: How far clocks may differ, 0 to 60.
        required: Claims that must be there and not empty, beyond those the claims type requires.
        max_bytes: The largest token, 1 to 65,536; judged before anything is decoded.

    Raises:
        ConfigurationError: With the value that is out of range.
    """

    issuer: str
    audience: str
    algorithms: frozenset[Algorithm]
    typ: str | None = ACCESS_TOKEN_TYP
    leeway_seconds: int = 0
    required: frozenset[str] = frozenset()
    max_bytes: int = MAX_TOKEN_BYTES

    def __post_init__(self) -> None:
        """Refuse what would make the verifier lenient."""
        for name, text in (("issuer", self.issuer), ("audience", self.audience)):
            if not isinstance(text, str) or not text:
                raise ConfigurationError(f"{name} is one text that is not empty; set it")
        if self.typ is not None and (not isinstance(self.typ, str) or not self.typ):
            raise ConfigurationError("typ is a text such as 'at+jwt', or None; set it")
        if not isinstance(self.algorithms, frozenset) or not self.algorithms <= ALL:
            raise ConfigurationError(
                "algorithms is a frozenset of names from sojourn.jose.Algorithm; name each"
            )
        if (
            type(self.leeway_seconds) is not int
            or not 0 <= self.leeway_seconds <= MAX_LEEWAY_SECONDS
        ):
            raise ConfigurationError(f"leeway_seconds is an int from 0 to {MAX_LEEWAY_SECONDS}")
        if type(self.max_bytes) is not int or not 1 <= self.max_bytes <= MAX_TOKEN_BYTES_LIMIT:
            raise ConfigurationError(f"max_bytes is an int from 1 to {MAX_TOKEN_BYTES_LIMIT}")
