"""Sojourn keeps people signed in: sessions, JWTs or both behind one API, revoked everywhere at once.

`AsyncSojourn` serves asyncio applications, `Sojourn` blocking ones; the adapters (as
`sojourn.starlette`) wrap them in a framework's idiom.
"""

from sojourn._version import __version__
from sojourn.aio import AsyncSojourn
from sojourn.engine.answers import Attempt, Checked, SessionInfo, SignedIn
from sojourn.engine.data import SessionData
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

__all__ = [
    "ANY",
    "AsyncSojourn",
    "Attempt",
    "Checked",
    "ConfigurationError",
    "Conflict",
    "CredentialNotAccepted",
    "CrossSite",
    "Expired",
    "Forbidden",
    "FreshLoginRequired",
    "Incoming",
    "InsufficientScope",
    "InvalidCredentials",
    "InvalidInput",
    "InvalidToken",
    "Need",
    "NotFound",
    "Outgoing",
    "Principal",
    "RefreshLate",
    "RefreshRequired",
    "RefreshReuse",
    "Refused",
    "Revoked",
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
    "__version__",
]
