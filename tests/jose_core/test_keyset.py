"""Key sets: by id, without duplicates, without secrets."""

from __future__ import annotations

import json

import pytest
from jose_core.tokens import NOW, expectation, header, key, numbered, sealed, token

from sojourn.errors import InvalidKey
from sojourn.jose import KeySet, SigningKey, TokenVerifier, VerifyingKey

PUBLIC = key().verifying.to_jwk()
BOTH = frozenset({"ES256", "RS256"})


def test_a_set_finds_keys_by_their_exact_ids():
    """A key is found by its id, and by nothing like it."""
    keys = KeySet([key().verifying, key("RS256").verifying])
    assert key().verifying is keys.get("kid-ES256")
    assert [None] * 3 == [keys.get(kid) for kid in ("kid-es256", "", "kid-ES256 ")]
    assert 2 == len(keys)
    assert ["kid-ES256", "kid-RS256"] == [each.kid for each in keys]
    assert (
        "KeySet([VerifyingKey(alg='ES256', kid='kid-ES256'), VerifyingKey(alg='RS256', kid='kid-RS256')])"
        == repr(keys)
    )


def test_duplicate_ids_are_refused():
    """Wycheproof: two keys of one id make the verifier's choice an accident."""
    other = SigningKey.generate("ES256", kid=key().kid)
    with pytest.raises(InvalidKey, match="own"):
        KeySet([key().verifying, other.verifying])
    with pytest.raises(InvalidKey, match="same kid"):
        KeySet.from_jwks({"keys": [PUBLIC, other.verifying.to_jwk()]}, algorithms=BOTH)
    unknown = {"kty": "XYZ", "kid": key().kid}
    with pytest.raises(InvalidKey, match="same kid"):
        KeySet.from_jwks({"keys": [unknown, PUBLIC]}, algorithms=BOTH)


def test_a_secret_in_a_public_set_is_refused():
    """Wycheproof (MixedKeySet): what was published is no secret."""
    for keys in ([PUBLIC, key("HS256").to_jwk()], [{"kty": "oct"}]):
        with pytest.raises(InvalidKey, match="oct"):
            KeySet.from_jwks({"keys": keys}, algorithms=frozenset({"ES256", "HS256"}))


def test_secrets_are_never_published():
    """RFC 7517 section 9.2: only public keys are written."""
    keys = KeySet([key("HS256").verifying, key().verifying])
    assert {"keys": [PUBLIC]} == keys.to_jwks()


def test_what_is_written_is_read_again():
    """RFC 7517 section 5: a set survives its JSON."""
    keys = KeySet([key(alg).verifying for alg in ("ES256", "RS256", "Ed25519")])
    raw = json.dumps(keys.to_jwks()).encode()
    again = KeySet.from_jwks(raw, algorithms=frozenset({"ES256", "RS256", "Ed25519"}))
    assert keys.to_jwks() == again.to_jwks()


@pytest.mark.parametrize(
    "jwk",
    numbered(
        {"kty": "XYZ", "kid": "x"},
        {"kty": "RSA", "kid": "x", "n": "AQAB", "e": "AQAB"},
        {"kty": "EC", "crv": "P-256", "kid": "x"},
        {"kty": "EC", "crv": "secp256k1", "kid": "x", "x": "AA", "y": "AA"},
        {"kid": "x"},
        {},
        {**PUBLIC, "kid": "x", "use": "enc"},
        {**PUBLIC, "kid": "x", "key_ops": ["encrypt"]},
        {**PUBLIC, "kid": "x", "alg": "ES384"},
        {**PUBLIC, "kid": "x", "alg": "ECDH-ES"},
        {**PUBLIC, "kid": "x", "alg": ["ES256"]},
        {**PUBLIC, "kid": 7},
        {**key().to_jwk(), "kid": "x"},
    ),
)
def test_a_key_that_cannot_be_used_is_left_out(jwk):
    """RFC 7517 section 5: unknown, weak, private or foreign keys spoil nothing."""
    keys = KeySet.from_jwks({"keys": [jwk, PUBLIC]}, algorithms=BOTH)
    assert ["kid-ES256"] == [each.kid for each in keys]


def test_an_algorithm_outside_the_list_is_left_out():
    """RFC 8725 section 3.1: what the issuer is known to use is the caller's to say."""
    raw = {"keys": [PUBLIC, key("RS256").verifying.to_jwk()]}
    assert ["kid-RS256"] == [k.kid for k in KeySet.from_jwks(raw, algorithms=frozenset({"RS256"}))]
    assert 0 == len(KeySet.from_jwks(raw, algorithms=frozenset()))


def test_a_key_without_algorithm_gets_the_only_one_that_fits():
    """RFC 7517 section 4.4: alg is optional, and some providers leave it out."""
    bare = {n: v for n, v in key("RS256").verifying.to_jwk().items() if n != "alg"}
    one = KeySet.from_jwks({"keys": [bare]}, algorithms=frozenset({"RS256", "ES256"}))
    assert ["RS256"] == [each.alg for each in one]
    several = KeySet.from_jwks({"keys": [bare]}, algorithms=frozenset({"RS256", "PS256"}))
    assert 0 == len(several)


@pytest.mark.parametrize(
    "jwks",
    [
        b"",
        b"[]",
        b"{}",
        b'{"keys":{}}',
        b'{"keys":[],"keys":[]}',
        b'{"keys":[1]}',
        b'{"keys":[[]]}',
        b" " * 300_000,
        {"keys": [{}] * 257},
        {"keys": None},
        [],
        "text",
    ],
)
def test_what_is_no_key_set_is_refused(jwks):
    """RFC 7517 section 5: an object with a list of objects, at most 256 KiB and 256 keys."""
    with pytest.raises(InvalidKey):
        KeySet.from_jwks(jwks, algorithms=BOTH)


def test_too_many_keys_are_refused():
    """A set is small, or it is an attack."""
    many = [VerifyingKey.from_jwk({**PUBLIC, "kid": f"k{i}"}) for i in range(257)]
    assert 256 == len(KeySet(many[:256]))
    with pytest.raises(InvalidKey, match="256"):
        KeySet(many)


def test_a_set_of_several_algorithms_verifies_each_with_its_own():
    """While an issuer moves from one algorithm to another, both are in the set."""
    keys = KeySet([key("HS256").verifying, key().verifying])
    both = TokenVerifier(keys, expectation("ES256", "HS256"))
    for signing in (key("HS256"), key()):
        assert "alice" == both.verify(token(signing), now=NOW).sub
        without = sealed(json.dumps(header(signing, kid=...)), json.dumps({}), signing)
        assert without.count(".") == 2
