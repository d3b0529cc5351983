"""What a JWK says about itself: its id, its one algorithm, and whether it may be used for it.

RFC 7517 sections 4.2 to 4.5. The key material is read by `jwk`.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any, Final, Literal

from sojourn.errors import InvalidKey
from sojourn.jose import strict_json
from sojourn.jose.algorithms import ALGORITHMS, Algorithm, is_algorithm
from sojourn.jose.malformed import MalformedError

MAX_JWK_BYTES: Final = 32 * 1024
MAX_KID_CHARACTERS: Final = 128


def members(jwk: Mapping[str, Any] | bytes) -> Mapping[str, Any]:
    """Read a JWK given as JSON, or take its members as they are.

    Args:
        jwk: The members, or UTF-8 JSON of at most 32 KiB.

    Returns:
        The members.

    Raises:
        InvalidKey: It is too large, no strict JSON, or no object.
    """
    if isinstance(jwk, Mapping):
        return jwk
    if not isinstance(jwk, bytes):
        raise InvalidKey(f"a JWK is a mapping or bytes, not {type(jwk).__name__}")
    if len(jwk) > MAX_JWK_BYTES:
        raise InvalidKey(f"a JWK has at most {MAX_JWK_BYTES} bytes; this is something else")
    try:
        return strict_json.parse_object(jwk)
    except MalformedError as error:
        raise InvalidKey(f"the JWK is not acceptable JSON ({error.reason})") from None


def algorithm_of(
    jwk: Mapping[str, Any], alg: str | None, *, operation: Literal["sign", "verify"]
) -> Algorithm:
    """Decide the one algorithm of a key, and that the key is meant for it.

    Args:
        jwk: The members.
        alg: The algorithm the caller wants; None to take the key's own, or its curve's.
        operation: What ``key_ops`` has to allow (RFC 7517 section 4.3), where present.

    Returns:
        The algorithm.

    Raises:
        InvalidKey: None or several fit, or ``use`` or ``key_ops`` forbid it.
    """
    if jwk.get("use", "sig") != "sig":
        raise InvalidKey("the key's use is not 'sig'; take one made for signatures")
    key_ops = jwk.get("key_ops", [operation])
    if not isinstance(key_ops, list) or key_ops.count(operation) != 1:
        raise InvalidKey(f"the key's key_ops lack {operation!r}; take one made for signatures")
    own = jwk.get("alg", alg)
    if own is None:
        own = _algorithm_by_curve(jwk)
    if not is_algorithm(own) or alg not in {None, own}:
        raise InvalidKey("the key is for another algorithm than the one asked for, or for none")
    if ALGORITHMS[own].kty != jwk.get("kty"):
        raise InvalidKey(f"the key's kty does not go with {own}")
    return own


def _algorithm_by_curve(jwk: Mapping[str, Any]) -> Algorithm:
    for name, spec in ALGORITHMS.items():
        if spec.curve is not None and spec.curve.crv == jwk.get("crv"):
            return name
    raise InvalidKey("the key does not say its algorithm; give it as alg=")


def kid_of(jwk: Mapping[str, Any]) -> str | None:
    """Give the key's own id; None where it has none.

    Raises:
        InvalidKey: It is not a text of 1 to 128 characters.
    """
    kid = jwk.get("kid")
    return None if kid is None else checked_kid(kid)


def checked_kid(kid: object) -> str:
    """Give a key id back if it is one that we keep.

    Raises:
        InvalidKey: It is not a text of 1 to 128 characters.
    """
    if (
        not isinstance(kid, str)
        or not 1 <= len(kid) <= MAX_KID_CHARACTERS
        or any(c == "\x00" or "\ud800" <= c <= "\udfff" for c in kid)
    ):
        raise InvalidKey(f"a kid is text of 1 to {MAX_KID_CHARACTERS} characters")
    return kid
