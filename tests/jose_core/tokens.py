"""Tokens of every shape, well-formed or not, made without the code under test where it matters."""

from __future__ import annotations

import base64
import functools
import json
from typing import Any, get_args

import pytest

from sojourn.errors import InvalidToken
from sojourn.jose import (
    AccessClaims,
    Algorithm,
    Expectation,
    KeySet,
    SigningKey,
    TokenVerifier,
    VerifyingKey,
)

NOW = 1_700_000_000
ISSUER = "https://auth.example.com"
AUDIENCE = "https://api.example.com"
SECRET = b"0123456789abcdef0123456789ABCDEF"
ALGORITHMS: tuple[Algorithm, ...] = get_args(Algorithm)
CLAIMS: dict[str, Any] = {
    "iss": ISSUER,
    "sub": "alice",
    "aud": AUDIENCE,
    "exp": NOW + 900,
    "iat": NOW,
    "jti": "jti-1",
}


def numbered(*cases: Any) -> list[Any]:
    """Parameters with ids that are the same in every process, though keys and tokens are not."""
    each = (case if isinstance(case, tuple) else (case,) for case in cases)
    return [pytest.param(*case, id=f"case{i:02}") for i, case in enumerate(each)]


@functools.cache
def key(alg: Algorithm = "ES256") -> SigningKey:
    """One key of each algorithm for all tests; RSA keys are slow to make."""
    return SigningKey.generate(alg, kid=f"kid-{alg}")


def claims(**changes: Any) -> AccessClaims:
    """Sound claims, with changes."""
    return AccessClaims(**{**CLAIMS, **changes})


def expectation(*algorithms: Algorithm, **changes: Any) -> Expectation:
    """What the tests' issuer pins."""
    pinned = frozenset(algorithms or ("ES256",))
    return Expectation(**{"issuer": ISSUER, "audience": AUDIENCE, "algorithms": pinned, **changes})


def verifier(signing: SigningKey | None = None, **changes: Any) -> TokenVerifier[AccessClaims]:
    """A fresh verifier for one key."""
    signing = signing or key()
    return TokenVerifier(KeySet([signing.verifying]), expectation(signing.alg, **changes))


def b64(data: bytes | str) -> str:
    """Base64url by the standard library."""
    raw = data.encode() if isinstance(data, str) else data
    return base64.urlsafe_b64encode(raw).rstrip(b"=").decode()


def header(signing: SigningKey | None = None, **changes: Any) -> dict[str, Any]:
    """A sound header, with changes; a value of ... drops the member."""
    signing = signing or key()
    sound = {"alg": signing.alg, "kid": signing.kid, "typ": "at+jwt", **changes}
    return {name: value for name, value in sound.items() if value is not ...}


def sealed(header_text: str, payload: str | bytes, signing: SigningKey | None = None) -> str:
    """Sign exactly these texts, whatever they are."""
    data = f"{b64(header_text)}.{b64(payload)}"
    return f"{data}.{b64((signing or key()).sign(data.encode()))}"


def token(signing: SigningKey | None = None, **changes: Any) -> str:
    """A genuine token with changed claims; a value of ... drops the claim."""
    body = {name: value for name, value in {**CLAIMS, **changes}.items() if value is not ...}
    return sealed(json.dumps(header(signing)), json.dumps(body), signing)


def with_header(signing: SigningKey | None = None, **changes: Any) -> str:
    """A genuine token with a changed header."""
    return sealed(json.dumps(header(signing, **changes)), json.dumps(CLAIMS), signing)


def with_payload(payload: str | bytes) -> str:
    """A genuine token whose payload is this very text."""
    return sealed(json.dumps(header()), payload)


def with_member(text: str) -> str:
    """A genuine token with one more member, as this very text, behind sound claims."""
    return with_payload(json.dumps(CLAIMS)[:-1] + "," + text + "}")


def unreachable(*_: object) -> bool:
    """Stands for the cryptography where nothing may get that far."""
    raise AssertionError("the cryptography was reached")


def without_cryptography(verifying: VerifyingKey) -> VerifyingKey:
    """A copy of a key that fails the test when it is asked to check anything."""
    copy = VerifyingKey(verifying._key, alg=verifying.alg, kid=verifying.kid)
    object.__setattr__(copy, "check", unreachable)
    return copy


def reason_of(hostile: str, **changes: Any) -> str:
    """The reason for which a verifier refuses, the same when it has seen a sound token before."""
    fresh = verifier(**changes)
    with pytest.raises(InvalidToken) as first:
        fresh.verify(hostile, now=NOW)
    warm = verifier(**changes)
    if not changes:
        warm.verify(token(), now=NOW)
    with pytest.raises(InvalidToken) as second:
        warm.verify(hostile, now=NOW)
    assert "the credential is not valid" == str(first.value) == str(second.value)
    assert first.value.reason == second.value.reason
    return first.value.reason


def reason_before_cryptography(hostile: str, **changes: Any) -> str:
    """The reason for which a verifier refuses without any cryptography."""
    blind = TokenVerifier(
        KeySet([without_cryptography(key().verifying)]), expectation("ES256", **changes)
    )
    with pytest.raises(InvalidToken) as caught:
        blind.verify(hostile, now=NOW)
    return caught.value.reason
