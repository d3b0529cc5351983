"""Keys that must not be used: too short, weakly generated, degenerate, or public text as a secret.

Each rule refuses at import, so that no verification has to remember it.
"""

from __future__ import annotations

from binascii import Error, a2b_base64
from functools import partial
from typing import TYPE_CHECKING

from cryptography.exceptions import UnsupportedAlgorithm
from cryptography.hazmat.primitives.asymmetric import ec
from cryptography.hazmat.primitives.serialization import load_der_private_key, load_der_public_key
from cryptography.x509 import load_der_x509_certificate

from sojourn.errors import InvalidKey
from sojourn.jose.algorithms import P256, P384, P521

if TYPE_CHECKING:
    from collections.abc import Callable

MIN_RSA_BITS = 2048
MAX_RSA_BITS = 8192
RSA_EXPONENT = 65537

# --- RSA ------------------------------------------------------------------------------------------

# The primes up to 167 modulo which 65537 generates only a part of the group. The flawed library of
# CVE-2017-15361 built primes as k * M + (65537^a mod M), so its moduli fall into that part for each
# of them; any other modulus does with a probability of 2^-27 (Nemec et al., "The Return of
# Coppersmith's Attack", CCS 2017, section 2.3).
_ROCA_PRIMES = (11, 13, 17, 19, 37, 53, 61, 71, 73, 79, 97, 103, 107, 109, 127, 151, 157)
_ROCA_RESIDUES = tuple(
    (prime, frozenset(pow(RSA_EXPONENT, exponent, prime) for exponent in range(prime)))
    for prime in _ROCA_PRIMES
)


def is_roca_weak(modulus: int) -> bool:
    """Tell whether a modulus bears the fingerprint of CVE-2017-15361 (ROCA).

    Args:
        modulus: The RSA modulus.
    """
    return all(modulus % prime in residues for prime, residues in _ROCA_RESIDUES)


def check_rsa(modulus: int, exponent: int) -> None:
    """Refuse weak and oversized RSA keys (RFC 7518 section 3.3).

    Args:
        modulus: n; 2048 to 8192 bits.
        exponent: e; 65537.

    Raises:
        InvalidKey: With the rule that was broken.
    """
    bits = modulus.bit_length()
    if not MIN_RSA_BITS <= bits <= MAX_RSA_BITS:
        raise InvalidKey(
            f"an RSA key has {MIN_RSA_BITS} to {MAX_RSA_BITS} bits, this one {bits}; make a new key"
        )
    if exponent != RSA_EXPONENT:
        raise InvalidKey(f"an RSA key has the exponent {RSA_EXPONENT}; make a new key")
    if modulus % 2 == 0 or is_roca_weak(modulus):
        raise InvalidKey("the RSA modulus is weak (even, or CVE-2017-15361); make a new key")


# --- Ed25519 --------------------------------------------------------------------------------------

_P = 2**255 - 19
_D = -121665 * pow(121666, -1, _P) % _P
_ORDER_8_Y = 0x7A03AC9277FDC74EC6CC392CFA53202A0F67100D760B3CBA4FD84D3D706A17C7
_SMALL_ORDER_Y = frozenset({0, 1, _P - 1, _ORDER_8_Y, _P - _ORDER_8_Y})


def check_ed25519(public: bytes) -> None:
    """Refuse degenerate Ed25519 keys: under one of small order, anybody can sign.

    Args:
        public: The 32 bytes of the key (RFC 8032 section 5.1.5).

    Raises:
        InvalidKey: It is of small order, not on the curve, or not in the canonical spelling.
    """
    y = int.from_bytes(public, "little") & (2**255 - 1)
    # RFC 8032 section 5.1.3: x^2 = (y^2 - 1) / (d y^2 + 1) has to be a square.
    x_squared = (y * y - 1) * pow(_D * y * y + 1, -1, _P)
    is_on_curve = pow(x_squared, (_P - 1) // 2, _P) == 1
    if y >= _P or y in _SMALL_ORDER_Y or not is_on_curve:
        raise InvalidKey("the Ed25519 key is not a canonical point of large order; make a new key")


# --- secrets --------------------------------------------------------------------------------------

_TEXTS_OF_KEYS = (b"-----BEGIN", b"---- BEGIN", b'"kty"', b"'kty'")
_SSH_PREFIXES = (b"ssh-", b"ecdsa-sha2-", b"sk-ssh-", b"sk-ecdsa-")
_SSH_BINARY = (b"\x00\x00\x00\x07ssh-", b"\x00\x00\x00\x0bssh-", b"\x00\x00\x00\x13ecdsa-sha2-")
_DER_SEQUENCE = b"\x30"
_UNCOMPRESSED_POINT = b"\x04"


def check_secret(secret: bytes, *, min_bytes: int) -> None:
    """Refuse secrets that are too short (RFC 7518 section 3.2), or not secret at all.

    Whoever knows the public key could sign with it as the secret of HMAC (RFC 8725 section 2.1).
    So every common form of a key is refused here, private ones too, since only a mix-up can have
    brought them.

    Args:
        secret: The secret.
        min_bytes: The size of the hash.

    Raises:
        InvalidKey: With what it is instead.
    """
    if len(secret) < min_bytes:
        raise InvalidKey(
            f"the secret has {len(secret)} bytes, this algorithm needs {min_bytes} from a CSPRNG"
        )
    stripped = secret.removeprefix(b"\xef\xbb\xbf").strip()
    if (
        any(mark in secret for mark in _TEXTS_OF_KEYS)
        or stripped.startswith(_SSH_PREFIXES)
        or any(_is_binary_key(form) for form in (secret, _from_base64(stripped)))
    ):
        raise InvalidKey(
            "this is a key in PEM, DER, SSH or JWK form, not a secret; give it to from_pem or "
            "from_jwk with its own algorithm, or take random bytes for HMAC"
        )


def _from_base64(text: bytes) -> bytes:
    """Undo base64 of either alphabet; a PEM whose armour was cut off is still a public key."""
    joined = b"".join(text.split()).replace(b"-", b"+").replace(b"_", b"/").rstrip(b"=")
    try:
        return a2b_base64(joined + b"=" * (-len(joined) % 4), strict_mode=True)
    except Error:
        return b""


def _is_binary_key(data: bytes) -> bool:
    return data.startswith(_SSH_BINARY) or _is_der_key(data) or _is_point(data)


def _is_der_key(data: bytes) -> bool:
    loaders: tuple[Callable[[bytes], object], ...] = (
        load_der_public_key,
        load_der_x509_certificate,
        partial(load_der_private_key, password=None),
    )
    return data.startswith(_DER_SEQUENCE) and any(_loads(loader, data) for loader in loaders)


def _is_point(data: bytes) -> bool:
    return data.startswith(_UNCOMPRESSED_POINT) and any(
        _loads(partial(ec.EllipticCurvePublicKey.from_encoded_point, each.curve), data)
        for each in (P256, P384, P521)
    )


def _loads(loader: Callable[[bytes], object], data: bytes) -> bool:
    try:
        loader(data)
    except (ValueError, UnsupportedAlgorithm):
        return False
    except TypeError:  # an encrypted private key: no password was given
        return True
    return True
