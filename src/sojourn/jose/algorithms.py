"""The signature algorithms, in one table (RFC 7518 section 3.1, RFC 8037, RFC 9864).

``none`` is not in it, nor is anything with SHA-1. `Ed25519` (RFC 9864) and the older name `EdDSA`
(RFC 8037, here for Ed25519 only) are two entries: a key is pinned to one of the names.
"""

from __future__ import annotations

from dataclasses import dataclass
from types import MappingProxyType
from typing import TYPE_CHECKING, Final, Literal, TypeGuard, get_args

from cryptography.hazmat.primitives.asymmetric import ec
from cryptography.hazmat.primitives.hashes import SHA256, SHA384, SHA512, HashAlgorithm

if TYPE_CHECKING:
    from collections.abc import Mapping

Algorithm = Literal[
    "ES256", "ES384", "ES512",
    "Ed25519", "EdDSA",
    "RS256", "RS384", "RS512",
    "PS256", "PS384", "PS512",
    "HS256", "HS384", "HS512",
]  # fmt: skip
"""The name of a signature algorithm, as it stands in a header's ``alg``."""

KeyType = Literal["EC", "OKP", "RSA", "oct"]


@dataclass(frozen=True, slots=True)
class Curve:
    """A curve of RFC 7518 section 6.2.1.1: its name there, octets of a coordinate, group order."""

    crv: str
    curve: ec.EllipticCurve
    size_bytes: int
    order: int


# Group orders: FIPS 186-5 (SP 800-186 section 3.2.1).
P256: Final = Curve(
    "P-256",
    ec.SECP256R1(),
    32,
    0xFFFFFFFF00000000FFFFFFFFFFFFFFFFBCE6FAADA7179E84F3B9CAC2FC632551,
)
P384: Final = Curve(
    "P-384",
    ec.SECP384R1(),
    48,
    0xFFFFFFFFFFFFFFFFFFFFFFFFFFFFFFFFFFFFFFFFFFFFFFFFC7634D81F4372DDF581A0DB248B0A77AECEC196ACCC52973,
)
P521: Final = Curve(
    "P-521",
    ec.SECP521R1(),
    66,
    0x01FFFFFFFFFFFFFFFFFFFFFFFFFFFFFFFFFFFFFFFFFFFFFFFFFFFFFFFFFFFFFFFFFFFA51868783BF2F966B7FCC0148F709A5D03BB5C9B8899C47AEBB6FB71E91386409,
)


@dataclass(frozen=True, slots=True)
class Spec:
    """What an algorithm asks of a key, and how it signs."""

    kty: KeyType
    hash: HashAlgorithm
    curve: Curve | None = None
    is_pss: bool = False


ALGORITHMS: Final[Mapping[Algorithm, Spec]] = MappingProxyType(
    {
        "ES256": Spec("EC", SHA256(), curve=P256),
        "ES384": Spec("EC", SHA384(), curve=P384),
        "ES512": Spec("EC", SHA512(), curve=P521),
        "Ed25519": Spec("OKP", SHA512()),
        "EdDSA": Spec("OKP", SHA512()),
        "RS256": Spec("RSA", SHA256()),
        "RS384": Spec("RSA", SHA384()),
        "RS512": Spec("RSA", SHA512()),
        "PS256": Spec("RSA", SHA256(), is_pss=True),
        "PS384": Spec("RSA", SHA384(), is_pss=True),
        "PS512": Spec("RSA", SHA512(), is_pss=True),
        "HS256": Spec("oct", SHA256()),
        "HS384": Spec("oct", SHA384()),
        "HS512": Spec("oct", SHA512()),
    }
)

ED25519_CRV: Final = "Ed25519"
ALL: Final[frozenset[Algorithm]] = frozenset(get_args(Algorithm))
PUBLIC: Final[frozenset[Algorithm]] = frozenset(
    name for name, spec in ALGORITHMS.items() if spec.kty != "oct"
)
"""The algorithms whose verifying key may be published."""


def is_algorithm(name: object) -> TypeGuard[Algorithm]:
    """Tell whether this is the exact name of a known algorithm; case matters (RFC 7515 4.1.1)."""
    return isinstance(name, str) and name in ALL
