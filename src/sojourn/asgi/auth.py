"""`Auth`: Sojourn in an ASGI application."""

from __future__ import annotations

from collections.abc import Iterable
from typing import Any, Unpack, cast

from sojourn.adapting import acts
from sojourn.adapting.acts import LoginOptions
from sojourn.aio import AsyncSojourn
from sojourn.asgi.guard import Guard
from sojourn.asgi.scope import Connection, state_of
from sojourn.engine.answers import Attempt, SignedIn
from sojourn.engine.data import SessionData
from sojourn.errors import ConfigurationError
from sojourn.model import ClaimsT, Mode, Subject
from sojourn.sync import Sojourn


class Auth(Guard[ClaimsT]):
    """Sojourn in an ASGI application.

    Args:
        sojourn: A store URL, or an `AsyncSojourn` that was made elsewhere.
        **options: Everything `AsyncSojourn` takes.
    """

    def __init__(self, sojourn: str | AsyncSojourn[ClaimsT], **options: Any) -> None:
        """Make or take the engine."""
        if isinstance(sojourn, Sojourn):
            raise ConfigurationError("Auth takes AsyncSojourn; Sojourn is for blocking frameworks")
        if isinstance(sojourn, AsyncSojourn):
            if options:
                raise ConfigurationError("give the settings to AsyncSojourn itself")
            self.sojourn = sojourn
        else:
            self.sojourn = AsyncSojourn(sojourn, **options)
        super().__init__(self.sojourn)

    async def begin(self, subject: Subject) -> Attempt:
        """See `AsyncSojourn.begin`."""
        return await self.sojourn.begin(subject)

    async def login(
        self, connection: Connection, subject: Subject, **options: Unpack[LoginOptions]
    ) -> SignedIn[ClaimsT]:
        """See `AsyncSojourn.login`; cookies are written by the middleware."""
        state = state_of(connection)
        return self._done(connection, await acts.login(self._core, state, subject, **options))

    async def refresh(
        self, connection: Connection, *, refresh_token: str | None = None
    ) -> SignedIn[ClaimsT]:
        """See `AsyncSojourn.refresh`; what the middleware has just renewed is not rotated again."""
        state = state_of(connection)
        signed_in = await acts.refresh(self._core, state, refresh_token=refresh_token)
        return self._done(connection, signed_in)

    async def reauthenticate(
        self,
        connection: Connection,
        *,
        amr: Iterable[str] = (),
        attempt: Attempt | None = None,
    ) -> SignedIn[ClaimsT]:
        """See `AsyncSojourn.reauthenticate`."""
        state = state_of(connection)
        signed_in = await acts.reauthenticate(self._core, state, amr=amr, attempt=attempt)
        return self._done(connection, signed_in)

    async def move(
        self, connection: Connection, *, mode: Mode, refresh_token: str | None = None
    ) -> SignedIn[ClaimsT]:
        """See `AsyncSojourn.move`."""
        state = state_of(connection)
        signed_in = await acts.move(self._core, state, mode=mode, refresh_token=refresh_token)
        return self._done(connection, signed_in)

    async def access_token(
        self, connection: Connection, *, audience: str = ""
    ) -> SignedIn[ClaimsT]:
        """See `AsyncSojourn.access_token`."""
        state = state_of(connection)
        signed_in = await acts.access_token(self._core, state, audience=audience)
        return cast("SignedIn[ClaimsT]", signed_in)

    async def logout(self, connection: Connection) -> None:
        """See `AsyncSojourn.logout`."""
        await acts.logout(self._core, state_of(connection))
        self.changed(connection)

    async def logout_all(self, connection: Connection) -> None:
        """End everything of whoever is signed in, this session too."""
        await acts.logout_all(self._core, state_of(connection))
        self.changed(connection)

    async def logout_others(self, connection: Connection) -> None:
        """End all other sessions and tokens of whoever is signed in."""
        await acts.logout_others(self._core, state_of(connection))

    async def data(self, connection: Connection) -> SessionData:
        """Load the session's data (or the visitor's); saved by itself with the response."""
        return await acts.load_data(self._core, state_of(connection))

    def hand_out(self, connection: Connection, signed_in: SignedIn[ClaimsT]) -> SignedIn[ClaimsT]:
        """Have the middleware hand out what a login that was made elsewhere gave."""
        acts.hand_out(self._core, state_of(connection), signed_in)
        return self._done(connection, signed_in)

    def changed(self, connection: Connection) -> None:
        """Called when who a request is has changed; a framework's adapter shows it its own way."""

    def _done(self, connection: Connection, signed_in: SignedIn[Any]) -> SignedIn[ClaimsT]:
        self.changed(connection)
        return cast("SignedIn[ClaimsT]", signed_in)

    @property
    def _core(self) -> Any:
        return self.sojourn.core
