"""Signing and verifying bytes with one key by one algorithm, prepared once.

Everything that can be decided before the cryptography is: lengths and ranges of signatures. What
comes back is a plain function, so that a verification costs one call.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, cast

from cryptography.exceptions import InvalidSignature
from cryptography.hazmat.primitives.asymmetric import ec, padding
from cryptography.hazmat.primitives.asymmetric.ed25519 import (
    Ed25519PrivateKey,
    Ed25519PublicKey,
)
from cryptography.hazmat.primitives.asymmetric.rsa import RSAPrivateKey, RSAPublicKey
from cryptography.hazmat.primitives.asymmetric.utils import (
    decode_dss_signature,
    encode_dss_signature,
)
from cryptography.hazmat.primitives.hmac import HMAC

if TYPE_CHECKING:
    from collections.abc import Callable

    from sojourn.jose.algorithms import Curve, Spec

    Sign = Callable[[bytes], bytes]
    Verify = Callable[[bytes, bytes], bool]

PrivateKey = ec.EllipticCurvePrivateKey | Ed25519PrivateKey | RSAPrivateKey
PublicKey = ec.EllipticCurvePublicKey | Ed25519PublicKey | RSAPublicKey

_ED25519_SIGNATURE_BYTES = 64
_ED25519_ORDER = 2**252 + 27742317777372353535851937790883648493


def signer(key: PrivateKey | bytes, spec: Spec) -> Sign:
    """Prepare signing.

    Args:
        key: A private key, or the secret of HMAC; of the type that `spec` asks for.
        spec: The algorithm.

    Returns:
        A function from data to its JWS signature (RFC 7518 section 3).
    """
    if isinstance(key, bytes):
        return _hmac_signer(key, spec)
    if isinstance(key, Ed25519PrivateKey):
        return key.sign
    if isinstance(key, RSAPrivateKey):
        scheme = _rsa_padding(spec)
        return lambda data: key.sign(data, scheme, spec.hash)
    return _ecdsa_signer(key, spec)


def verifier(key: PublicKey | bytes, spec: Spec) -> Verify:
    """Prepare verifying.

    Args:
        key: A public key, or the secret of HMAC; of the type that `spec` asks for.
        spec: The algorithm.

    Returns:
        A function of signature and data that tells whether they belong together.
    """
    if isinstance(key, bytes):
        return _hmac_verifier(key, spec)
    if isinstance(key, Ed25519PublicKey):
        return _ed25519_verifier(key)
    if isinstance(key, RSAPublicKey):
        return _rsa_verifier(key, spec)
    return _ecdsa_verifier(key, spec)


# --- HMAC, RFC 7518 section 3.2 -------------------------------------------------------------------


def _hmac_signer(secret: bytes, spec: Spec) -> Sign:
    copy = HMAC(secret, spec.hash).copy

    def sign(data: bytes) -> bytes:
        mac = copy()
        mac.update(data)
        return mac.finalize()

    return sign


def _hmac_verifier(secret: bytes, spec: Spec) -> Verify:
    copy = HMAC(secret, spec.hash).copy  # both pads are hashed once, here; a copy is cheap

    def verify(signature: bytes, data: bytes) -> bool:
        mac = copy()
        mac.update(data)
        try:
            mac.verify(signature)  # in constant time, and never truncated
        except InvalidSignature:
            return False
        return True

    return verify


# --- ECDSA, RFC 7518 section 3.4 ------------------------------------------------------------------


def _ecdsa_signer(key: ec.EllipticCurvePrivateKey, spec: Spec) -> Sign:
    scheme, size = ec.ECDSA(spec.hash), cast("Curve", spec.curve).size_bytes

    def sign(data: bytes) -> bytes:
        r, s = decode_dss_signature(key.sign(data, scheme))
        return r.to_bytes(size) + s.to_bytes(size)

    return sign


def _ecdsa_verifier(key: ec.EllipticCurvePublicKey, spec: Spec) -> Verify:
    curve = cast("Curve", spec.curve)
    scheme, size, order = ec.ECDSA(spec.hash), curve.size_bytes, curve.order
    expected_bytes = 2 * size

    def verify(signature: bytes, data: bytes) -> bool:
        if len(signature) != expected_bytes:  # DER is another length, and none of ours
            return False
        r, s = int.from_bytes(signature[:size]), int.from_bytes(signature[size:])
        if not (0 < r < order and 0 < s < order):  # CVE-2022-21449: r = s = 0 fits every key
            return False
        try:
            key.verify(encode_dss_signature(r, s), data, scheme)
        except InvalidSignature:
            return False
        return True

    return verify


# --- Ed25519, RFC 8037 section 3.1 ----------------------------------------------------------------


def _ed25519_verifier(key: Ed25519PublicKey) -> Verify:
    def verify(signature: bytes, data: bytes) -> bool:
        # RFC 8032 section 5.1.7: S < L, else S + L would be a second signature of the same.
        if (
            len(signature) != _ED25519_SIGNATURE_BYTES
            or int.from_bytes(signature[32:], "little") >= _ED25519_ORDER
        ):
            return False
        try:
            key.verify(signature, data)
        except InvalidSignature:
            return False
        return True

    return verify


# --- RSA, RFC 7518 sections 3.3 and 3.5 -----------------------------------------------------------


def _rsa_padding(spec: Spec) -> padding.AsymmetricPadding:
    if spec.is_pss:
        return padding.PSS(padding.MGF1(spec.hash), salt_length=spec.hash.digest_size)
    return padding.PKCS1v15()


def _rsa_verifier(key: RSAPublicKey, spec: Spec) -> Verify:
    scheme, hash_algorithm = _rsa_padding(spec), spec.hash
    expected_bytes = (key.key_size + 7) // 8

    def verify(signature: bytes, data: bytes) -> bool:
        if len(signature) != expected_bytes:
            return False
        try:
            key.verify(signature, data, scheme, hash_algorithm)
        except InvalidSignature:
            return False
        return True

    return verify
