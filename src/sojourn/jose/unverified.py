"""Looking into a token without trusting it: for a decoder page, a log reader, the command line."""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import Any, Final

from sojourn.jose import jws
from sojourn.jose.algorithms import is_algorithm

_EXPECTED_CLAIMS: Final = ("iss", "sub", "aud", "exp", "iat", "jti")
_INSTANTS: Final = ("exp", "iat", "nbf", "auth_time")
_MAX_INSPECTED_BYTES: Final = 64 * 1024


@dataclass(frozen=True, slots=True)
class Unverified:
    """What a token says about itself; anybody could have written it.

    `problems` are stable words: reasons for which a Sojourn verifier would refuse it whatever the
    key, and weaknesses by RFC 8725.
    """

    unverified_header: dict[str, Any]
    unverified_claims: dict[str, Any]
    signature: bytes = field(repr=False)
    problems: tuple[str, ...]


def inspect(token: str) -> Unverified:
    """Look into a token without verifying anything.

    Args:
        token: A compact serialization of at most 64 KiB.

    Returns:
        Its parts; never evidence of anything.

    Raises:
        InvalidInput: It is no `str`.
        InvalidToken: It cannot be decoded unambiguously; `reason` says why.
    """
    header_text, claims_text, signature_text = jws.split(token, max_bytes=_MAX_INSPECTED_BYTES)
    header, claims = jws.parsed(header_text), jws.parsed(claims_text)
    signature = jws.decoded(signature_text)
    problems = _problems_of_header(header) + _problems_of_claims(claims)
    if not signature:
        problems.append("no_signature")
    if len(token) > jws.MAX_TOKEN_BYTES:
        problems.append("too_large")
    return Unverified(header, claims, signature, tuple(problems))


def _problems_of_header(header: dict[str, Any]) -> list[str]:
    problems = [f"header_{name}" for name in jws.REFUSED_MEMBERS if name in header]
    if not is_algorithm(header.get("alg")):
        problems.append("alg_not_allowed")
    if not isinstance(header.get("kid", ""), str):
        problems.append("malformed_kid")
    if "kid" not in header:
        problems.append("no_kid")
    if jws.media_type(header.get("typ")) is None:
        problems.append("no_typ")
    if jws.is_nested(header):
        problems.append("nested")
    return problems


def _problems_of_claims(claims: dict[str, Any]) -> list[str]:
    problems = [f"missing_{name}" for name in _EXPECTED_CLAIMS if name not in claims]
    problems += [
        f"invalid_{name}"
        for name in _INSTANTS
        if name in claims and (type(claims[name]) is not int or claims[name] < 0)
    ]
    return problems
