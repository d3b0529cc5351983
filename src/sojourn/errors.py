"""Every error Sojourn raises: one root, one stable ``code`` each, one HTTP status.

Messages name the cause and the remedy, and never a secret. The three answers a client must tell
apart are distinct classes: sign in again (`Unauthenticated` and its kin), refresh now
(`RefreshRequired`), and theft (`RefreshReuse`).
"""

from __future__ import annotations

from typing import Any, ClassVar


class SecurityWarning(UserWarning):
    """A setting that is legal but weak; production configurations should be free of it."""


class SojournError(Exception):
    """The root: catch it to handle anything this library refuses or fails at."""

    code: ClassVar[str] = "error"
    status: ClassVar[int] = 500


# --- the developer's mistakes -------------------------------------------------------------------


class ConfigurationError(SojournError):
    """A setting is missing or contradicts another; for the developer, at start."""

    code = "configuration"


class InvalidKey(ConfigurationError):
    """A key is malformed, too weak, or not for signing with its algorithm; for whoever gave it."""

    code = "invalid_key"


class UnsupportedInMode(SojournError):
    """The mode keeps nothing that could answer this; for the developer or the API's client."""

    code = "unsupported_in_mode"
    status = 409


class BadRequest(SojournError):
    """The body is not what a call takes; for the client, which the detail tells where it goes wrong."""

    code = "invalid_request"
    status = 400


class InvalidInput(SojournError):
    """A value given to the library is not one it can keep; for the caller that passed it."""

    code = "invalid_input"
    status = 400


# --- failure: the answer is not known -----------------------------------------------------------


class StoreError(SojournError):
    """The store failed or did not answer in time; retry later, nothing was decided."""

    code = "store_unavailable"
    status = 503


class Conflict(StoreError):
    """Other writers won every one of the bounded attempts; retry later."""

    code = "conflict"


class Stale(SojournError):
    """The picture of revocations is older than allowed and may not be refreshed by policy."""

    code = "stale"
    status = 503


class IssuerUnavailable(SojournError):
    """An issuer that a verifier has to ask does not answer; retry later, nothing was decided."""

    code = "issuer_unavailable"
    status = 503


# --- refusals: the answer is no -----------------------------------------------------------------


class Refused(SojournError):
    """The root of every "no" to a request; adapters turn it into a problem document."""

    code = "refused"
    status = 401


class Unauthenticated(Refused):
    """No usable credential was presented; sign in."""

    code = "unauthenticated"


class InvalidCredentials(Refused):
    """The account and password do not belong together; deliberately says no more."""

    code = "invalid_credentials"


class InvalidToken(Refused):
    """A credential was presented that this issuer never handed out, or not for this audience."""

    code = "invalid_token"

    def __init__(
        self, message: str = "the credential is not valid", *, reason: str = "unspecified"
    ) -> None:
        """Keep `reason`: a stable snake_case word for logs and the command line, never shown publicly."""
        super().__init__(message)
        self.reason = reason


class Expired(Refused):
    """The session or token reached the end of its life; sign in again."""

    code = "expired"


class ExpiredToken(Expired):
    """A token verified in every other respect is over; logging out may still use its `claims`."""

    def __init__(
        self, message: str = "the token is over; sign in again", *, claims: Any = None
    ) -> None:
        """Keep `claims`: signature, issuer, audience and type were verified, only time was not."""
        super().__init__(message)
        self.claims = claims


class Revoked(Refused):
    """The session was ended or everything of the subject was; sign in again."""

    code = "revoked"


class RefreshRequired(Refused):
    """The access token is over or out of date, and a refresh will mend that."""

    code = "refresh_required"


class RefreshLate(Refused):
    """A replaced handle came back after the grace window: a lost reply or a copy. Signed out."""

    code = "refresh_late"


class RefreshReuse(Refused):
    """A handle two or more generations old came back: a copy exists. The session is ended."""

    code = "refresh_reuse"


class FreshLoginRequired(Refused):
    """The sign-in is older than this action allows (RFC 9470); re-authenticate."""

    code = "insufficient_user_authentication"


class Superseded(Refused):
    """Everything of the subject was revoked while the password was being checked; sign in again."""

    code = "superseded"


class Forbidden(Refused):
    """Signed in, without a role the action needs; signing in again will not help."""

    code = "forbidden"
    status = 403


class InsufficientScope(Forbidden):
    """The token's scopes do not cover the action (RFC 6750 section 3.1)."""

    code = "insufficient_scope"


class CredentialNotAccepted(Forbidden):
    """This route does not take this kind of credential (a cookie where a bearer is due, say)."""

    code = "credential_not_accepted"


class CrossSite(Refused):
    """An unsafe request with cookie credentials came from another origin (CSRF)."""

    code = "cross_site"
    status = 403


class SessionLimit(Refused):
    """The subject already has as many sessions as are allowed; end one first."""

    code = "session_limit"
    status = 403


class NotFound(SojournError):
    """There is no such session (or it is another's, which is not told apart)."""

    code = "not_found"
    status = 404
