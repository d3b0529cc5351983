"""`Auth`: Sojourn in the idiom of Starlette."""

from __future__ import annotations

from collections.abc import Awaitable, Callable, Iterable, Mapping
from typing import Any, TypedDict, Unpack

from starlette.requests import HTTPConnection

from sojourn.aio import AsyncSojourn
from sojourn.engine.answers import Attempt, Checked, SignedIn
from sojourn.engine.data import SessionData
from sojourn.errors import ConfigurationError
from sojourn.model import ClaimsT, Mode, Subject, Transport
from sojourn.starlette.guard import Endpoint, Guard, P, before
from sojourn.starlette.middleware import NOBODY, incoming_of, show, state_of
from sojourn.sync import Sojourn


class LoginOptions(TypedDict, total=False):
    """The keyword arguments of `AsyncSojourn.login`, which describes them."""

    attempt: Attempt | None
    mode: Mode | None
    transport: Transport | None
    remember: bool
    roles: Iterable[str]
    scopes: Iterable[str]
    claims: Mapping[str, Any] | None
    amr: Iterable[str]
    client_id: str
    carry: Iterable[str]


class Auth(Guard[ClaimsT]):
    """Sojourn in a Starlette application.

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

    # --- signing in and out -----------------------------------------------------------------------

    async def begin(self, subject: Subject) -> Attempt:
        """See `AsyncSojourn.begin`."""
        return await self.sojourn.begin(subject)

    async def login(
        self, request: HTTPConnection, subject: Subject, **options: Unpack[LoginOptions]
    ) -> SignedIn[ClaimsT]:
        """See `AsyncSojourn.login`; cookies are written by the middleware."""
        signed_in = await self.sojourn.login(incoming_of(request), subject, **options)
        return self.hand_out(request, signed_in)

    async def refresh(
        self, request: HTTPConnection, *, refresh_token: str | None = None
    ) -> SignedIn[ClaimsT]:
        """See `AsyncSojourn.refresh`; what the middleware has just renewed is not rotated again."""
        renewed = state_of(request).checked.renewed
        if refresh_token is None and renewed is not None:
            return renewed
        signed_in = await self.sojourn.refresh(incoming_of(request), refresh_token=refresh_token)
        return self.hand_out(request, signed_in)

    async def reauthenticate(
        self,
        request: HTTPConnection,
        *,
        amr: Iterable[str] = (),
        attempt: Attempt | None = None,
    ) -> SignedIn[ClaimsT]:
        """See `AsyncSojourn.reauthenticate`."""
        signed_in = await self.sojourn.reauthenticate(
            incoming_of(request), amr=amr, attempt=attempt
        )
        return self.hand_out(request, signed_in)

    async def move(
        self, request: HTTPConnection, *, mode: Mode, refresh_token: str | None = None
    ) -> SignedIn[ClaimsT]:
        """See `AsyncSojourn.move`."""
        signed_in = await self.sojourn.move(
            incoming_of(request), mode=mode, refresh_token=refresh_token
        )
        return self.hand_out(request, signed_in)

    async def access_token(
        self, request: HTTPConnection, *, audience: str = ""
    ) -> SignedIn[ClaimsT]:
        """See `AsyncSojourn.access_token`."""
        signed_in = await self.sojourn.access_token(incoming_of(request), audience=audience)
        state_of(request).outgoing += signed_in.outgoing
        return signed_in

    async def logout(self, request: HTTPConnection) -> None:
        """See `AsyncSojourn.logout`."""
        state = state_of(request)
        state.outgoing = await self.sojourn.logout(state.incoming)
        state.checked, state.data = NOBODY, None
        show(request.scope, state)

    async def logout_all(self, request: HTTPConnection) -> None:
        """End everything of whoever is signed in, this session too."""
        await self._revoke_all(request, keep=False, reason="logout_all")
        await self.logout(request)

    async def logout_others(self, request: HTTPConnection) -> None:
        """End all other sessions and tokens of whoever is signed in."""
        await self._revoke_all(request, keep=True, reason="logout_others")

    async def _revoke_all(self, request: HTTPConnection, *, keep: bool, reason: str) -> None:
        principal = await self.current(request)
        await self.sojourn.revoke_all(
            principal.subject,
            keep=principal.sid if keep else None,
            by=principal.subject,
            reason=reason,
            incoming=incoming_of(request),
        )

    def hand_out(self, request: HTTPConnection, signed_in: SignedIn[ClaimsT]) -> SignedIn[ClaimsT]:
        """Have the middleware hand out what a login that was made elsewhere gave."""
        state = state_of(request)
        state.outgoing = state.outgoing.overtaken_by(signed_in.outgoing)
        state.incoming = self.sojourn.core.browser.after(state.incoming, signed_in.outgoing)
        state.checked = Checked(principal=signed_in.principal, now_ms=self.sojourn.core.clock())
        state.error = state.data = None
        show(request.scope, state)
        return signed_in

    # --- session data -----------------------------------------------------------------------------

    async def data(self, request: HTTPConnection) -> SessionData:
        """Load the session's data (or the visitor's); saved by itself with the response."""
        state = state_of(request)
        if state.error is not None:
            raise state.error
        if state.data is None:
            state.data = await self.sojourn.data(state.incoming, state.checked.principal)
        return state.data

    def session_data(self, endpoint: Endpoint[P]) -> Callable[P, Awaitable[Any]]:
        """Have `request.session` in an endpoint: loaded before, saved with the response."""

        async def load(request: HTTPConnection) -> None:
            if not isinstance(request.scope.get("session"), SessionData | None):
                raise ConfigurationError(
                    "another middleware provides request.session (Starlette's SessionMiddleware?); "
                    "use `await auth.data(request)`, which leaves it alone"
                )
            request.scope["session"] = await self.data(request)

        return before(endpoint, load)
