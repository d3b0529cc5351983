"""How different libraries write what RFC 7519 leaves open."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any, Final, Literal

from sojourn.jose.strict_json import MAX_INTEGER

Kind = Literal["access", "refresh"]

_REGISTERED: Final = frozenset({"iss", "sub", "aud", "exp", "iat", "nbf", "jti"})


@dataclass(frozen=True, slots=True, kw_only=True)
class Dialect:
    """How a library writes its tokens.

    Args:
        name: The door's name.
        subject: The claim that names the user.
        kind: The claim that tells access from refresh tokens; None where there are none but `only`.
        only: What all tokens are, where no claim says.
        own: Claims that are the library's own, and no facts about the user.
        fresh: The claim that is true where the user has just proved who they are.
    """

    name: str
    subject: str = "sub"
    kind: str | None = None
    only: Kind = "access"
    own: frozenset[str] = frozenset()
    fresh: str | None = None

    def kind_of(self, claims: dict[str, Any]) -> object:
        """Tell what a token says it is."""
        return self.only if self.kind is None else claims.get(self.kind)

    def is_fact(self, claim: str) -> bool:
        """Tell whether a claim is a fact about the user, and no part of the token's mechanics."""
        mechanics = {self.subject, self.kind, self.fresh}
        return claim not in _REGISTERED and claim not in self.own and claim not in mechanics


def seconds(value: object) -> int | None:
    """Read an instant, which may have a fraction (RFC 7519 section 2); None where it is none."""
    if isinstance(value, bool) or not isinstance(value, int | float):
        return None
    return int(value) if 0 <= value <= MAX_INTEGER else None


def words(value: object) -> frozenset[str]:
    """Read names from a list, or from one text."""
    if isinstance(value, str):
        return frozenset(value.split())
    if isinstance(value, list):
        return frozenset(each for each in value if isinstance(each, str))
    return frozenset()
