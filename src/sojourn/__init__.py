"""Sojourn keeps people signed in: sessions, JWTs or both behind one API, revoked everywhere at once.

`AsyncSojourn` serves asyncio applications, `Sojourn` blocking ones; the adapters (as
`sojourn.starlette`) wrap them in a framework's idiom. `AsyncVerifier` and `Verifier` are for services
that verify tokens without the store; they are imported when they are first named.
"""

from typing import TYPE_CHECKING, Any

from sojourn._version import __version__
from sojourn.aio import AsyncSojourn
from sojourn.engine.answers import Attempt, Checked, SessionInfo, SignedIn
from sojourn.engine.data import SessionData
from sojourn.engine.facts import Facts
from sojourn.errors import (
    ConfigurationError,
    Conflict,
    CredentialNotAccepted,
    CrossSite,
    Expired,
    Forbidden,
    FreshLoginRequired,
    InsufficientScope,
    InvalidCredentials,
    InvalidInput,
    InvalidToken,
    NotFound,
    RefreshLate,
    RefreshRequired,
    RefreshReuse,
    Refused,
    Revoked,
    SecurityWarning,
    SessionLimit,
    SojournError,
    Stale,
    StoreError,
    Superseded,
    Unauthenticated,
    UnsupportedInMode,
)
from sojourn.messages import Incoming, Outgoing
from sojourn.model import ANY, Principal
from sojourn.need import Need
from sojourn.settings import Settings
from sojourn.sync import Sojourn

if TYPE_CHECKING:
    from sojourn.verifier import (
        AsyncVerifier,
        GitHubApp,
        Issuer,
        IssuerUnavailable,
        Rfc7662,
        Verifier,
    )

__all__ = [
    "ANY",
    "AsyncSojourn",
    "AsyncVerifier",
    "Attempt",
    "Checked",
    "ConfigurationError",
    "Conflict",
    "CredentialNotAccepted",
    "CrossSite",
    "Expired",
    "Facts",
    "Forbidden",
    "FreshLoginRequired",
    "GitHubApp",
    "Incoming",
    "InsufficientScope",
    "InvalidCredentials",
    "InvalidInput",
    "InvalidToken",
    "Issuer",
    "IssuerUnavailable",
    "Need",
    "NotFound",
    "Outgoing",
    "Principal",
    "RefreshLate",
    "RefreshRequired",
    "RefreshReuse",
    "Refused",
    "Revoked",
    "Rfc7662",
    "SecurityWarning",
    "SessionData",
    "SessionInfo",
    "SessionLimit",
    "Settings",
    "SignedIn",
    "Sojourn",
    "SojournError",
    "Stale",
    "StoreError",
    "Superseded",
    "Unauthenticated",
    "UnsupportedInMode",
    "Verifier",
    "__version__",
]

_OF_THE_VERIFIER = frozenset(
    {"AsyncVerifier", "GitHubApp", "Issuer", "IssuerUnavailable", "Rfc7662", "Verifier"}
)


def __getattr__(name: str) -> Any:
    """Import the verifier when something of it is first named; most applications never do."""
    if name not in _OF_THE_VERIFIER:
        raise AttributeError(f"module 'sojourn' has no attribute {name!r}")
    from sojourn import verifier  # noqa: PLC0415 - late is the point

    return getattr(verifier, name)
