"""The examples of RFC 7515, 7517, 7638, 7797, 8037 and the JOSE cookbook (RFC 7520)."""

from __future__ import annotations

import json

import pytest

from sojourn.errors import InvalidKey, InvalidToken
from sojourn.jose import KeySet, SigningKey, VerifyingKey, jws
from sojourn.jose.algorithms import PUBLIC

# --- RFC 7515, 7517, 7638 -------------------------------------------------------------------------

EXAMPLES = {"A.1": "HS256", "A.2": "RS256", "A.3": "ES256", "A.4": "ES512"}


@pytest.mark.parametrize(("appendix", "alg"), EXAMPLES.items())
def test_rfc7515_examples_verify(vectors, appendix, alg):
    """RFC 7515 appendices A.1 to A.4: the published tokens verify under the published keys."""
    jwk = vectors.json(f"rfc/rfc7515_{appendix}.jwk")
    token = vectors.text(f"rfc/rfc7515_{appendix}.jwsc").strip()
    signing = SigningKey.from_jwk(jwk, alg=alg)
    opened = jws.verify(token, KeySet([signing.verifying]))
    assert alg == opened.header["alg"]
    expected = b"Payload" if appendix == "A.4" else b'{"iss":"joe",\r\n "exp":1300819380'
    assert opened.payload.startswith(expected)
    if alg in {"HS256", "RS256"}:
        data, _, signature = token.rpartition(".")
        from sojourn.jose import base64url

        assert signature == base64url.encode(signing.sign(data.encode())).decode()


def test_rfc7515_unsecured_and_json_serializations_are_refused(vectors):
    """RFC 7515 appendices A.5 (none), A.6 (general) and A.7 (flattened): not spoken here."""
    keys = KeySet.from_jwks(vectors.json("rfc/rfc7515_A.6.jwkset"), algorithms=PUBLIC)
    for name in ("A.5.jwsc", "A.6.jwsg", "A.7.jwsf"):
        with pytest.raises(InvalidToken):
            jws.verify(vectors.text(f"rfc/rfc7515_{name}").strip(), keys)


def test_rfc7515_keys_of_the_json_serializations_load(vectors):
    """RFC 7515 appendix A.6: its keys are sound, and its signatures verify as compact tokens."""
    general = vectors.json("rfc/rfc7515_A.6.jwsg")
    keys = [
        VerifyingKey.from_jwk(public_part(vectors.json(f"rfc/rfc7515_A.6.{i}.jwk")), alg=alg)
        for i, alg in ((1, "RS256"), (2, "ES256"))
    ]
    for key, each in zip(keys, general["signatures"], strict=True):
        token = f"{each['protected']}.{general['payload']}.{each['signature']}"
        assert jws.verify(token, KeySet([key])).payload.startswith(b'{"iss":"joe"')


def public_part(jwk: dict[str, str]) -> dict[str, str]:
    """The members of a private JWK that may be published."""
    return {n: v for n, v in jwk.items() if n not in {"d", "p", "q", "dp", "dq", "qi", "oth"}}


def test_rfc7517_key_sets(vectors):
    """RFC 7517 appendix A: public keys load, private and symmetric sets are refused or left out."""
    public = vectors.json("rfc/rfc7517_A.1.jwkset")
    assert ["2011-04-29"] == [k.kid for k in KeySet.from_jwks(public, algorithms=PUBLIC)]
    private = vectors.json("rfc/rfc7517_A.2.jwkset")
    assert 0 == len(KeySet.from_jwks(private, algorithms=PUBLIC))
    assert "RS256" == SigningKey.from_jwk(private["keys"][1]).alg
    with pytest.raises(InvalidKey, match="oct"):
        KeySet.from_jwks(vectors.json("rfc/rfc7517_A.3.jwkset"), algorithms=PUBLIC)


def test_rfc7517_key_with_a_certificate(vectors):
    """RFC 7517 appendix B: x5c is not followed, and the key is for signatures (use sig)."""
    jwk = vectors.json("rfc/rfc7517_B.jwk")
    assert "1b94c" == VerifyingKey.from_jwk(jwk, alg="RS256").kid


def test_rfc7638_thumbprint(vectors):
    """RFC 7638 section 3.1: the published thumbprint is the default id."""
    jwk = vectors.json("rfc/rfc7638_3.1.jwk")
    del jwk["kid"]
    assert vectors.text("rfc/rfc7638_3.1.thp").strip() == VerifyingKey.from_jwk(jwk).kid


# --- the cookbook, RFC 7520 -----------------------------------------------------------------------


@pytest.mark.parametrize(
    "name",
    [
        "jws/4_1.rsa_v15_signature",
        "jws/4_2.rsa-pss_signature",
        "jws/4_3.ecdsa_signature",
        "jws/4_4.hmac-sha2_integrity_protection",
        "curve25519/jws",
    ],
)
def test_cookbook_signatures(vectors, name):
    """RFC 7520 sections 4.1 to 4.4, RFC 8037 appendix A.4: verified, and signed again where fixed."""
    example = vectors.json(f"cookbook/{name}.json")
    signing = SigningKey.from_jwk(example["input"]["key"], alg=example["input"]["alg"])
    compact = example["output"]["compact"]
    opened = jws.verify(compact, KeySet([signing.verifying]))
    assert example["input"]["payload"].encode() == opened.payload
    assert example["signing"]["protected"] == opened.header
    if example.get("reproducible"):
        from sojourn.jose import base64url

        signature = signing.sign(example["signing"]["sig-input"].encode())
        assert example["signing"]["sig"] == base64url.encode(signature).decode()


@pytest.mark.parametrize(
    "name",
    [
        "jws/4_5.signature_with_detached_content",
        "rfc7797/4.2.hmac-sha2_b64_false",
        "rfc7797/hmac-sha2_b64_false",
    ],
)
def test_cookbook_detached_and_unencoded_payloads_are_refused(vectors, name):
    """RFC 7520 section 4.5, RFC 7797: no payload elsewhere, none that is not encoded."""
    example = vectors.json(f"cookbook/{name}.json")
    keys = KeySet([SigningKey.from_jwk(example["input"]["key"], alg="HS256").verifying])
    tokens = [value for value in example["output"].values() if isinstance(value, str)]
    tokens += [json.dumps(value) for value in example["output"].values() if isinstance(value, dict)]
    assert tokens
    for token in tokens:
        with pytest.raises(InvalidToken):
            jws.verify(token, keys)


@pytest.mark.parametrize(
    "name",
    [
        "jws/4_6.protecting_specific_header_fields",
        "jws/4_7.protecting_content_only",
        "jws/4_8.multiple_signatures",
        "6.nesting_signatures_and_encryption",
    ],
)
def test_cookbook_other_serializations_are_refused(vectors, name):
    """RFC 7520 sections 4.6 to 4.8 and 6: unprotected headers, several signatures, nesting."""
    text = json.dumps(vectors.json(f"cookbook/{name}.json"))
    with pytest.raises(InvalidToken):
        jws.verify(text, KeySet([]))
    example = json.loads(text)
    for output in example.get("output", {}).values():
        with pytest.raises(InvalidToken):
            jws.verify(output if isinstance(output, str) else json.dumps(output), KeySet([]))


def test_cookbook_encrypted_tokens_are_refused(vectors):
    """RFC 7520 section 5: all thirteen, in every serialization."""
    files = sorted((vectors.folder / "cookbook" / "jwe").glob("*.json"))
    files.append(vectors.folder / "cookbook" / "curve25519" / "ecdh-es.json")
    assert 14 == len(files)
    for file in files:
        for output in json.loads(file.read_text())["output"].values():
            with pytest.raises(InvalidToken):
                jws.verify(output if isinstance(output, str) else json.dumps(output), KeySet([]))


@pytest.mark.parametrize(
    ("name", "alg"),
    [
        ("3_1.ec_public_key", "ES512"),
        ("3_2.ec_private_key", "ES512"),
        ("3_3.rsa_public_key", "RS256"),
        ("3_4.rsa_private_key", "RS256"),
        ("3_5.symmetric_key_mac_computation", "HS256"),
        ("3_6.symmetric_key_encryption", None),
    ],
)
def test_cookbook_keys(vectors, name, alg):
    """RFC 7520 section 3: keys for signatures load and survive, one for encryption is refused."""
    jwk = vectors.json(f"cookbook/jwk/{name}.json")
    kind = VerifyingKey if "public" in name else SigningKey
    if alg is None:
        with pytest.raises(InvalidKey):
            kind.from_jwk(jwk)
        return
    loaded = kind.from_jwk(jwk, alg=alg)
    assert {**jwk, "alg": alg} == loaded.to_jwk()


def test_every_file_is_covered(vectors):
    """No public vector lies unused beside these tests."""
    cookbook = sorted(vectors.folder.glob("cookbook/**/*.json"))
    rfc = sorted(vectors.folder.glob("rfc/*"))
    print(f"cookbook: {len(cookbook)} files, rfc: {len(rfc)} files")
    assert (32, 21) == (len(cookbook), len(rfc))
