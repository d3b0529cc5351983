"""JSONTestSuite and the big list of naughty strings, through every door that takes text."""

from __future__ import annotations

import base64
import contextlib
import json
from collections import Counter

import msgspec
import pytest
from jose_core import tokens
from jose_core.tokens import NOW, b64, key

from sojourn.errors import ConfigurationError, InvalidInput, InvalidToken
from sojourn.jose import KeySet, SigningKey, TokenVerifier, inspect, issue, jws, strict_json
from sojourn.jose.malformed import MalformedError

# What the suite would accept and a strict reader does not, each with its reason.
STRICTER = {
    "y_object_duplicated_key.json": "RFC 7515 section 4, RFC 7519 section 4: names are unique",
}
# What parsers disagree on, and what ours decides.
DECIDED = {
    "number_-9223372036854775808.json": False,  # beyond 2^53
    "number_9223372036854775807.json": False,
    "number_1.0.json": True,
    "number_1000000000000000.json": True,
    "number_1e-999.json": True,  # a finite number that rounds to zero
    "object_key_nfc_nfd.json": True,  # two names: nothing normalises them
    "object_same_key_different_values.json": False,
    "object_same_key_unclear_values.json": False,
    "string_1_escaped_invalid_codepoint.json": False,
    "string_2_escaped_invalid_codepoints.json": False,
    "string_3_escaped_invalid_codepoints.json": False,
    "i_number_double_huge_neg_exp.json": True,
    "i_number_real_underflow.json": True,
}


def test_json_test_suite(vectors):
    """Accept, reject, either and ambiguous: each text has the verdict that was decided for it."""
    counts: Counter[str] = Counter()
    wrong = []
    for case in vectors.json("json/json_test_suite.json"):
        raw = base64.b64decode(case["b64"])
        try:
            value = strict_json.parse(raw)
            verdict = True
        except MalformedError:
            verdict = False
        expected = {"accept": True, "reject": False, "either": False, "ambiguous": None}[
            case["expect"]
        ]
        if case["name"] in STRICTER:
            expected = False
        expected = DECIDED.get(case["name"], expected)
        if verdict != expected:
            wrong.append((case["name"], case["expect"], verdict))
        if verdict and case["name"] != "number_1e-999.json":
            assert json.loads(raw) == value
        assert not (strict_json.is_plain(raw) and not verdict)
        counts[f"{case['expect']}: {'accepted' if verdict else 'refused'}"] += 1
        with contextlib.suppress(InvalidToken):
            TokenVerifier(KeySet([key().verifying]), tokens.expectation()).verify(
                tokens.with_payload(raw), now=NOW
            )
        with contextlib.suppress(InvalidToken):
            inspect(f"{b64(raw)}.{b64(raw)}.")
        with contextlib.suppress(ConfigurationError):
            SigningKey.from_jwk(raw)
    print("json_test_suite:", dict(sorted(counts.items())))
    assert [] == wrong
    assert {
        "accept: accepted": 47,
        "accept: refused": 1,
        "ambiguous: accepted": 4,
        "ambiguous: refused": 7,
        "either: accepted": 2,
        "either: refused": 16,
        "reject: refused": 94,
    } == counts


def test_naughty_strings_as_claims(vectors):
    """Every string survives as a subject and as application data, or is refused when issued."""
    counts: Counter[str] = Counter()
    for text in vectors.json("strings/naughty_strings.json"):
        sent = tokens.claims(sub=text, claims={text: [text]})
        try:
            issued = issue(sent, key("HS256"))
        except InvalidInput:
            assert not text or "\x00" in text
            counts["not issued"] += 1
            continue
        assert sent == tokens.verifier(key("HS256")).verify(issued, now=NOW)
        assert text == inspect(issued).unverified_claims["sub"]
        counts["issued"] += 1
    print("naughty_strings as claims:", dict(counts))
    assert 258 == counts.total()


def test_naughty_strings_as_everything_else(vectors):
    """As token, segment, header member, key id, JWK member and secret: only our own errors."""
    texts = vectors.json("strings/naughty_strings.json")
    checked = tokens.verifier()
    for text in texts:
        for hostile in (
            text,
            f"{text}.{text}.{text}",
            tokens.with_header(kid=text, typ=text),
            tokens.with_header(alg=text),
            tokens.with_payload(text),
            tokens.token(exp=text, aud=text),
            tokens.sealed(text, text),
        ):
            with pytest.raises(InvalidToken):
                checked.verify(hostile, now=NOW)
            with contextlib.suppress(InvalidToken):
                inspect(hostile)
            with contextlib.suppress(InvalidToken):
                jws.verify(hostile, KeySet([key().verifying]))
        public = key().verifying.to_jwk()
        for name in public:
            with contextlib.suppress(ConfigurationError):
                SigningKey.from_jwk({**public, name: text})
            with contextlib.suppress(ConfigurationError):
                KeySet.from_jwks(
                    msgspec.json.encode({"keys": [{**public, name: text}]}),
                    algorithms=frozenset({"ES256"}),
                )
        with contextlib.suppress(ConfigurationError):
            SigningKey.from_secret(text.encode() * 20)
    print(f"naughty_strings everywhere else: {len(texts)} texts")
    assert 258 == len(texts)
