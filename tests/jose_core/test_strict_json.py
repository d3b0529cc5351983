"""Strict JSON: what is quick accepts nothing that what is exact refuses."""

from __future__ import annotations

import json
import re
from typing import Any

import msgspec
import pytest
from hypothesis import example, given, settings, strategies as st
from jose_core import tokens

from sojourn.errors import ExpiredToken, InvalidToken
from sojourn.jose import AccessClaims, KeySet, TokenVerifier, jws, strict_json
from sojourn.jose.malformed import MalformedError

# --- an exact checker written for this test: a recursive descent over RFC 8259, nothing shared ----

NUMBER = re.compile(r"-?(?:0|[1-9][0-9]*)(\.[0-9]+)?([eE][+-]?[0-9]+)?")
ESCAPES = {'"': '"', "\\": "\\", "/": "/", "b": "\b", "f": "\f", "n": "\n", "r": "\r", "t": "\t"}


class Reader:
    """Reads one JSON text, character by character, or raises ValueError."""

    def __init__(self, raw: bytes) -> None:
        self.text = raw.decode()
        self.at = 0

    def read(self) -> Any:
        value = self.value(1)
        self.blanks()
        if self.at != len(self.text):
            raise ValueError("trailing")
        return value

    def blanks(self) -> None:
        while self.text[self.at : self.at + 1] in {" ", "\t", "\n", "\r"}:
            self.at += 1

    def take(self, text: str) -> None:
        if not self.text.startswith(text, self.at):
            raise ValueError(f"expected {text}")
        self.at += len(text)

    def sees(self, text: str) -> bool:
        self.blanks()
        return self.text.startswith(text, self.at)

    def value(self, depth: int) -> Any:
        self.blanks()
        head = self.text[self.at : self.at + 1]
        if head in {"{", "["} and depth > 16:
            raise ValueError("depth")
        if head == "{":
            return self.object(depth)
        if head == "[":
            return self.array(depth)
        if head == '"':
            return self.string()
        for word, constant in (("true", True), ("false", False), ("null", None)):
            if self.sees(word):
                self.take(word)
                return constant
        return self.number()

    def object(self, depth: int) -> dict[str, Any]:
        members: dict[str, Any] = {}
        self.take("{")
        while not self.sees("}"):
            if members:
                self.take(",")
                self.blanks()
            name = self.string()
            if name in members:
                raise ValueError("duplicate")
            self.blanks()
            self.take(":")
            members[name] = self.value(depth + 1)
        self.take("}")
        return members

    def array(self, depth: int) -> list[Any]:
        items: list[Any] = []
        self.take("[")
        while not self.sees("]"):
            if items:
                self.take(",")
            items.append(self.value(depth + 1))
        self.take("]")
        return items

    def string(self) -> str:
        units = []
        self.take('"')
        while not self.text.startswith('"', self.at):
            c = self.text[self.at]
            self.at += 1
            if c < " ":
                raise ValueError("control")
            if c == "\\":
                c = self.text[self.at]
                self.at += 1
                if c == "u":
                    digits = self.text[self.at : self.at + 4]
                    if not re.fullmatch("[0-9a-fA-F]{4}", digits):
                        raise ValueError("escape")
                    self.at += 4
                    c = chr(int(digits, 16))
                else:
                    c = ESCAPES[c]
            units.append(c)
        self.take('"')
        text = "".join(units).encode("utf-16", "surrogatepass").decode("utf-16")
        if "\x00" in text:
            raise ValueError("NUL")
        return text

    def number(self) -> int | float:
        match = NUMBER.match(self.text, self.at)
        if match is None:
            raise ValueError("number")
        self.at = match.end()
        if match[1] or match[2]:
            value = float(match[0])
            if value in {float("inf"), float("-inf")}:
                raise ValueError("infinite")
            return value
        if abs(int(match[0])) >= 2**53:
            raise ValueError("range")
        return int(match[0])


REFUSED = object()


def exact(raw: bytes) -> Any:
    """The value, or REFUSED."""
    try:
        return Reader(raw).read()
    except (ValueError, IndexError, KeyError):
        return REFUSED


def parsed(raw: bytes) -> Any:
    """The same by the code under test."""
    try:
        return strict_json.parse(raw)
    except MalformedError:
        return REFUSED


# --- texts that are nearly JSON -------------------------------------------------------------------

names = st.sampled_from(
    ["a", "b", "iss", "exp", "claims", "", ":", '\\"', "\\u0061", "\\ud800", "é", "\\u0000"]
)
blanks = st.sampled_from(["", "", "", "", " ", "\n", "\t\r "])
scalars = st.one_of(
    st.integers().map(str),
    st.integers(2**53 - 2, 2**53 + 2).map(str),
    st.sampled_from(
        [
            "0",
            "-0",
            "-0.0",
            "01",
            "1.0",
            "1e5",
            "1E400",
            "-1e-400",
            "NaN",
            "Infinity",
            "true",
            "null",
            "tru",
        ]
    ),
    st.floats(allow_nan=False).map(repr),
    st.text(max_size=5).map(json.dumps),
    st.text(max_size=5).map(lambda t: json.dumps(t, ensure_ascii=False)),
    names.map(lambda n: f'"{n}"'),
)


def containers(inner):
    members = st.tuples(names, blanks, blanks, inner).map(lambda m: f'"{m[0]}"{m[1]}:{m[2]}{m[3]}')
    objects = st.tuples(st.lists(members, max_size=4), blanks).map(
        lambda o: "{" + o[1] + ("," + o[1]).join(o[0]) + "}"
    )
    arrays = st.lists(inner, max_size=4).map(lambda a: "[" + ",".join(a) + "]")
    return st.one_of(objects, arrays)


texts = st.recursive(scalars, containers, max_leaves=12)
deep = st.tuples(st.integers(1, 20), st.sampled_from([("[", "]"), ('{"a":', "}")])).map(
    lambda d: '{"a":' + d[1][0] * d[0] + "1" + d[1][1] * d[0] + "}"
)
objects = st.tuples(st.lists(st.tuples(names, texts), max_size=5), blanks).map(
    lambda o: "{" + ",".join(f'"{n}"{o[1]}:{v}' for n, v in o[0]) + "}"
)
raws = st.one_of(
    texts.map(lambda t: t.encode("utf-8", "surrogatepass")),
    objects.map(lambda t: t.encode("utf-8", "surrogatepass")),
    deep.map(str.encode),
    st.binary(max_size=12),
    st.tuples(objects.map(str.encode), st.binary(max_size=2)).map(b"".join),
)


@settings(max_examples=600, deadline=None)
@given(raws)
@example(b'{"a":1,"a":1}')
@example(b'{"a":{"b":1,"b":2}}')
@example(b'{"a":":","a":":"}')
@example(b'{"a" :1,"a":1}')
@example(b'{"\\u0061":1,"a":1}')
@example(b'{"a":"\\udfff\\ud800"}')
@example(b'{"a":"\\ud83d\\ude00"}')
@example(b"\xef\xbb\xbf{}")
@example(b'{"a":"\xed\xa0\x80"}')
@example(b'{"a":9007199254740992}')
@example(b'{"a":-9007199254740991}')
@example(b'{"a":1e999}')
@example(b'{"a":[[[[[[[[[[[[[[[1]]]]]]]]]]]]]]]}')
@example(b'{"a":[[[[[[[[[[[[[[[[1]]]]]]]]]]]]]]]]}')
def test_quick_exact_and_reference_agree(raw):
    """The parser equals a reader written from RFC 8259; the quick test accepts nothing else."""
    expected = exact(raw)
    actual = parsed(raw)
    assert expected == actual
    assert repr(expected) == repr(actual)  # also tells 1 from 1.0 and from True
    if strict_json.is_plain(raw):
        assert isinstance(expected, dict)
        strict_json.check_object(raw)
    elif not isinstance(expected, dict):
        with pytest.raises(MalformedError):
            strict_json.check_object(raw)


SIGNING = tokens.key("HS256")
HEADER = json.dumps(tokens.header(SIGNING))
OWN = msgspec.json.encode(tokens.claims(roles=["a"], claims={"a": 1}))
OWN_DECODER = msgspec.json.Decoder(AccessClaims)

own_members = st.lists(
    st.one_of(
        st.tuples(
            st.sampled_from(
                [
                    "roles",
                    "amr",
                    "scope",
                    "ver",
                    "nbf",
                    "pos",
                    "exp",
                    "sub",
                    "other",
                    "claims",
                    "r\\u006fles",
                ]
            ),
            st.one_of(
                texts,
                objects,
                st.sampled_from(
                    [
                        "[]",
                        '["a"]',
                        '"a b"',
                        "null",
                        "1",
                        "0",
                        '""',
                        "{}",
                        '{"a":1}',
                        str(2**53),
                        "-0",
                    ]
                ),
            ),
        )
    ),
    max_size=4,
)


@settings(max_examples=600, deadline=None)
@given(own_members, st.booleans(), st.randoms(use_true_random=False))
@example([("claims", '{"a":9007199254740992}')], False, None)
@example([("claims", '{"a":1e400}')], False, None)
@example([("claims", '{"a":"\\u0000"}')], False, None)
@example([("claims", '{"a":{"b":1,"b":2}}')], False, None)
@example([("claims", '{"a":' + "[" * 15 + "]" * 15 + "}")], False, None)
@example([("scope", '"a"'), ("scope", '"a"')], False, None)
@example([("scope", '""')], False, None)
def test_own_tokens_are_accepted_exactly_where_strict_and_typed_decoding_agree(
    members, shuffle, chance
):
    """The verifier's shortcut for `AccessClaims` accepts exactly what both decoders accept."""
    parts = [f'"{name}":{value}' for name, value in members]
    sound = json.dumps(tokens.CLAIMS, separators=(",", ":"))[1:-1].split(',"')
    sound = [sound[0], *('"' + each for each in sound[1:])]
    everything = sound + parts
    if shuffle and chance:
        chance.shuffle(everything)
    payload = ("{" + ",".join(everything) + "}").encode("utf-8", "surrogatepass")
    checked = TokenVerifier(KeySet([SIGNING.verifying]), tokens.expectation("HS256"))
    try:
        expected = OWN_DECODER.decode(payload) if isinstance(exact(payload), dict) else REFUSED
    except ValueError:
        expected = REFUSED
    try:
        actual = checked.verify(jws.sign(payload, SIGNING, typ="at+jwt"), now=tokens.NOW)
    except ExpiredToken as error:
        actual = error.claims
    except InvalidToken as error:
        is_decoded = error.reason == "not_yet_valid"  # a verdict on what a claim says
        actual = expected if is_decoded and expected is not REFUSED else REFUSED
    assert expected == actual


def test_what_a_library_issues_takes_the_quick_way():
    """The shortcut is taken by our own tokens, else it would be worth nothing."""
    assert strict_json.is_plain(OWN)
    assert OWN == strict_json.encode(OWN_DECODER.decode(OWN))


@pytest.mark.parametrize("unended", ['"' + '\\"' * 4000, '{"a":"' + "[" * 5000, '["' + "\\" * 5001])
def test_a_string_without_an_end_costs_linear_time(unended):
    """The search for depth never goes back, however hostile the quotes are."""
    import time

    raw = ("[" * 16 + "]" * 16 + unended).encode()
    start = time.perf_counter()
    assert REFUSED is parsed(raw)
    assert time.perf_counter() - start < 0.05


def test_brackets_within_strings_are_no_levels():
    """Depth counts what nests, not what is written."""
    raw = json.dumps({"a": "[{" * 40, "b": ['"]' * 40]}).encode()
    assert json.loads(raw) == strict_json.parse(raw)


def test_judging_covers_what_only_parsed_values_hold():
    """`judge` refuses by itself, without the parser's help."""
    for value in (2**53, [-(2**53)], {"a": float("nan")}, ("\x00",), {"\ud800": 1}, [[[]]]):
        with pytest.raises(MalformedError):
            strict_json.judge(value, depth=14)
    strict_json.judge({"a": [1, 1.5, None, True, ("é",)]})
