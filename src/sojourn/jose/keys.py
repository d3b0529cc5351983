"""Typed keys: one key is for one algorithm, decided when it is made.

A secret and a public key are made by different constructors and are never the same bytes (RFC 8725
sections 2.1 and 3.1), so a token cannot choose how its signature is checked.
"""

from __future__ import annotations

import secrets
from typing import TYPE_CHECKING, Any, Final

from cryptography.hazmat.primitives.asymmetric import ec, rsa
from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PrivateKey
from cryptography.hazmat.primitives.asymmetric.rsa import RSAPrivateKey
from cryptography.hazmat.primitives.serialization import (
    Encoding,
    NoEncryption,
    PrivateFormat,
    PublicFormat,
    load_pem_private_key,
    load_pem_public_key,
)

from sojourn.errors import InvalidKey
from sojourn.jose import jwk as jwk_format, key_use, primitives
from sojourn.jose.algorithms import ALGORITHMS, Algorithm
from sojourn.jose.material import check_key, load_pem, spec_of
from sojourn.jose.strength import RSA_EXPONENT

if TYPE_CHECKING:
    from collections.abc import Mapping

    from sojourn.jose.primitives import PrivateKey, PublicKey

GENERATED_RSA_BITS: Final = 2048


class VerifyingKey:
    """What verifies signatures of one algorithm: a public key, or the secret of HMAC.

    Made by the class methods. `kid` is its id, by default the RFC 7638 thumbprint; `alg` its one
    algorithm; `check` what `verify` calls, for those who call it often.
    """

    __slots__ = ("_key", "alg", "check", "kid")

    def __init__(self, key: PublicKey | bytes, *, alg: Algorithm, kid: str | None = None) -> None:
        """Check and prepare; use the class methods instead."""
        spec = spec_of(alg)
        check_key(key, spec)
        self._key: Final = key
        self.check: Final = primitives.verifier(key, spec)
        self.alg: Final[Algorithm] = alg
        if kid is None:
            kid = jwk_format.thumbprint(jwk_format.public_members(key, spec))
        self.kid: Final = key_use.checked_kid(kid)

    @classmethod
    def from_pem(cls, pem: bytes, *, alg: Algorithm, kid: str | None = None) -> VerifyingKey:
        """Load a public key.

        Args:
            pem: A ``PUBLIC KEY`` block (RFC 7468 section 13), at most 16 KiB.
            alg: Its one algorithm.
            kid: Its id, 1 to 128 characters; by default its thumbprint.

        Raises:
            InvalidKey: It is malformed, private, weak, or not for this algorithm.
        """
        return cls(load_pem(load_pem_public_key, pem), alg=alg, kid=kid)

    @classmethod
    def from_jwk(
        cls, jwk: Mapping[str, Any] | bytes, *, alg: Algorithm | None = None
    ) -> VerifyingKey:
        """Load a JWK (RFC 7517): a public key, or an ``oct`` secret for HMAC.

        Args:
            jwk: The members, or UTF-8 JSON of at most 32 KiB.
            alg: Its one algorithm, where the JWK does not say; must agree where it does.

        Raises:
            InvalidKey: It is malformed, private, weak, or not for verifying by this algorithm.
        """
        members = key_use.members(jwk)
        own = key_use.algorithm_of(members, alg, operation="verify")
        key = jwk_format.public_key(members, ALGORITHMS[own])
        return cls(key, alg=own, kid=key_use.kid_of(members))

    @property
    def is_public(self) -> bool:
        """Whether this key may be published; false for the secret of HMAC."""
        return not isinstance(self._key, bytes)

    def _public(self) -> PublicKey:
        if isinstance(self._key, bytes):
            raise InvalidKey("the secret of HMAC has no public form; publish another algorithm")
        return self._key

    def to_pem(self) -> bytes:
        """Write the public key as a ``PUBLIC KEY`` block.

        Raises:
            InvalidKey: It is the secret of HMAC.
        """
        return self._public().public_bytes(Encoding.PEM, PublicFormat.SubjectPublicKeyInfo)

    def to_jwk(self) -> dict[str, str]:
        """Write the public key as a JWK with ``alg``, ``use`` and ``kid``.

        Raises:
            InvalidKey: It is the secret of HMAC.
        """
        members = jwk_format.public_members(self._public(), ALGORITHMS[self.alg])
        return {**members, "alg": self.alg, "use": "sig", "kid": self.kid}

    def verify(self, signature: bytes, data: bytes) -> bool:
        """Tell whether a signature is one of this data by this key.

        Args:
            signature: In the form of RFC 7518 section 3.
            data: What was signed.
        """
        return self.check(signature, data)

    def __repr__(self) -> str:
        """Show algorithm and id, never material."""
        return f"VerifyingKey(alg={self.alg!r}, kid={self.kid!r})"


class SigningKey:
    """What signs by one algorithm: a private key, or the secret of HMAC.

    Made by the class methods. `verifying` is its other half, `kid` its id, `alg` its one algorithm.
    """

    __slots__ = ("_key", "_sign", "alg", "kid", "verifying")

    def __init__(self, key: PrivateKey | bytes, *, alg: Algorithm, kid: str | None = None) -> None:
        """Check and prepare; use the class methods instead."""
        spec = spec_of(alg)
        public = key if isinstance(key, bytes) else key.public_key()
        self.verifying: Final = VerifyingKey(public, alg=alg, kid=kid)
        self._key: Final = key
        self._sign: Final = primitives.signer(key, spec)
        self.alg: Final[Algorithm] = alg
        self.kid: Final = self.verifying.kid

    @classmethod
    def generate(cls, alg: Algorithm, *, kid: str | None = None) -> SigningKey:
        """Make a new key from the system's randomness.

        Args:
            alg: Its one algorithm. RSA keys get 2048 bits, secrets the size of the hash.
            kid: Its id, 1 to 128 characters; by default its thumbprint.

        Raises:
            InvalidKey: The algorithm is not known.
        """
        spec = spec_of(alg)
        key: PrivateKey | bytes
        if spec.curve is not None:
            key = ec.generate_private_key(spec.curve.curve)
        elif spec.kty == "OKP":
            key = Ed25519PrivateKey.generate()
        elif spec.kty == "RSA":
            key = rsa.generate_private_key(RSA_EXPONENT, GENERATED_RSA_BITS)
        else:
            key = secrets.token_bytes(spec.hash.digest_size)
        return cls(key, alg=alg, kid=kid)

    @classmethod
    def from_pem(
        cls, pem: bytes, *, alg: Algorithm, kid: str | None = None, password: bytes | None = None
    ) -> SigningKey:
        """Load a private key.

        Args:
            pem: A ``PRIVATE KEY`` block or an older form of it, at most 16 KiB.
            alg: Its one algorithm.
            kid: Its id, 1 to 128 characters; by default its thumbprint.
            password: What it is encrypted under, if it is.

        Raises:
            InvalidKey: It is malformed, weak, not for this algorithm, or the password is wrong.
        """
        key = load_pem(lambda data: load_pem_private_key(data, password), pem)
        if not isinstance(key, ec.EllipticCurvePrivateKey | Ed25519PrivateKey | RSAPrivateKey):
            raise InvalidKey("the key is of another type than its algorithm asks for")
        return cls(key, alg=alg, kid=kid)

    @classmethod
    def from_jwk(
        cls, jwk: Mapping[str, Any] | bytes, *, alg: Algorithm | None = None
    ) -> SigningKey:
        """Load a private JWK (RFC 7517), or an ``oct`` secret for HMAC.

        Args:
            jwk: The members, or UTF-8 JSON of at most 32 KiB.
            alg: Its one algorithm, where the JWK does not say; must agree where it does.

        Raises:
            InvalidKey: It is malformed, not private, weak, or not for signing by this algorithm.
        """
        members = key_use.members(jwk)
        own = key_use.algorithm_of(members, alg, operation="sign")
        key = jwk_format.private_key(members, ALGORITHMS[own])
        return cls(key, alg=own, kid=key_use.kid_of(members))

    @classmethod
    def from_secret(
        cls, secret: bytes, *, alg: Algorithm = "HS256", kid: str | None = None
    ) -> SigningKey:
        """Take a shared secret for HMAC (RFC 7518 section 3.2).

        Args:
            secret: Random bytes, at least the size of the hash: 32, 48 or 64.
            alg: One of HS256, HS384 and HS512.
            kid: Its id, 1 to 128 characters; by default its thumbprint.

        Raises:
            InvalidKey: It is too short, or a key in PEM, DER, SSH or JWK form.
        """
        if not isinstance(secret, bytes):
            raise InvalidKey("a secret is bytes; encode the text you have")
        return cls(secret, alg=alg, kid=kid)

    def to_pem(self) -> bytes:
        """Write the private key as an unencrypted ``PRIVATE KEY`` block (PKCS #8).

        Raises:
            InvalidKey: It is the secret of HMAC.
        """
        if isinstance(self._key, bytes):
            raise InvalidKey("the secret of HMAC has no PEM form; use to_jwk")
        return self._key.private_bytes(Encoding.PEM, PrivateFormat.PKCS8, NoEncryption())

    def to_jwk(self) -> dict[str, str]:
        """Write the private key as a JWK with ``alg``, ``use`` and ``kid``; it is a secret."""
        spec = ALGORITHMS[self.alg]
        public = self._key if isinstance(self._key, bytes) else self._key.public_key()
        return {
            **jwk_format.public_members(public, spec),
            **jwk_format.private_members(self._key, spec),
            "alg": self.alg,
            "use": "sig",
            "kid": self.kid,
        }

    def sign(self, data: bytes) -> bytes:
        """Sign.

        Args:
            data: What to sign.

        Returns:
            The signature in the form of RFC 7518 section 3.
        """
        return self._sign(data)

    def __repr__(self) -> str:
        """Show algorithm and id, never material."""
        return f"SigningKey(alg={self.alg!r}, kid={self.kid!r})"
