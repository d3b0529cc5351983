"""Issuing and verifying: what is issued verifies, and what is pinned is kept."""

from __future__ import annotations

import json
import pickle
from typing import Any

import msgspec
import pytest
from hypothesis import given, settings, strategies as st
from jose_core import tokens
from jose_core.tokens import (
    ALGORITHMS,
    AUDIENCE,
    CLAIMS,
    ISSUER,
    NOW,
    claims,
    expectation,
    key,
    token,
    verifier,
)

from sojourn.errors import (
    ConfigurationError,
    Expired,
    ExpiredToken,
    InvalidInput,
    InvalidToken,
)
from sojourn.jose import (
    AccessClaims,
    Expectation,
    KeySet,
    RegisteredClaims,
    SigningKey,
    TokenVerifier,
    issue,
    jws,
    verify,
)

FULL = claims(
    client_id="app",
    sid="sid-1",
    auth_time=NOW - 5,
    amr=["pwd", "otp"],
    roles=["admin"],
    scope="notes read",
    nbf=NOW,
    pos=17,
    ver=3,
    claims={"plan": "pro", "deep": {"a": [1, 2.5, None, True, "é"]}},
)


@pytest.mark.parametrize("alg", ALGORITHMS)
@pytest.mark.parametrize("sent", [claims(), FULL])
def test_what_is_issued_verifies(alg, sent):
    """Every algorithm, the smallest and the fullest token, fresh and warm, and by the function."""
    signing = key(alg)
    issued = issue(sent, signing)
    checked = verifier(signing)
    assert [sent, sent] == [checked.verify(issued, now=NOW) for _ in range(2)]
    assert sent == verify(issued, KeySet([signing.verifying]), expectation(alg), now=NOW)


def test_what_is_empty_is_left_out():
    """RFC 9068 section 2.2: optional claims that say nothing are not sent."""
    body = jws.verify(issue(claims(), key()), KeySet([key().verifying])).payload
    assert CLAIMS == json.loads(body)
    header = jws.verify(issue(claims(), key()), KeySet([key().verifying])).header
    assert {"alg": "ES256", "kid": "kid-ES256", "typ": "at+jwt"} == header


plain = st.recursive(
    st.one_of(
        st.none(),
        st.booleans(),
        st.integers(-(2**53) + 1, 2**53 - 1),
        st.floats(allow_nan=False, allow_infinity=False),
        st.text(st.characters(exclude_categories=["Cs"], exclude_characters="\x00"), max_size=20),
    ),
    lambda inner: st.one_of(
        st.lists(inner, max_size=3),
        st.dictionaries(st.text('ab"\\é', max_size=3), inner, max_size=3),
    ),
    max_leaves=10,
)


@settings(deadline=None)
@given(
    st.dictionaries(st.text("abc", max_size=3), plain, max_size=4),
    st.text(
        st.characters(exclude_categories=["Cs"], exclude_characters="\x00"), min_size=1, max_size=30
    ),
)
def test_any_json_survives_a_token(application, subject):
    """What an application puts into its claims comes back equal."""
    sent = claims(sub=subject, claims=application)
    assert sent == verifier(key("HS256")).verify(issue(sent, key("HS256")), now=NOW)


@pytest.mark.parametrize(
    "changes",
    [
        {"exp": 1.5},
        {"exp": True},
        {"exp": "1"},
        {"exp": -1},
        {"exp": 2**53},
        {"exp": 2**70},
        {"exp": None},
        {"iat": float("nan")},
        {"sub": ""},
        {"sub": 7},
        {"sub": "a\x00"},
        {"sub": "\ud800"},
        {"jti": None},
        {"aud": [1]},
        {"roles": "admin"},
        {"claims": {"a": float("nan")}},
        {"claims": {"a": float("inf")}},
        {"claims": {"a": 2**53}},
        {"claims": {"a": 2**70}},
        {"claims": {"a": object()}},
        {"claims": {"a": "\x00"}},
        {"claims": []},
        {"claims": {"a": "x" * 9000}},
        {"claims": {"a": [[[[[[[[[[[[[[[[1]]]]]]]]]]]]]]]]}},
    ],
)
def test_what_would_not_verify_is_not_issued(changes):
    """The issuer's mistake is told to the issuer, not to those who hold the token."""
    with pytest.raises(InvalidInput) as caught:
        issue(claims(**changes), key())
    assert "invalid_input" == caught.value.code


def test_claims_that_refer_to_themselves_are_not_issued():
    """A cycle has no JSON."""
    cycle: dict[str, Any] = {}
    cycle["a"] = cycle
    with pytest.raises(InvalidInput):
        issue(claims(claims=cycle), key())


def test_tuples_are_issued_as_arrays():
    """JSON knows one kind of list."""
    sent = issue(claims(claims={"teams": ("a", "b")}), key())
    assert {"teams": ["a", "b"]} == verifier().verify(sent, now=NOW).claims


def test_another_type_can_be_issued():
    """RFC 8725 section 3.11: typ keeps kinds of token apart."""
    sent = issue(claims(), key(), typ="logout+jwt")
    assert "alice" == verifier(typ="logout+jwt").verify(sent, now=NOW).sub
    with pytest.raises(InvalidToken) as caught:
        verifier().verify(sent, now=NOW)
    assert "wrong_typ" == caught.value.reason


# --- expiry ---------------------------------------------------------------------------------------


def test_an_expired_token_carries_its_claims():
    """Signing out with an expired token works: everything but time was verified."""
    with pytest.raises(ExpiredToken) as caught:
        verifier().verify(issue(FULL, key()), now=NOW + 900)
    assert isinstance(caught.value, Expired)
    assert ("expired", FULL) == (caught.value.code, caught.value.claims)


@pytest.mark.parametrize(
    "changes", [{"iss": "https://evil"}, {"aud": "other"}, {"nbf": NOW + 5000}, {"iat": NOW + 5000}]
)
def test_an_expired_token_that_is_wrong_otherwise_is_only_invalid(changes):
    """Expiry is judged last, so that its claims can be trusted."""
    with pytest.raises(InvalidToken):
        verifier().verify(token(**changes), now=NOW + 901)


def test_errors_survive_another_process():
    """Errors travel between processes with what they carry."""
    invalid = pickle.loads(pickle.dumps(InvalidToken(reason="unknown_kid")))  # noqa: S301 - our own
    assert ("unknown_kid", "the credential is not valid") == (invalid.reason, str(invalid))
    expired = pickle.loads(pickle.dumps(ExpiredToken(claims={"sub": "alice"})))  # noqa: S301
    assert {"sub": "alice"} == expired.claims


# --- expectations ---------------------------------------------------------------------------------


@pytest.mark.parametrize(
    "changes",
    [
        {"issuer": ""},
        {"issuer": None},
        {"issuer": [ISSUER]},
        {"audience": ""},
        {"audience": [AUDIENCE]},
        {"typ": ""},
        {"typ": 1},
        {"algorithms": {"ES256"}},
        {"algorithms": ["ES256"]},
        {"algorithms": frozenset({"none"})},
        {"algorithms": frozenset({"ES256", "es256"})},
        {"leeway_seconds": -1},
        {"leeway_seconds": 61},
        {"leeway_seconds": 1.5},
        {"leeway_seconds": True},
        {"max_bytes": 0},
        {"max_bytes": 65537},
        {"max_bytes": True},
    ],
)
def test_a_lenient_expectation_is_refused(changes):
    """RFC 8725 section 3: what is pinned is pinned exactly, within bounds."""
    with pytest.raises(ConfigurationError):
        expectation(**changes)


def test_an_expectation_does_not_change():
    """It is decided once."""
    with pytest.raises(AttributeError):
        expectation().issuer = "other"
    assert Expectation(issuer="a", audience="b", algorithms=frozenset()) == Expectation(
        issuer="a",
        audience="b",
        algorithms=frozenset(),
        typ="at+jwt",
        leeway_seconds=0,
        max_bytes=8192,
    )


def test_an_empty_allowlist_accepts_nothing_but_asks_for_the_key_first():
    """A verifier before its first key: every token is of an unknown key, and may be asked about."""
    nothing = TokenVerifier(KeySet([]), expectation(algorithms=frozenset()))
    with pytest.raises(InvalidToken) as caught:
        nothing.verify(token(), now=NOW)
    assert "unknown_kid" == caught.value.reason


# --- claims types ---------------------------------------------------------------------------------


class Plan(msgspec.Struct, frozen=True):
    """An application's own facts."""

    plan: str


class MyClaims(AccessClaims, frozen=True, kw_only=True):
    """The application's type in place of the raw object."""

    claims: Plan = Plan("free")
    email: str = ""


class ForeignClaims(RegisteredClaims, frozen=True, kw_only=True, rename={"party": "azp"}):
    """Another issuer's claims."""

    party: str = ""
    email_verified: bool | None = None


class Picky(AccessClaims, frozen=True, kw_only=True):
    """A type with a rule of its own."""

    def __post_init__(self) -> None:
        """Refuse one subject."""
        if self.sub == "alice":
            raise ValueError("secret-value")


class Unchecked(AccessClaims, frozen=True, kw_only=True):
    """A member that is not decoded at all."""

    raw: msgspec.Raw = msgspec.Raw(b"null")


def test_an_application_may_give_its_own_type():
    """A derived type narrows the claims, and the verifier gives it back."""
    keys = KeySet([key().verifying])
    checked = TokenVerifier(keys, expectation(), MyClaims)
    sent = token(claims={"plan": "pro"}, email="a@example.com")
    assert (Plan("pro"), "a@example.com") == (
        checked.verify(sent, now=NOW).claims,
        checked.verify(sent, now=NOW).email,
    )
    with pytest.raises(InvalidToken) as caught:
        checked.verify(token(claims={"plan": 1}), now=NOW)
    assert "invalid_claims" == caught.value.reason
    assert "pro" == verify(sent, keys, expectation(), now=NOW, claims_type=MyClaims).claims.plan
    again = MyClaims(**{**CLAIMS, "claims": Plan("x")})
    assert again == checked.verify(issue(again, key()), now=NOW)


def test_a_derived_type_requires_what_its_base_does():
    """RFC 9068 section 2.2: jti and iat stay required."""
    for kind in (AccessClaims, MyClaims):
        checked = TokenVerifier(KeySet([key().verifying]), expectation(), kind)
        for name in ("jti", "iat", "sub", "exp"):
            with pytest.raises(InvalidToken) as caught:
                checked.verify(token(**{name: ...}), now=NOW)
            assert f"missing_{name}" == caught.value.reason


def test_a_member_that_is_not_decoded_is_judged_all_the_same():
    """RFC 7515 section 10.12: no corner of a payload may be ambiguous."""
    checked = TokenVerifier(KeySet([key().verifying]), expectation(), Unchecked)
    assert msgspec.Raw(b"[1]") == checked.verify(token(raw=[1]), now=NOW).raw
    with pytest.raises(InvalidToken) as caught:
        checked.verify(tokens.with_member('"raw":{"a":1,"a":2}'), now=NOW)
    assert "json_duplicate_name" == caught.value.reason


def test_a_rule_of_the_application_refuses_without_a_word():
    """What a type's own check says stays out of the answer and of the reason."""
    checked = TokenVerifier(KeySet([key().verifying]), expectation(), Picky)
    assert "bob" == checked.verify(token(sub="bob"), now=NOW).sub
    with pytest.raises(InvalidToken) as caught:
        checked.verify(token(), now=NOW)
    assert "invalid_claims" == caught.value.reason


def test_other_issuers_need_less():
    """RFC 7519 section 4.1: jti and iat are optional for `RegisteredClaims`."""
    checked = TokenVerifier(
        KeySet([key().verifying]), expectation(required=frozenset({"azp"})), ForeignClaims
    )
    assert "app" == checked.verify(token(jti=..., iat=..., azp="app"), now=NOW).party
    for changes in ({}, {"azp": ""}):
        with pytest.raises(InvalidToken) as caught:
            checked.verify(token(**changes), now=NOW)
        assert "missing_azp" == caught.value.reason


def test_a_required_claim_has_to_be_in_the_type():
    """A claim nobody reads cannot be required; the mistake is told at start."""
    with pytest.raises(ConfigurationError, match="email"):
        verifier(required=frozenset({"email"}))
    for kind in (dict, AccessClaims(**CLAIMS), msgspec.Struct, None):
        with pytest.raises(ConfigurationError):
            TokenVerifier(KeySet([]), expectation(), kind)


def test_required_claims_may_be_optional_ones():
    """RFC 9068: a service may insist on sid or roles."""
    checked = verifier(required=frozenset({"roles", "sid"}))
    assert "s" == checked.verify(token(roles=["a"], sid="s"), now=NOW).sid
    for changes in ({"roles": ["a"]}, {"sid": "s", "roles": []}):
        with pytest.raises(InvalidToken) as caught:
            checked.verify(token(**changes), now=NOW)
        assert caught.value.reason in {"missing_sid", "missing_roles"}


# --- learnt headers -------------------------------------------------------------------------------


def test_a_header_is_learnt_only_from_a_genuine_token():
    """Nobody without a key can fill the table of headers."""
    opener = jws.Opener(KeySet([key().verifying]), algorithms=frozenset({"ES256"}), typ="at+jwt")
    for i in range(1000):
        head, body, _ = tokens.with_header(x=i).split(".")
        with pytest.raises(InvalidToken):
            opener.open(f"{head}.{body}.{'A' * 86}")
    assert {} == opener._learnt
    opener.open(token())
    assert 1 == len(opener._learnt)


def test_the_table_of_headers_is_bounded():
    """Even who holds a key cannot make it grow without end; what is not learnt still verifies."""
    signing = key("HS256")
    opener = jws.Opener(KeySet([signing.verifying]), algorithms=frozenset({"HS256"}), typ="at+jwt")
    for i in range(300):
        opener.open(tokens.with_header(signing, x=i))
    assert jws.MAX_LEARNT_HEADERS == len(opener._learnt)
    assert opener.open(tokens.with_header(signing, x="the last one"))
    assert jws.MAX_LEARNT_HEADERS == len(opener._learnt)


def test_a_learnt_header_still_binds_to_its_key():
    """Two keys, two headers: neither verifies the other's tokens."""
    one, two = key("HS256"), SigningKey.generate("HS256", kid="two")
    checked = TokenVerifier(KeySet([one.verifying, two.verifying]), expectation("HS256"))
    for signing in (one, two):
        checked.verify(token(signing), now=NOW)
    head = token(one).split(".")[0]
    body, signature = token(two).split(".")[1:]
    with pytest.raises(InvalidToken) as caught:
        checked.verify(f"{head}.{body}.{signature}", now=NOW)
    assert "bad_signature" == caught.value.reason


# --- raw signatures -------------------------------------------------------------------------------


@pytest.mark.parametrize("payload", [b"", b"\x00\xff", b"text", b"{}"])
def test_raw_bytes_are_signed_and_verified(payload):
    """RFC 7515: the payload of a JWS is any bytes."""
    keys = KeySet([key().verifying])
    opened = jws.verify(jws.sign(payload, key(), typ="x+y"), keys, typ="X+y")
    assert (payload, key().verifying) == (opened.payload, opened.key)
    assert "x+y" == opened.header["typ"]
    assert payload == jws.verify(jws.sign(payload, key()), keys, typ=None).payload
    assert "payload" not in repr(opened)


@settings(deadline=None)
@given(st.one_of(st.text(), st.text(".abcAB012-_="), st.text("e.y")))
def test_no_text_raises_anything_but_invalid_token(text):
    """Whatever a client sends, the answer is one and the same error."""
    with pytest.raises(InvalidToken):
        verifier().verify(text, now=NOW)
    with pytest.raises(InvalidToken):
        jws.verify(text, KeySet([key().verifying]))


SOUND = token()


@settings(deadline=None)
@given(st.data())
def test_no_change_of_a_genuine_token_is_accepted(data):
    """Any other character at any place is refused, and raises nothing else."""
    place = data.draw(st.integers(0, len(SOUND) - 1))
    character = data.draw(st.characters())
    hostile = SOUND[:place] + character + SOUND[place + data.draw(st.integers(0, 1)) :]
    if hostile != SOUND:
        with pytest.raises(InvalidToken):
            verifier().verify(hostile, now=NOW)
