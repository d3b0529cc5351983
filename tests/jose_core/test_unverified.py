"""Looking without trusting: parts and problems, never claims that could be taken for verified."""

from __future__ import annotations

import contextlib

import pytest
from hypothesis import given, settings, strategies as st
from jose_core.tokens import CLAIMS, b64, claims, key, numbered, token, with_header

from sojourn.errors import InvalidInput, InvalidToken
from sojourn.jose import AccessClaims, Unverified, inspect, issue


def test_a_sound_token_shows_its_parts_and_no_problem():
    """The names say that nothing was verified, and the type is no claims type."""
    seen = inspect(issue(claims(), key()))
    assert {"alg": "ES256", "kid": "kid-ES256", "typ": "at+jwt"} == seen.unverified_header
    assert CLAIMS == seen.unverified_claims
    assert (64, ()) == (len(seen.signature), seen.problems)
    assert isinstance(seen, Unverified)
    assert not isinstance(seen, AccessClaims)
    assert not hasattr(seen, "sub")
    assert not hasattr(seen, "claims")
    assert "signature" not in repr(seen)


@pytest.mark.parametrize(
    ("shown", "problem"),
    numbered(
        (with_header(alg="none"), "alg_not_allowed"),
        (with_header(alg=...), "alg_not_allowed"),
        (with_header(crit=["x"]), "header_crit"),
        (with_header(jku="https://evil"), "header_jku"),
        (with_header(kid=...), "no_kid"),
        (with_header(kid=7), "malformed_kid"),
        (with_header(typ=...), "no_typ"),
        (with_header(typ=7), "no_typ"),
        (with_header(cty="JWT"), "nested"),
        (token(exp=...), "missing_exp"),
        (token(aud=...), "missing_aud"),
        (token(exp="soon"), "invalid_exp"),
        (token(iat=1.5), "invalid_iat"),
        (token(nbf=True), "invalid_nbf"),
        (token(auth_time=-1), "invalid_auth_time"),
        (token(claims={"a": "x" * 7000}), "too_large"),
        (token().rpartition(".")[0] + ".", "no_signature"),
    ),
)
def test_a_problem_is_named(shown, problem):
    """RFC 8725: what a verifier would refuse whatever the key, as a stable word."""
    assert (problem,) == inspect(shown).problems


@pytest.mark.parametrize(
    ("malformed", "reason"),
    [
        ("", "not_three_segments"),
        ("a.b", "not_three_segments"),
        ("a.b.c.d.e", "not_three_segments"),
        ("é.b.c", "not_ascii"),
        ("a" * 70_000, "too_large"),
        ("e30.e30.QQ==", "base64_last_character"),
        ("e30.W10.", "json_not_an_object"),
        ("W10.e30.", "json_not_an_object"),
        (b64('{"a":1,"a":2}') + ".e30.", "json_duplicate_name"),
        ("e30." + b64('{"exp":NaN}') + ".", "json_not_a_number"),
    ],
)
def test_what_cannot_be_decoded_unambiguously_is_refused(malformed, reason):
    """Two readers might see two tokens; then nothing is shown."""
    with pytest.raises(InvalidToken) as caught:
        inspect(malformed)
    assert reason == caught.value.reason


def test_what_is_no_text_is_the_callers_mistake():
    """The type is decided cleanly."""
    with pytest.raises(InvalidInput):
        inspect(b"e30.e30.")


@settings(deadline=None)
@given(
    st.one_of(
        st.text(),
        st.lists(st.sampled_from(["e30", "W10", ".", "AA", "=", "eyJhIjoxfQ"])).map("".join),
    )
)
def test_no_text_raises_anything_else(text):
    """A decoder page shows what it can and survives the rest."""
    with contextlib.suppress(InvalidToken):
        assert isinstance(inspect(text), Unverified)
