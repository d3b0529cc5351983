"""JSON Web Keys (RFC 7517, RFC 7518 section 6, RFC 8037) to and from key objects; thumbprints.

Members are read strictly: canonical base64url, exact lengths, integers without leading zeros. What
is private has to belong to what is public.
"""

from __future__ import annotations

import hashlib
from typing import TYPE_CHECKING, Any, cast

import msgspec
from cryptography.hazmat.primitives.asymmetric import ec, rsa
from cryptography.hazmat.primitives.asymmetric.ed25519 import (
    Ed25519PrivateKey,
    Ed25519PublicKey,
)

from sojourn.errors import InvalidKey
from sojourn.jose import base64url
from sojourn.jose.algorithms import ED25519_CRV, Curve, Spec
from sojourn.jose.malformed import MalformedError
from sojourn.jose.strength import check_rsa

if TYPE_CHECKING:
    from collections.abc import Mapping

    from sojourn.jose.primitives import PrivateKey, PublicKey

_RSA_FACTORS = ("p", "q", "dp", "dq", "qi")
_PRIVATE_MEMBERS = ("d", *_RSA_FACTORS, "oth")


# --- reading --------------------------------------------------------------------------------------


def _octets(jwk: Mapping[str, Any], name: str, size_bytes: int | None = None) -> bytes:
    text = jwk.get(name)
    if not isinstance(text, str) or not text.isascii():
        raise InvalidKey(f"the JWK lacks {name!r}, or it is not base64url text")
    try:
        octets = base64url.decode(text.encode())
    except MalformedError as error:
        raise InvalidKey(f"the JWK's {name!r} is not base64url ({error.reason})") from None
    if size_bytes is not None and len(octets) != size_bytes:
        raise InvalidKey(f"the JWK's {name!r} has {len(octets)} bytes instead of {size_bytes}")
    return octets


def _integer(jwk: Mapping[str, Any], name: str) -> int:
    """Read a Base64urlUInt: the fewest octets possible (RFC 7518 section 2)."""
    octets = _octets(jwk, name)
    if octets[:1] in {b"", b"\x00"}:
        raise InvalidKey(f"the JWK's {name!r} is empty or has leading zero octets")
    return int.from_bytes(octets)


def _is_curve(jwk: Mapping[str, Any], crv: str) -> None:
    if jwk.get("crv") != crv:
        raise InvalidKey(f"the JWK's crv is not {crv!r}, as its algorithm demands")


def public_key(jwk: Mapping[str, Any], spec: Spec) -> PublicKey | bytes:
    """Build the verifying half of a JWK.

    Args:
        jwk: The members.
        spec: Its algorithm.

    Returns:
        A public key, or the secret of an ``oct`` key. Its strength is judged elsewhere.

    Raises:
        InvalidKey: It is malformed, its point is off the curve, or it is a private key.
    """
    if spec.kty == "oct":
        return _octets(jwk, "k")
    if any(name in jwk for name in _PRIVATE_MEMBERS):
        raise InvalidKey("this JWK is private; load it as SigningKey and take its .verifying")
    try:
        return _public(jwk, spec)
    except ValueError:
        raise InvalidKey("the JWK is no public key: its point is off the curve") from None


def _public(jwk: Mapping[str, Any], spec: Spec) -> PublicKey:
    if spec.kty == "OKP":
        _is_curve(jwk, ED25519_CRV)
        return Ed25519PublicKey.from_public_bytes(_octets(jwk, "x", 32))
    if spec.kty == "RSA":
        return _rsa_numbers(jwk).public_key()
    return _ec_numbers(jwk, cast("Curve", spec.curve)).public_key()


def private_key(jwk: Mapping[str, Any], spec: Spec) -> PrivateKey | bytes:
    """Build the signing half of a JWK.

    Args:
        jwk: The members.
        spec: Its algorithm.

    Returns:
        A private key, or the secret of an ``oct`` key. Its strength is judged elsewhere.

    Raises:
        InvalidKey: It is malformed, not private, or its public members belong to another key.
    """
    if spec.kty == "oct":
        return _octets(jwk, "k")
    try:
        if spec.kty == "RSA":
            return _rsa_private(jwk)
        public = _public(jwk, spec)
        if isinstance(public, Ed25519PublicKey):
            edwards = Ed25519PrivateKey.from_private_bytes(_octets(jwk, "d", 32))
            if edwards.public_key() != public:
                raise InvalidKey("the JWK's 'x' belongs to another private key")
            return edwards
        curve = cast("Curve", spec.curve)
        scalar = int.from_bytes(_octets(jwk, "d", curve.size_bytes))
        return ec.EllipticCurvePrivateNumbers(scalar, _ec_numbers(jwk, curve)).private_key()
    except ValueError:
        raise InvalidKey("the JWK's private and public members do not belong together") from None


def _ec_numbers(jwk: Mapping[str, Any], curve: Curve) -> ec.EllipticCurvePublicNumbers:
    _is_curve(jwk, curve.crv)
    x, y = (int.from_bytes(_octets(jwk, name, curve.size_bytes)) for name in ("x", "y"))
    return ec.EllipticCurvePublicNumbers(x, y, curve.curve)


def _rsa_numbers(jwk: Mapping[str, Any]) -> rsa.RSAPublicNumbers:
    modulus, exponent = _integer(jwk, "n"), _integer(jwk, "e")
    check_rsa(modulus, exponent)  # before any arithmetic with a number of somebody's choice
    return rsa.RSAPublicNumbers(exponent, modulus)


def _rsa_private(jwk: Mapping[str, Any]) -> rsa.RSAPrivateKey:
    public = _rsa_numbers(jwk)
    d = _integer(jwk, "d")
    if "oth" in jwk:
        raise InvalidKey("RSA keys of more than two primes are not supported; make a new key")
    if any(name in jwk for name in _RSA_FACTORS):
        # All or none (RFC 7518 section 6.3.2).
        p, q, dp, dq, qi = (_integer(jwk, name) for name in _RSA_FACTORS)
    else:
        p, q = rsa.rsa_recover_prime_factors(public.n, public.e, d)
        dp, dq, qi = rsa.rsa_crt_dmp1(d, p), rsa.rsa_crt_dmq1(d, q), rsa.rsa_crt_iqmp(p, q)
    return rsa.RSAPrivateNumbers(p, q, d, dp, dq, qi, public).private_key()


# --- writing --------------------------------------------------------------------------------------


def _text(octets: bytes) -> str:
    return base64url.encode(octets).decode()


def _integer_text(value: int, size_bytes: int | None = None) -> str:
    return _text(value.to_bytes(size_bytes or (value.bit_length() + 7) // 8))


def public_members(key: PublicKey | bytes, spec: Spec) -> dict[str, str]:
    """Write the members of a verifying key that RFC 7638 section 3.2 counts as required.

    Args:
        key: A public key, or the secret of HMAC.
        spec: Its algorithm.
    """
    if isinstance(key, bytes):
        return {"k": _text(key), "kty": "oct"}
    if isinstance(key, Ed25519PublicKey):
        return {"crv": ED25519_CRV, "kty": "OKP", "x": _text(key.public_bytes_raw())}
    if isinstance(key, rsa.RSAPublicKey):
        numbers = key.public_numbers()
        return {"e": _integer_text(numbers.e), "kty": "RSA", "n": _integer_text(numbers.n)}
    point, curve = key.public_numbers(), cast("Curve", spec.curve)
    return {
        "crv": curve.crv,
        "kty": "EC",
        "x": _integer_text(point.x, curve.size_bytes),
        "y": _integer_text(point.y, curve.size_bytes),
    }


def private_members(key: PrivateKey | bytes, spec: Spec) -> dict[str, str]:
    """Write the members that a private JWK has beyond `public_members`.

    Args:
        key: A private key, or the secret of HMAC, which has no more than that.
        spec: Its algorithm.
    """
    if isinstance(key, bytes):
        return {}
    if isinstance(key, Ed25519PrivateKey):
        return {"d": _text(key.private_bytes_raw())}
    if isinstance(key, rsa.RSAPrivateKey):
        numbers = key.private_numbers()
        return {
            "d": _integer_text(numbers.d),
            "p": _integer_text(numbers.p),
            "q": _integer_text(numbers.q),
            "dp": _integer_text(numbers.dmp1),
            "dq": _integer_text(numbers.dmq1),
            "qi": _integer_text(numbers.iqmp),
        }
    scalar = key.private_numbers().private_value
    return {"d": _integer_text(scalar, cast("Curve", spec.curve).size_bytes)}


def thumbprint(required: Mapping[str, str]) -> str:
    """Compute the SHA-256 thumbprint of a key (RFC 7638).

    Args:
        required: The members from `public_members`.

    Returns:
        43 characters of base64url.
    """
    ordered = dict(sorted(required.items()))
    return _text(hashlib.sha256(msgspec.json.encode(ordered)).digest())
