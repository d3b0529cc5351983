import pytest

from sojourn import errors
from sojourn.errors import (
    Conflict,
    ExpiredToken,
    Forbidden,
    InvalidToken,
    RefreshRequired,
    RefreshReuse,
    Refused,
    SojournError,
    StoreError,
    Unauthenticated,
)

PUBLISHED = {
    "SojournError": ("error", 500),
    "ConfigurationError": ("configuration", 500),
    "InvalidKey": ("invalid_key", 500),
    "UnsupportedInMode": ("unsupported_in_mode", 409),
    "BadRequest": ("invalid_request", 400),
    "InvalidInput": ("invalid_input", 400),
    "StoreError": ("store_unavailable", 503),
    "Conflict": ("conflict", 503),
    "Stale": ("stale", 503),
    "IssuerUnavailable": ("issuer_unavailable", 503),
    "Refused": ("refused", 401),
    "Unauthenticated": ("unauthenticated", 401),
    "InvalidCredentials": ("invalid_credentials", 401),
    "InvalidToken": ("invalid_token", 401),
    "Expired": ("expired", 401),
    "ExpiredToken": ("expired", 401),
    "Revoked": ("revoked", 401),
    "RefreshRequired": ("refresh_required", 401),
    "RefreshLate": ("refresh_late", 401),
    "RefreshReuse": ("refresh_reuse", 401),
    "FreshLoginRequired": ("insufficient_user_authentication", 401),
    "Superseded": ("superseded", 401),
    "Forbidden": ("forbidden", 403),
    "InsufficientScope": ("insufficient_scope", 403),
    "CredentialNotAccepted": ("credential_not_accepted", 403),
    "CrossSite": ("cross_site", 403),
    "SessionLimit": ("session_limit", 403),
    "NotFound": ("not_found", 404),
}
CLASSES = [
    value
    for value in vars(errors).values()
    if isinstance(value, type) and issubclass(value, SojournError)
]


def test_every_code_and_status_is_the_published_one():
    """Codes and statuses are the stable part of every error: none changes, none is missing."""
    assert {c.__name__: (c.code, c.status) for c in CLASSES} == PUBLISHED


def test_a_code_means_one_thing():
    """No two errors share a code, but for an expired token, which *is* `expired` to a client."""
    codes = [c.code for c in CLASSES if c is not ExpiredToken]
    assert len(codes) == len(set(codes))


@pytest.mark.parametrize("error", CLASSES)
def test_every_error_says_who_should_catch_it(error):
    """Each class has a docstring of its own, for the reference and for readers."""
    assert (error.__doc__ or "").strip().endswith(".")


def test_the_three_answers_are_distinct_classes():
    """Sign in again, refresh now, theft: none is caught by the name of another."""
    answers = [Unauthenticated, RefreshRequired, RefreshReuse]
    assert [[issubclass(a, b) for b in answers] for a in answers] == [
        [True, False, False],
        [False, True, False],
        [False, False, True],
    ]


def test_failure_is_no_refusal():
    """A store that fails decided nothing, so its error is never caught as a "no"."""
    assert [issubclass(e, Refused) for e in (StoreError, Conflict, Forbidden)] == [
        False,
        False,
        True,
    ]


def test_an_invalid_token_keeps_its_reason_to_itself():
    """The public message is one for all reasons (RFC 8725); the reason is for the logs only."""
    error = InvalidToken(reason="bad_signature")
    assert (str(error), error.reason) == ("the credential is not valid", "bad_signature")
    assert InvalidToken().reason == "unspecified"


def test_an_expired_token_keeps_its_verified_claims():
    """Logging out with an expired token needs its claims; they stay out of the message."""
    error = ExpiredToken(claims={"sub": "alice"})
    assert (error.claims, "alice" in str(error) + repr(error)) == ({"sub": "alice"}, False)
    assert ExpiredToken().claims is None
