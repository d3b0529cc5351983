from datetime import timedelta

import pytest
from hypothesis import given, strategies as st
from pure.samples import NOW_MS, some_principal

from sojourn.errors import (
    ConfigurationError,
    CredentialNotAccepted,
    Forbidden,
    FreshLoginRequired,
    InsufficientScope,
)
from sojourn.need import ANYONE_SIGNED_IN, Need

ALICE = some_principal(roles=frozenset({"user", "editor"}), scopes=frozenset({"notes", "mail"}))


def code_of(need, principal=ALICE, now_ms=NOW_MS):
    """The code of a refusal; None where the requirement is met."""
    refusal = need.refusal(principal, now_ms=now_ms)
    return refusal and refusal.code


def test_the_empty_requirement_takes_anyone_signed_in():
    """No role, scope, age or transport is asked for by default."""
    assert code_of(ANYONE_SIGNED_IN) is None
    assert Need.of() == ANYONE_SIGNED_IN


def test_durations_are_kept_in_seconds():
    """timedelta(0) stays 0 and is not taken for "no bound"; None stays None."""
    need = Need.of(max_age=timedelta(minutes=5), max_lag=timedelta(0))
    assert (need.max_age_seconds, need.max_lag_seconds) == (300.0, 0.0)
    assert (Need.of().max_age_seconds, Need.of().max_lag_seconds) == (None, None)


@pytest.mark.parametrize(
    ("given_", "expected"),
    [
        ({"roles": ["user"]}, None),
        ({"roles": {"user", "editor"}}, None),
        ({"roles": {"admin"}}, "forbidden"),
        ({"roles": {"user", "admin"}}, "forbidden"),
        ({"roles": {"User"}}, "forbidden"),
        ({"scopes": {"notes"}}, None),
        ({"scopes": ("notes", "mail")}, None),
        ({"scopes": {"note"}}, "insufficient_scope"),
        ({"scopes": {"notes", "files"}}, "insufficient_scope"),
        ({"accept": {"cookie"}}, None),
        ({"accept": {"bearer"}}, "credential_not_accepted"),
        ({"max_age": timedelta(seconds=0)}, None),
    ],
)
def test_all_of_what_is_asked_is_needed(given_, expected):
    """Every role and every scope, exactly spelled, over an accepted transport."""
    assert code_of(Need.of(**given_)) == expected


@pytest.mark.parametrize(
    ("after_ms", "expected"),
    [
        (0, None),
        (300_000, None),
        (300_001, "insufficient_user_authentication"),
        (10**9, "insufficient_user_authentication"),
        (-60_000, None),
    ],
)
def test_a_sign_in_may_be_exactly_so_old(after_ms, expected):
    """`max_age` is inclusive, counted from auth_time (RFC 9470 section 4)."""
    assert code_of(Need.of(max_age=timedelta(minutes=5)), now_ms=NOW_MS + after_ms) == expected


@pytest.mark.parametrize(
    ("need", "kind", "message"),
    [
        (
            Need.of(accept={"bearer"}),
            CredentialNotAccepted,
            "this route does not take a cookie credential",
        ),
        (Need.of(roles={"b", "a", "user"}), Forbidden, "this needs the role a, b"),
        (Need.of(scopes={"z", "y", "mail"}), InsufficientScope, "this needs the scope y z"),
        (
            Need(max_age_seconds=-1),
            FreshLoginRequired,
            "this needs a recent sign-in; confirm who you are again",
        ),
    ],
)
def test_a_refusal_names_what_is_missing_and_nothing_of_the_holder(need, kind, message):
    """Messages are deterministic and tell of the route, not of what the subject does have."""
    refusal = need.refusal(ALICE, now_ms=NOW_MS)
    assert (type(refusal), str(refusal)) == (kind, message)


def test_what_signing_in_again_would_not_help_is_said_first():
    """Transport, roles, scopes, then freshness: nobody re-authenticates to be told "forbidden"."""
    steps = [
        {"accept": {"bearer"}},
        {"roles": {"admin"}},
        {"scopes": {"files"}},
        {"max_age": timedelta(0)},
    ]
    codes = []
    for first in range(4):
        asked = {name: value for step in steps[first:] for name, value in step.items()}
        codes.append(code_of(Need.of(**asked), now_ms=NOW_MS + 1))
    assert codes == [
        "credential_not_accepted",
        "forbidden",
        "insufficient_scope",
        "insufficient_user_authentication",
    ]


@pytest.mark.parametrize(
    ("given_", "message"),
    [
        ({"roles": "admin"}, 'roles is a set; write roles={"admin"}'),
        ({"scopes": "notes"}, 'scopes is a set; write scopes={"notes"}'),
        ({"accept": "bearer"}, 'accept is a set; write accept={"bearer"}'),
        ({"accept": ()}, "accept is a set of 'cookie' and 'bearer'"),
        ({"accept": {"header"}}, "accept is a set of 'cookie' and 'bearer'"),
        ({"accept": {"cookie", "basic"}}, "accept is a set of 'cookie' and 'bearer'"),
        (
            {"max_age": timedelta(seconds=-1)},
            "max_age is negative; give a duration of zero or more",
        ),
        (
            {"max_lag": timedelta(microseconds=-1)},
            "max_lag is negative; give a duration of zero or more",
        ),
    ],
)
def test_a_mistake_is_refused_where_it_is_written(given_, message):
    """A bare string would ask for its letters: refused at start, with what to write instead."""
    with pytest.raises(ConfigurationError) as caught:
        Need.of(**given_)
    assert str(caught.value) == message


@given(st.frozensets(st.sampled_from("abcd")), st.frozensets(st.sampled_from("abcd")))
def test_roles_and_scopes_are_supersets(held, asked):
    """Admitted exactly if everything asked for is held, for roles and for scopes alike."""
    principal = some_principal(roles=held, scopes=held)
    for name in ("roles", "scopes"):
        assert (code_of(Need.of(**{name: asked}), principal) is None) == (asked <= held)
