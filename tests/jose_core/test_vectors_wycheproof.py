"""Project Wycheproof: every verdict is ours, but for the overrides, each with its reason."""

from __future__ import annotations

from collections import Counter
from typing import Any

import pytest
from jose_core import tokens
from jose_core.tokens import NOW

from sojourn.errors import InvalidKey, InvalidToken
from sojourn.jose import KeySet, TokenVerifier, VerifyingKey, inspect, jws
from sojourn.jose.algorithms import PUBLIC

# Published as valid for the bare primitive, refused here because of the key: (file, tcId).
KEY_POLICY = {
    ("rsa_signature_2048_sha256_test", 258): "e = 3",
    ("rsa_signature_2048_sha256_test", 259): "e = 3",
}
COUNTS = {
    "ecdsa_secp256r1_sha256_p1363_test": ("ES256", 189, 114),
    "ecdsa_secp384r1_sha384_p1363_test": ("ES384", 214, 140),
    "ecdsa_secp521r1_sha512_p1363_test": ("ES512", 252, 180),
    "ed25519_test": ("Ed25519", 65, 45),
    "rsa_signature_2048_sha256_test": ("RS256", 259, 7),
    "rsa_pss_2048_sha256_mgf1_32_test": ("PS256", 108, 63),
}


def report(name: str, counts: Counter[Any]) -> None:
    """Print what was decided."""
    print(f"{name}: {counts['accepted'] + counts['refused']} tests, "
          f"{counts['accepted']} accepted, {counts['refused']} refused")  # fmt: skip


def key_or_none(load: Any, *args: Any, **options: Any) -> VerifyingKey | None:
    """A key, or None where it is refused."""
    try:
        return load(*args, **options)
    except InvalidKey:
        return None


@pytest.mark.parametrize("name", COUNTS)
def test_raw_signatures(vectors, name):
    """ECDSA in P1363 form, Ed25519, RSA and RSA-PSS: by the PEM key and by the JWK."""
    alg, tests, accepted = COUNTS[name]
    counts: Counter[str] = Counter()
    wrong = []
    for group in vectors.wycheproof(name):
        jwk = group.get("publicKeyJwk") or group.get("keyJwk")
        keys = [
            key_or_none(VerifyingKey.from_pem, group["publicKeyPem"].encode(), alg=alg),
            key_or_none(VerifyingKey.from_jwk, jwk, alg=alg) if jwk else None,
        ]
        for test in group["tests"]:
            signature, message = bytes.fromhex(test["sig"]), bytes.fromhex(test["msg"])
            verdict = keys[0] is not None and keys[0].verify(signature, message)
            if keys[1] is not None:
                assert verdict == keys[1].verify(signature, message)
            expected = vectors.override(name, test["tcId"], test["result"])
            if (name, test["tcId"]) in KEY_POLICY:
                expected = False
            if verdict != expected:
                wrong.append((test["tcId"], test["comment"], test["result"]))
            counts["accepted" if verdict else "refused"] += 1
    report(name, counts)
    assert [] == wrong
    assert (tests, accepted) == (counts.total(), counts["accepted"])


@pytest.mark.parametrize(("bits", "alg"), [(256, "HS256"), (384, "HS384"), (512, "HS512")])
def test_hmac(vectors, bits, alg):
    """HMAC: whole tags under keys of full size only (RFC 7518 section 3.2)."""
    name = f"hmac_sha{bits}_test"
    counts: Counter[str] = Counter()
    wrong = []
    for group in vectors.wycheproof(name):
        for test in group["tests"]:
            jwk = {"kty": "oct", "k": tokens.b64(bytes.fromhex(test["key"]))}
            key = key_or_none(VerifyingKey.from_jwk, jwk, alg=alg)
            verdict = key is not None and key.verify(
                bytes.fromhex(test["tag"]), bytes.fromhex(test["msg"])
            )
            is_whole = int(group["tagSize"]) == bits and int(group["keySize"]) >= bits
            if verdict != (test["result"] == "valid" and is_whole):
                wrong.append((test["tcId"], test["comment"], test["result"]))
            counts["accepted" if verdict else "refused"] += 1
    report(name, counts)
    assert [] == wrong
    assert (165, 27) == (counts.total(), counts["accepted"])


def is_accepted(token: str, keys: KeySet | None) -> bool:
    """Whether a token verifies under a set."""
    try:
        return keys is not None and isinstance(jws.verify(token, keys), jws.Jws)
    except InvalidToken:
        return False


def test_json_web_signature(vectors):
    """Tokens with the key of their group: header, segments, signature."""
    name = "json_web_signature_test"
    counts: Counter[str] = Counter()
    wrong = []
    for group in vectors.wycheproof(name):
        key = key_or_none(VerifyingKey.from_jwk, group.get("public", group["private"]))
        keys = None if key is None else KeySet([key])
        for test in group["tests"]:
            verdict = is_accepted(test["jws"], keys)
            if verdict != vectors.override(name, test["tcId"], test["result"]):
                wrong.append((test["tcId"], test["comment"], test["result"]))
            counts["accepted" if verdict else "refused"] += 1
    report(name, counts)
    assert [] == wrong
    assert (102, 26) == (counts.total(), counts["accepted"])


def key_set(jwks: dict[str, Any]) -> KeySet | None:
    """Load a set: one of secrets only key by key, any other as the public set it claims to be."""
    keys = jwks["keys"]
    try:
        if all(jwk["kty"] == "oct" for jwk in keys):
            return KeySet([VerifyingKey.from_jwk(jwk) for jwk in keys])
        return KeySet.from_jwks(jwks, algorithms=PUBLIC)
    except InvalidKey:
        return None


def test_json_web_key(vectors):
    """Key sets: mixed ones, wrong uses, short keys, unknown algorithms."""
    name = "json_web_key_test"
    counts: Counter[str] = Counter()
    wrong = []
    for group in vectors.wycheproof(name):
        keys = key_set(group.get("public", group["private"]))
        for test in group["tests"]:
            verdict = is_accepted(test["jws"], keys)
            if verdict != vectors.override(name, test["tcId"], test["result"]):
                wrong.append((test["tcId"], test["comment"], test["result"]))
            counts["accepted" if verdict else "refused"] += 1
    report(name, counts)
    assert [] == wrong
    assert (13, 4) == (counts.total(), counts["accepted"])


def test_json_web_encryption(vectors):
    """Every encrypted token is refused at every door, the valid ones too."""
    checked = TokenVerifier(KeySet([tokens.key().verifying]), tokens.expectation())
    counts: Counter[str] = Counter()
    for group in vectors.wycheproof("json_web_encryption_test"):
        for test in group["tests"]:
            for door in (
                lambda token: checked.verify(token, now=NOW),
                lambda token: jws.verify(token, KeySet([])),
                inspect,
            ):
                with pytest.raises(InvalidToken) as caught:
                    door(test["jwe"])
                if test["jwe"].count(".") == 4:
                    assert "not_three_segments" == caught.value.reason
            counts["refused"] += 1
    report("json_web_encryption_test", counts)
    assert (81, 0) == (counts["refused"], counts["accepted"])
