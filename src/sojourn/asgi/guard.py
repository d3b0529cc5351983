"""`Guard`: who may do what, for any ASGI application; `Auth` adds signing in and out."""

from __future__ import annotations

import inspect
from collections.abc import Awaitable, Callable
from contextlib import AbstractAsyncContextManager
from typing import Generic, Unpack, cast

from sojourn.aio import AsyncSojourn
from sojourn.asgi.middleware import SojournMiddleware
from sojourn.asgi.scope import Application, Connection, state_of
from sojourn.errors import ConfigurationError
from sojourn.model import ClaimsT, Principal
from sojourn.need import ANYONE_SIGNED_IN, Need, NeedOptions
from sojourn.verifier import AsyncVerifier


class Guard(Generic[ClaimsT]):
    """A verifier in an ASGI application: a service that checks what another one issues.

    Args:
        checker: The verifier.
    """

    def __init__(self, checker: AsyncVerifier | AsyncSojourn[ClaimsT]) -> None:
        """Take the verifier."""
        if not inspect.iscoroutinefunction(checker.check):
            raise ConfigurationError(
                "a blocking Verifier was given and would stop the event loop; give AsyncVerifier"
            )
        self.checker = checker

    def wrap(self, app: Application) -> Application:
        """Stand before an application; the checker is opened and closed with it (lifespan)."""
        return SojournMiddleware(app, self.checker, opens=True)

    async def current(self, connection: Connection) -> Principal[ClaimsT]:
        """Give the principal of a request.

        Raises:
            Refused: There is none.
            Stale: Whether there is one cannot be known now.
            StoreError: The same.
        """
        return await self.check(connection, ANYONE_SIGNED_IN)

    async def optional(self, connection: Connection) -> Principal[ClaimsT] | None:
        """Give the principal of a request, or None."""
        return cast("Principal[ClaimsT] | None", state_of(connection).principal)

    def require(
        self, **need: Unpack[NeedOptions]
    ) -> Callable[[Connection], Awaitable[Principal[ClaimsT]]]:
        """Make a function of the request that gives the principal where it meets a `Need`."""
        needed = Need.of(**need)

        async def required(connection: Connection) -> Principal[ClaimsT]:
            return await self.check(connection, needed)

        return required

    async def check(self, connection: Connection, need: Need) -> Principal[ClaimsT]:
        """Give the principal of a request where it meets a need; asks again where that is needed.

        Raises:
            Refused: Why it does not.
            SojournError: Why that cannot be known now.
        """
        state = state_of(connection)
        if need.max_lag_seconds is not None:
            state.error = None
            state.checked = await self.checker.check(state.incoming, need=need, renew=False)
        return cast("Principal[ClaimsT]", state.require(need))

    def watch(self, connection: Connection) -> AbstractAsyncContextManager[None]:
        """End what happens within the block when the session of a request's principal ends.

        See `AsyncSojourn.watch`. WebSockets and event streams are closed without it.
        """
        return self.checker.watch(state_of(connection).require())
