"""JSON Web Signatures in compact serialization (RFC 7515), the only one spoken here.

The order is fixed: size, segments, header, signature; the payload is not looked at before the
signature is right, and the cryptography is not reached before the header is.
"""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any, Final

import msgspec

from sojourn.errors import InvalidInput, InvalidToken
from sojourn.jose import base64url, strict_json
from sojourn.jose.algorithms import ALL, Algorithm, is_algorithm
from sojourn.jose.key_use import MAX_KID_CHARACTERS
from sojourn.jose.malformed import MalformedError

if TYPE_CHECKING:
    from collections.abc import Mapping

    from sojourn.jose.keys import SigningKey, VerifyingKey
    from sojourn.jose.keyset import KeySet
    from sojourn.jose.primitives import Verify

MAX_TOKEN_BYTES = 8 * 1024
MAX_LEARNT_HEADERS = 256
MAX_HEADER_BYTES = 2 * 1024  # encoded; a header that is granted has no more than a few members
_DOT = 0x2E
_DOTS = 2  # between the three segments of RFC 7515 section 7.1

# What would let the token choose its key, or change what is signed: RFC 7515 sections 4.1.2 to
# 4.1.6 (RFC 8725 section 3.10), RFC 7515 section 4.1.11 and RFC 7797, RFC 7516. Thumbprints (x5t)
# are hints that nothing follows, and allowed.
REFUSED_MEMBERS: Final = ("jwk", "jku", "x5u", "x5c", "crit", "b64", "zip", "enc", "epk")


class AnyTyp:
    """The type of `ANY_TYP`."""


ANY_TYP: Final = AnyTyp()
"""Stands for "any ``typ``, or none": for signed bytes that are no JWT."""


@dataclass(frozen=True, slots=True)
class Jws:
    """A verified signature: its header, its payload, and the key that signed."""

    header: Mapping[str, Any]
    payload: bytes = field(repr=False)
    key: VerifyingKey


def media_type(typ: object) -> str | None:
    """Bring a ``typ`` or ``cty`` to the form in which two are compared (RFC 7515 section 4.1.9).

    Args:
        typ: The header member.

    Returns:
        Lower case without ``application/``; None where it is not text.
    """
    return typ.lower().removeprefix("application/") if isinstance(typ, str) else None


def is_nested(header: Mapping[str, Any]) -> bool:
    """Tell whether the payload claims to be a token itself (RFC 7519 section 5.2)."""
    return "cty" in header and media_type(header["cty"]) in {"jwt", None}


def split(token: str, *, max_bytes: int) -> list[bytes]:
    """Cut a compact serialization into its three segments, still encoded.

    Args:
        token: As presented.
        max_bytes: Judged before anything else is.

    Raises:
        InvalidInput: It is no `str`.
        InvalidToken: It is too large, not ASCII, or not of three segments.
    """
    if not isinstance(token, str):
        raise InvalidInput(f"a token is a str, not {type(token).__name__}; decode it first")
    if len(token) > max_bytes:
        raise InvalidToken(reason="too_large")
    if not token.isascii():
        raise InvalidToken(reason="not_ascii")
    segments = token.encode().split(b".", 3)
    if len(segments) != _DOTS + 1:
        raise InvalidToken(reason="not_three_segments")
    return segments


def decoded(segment: bytes) -> bytes:
    """Decode a segment.

    Raises:
        InvalidToken: It is not canonical base64url.
    """
    try:
        return base64url.decode(segment)
    except MalformedError as error:
        raise InvalidToken(reason=error.reason) from None


def parsed(segment: bytes) -> dict[str, Any]:
    """Decode a segment that is a JSON object.

    Raises:
        InvalidToken: It is not canonical base64url, or not a strict JSON object.
    """
    try:
        return strict_json.parse_object(base64url.decode(segment))
    except MalformedError as error:
        raise InvalidToken(reason=error.reason) from None


class Opener:
    """Opens tokens under a fixed set of keys; it learns the headers it has seen proven.

    Args:
        keys: The keys that may have signed.
        algorithms: The algorithms that may have been used.
        typ: The header's ``typ``; None where the issuer sends none.
        max_bytes: The largest token.
    """

    __slots__ = ("_algorithms", "_keys", "_learnt", "_max_bytes", "_typ")

    def __init__(
        self,
        keys: KeySet,
        *,
        algorithms: frozenset[Algorithm],
        typ: str | AnyTyp | None,
        max_bytes: int = MAX_TOKEN_BYTES,
    ) -> None:
        self._keys = keys
        self._algorithms = algorithms
        self._typ = typ if isinstance(typ, AnyTyp) else media_type(typ)
        self._max_bytes = max_bytes
        self._learnt: dict[bytes, Verify] = {}

    def open(self, token: str) -> bytes:
        """Verify the signature.

        Args:
            token: As presented.

        Returns:
            The payload, decoded.

        Raises:
            InvalidInput: It is no `str`.
            InvalidToken: Anything about it is wrong.
        """
        # Spelled out here, not called: this is the path every request takes.
        if not isinstance(token, str) or len(token) > self._max_bytes or not token.isascii():
            split(token, max_bytes=self._max_bytes)
        signing_input, _, signature = token.encode().rpartition(b".")
        header, _, payload = signing_input.partition(b".")
        verify = self._learnt.get(header)
        is_new = verify is None
        if verify is None or _DOT in payload:
            if token.count(".") != _DOTS:
                raise InvalidToken(reason="not_three_segments")
            if len(header) > MAX_HEADER_BYTES:
                raise InvalidToken(reason="header_too_large")
            verify = self.key_for(parsed(header)).check
        try:
            if not verify(base64url.decode(signature), signing_input):
                raise InvalidToken(reason="bad_signature")
            if is_new:
                self._learn(header, verify)
            return base64url.decode(payload)
        except MalformedError as error:
            raise InvalidToken(reason=error.reason) from None

    def _learn(self, header: bytes, verify: Verify) -> None:
        """Remember a header: only of a genuine token, so that nobody else can fill the table."""
        if len(self._learnt) < MAX_LEARNT_HEADERS:
            self._learnt[header] = verify

    def key_for(self, header: Mapping[str, Any]) -> VerifyingKey:
        """Judge a header and find its key; no cryptography happens before.

        Raises:
            InvalidToken: It asks for something that is not granted.
        """
        for name in REFUSED_MEMBERS:
            if name in header:
                raise InvalidToken(reason=f"header_{name}")
        alg = header.get("alg")
        if not is_algorithm(alg):
            raise InvalidToken(reason="alg_not_allowed")
        if is_nested(header):
            raise InvalidToken(reason="nested")
        if not isinstance(self._typ, AnyTyp) and (
            media_type(header.get("typ")) != self._typ
            or ("typ" in header) != (self._typ is not None)
        ):
            raise InvalidToken(reason="wrong_typ")
        key = self._find(header, alg)
        if key.alg != alg:
            raise InvalidToken(reason="alg_not_of_key")
        if alg not in self._algorithms:
            raise InvalidToken(reason="alg_not_allowed")
        return key

    def _find(self, header: Mapping[str, Any], alg: Algorithm) -> VerifyingKey:
        if "kid" not in header:
            key = self._keys.only(alg)
            if key is None:
                raise InvalidToken(reason="no_kid")
            return key
        kid = header["kid"]
        if not isinstance(kid, str) or not 1 <= len(kid) <= MAX_KID_CHARACTERS:
            raise InvalidToken(reason="malformed_kid")
        key = self._keys.get(kid)
        if key is None:
            raise InvalidToken(reason="unknown_kid")
        return key


def sign(payload: bytes, key: SigningKey, *, typ: str | None = None) -> str:
    """Sign bytes.

    Args:
        payload: What to sign.
        key: The key; its algorithm and id go into the header.
        typ: The header's ``typ``; None for none.

    Returns:
        The compact serialization.
    """
    header = {"alg": key.alg, "kid": key.kid}
    if typ is not None:
        header["typ"] = typ
    data = base64url.encode(msgspec.json.encode(header)) + b"." + base64url.encode(payload)
    return (data + b"." + base64url.encode(key.sign(data))).decode()


def verify(
    token: str,
    keys: KeySet,
    *,
    algorithms: frozenset[Algorithm] = ALL,
    typ: str | AnyTyp | None = ANY_TYP,
    max_bytes: int = MAX_TOKEN_BYTES,
) -> Jws:
    """Verify signed bytes that need not be a JWT.

    Args:
        token: As presented.
        keys: The keys that may have signed; each is for one algorithm only.
        algorithms: Which of them to allow.
        typ: The header's ``typ``; None for none.
        max_bytes: The largest token.

    Returns:
        Header, payload (perhaps empty) and key.

    Raises:
        InvalidInput: It is no `str`.
        InvalidToken: Anything about it is wrong.
    """
    opener = Opener(keys, algorithms=algorithms, typ=typ, max_bytes=max_bytes)
    payload = opener.open(token)
    header = parsed(token.encode().partition(b".")[0])
    return Jws(header, payload, opener.key_for(header))
