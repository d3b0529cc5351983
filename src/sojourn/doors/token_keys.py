"""The keys that old tokens were signed with, as they stand in the settings of other libraries."""

from __future__ import annotations

import warnings

from sojourn.errors import InvalidKey, SecurityWarning
from sojourn.jose import Algorithm, SigningKey, VerifyingKey
from sojourn.jose.material import spec_of
from sojourn.jose.strength import check_secret


def old_key(key: str | VerifyingKey, algorithm: Algorithm) -> VerifyingKey:
    """Make the key of an old library verify.

    Args:
        key: The secret of HMAC as text, a public key in PEM, or a key that is made already.
        algorithm: Its one algorithm.

    Raises:
        InvalidKey: It is empty, of another kind than its algorithm's, or weak beyond use.
    """
    spec = spec_of(algorithm)
    if isinstance(key, VerifyingKey):
        if key.alg != algorithm:
            raise InvalidKey(f"the key is for {key.alg}, and algorithm says {algorithm}")
        return key
    if spec.kty != "oct":
        return VerifyingKey.from_pem(key.encode(), alg=algorithm)
    secret = key.encode()
    if not secret.strip():
        raise InvalidKey(
            "the secret of the old tokens is empty; give the one they were signed with"
        )
    check_secret(secret, min_bytes=1)
    size = spec.hash.digest_size
    if len(secret) < size:
        warnings.warn(
            f"the secret of the old tokens has {len(secret)} bytes and {algorithm} needs {size}: "
            "whoever guesses it can sign them; let them expire soon",
            SecurityWarning,
            stacklevel=2,
        )
        # HMAC itself fills a short key with zeros (RFC 2104 section 2), so this is the same key.
        secret = secret.ljust(size, b"\0")
    return SigningKey.from_secret(secret, alg=algorithm).verifying
