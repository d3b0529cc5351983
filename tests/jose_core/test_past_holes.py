"""Past holes of other libraries that concern tokens and keys, each shown closed here."""

from __future__ import annotations

import base64
import json

import pytest
from cryptography.hazmat.primitives.serialization import (
    Encoding,
    PublicFormat,
    load_pem_public_key,
)
from jose_core import tokens
from jose_core.tokens import (
    NOW,
    SECRET,
    key,
    reason_before_cryptography,
    reason_of,
    token,
    with_header,
)

from sojourn.errors import InvalidInput, InvalidKey, InvalidToken
from sojourn.jose import KeySet, SigningKey, TokenVerifier, VerifyingKey


def public_texts() -> dict[str, bytes]:
    """Every common form of public keys, and some that were used to slip past filters."""
    texts = {}
    for alg in ("RS256", "ES256", "Ed25519"):
        verifying = key(alg).verifying
        pem = verifying.to_pem()
        loaded = load_pem_public_key(pem)
        ssh = loaded.public_bytes(Encoding.OpenSSH, PublicFormat.OpenSSH)
        der = loaded.public_bytes(Encoding.DER, PublicFormat.SubjectPublicKeyInfo)
        texts |= {
            f"{alg} pem": pem,
            f"{alg} pem with blanks": b"\n\t " + pem,
            f"{alg} pem with bom": b"\xef\xbb\xbf" + pem,
            f"{alg} pem with crlf": pem.replace(b"\n", b"\r\n"),
            f"{alg} pem without armour": b"".join(pem.splitlines()[1:-1]),
            f"{alg} pem without armour, in lines": b"\n".join(pem.splitlines()[1:-1]),
            f"{alg} pem as utf-16": b"-----BEGIN PUBLIC KEY-----" + pem.decode().encode("utf-16"),
            f"{alg} der": der,
            f"{alg} der in base64url": base64.urlsafe_b64encode(der).rstrip(b"="),
            f"{alg} ssh": ssh,
            f"{alg} ssh with blanks": b"  " + ssh,
            f"{alg} ssh binary": base64.b64decode(ssh.split()[1]),
            f"{alg} ssh base64": ssh.split()[1],
            f"{alg} jwk": json.dumps(verifying.to_jwk()).encode(),
            f"{alg} jwk, indented": json.dumps(verifying.to_jwk(), indent=1).encode(),
            f"{alg} jwks": json.dumps({"keys": [verifying.to_jwk()]}).encode(),
            f"{alg} private pem": key(alg).to_pem(),
        }
    rsa = load_pem_public_key(key("RS256").verifying.to_pem())
    texts["pkcs1 pem"] = rsa.public_bytes(Encoding.PEM, PublicFormat.PKCS1)
    texts["pkcs1 der"] = rsa.public_bytes(Encoding.DER, PublicFormat.PKCS1)
    ec = load_pem_public_key(key("ES256").verifying.to_pem())
    texts["ec point"] = ec.public_bytes(Encoding.X962, PublicFormat.UncompressedPoint)
    return texts


@pytest.mark.parametrize("name", sorted(public_texts()))
def test_no_form_of_a_key_is_taken_for_a_secret(name):
    """PyJWT CVE-2017-11424, CVE-2022-29217, GHSA 2026-48526; python-jose CVE-2024-33663."""
    text = public_texts()[name]
    with pytest.raises(InvalidKey, match="not a secret"):
        SigningKey.from_secret(text)
    k = base64.urlsafe_b64encode(text).rstrip(b"=").decode()
    for load in (SigningKey.from_jwk, VerifyingKey.from_jwk):
        with pytest.raises(InvalidKey, match="not a secret"):
            load({"kty": "oct", "k": k, "alg": "HS256"})


def test_random_secrets_are_not_taken_for_keys():
    """The filter recognises keys by loading them, so chance refuses nobody."""
    import random

    chance = random.Random(7)
    for first in (0x30, 0x04, 0x00, 0x02, 0x03):
        for _ in range(300):
            SigningKey.from_secret(bytes([first]) + chance.randbytes(64))
            SigningKey.from_secret(base64.b64encode(bytes([first]) + chance.randbytes(47)))


def test_crit_is_never_ignored():
    """PyJWT CVE-2026-32597: unknown critical extensions were ignored."""
    assert "header_crit" == reason_before_cryptography(with_header(crit=["policy"], policy="x"))


def test_a_key_object_does_not_widen_the_allowlist():
    """PyJWT GHSA 2026-48523: the algorithms of a key object replaced the caller's."""
    keys = KeySet([key("RS256").verifying])
    for allowed in (frozenset({"ES256"}), frozenset()):
        checked = TokenVerifier(keys, tokens.expectation(algorithms=allowed))
        with pytest.raises(InvalidToken) as caught:
            checked.verify(token(key("RS256")), now=NOW)
        assert "alg_not_allowed" == caught.value.reason


def test_the_size_is_judged_before_decoding():
    """Joserfc GHSA 2026-48990: the size was judged after decoding."""
    assert "too_large" == reason_before_cryptography("!" * 8193)


@pytest.mark.parametrize("alg", ["HS256", "HS384", "HS512"])
@pytest.mark.parametrize("missing", [1, 2, 1000])
def test_an_empty_or_short_secret_is_refused(alg, missing):
    """RFC 7518 section 3.2, GHSA 2026-49852: HMAC takes an empty key, and anybody has that."""
    size = {"HS256": 32, "HS384": 48, "HS512": 64}[alg]
    secret = bytes(range(64))[: max(0, size - missing)]
    with pytest.raises(InvalidKey):
        SigningKey.from_secret(secret, alg=alg)
    k = base64.urlsafe_b64encode(secret).rstrip(b"=").decode()
    with pytest.raises(InvalidKey):
        VerifyingKey.from_jwk({"kty": "oct", "k": k, "alg": alg})
    SigningKey.from_secret(bytes(range(64))[:size], alg=alg)


def test_an_array_of_issuers_is_refused():
    """GHSA 2026-75509, CVE-2024-53861: `in` was asked of an array or a longer text."""
    assert "invalid_iss" == reason_of(token(iss=[tokens.ISSUER]))
    assert "wrong_issuer" == reason_of(token(iss=tokens.ISSUER[:5]))


def test_a_secret_is_never_text():
    """What could be a key file's text or a password is not taken for bytes."""
    for wrong in ("0" * 64, bytearray(64), None, memoryview(bytes(64))):
        with pytest.raises(InvalidKey):
            SigningKey.from_secret(wrong)


def test_an_algorithm_is_never_a_default_of_the_token():
    """CVE-2015-9235: the key's algorithm is decided when the key is made."""
    shared = SigningKey.from_secret(SECRET, kid="k")
    forged = token(SigningKey.from_secret(SECRET * 2, alg="HS512", kid="k"))
    with pytest.raises(InvalidToken) as caught:
        TokenVerifier(KeySet([shared.verifying]), tokens.expectation("HS256", "HS512")).verify(
            forged, now=NOW
        )
    assert "alg_not_of_key" == caught.value.reason


def test_no_error_is_anything_but_ours():
    """Fuzzers found crashes on odd types at every door; each is an error of this library."""
    odd = [
        None,
        1,
        "",
        b"",
        [],
        {},
        {"keys": 1},
        {"kty": []},
        "\ud800",
        b"\xff",
        b"[" * 31,
        {"kty": "EC", "crv": {}},
    ]
    for value in odd:
        for call in (
            lambda v: VerifyingKey.from_pem(v, alg="ES256"),
            lambda v: SigningKey.from_pem(v, alg="ES256"),
            VerifyingKey.from_jwk,
            SigningKey.from_jwk,
            SigningKey.from_secret,
            SigningKey.generate,
            lambda v: KeySet.from_jwks(v, algorithms=frozenset({"ES256"})),
        ):
            with pytest.raises((InvalidKey, InvalidInput)):
                call(value)
