"""`Auth`: Sojourn in a WSGI application."""

from __future__ import annotations

from collections.abc import Iterable
from typing import Any, Unpack, cast

from sojourn.adapting import acts
from sojourn.adapting.acts import LoginOptions
from sojourn.aio import AsyncSojourn
from sojourn.engine.answers import Attempt, SignedIn
from sojourn.engine.data import SessionData
from sojourn.errors import ConfigurationError
from sojourn.model import ClaimsT, Mode, Subject
from sojourn.ports import Store
from sojourn.sync import Sojourn
from sojourn.wsgi.environ import Connection, state_of
from sojourn.wsgi.guard import Guard


class Auth(Guard[ClaimsT]):
    """Sojourn in a WSGI application.

    Args:
        sojourn: A store URL, a blocking store, or a `Sojourn` that was made elsewhere.
        **options: Everything `Sojourn` takes.
    """

    def __init__(self, sojourn: str | Store | Sojourn[ClaimsT], **options: Any) -> None:
        """Make or take the engine."""
        if isinstance(sojourn, AsyncSojourn):
            raise ConfigurationError(
                "Auth of WSGI takes Sojourn; AsyncSojourn is for asyncio frameworks"
            )
        if isinstance(sojourn, Sojourn):
            if options:
                raise ConfigurationError("give the settings to Sojourn itself")
            self.sojourn = sojourn
        else:
            self.sojourn = Sojourn(sojourn, **options)
        super().__init__(self.sojourn)

    def begin(self, subject: Subject) -> Attempt:
        """See `AsyncSojourn.begin`."""
        return self.sojourn.begin(subject)

    def login(
        self, connection: Connection, subject: Subject, **options: Unpack[LoginOptions]
    ) -> SignedIn[ClaimsT]:
        """See `AsyncSojourn.login`; cookies are written by the middleware."""
        state = state_of(connection)
        return self._given(self.sojourn.run(acts.login(self._core, state, subject, **options)))

    def refresh(
        self, connection: Connection, *, refresh_token: str | None = None
    ) -> SignedIn[ClaimsT]:
        """See `AsyncSojourn.refresh`; what the middleware has just renewed is not rotated again."""
        state = state_of(connection)
        return self._given(
            self.sojourn.run(acts.refresh(self._core, state, refresh_token=refresh_token))
        )

    def reauthenticate(
        self,
        connection: Connection,
        *,
        amr: Iterable[str] = (),
        attempt: Attempt | None = None,
    ) -> SignedIn[ClaimsT]:
        """See `AsyncSojourn.reauthenticate`."""
        state = state_of(connection)
        return self._given(
            self.sojourn.run(acts.reauthenticate(self._core, state, amr=amr, attempt=attempt))
        )

    def move(
        self, connection: Connection, *, mode: Mode, refresh_token: str | None = None
    ) -> SignedIn[ClaimsT]:
        """See `AsyncSojourn.move`."""
        state = state_of(connection)
        return self._given(
            self.sojourn.run(acts.move(self._core, state, mode=mode, refresh_token=refresh_token))
        )

    def access_token(self, connection: Connection, *, audience: str = "") -> SignedIn[ClaimsT]:
        """See `AsyncSojourn.access_token`."""
        state = state_of(connection)
        return self._given(
            self.sojourn.run(acts.access_token(self._core, state, audience=audience))
        )

    def logout(self, connection: Connection) -> None:
        """See `AsyncSojourn.logout`."""
        self.sojourn.run(acts.logout(self._core, state_of(connection)))

    def logout_all(self, connection: Connection) -> None:
        """End everything of whoever is signed in, this session too."""
        self.sojourn.run(acts.logout_all(self._core, state_of(connection)))

    def logout_others(self, connection: Connection) -> None:
        """End all other sessions and tokens of whoever is signed in."""
        self.sojourn.run(acts.logout_others(self._core, state_of(connection)))

    def data(self, connection: Connection) -> SessionData:
        """Load the session's data (or the visitor's); saved by itself with the response."""
        return self.sojourn.run(acts.load_data(self._core, state_of(connection)))

    def hand_out(self, connection: Connection, signed_in: SignedIn[ClaimsT]) -> SignedIn[ClaimsT]:
        """Have the middleware hand out what a login that was made elsewhere gave."""
        return self._given(acts.hand_out(self._core, state_of(connection), signed_in))

    @property
    def _core(self) -> Any:
        return self.sojourn.core

    @staticmethod
    def _given(signed_in: SignedIn[Any]) -> SignedIn[ClaimsT]:
        return cast("SignedIn[ClaimsT]", signed_in)
