"""Key objects of `cryptography`: loading them from PEM, and holding them to their algorithm."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any, Final

from cryptography.exceptions import UnsupportedAlgorithm
from cryptography.hazmat.primitives.asymmetric import ec
from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PublicKey
from cryptography.hazmat.primitives.asymmetric.rsa import RSAPublicKey

from sojourn.errors import InvalidKey
from sojourn.jose.algorithms import ALGORITHMS, Spec, is_algorithm
from sojourn.jose.strength import check_ed25519, check_rsa, check_secret

if TYPE_CHECKING:
    from collections.abc import Callable

    from sojourn.jose.primitives import PublicKey

MAX_PEM_BYTES: Final = 16 * 1024


def spec_of(alg: object) -> Spec:
    """Look an algorithm up.

    Raises:
        InvalidKey: It is not known.
    """
    if not is_algorithm(alg):
        raise InvalidKey("this algorithm is not known; take one of sojourn.jose.Algorithm")
    return ALGORITHMS[alg]


def check_key(key: PublicKey | bytes, spec: Spec) -> None:
    """Refuse a key that is too weak, or of another type or curve than its algorithm's.

    Args:
        key: A public key, or the secret of HMAC.
        spec: Its algorithm.

    Raises:
        InvalidKey: With the rule that was broken.
    """
    match key:
        case bytes() if spec.kty == "oct":
            check_secret(key, min_bytes=spec.hash.digest_size)
        case RSAPublicKey() if spec.kty == "RSA":
            numbers = key.public_numbers()
            check_rsa(numbers.n, numbers.e)
        case Ed25519PublicKey() if spec.kty == "OKP":
            check_ed25519(key.public_bytes_raw())
        case ec.EllipticCurvePublicKey() if spec.curve and key.curve.name == spec.curve.curve.name:
            pass  # a point off the curve cannot be loaded
        case _:
            raise InvalidKey("the key is of another type or curve than its algorithm asks for")


def load_pem(load: Callable[[bytes], object], pem: bytes) -> Any:
    """Load a PEM block.

    Args:
        load: The loader of `cryptography`.
        pem: At most 16 KiB.

    Raises:
        InvalidKey: It is not one, or its password does not fit.
    """
    if not isinstance(pem, bytes) or len(pem) > MAX_PEM_BYTES:
        raise InvalidKey(f"a PEM key is bytes, at most {MAX_PEM_BYTES} of them")
    try:
        return load(pem)
    except (ValueError, TypeError, UnsupportedAlgorithm):
        raise InvalidKey(
            "this is no PEM key of the kind asked for (private for signing, public for "
            "verifying), or its password is missing, wrong or needless"
        ) from None
