import json

import pytest

from sojourn import errors
from sojourn.errors import (
    ConfigurationError,
    Conflict,
    CredentialNotAccepted,
    CrossSite,
    Expired,
    ExpiredToken,
    Forbidden,
    FreshLoginRequired,
    InsufficientScope,
    InvalidCredentials,
    InvalidToken,
    NotFound,
    RefreshLate,
    RefreshRequired,
    RefreshReuse,
    Revoked,
    SojournError,
    Stale,
    StoreError,
    Superseded,
    Unauthenticated,
    UnsupportedInMode,
)
from sojourn.problems import MEDIA_TYPE, problem_of

INVALID_TOKEN = 'Bearer error="invalid_token"'
CLASSES = [
    value
    for value in vars(errors).values()
    if isinstance(value, type) and issubclass(value, SojournError)
]


def header(problem, name):
    """The one value of a header, None where it is absent."""
    values = [value for key, value in problem.headers if key == name]
    assert len(values) <= 1
    return values[0] if values else None


@pytest.mark.parametrize(
    ("error", "expected"),
    [
        # no or wrong authentication information: no error code (RFC 6750 section 3.1)
        (Unauthenticated("x"), "Bearer"),
        (InvalidCredentials("x"), "Bearer"),
        (RefreshLate("x"), "Bearer"),
        (RefreshReuse("x"), "Bearer"),
        (Superseded("x"), "Bearer"),
        # a token was presented and is no longer good
        (InvalidToken(), INVALID_TOKEN),
        (Expired("x"), INVALID_TOKEN),
        (ExpiredToken(), INVALID_TOKEN),
        (Revoked("x"), INVALID_TOKEN),
        (RefreshRequired("x"), INVALID_TOKEN),
        # RFC 9470 section 3
        (FreshLoginRequired("x"), 'Bearer error="insufficient_user_authentication"'),
        # RFC 6750 section 3.1: 403, and a challenge all the same
        (InsufficientScope("x"), 'Bearer error="insufficient_scope"'),
        # not a matter of authentication
        (Forbidden("x"), None),
        (CrossSite("x"), None),
        (CredentialNotAccepted("x"), None),
        (NotFound("x"), None),
        (UnsupportedInMode("x"), None),
        (StoreError("x"), None),
        (ConfigurationError("x"), None),
    ],
)
def test_the_challenge(error, expected):
    """WWW-Authenticate goes with each 401 (RFC 9110 section 15.5.2), and with a lacking scope."""
    assert header(problem_of(error), "WWW-Authenticate") == expected


@pytest.mark.parametrize("kind", CLASSES)
def test_every_error_is_a_problem_document(kind):
    """RFC 9457: its media type, members and status; a stable code; in no cache."""
    problem = problem_of(kind("cause; remedy"))
    document = json.loads(problem.body)
    assert document == problem.document
    assert list(document) == ["type", "title", "status", "code", "detail"]
    assert (document["type"], document["status"], document["code"]) == (
        "about:blank",
        kind.status,
        kind.code,
    )
    assert problem.status == kind.status
    assert header(problem, "Content-Type") == MEDIA_TYPE == "application/problem+json"
    assert header(problem, "Cache-Control") == "no-store"
    assert (header(problem, "WWW-Authenticate") is not None) == (
        kind.status == 401 or kind is InsufficientScope
    )


def test_a_refusal_says_why():
    """Cause and remedy reach the client; the title is the status phrase (RFC 9457 section 4.2.1)."""
    assert problem_of(Revoked("the session was ended; sign in again")).document == {
        "type": "about:blank",
        "title": "Unauthorized",
        "status": 401,
        "code": "revoked",
        "detail": "the session was ended; sign in again",
    }


@pytest.mark.parametrize("kind", [k for k in CLASSES if k.status == 500])
def test_a_developers_mistake_is_not_described_to_strangers(kind):
    """A 500 hides its message: it may name files, keys and settings."""
    problem = problem_of(kind("SOJOURN_SECRET_FILE /etc/secret cannot be read"))
    assert b"/etc/secret" not in problem.body
    assert problem.document["detail"] == "something failed here; the server's log says what"


def test_the_reason_of_an_invalid_token_is_not_told():
    """One public error for every reason, which stays in the log."""
    problem = problem_of(InvalidToken(reason="bad_signature"))
    assert b"bad_signature" not in problem.body
    assert "bad_signature" not in repr(problem.headers)


@pytest.mark.parametrize(
    ("error", "given_", "expected"),
    [
        (StoreError("x"), None, "1"),
        (Conflict("x"), None, "1"),
        (Stale("x"), None, "1"),
        (StoreError("x"), 30, "30"),
        (StoreError("x"), 0, "0"),
        (Unauthenticated("x"), None, None),
        (InvalidCredentials("x"), 60, "60"),
        (NotFound("x"), None, None),
        (ConfigurationError("x"), None, None),
    ],
)
def test_when_to_come_back(error, given_, expected):
    """Each 503 says Retry-After (RFC 9110 section 10.2.3), others where it is known."""
    problem = problem_of(error, retry_after_seconds=given_)
    assert header(problem, "Retry-After") == expected


def test_a_message_cannot_forge_headers_or_members():
    """Whatever a message holds is JSON text in the body and nowhere else."""
    message = 'a"\r\nSet-Cookie: x=1\r\n","code":"ok'
    problem = problem_of(Revoked(message))
    assert json.loads(problem.body)["detail"] == message
    assert not any("Set-Cookie" in value for _, value in problem.headers)
