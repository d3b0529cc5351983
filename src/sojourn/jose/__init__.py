"""Strict JSON Web Tokens, Signatures and Keys on `cryptography` and `msgspec`.

Pure: no I/O, no clock (`now` is a parameter), no environment. By specification: `base64url` and
`strict_json` (RFC 7515 section 2, RFC 8259), `algorithms` (RFC 7518 section 3, 8037, 9864), `jwk`,
`key_use`, `keys` and `keyset` (RFC 7517, 7638), `material` and `strength` (which keys are
refused), `primitives` (bytes signed), `jws` (RFC 7515), `claims`, `expectation` and `jwt`
(RFC 7519, 8725, 9068), `unverified` (only looking).
"""

from sojourn.jose import jws
from sojourn.jose.algorithms import Algorithm
from sojourn.jose.claims import AccessClaims, RegisteredClaims
from sojourn.jose.expectation import Expectation
from sojourn.jose.jwt import TokenVerifier, issue, verify
from sojourn.jose.keys import SigningKey, VerifyingKey
from sojourn.jose.keyset import KeySet
from sojourn.jose.unverified import Unverified, inspect

__all__ = [
    "AccessClaims",
    "Algorithm",
    "Expectation",
    "KeySet",
    "RegisteredClaims",
    "SigningKey",
    "TokenVerifier",
    "Unverified",
    "VerifyingKey",
    "inspect",
    "issue",
    "jws",
    "verify",
]
