"""What a route asks of a request: one value, the same in every framework."""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass
from datetime import timedelta
from typing import TYPE_CHECKING, Any, TypedDict

from sojourn.errors import (
    ConfigurationError,
    CredentialNotAccepted,
    Forbidden,
    FreshLoginRequired,
    InsufficientScope,
    Refused,
)
from sojourn.model import Transport

if TYPE_CHECKING:
    from sojourn.model import Principal


@dataclass(frozen=True, slots=True)
class Need:
    """A requirement; the empty one asks for a signed-in subject only.

    Args:
        roles: Roles of which *all* are needed.
        scopes: Scopes of which *all* are needed.
        max_age_seconds: How long ago the sign-in may be (RFC 9470); None for any age.
        max_lag_seconds: How old the picture of revocations may be; 0 always asks the store; None
            for the configured bound.
        accept: Over which transports a credential is taken.
    """

    roles: frozenset[str] = frozenset()
    scopes: frozenset[str] = frozenset()
    max_age_seconds: float | None = None
    max_lag_seconds: float | None = None
    accept: frozenset[Transport] = frozenset({"cookie", "bearer"})

    @classmethod
    def of(
        cls,
        *,
        roles: Iterable[str] = (),
        scopes: Iterable[str] = (),
        max_age: timedelta | None = None,
        max_lag: timedelta | None = None,
        accept: Iterable[Transport] = ("cookie", "bearer"),
    ) -> Need:
        """Build a requirement from what an application writes.

        Raises:
            ConfigurationError: A duration is negative, a bare string stands for a set, or `accept`
                names no transport.
        """
        for name, value in (("roles", roles), ("scopes", scopes), ("accept", accept)):
            if isinstance(value, str):
                raise ConfigurationError(f'{name} is a set; write {name}={{"{value}"}}')
        transports = frozenset(accept)
        if not transports or not transports <= {"cookie", "bearer"}:
            raise ConfigurationError("accept is a set of 'cookie' and 'bearer'")
        for name, duration in (("max_age", max_age), ("max_lag", max_lag)):
            if duration is not None and not isinstance(duration, timedelta):
                raise ConfigurationError(f"{name} is a timedelta; write timedelta(seconds=…)")
            if duration is not None and duration < timedelta(0):
                raise ConfigurationError(f"{name} is negative; give a duration of zero or more")
        return cls(
            roles=frozenset(roles),
            scopes=frozenset(scopes),
            max_age_seconds=None if max_age is None else max_age.total_seconds(),
            max_lag_seconds=None if max_lag is None else max_lag.total_seconds(),
            accept=transports,
        )

    def refusal(self, principal: Principal[Any], *, now_ms: int) -> Refused | None:
        """Judge a principal; None where the requirement is met."""
        if principal.transport not in self.accept:
            return CredentialNotAccepted(
                f"this route does not take a {principal.transport} credential"
            )
        if not self.roles <= principal.roles:
            missing = ", ".join(sorted(self.roles - principal.roles))
            return Forbidden(f"this needs the role {missing}")
        if not self.scopes <= principal.scopes:
            missing = " ".join(sorted(self.scopes - principal.scopes))
            return InsufficientScope(f"this needs the scope {missing}")
        if (
            self.max_age_seconds is not None
            and now_ms / 1000 - principal.auth_time > self.max_age_seconds
        ):
            return FreshLoginRequired("this needs a recent sign-in; confirm who you are again")
        return None


ANYONE_SIGNED_IN = Need()


class NeedOptions(TypedDict, total=False):
    """The keyword arguments of `Need.of`, for adapters."""

    roles: Iterable[str]
    scopes: Iterable[str]
    max_age: timedelta | None
    max_lag: timedelta | None
    accept: Iterable[Transport]
