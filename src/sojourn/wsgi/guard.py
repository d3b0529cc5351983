"""`Guard`: who may do what, for any WSGI application; `Auth` adds signing in and out."""

from __future__ import annotations

import inspect
from collections.abc import Callable
from typing import Generic, Unpack, cast

from sojourn.errors import ConfigurationError
from sojourn.model import ClaimsT, Principal
from sojourn.need import ANYONE_SIGNED_IN, Need, NeedOptions
from sojourn.sync import Sojourn
from sojourn.verifier import Verifier
from sojourn.wsgi.environ import Application, Connection, state_of
from sojourn.wsgi.middleware import SojournMiddleware


class Guard(Generic[ClaimsT]):
    """A verifier in a WSGI application: a service that checks what another one issues.

    Args:
        checker: The verifier.
    """

    def __init__(self, checker: Verifier | Sojourn[ClaimsT]) -> None:
        """Take the verifier."""
        if inspect.iscoroutinefunction(checker.check):
            raise ConfigurationError(
                f"a {type(checker).__name__} was given, and WSGI has nothing that could await it; "
                "give its blocking form: Verifier, or Sojourn"
            )
        self.checker = checker

    def wrap(self, app: Application) -> SojournMiddleware:
        """Stand before an application; the checker is opened at its first use in each process."""
        return SojournMiddleware(app, self.checker)

    def current(self, connection: Connection) -> Principal[ClaimsT]:
        """Give the principal of a request.

        Raises:
            Refused: There is none.
            Stale: Whether there is one cannot be known now.
            StoreError: The same.
        """
        return self.check(connection, ANYONE_SIGNED_IN)

    def optional(self, connection: Connection) -> Principal[ClaimsT] | None:
        """Give the principal of a request, or None."""
        return cast("Principal[ClaimsT] | None", state_of(connection).principal)

    def require(self, **need: Unpack[NeedOptions]) -> Callable[[Connection], Principal[ClaimsT]]:
        """Make a function of the request that gives the principal where it meets a `Need`."""
        needed = Need.of(**need)

        def required(connection: Connection) -> Principal[ClaimsT]:
            return self.check(connection, needed)

        return required

    def check(self, connection: Connection, need: Need) -> Principal[ClaimsT]:
        """Give the principal of a request where it meets a need; asks again where that is needed.

        Raises:
            Refused: Why it does not.
            SojournError: Why that cannot be known now.
        """
        state = state_of(connection)
        if need.max_lag_seconds is not None:
            state.error = None
            state.checked = self.checker.check(state.incoming, need=need, renew=False)
        return cast("Principal[ClaimsT]", state.require(need))
