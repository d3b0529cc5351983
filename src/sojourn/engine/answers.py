"""What the engine answers with. Each answer to a client has `.outgoing`: headers to add."""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any, Generic

from sojourn.messages import NOTHING_TO_SEND, Outgoing
from sojourn.model import ClaimsT, Mode, Principal, Transport
from sojourn.need import ANYONE_SIGNED_IN, Need

if TYPE_CHECKING:
    from sojourn.errors import Refused


@dataclass(frozen=True, slots=True)
class Attempt:
    """A feed position taken before a credential was checked; good for 10 minutes."""

    subject: str
    position: int
    at_ms: int


@dataclass(frozen=True, slots=True, kw_only=True)
class SignedIn(Generic[ClaimsT]):
    """The answer to a login, a refresh, a re-authentication or a move to another mode.

    Secrets are in `outgoing` (as cookies) for the cookie transport, and in the token fields for
    bearer clients; never in both.
    """

    principal: Principal[ClaimsT]
    mode: Mode
    transport: Transport
    expires_at: int
    """Seconds since the epoch: the absolute end."""
    access_token: str = field(default="", repr=False)
    expires_in: int = 0
    """Seconds for which the access token is good."""
    refresh_token: str = field(default="", repr=False)
    outgoing: Outgoing = field(default=NOTHING_TO_SEND, repr=False)

    def public(self) -> dict[str, Any]:
        """Give the body to answer with: tokens only for bearer clients (RFC 6749 section 5.1)."""
        body: dict[str, Any] = {
            "subject": self.principal.subject,
            "sid": self.principal.sid,
            "mode": self.mode,
            "expires_at": self.expires_at,
        }
        if self.transport == "bearer":
            body |= {
                "access_token": self.access_token,
                "token_type": "Bearer",
                "expires_in": self.expires_in,
            }
            if self.refresh_token:
                body["refresh_token"] = self.refresh_token
        return body


@dataclass(frozen=True, slots=True, kw_only=True)
class Checked(Generic[ClaimsT]):
    """The answer to a check: who it is, or why nobody."""

    principal: Principal[ClaimsT] | None = None
    refusal: Refused | None = None
    renewed: SignedIn[ClaimsT] | None = field(default=None, repr=False)
    """What was handed out where the check renewed a hybrid sign-in in passing."""
    outgoing: Outgoing = field(default=NOTHING_TO_SEND, repr=False)
    now_ms: int = 0

    def require(self, need: Need = ANYONE_SIGNED_IN) -> Principal[ClaimsT]:
        """Give the principal where it meets the need.

        Raises:
            Refused: Why it does not, or why there is none.
        """
        if self.principal is None:
            assert self.refusal is not None  # noqa: S101 - one of the two is always there
            raise self.refusal
        refusal = need.refusal(self.principal, now_ms=self.now_ms)
        if refusal is not None:
            raise refusal
        return self.principal


@dataclass(frozen=True, slots=True, kw_only=True)
class SessionInfo:
    """A session as its subject may see it: no seed, nothing that signs anybody in.

    Instants are seconds since the epoch.
    """

    sid: str
    subject: str
    mode: Mode
    created_at: int
    seen_at: int
    expires_at: int
    auth_time: int
    user_agent: str
    address: str
    roles: tuple[str, ...]
    scopes: tuple[str, ...]
