"""`AsyncSojourn`: the face for asyncio applications."""

from __future__ import annotations

import asyncio
from collections.abc import Callable, Iterable, Mapping, Sequence
from contextlib import AbstractAsyncContextManager
from types import TracebackType
from typing import TYPE_CHECKING, Any, Generic, Self, Unpack

from sojourn.arrivals import CookieDoor, TokenDoor
from sojourn.engine import check, data, exchange, login, reauthenticate, refresh, revoke, upkeep
from sojourn.engine.answers import Attempt, Checked, SessionInfo, SignedIn
from sojourn.engine.core import Application, Core
from sojourn.engine.data import SessionData
from sojourn.engine.facts import FactsLoader
from sojourn.engine.picture import monotonic_ms as system_monotonic_ms
from sojourn.engine.watch import WatchedCore
from sojourn.environment import secrets_from, settings_from
from sojourn.messages import Incoming, Outgoing
from sojourn.model import Any_, ClaimsT, Mode, Principal, Subject, Transport
from sojourn.need import ANYONE_SIGNED_IN, Need
from sojourn.ports import AsyncStore, Clock, Store
from sojourn.server_secret import ServerSecrets
from sojourn.settings import Options, Settings
from sojourn.stores import async_store
from sojourn.stores.memory import system_clock
from sojourn.watching import Watching, Watchings

if TYPE_CHECKING:
    import msgspec


class AsyncSojourn(Generic[ClaimsT]):
    """Keeps people signed in, for an asyncio application. `Sojourn` is the same, blocking.

    Args:
        store: Where sessions live: a URL (``sqlite:///app.db``, ``memory://``), or a store.
        claims: The type of ``Principal.claims``: a msgspec Struct, dataclass or TypedDict; a plain
            dictionary by default.
        secret: The server secret, at least 32 random characters; several with the current one
            first. By default ``SOJOURN_SECRET`` or ``SOJOURN_SECRET_FILE``, and in development a
            file that is made by itself.
        facts: Given a subject, its `Facts` (roles, scopes, claims), or None for one that may not be
            signed in any more. Asked at each sign-in for what `login` is not told, and at each
            refresh; a coroutine function, or a blocking one that is called in a thread.
        doors: Let in who was signed in by what the application used before (`sojourn.doors`).
        clock: Gives milliseconds since the epoch; for tests.
        monotonic_ms: Gives monotonic milliseconds; for tests.
        **options: The settings, as `Settings` describes them; ``SOJOURN_*`` where not given.

    Raises:
        ConfigurationError: A setting is missing or wrong, or the store would block the event loop.
        UnsupportedInMode: A setting asks the mode for what it cannot know.
    """

    def __init__(
        self,
        store: str | AsyncStore | Store,
        *,
        claims: type[ClaimsT] | None = None,
        secret: str | Sequence[str] | None = None,
        facts: FactsLoader | None = None,
        doors: Sequence[CookieDoor | TokenDoor] = (),
        clock: Clock = system_clock,
        monotonic_ms: Callable[[], float] = system_monotonic_ms,
        **options: Unpack[Options],
    ) -> None:
        """Validate everything; nothing is opened before the first use."""
        settings = settings_from(options)
        self._core = Core(
            settings=settings,
            secrets=secrets_from(
                secret,
                is_development=settings.is_development,
                is_kept=not isinstance(store, str) or not store.startswith("memory:"),
            ),
            store=async_store(store, clock=clock),
            clock=clock,
            monotonic_ms=monotonic_ms,
            claims_type=claims or dict,
            application=Application(facts=facts, doors=doors, call=asyncio.to_thread),
        )
        self._watchings = Watchings(WatchedCore(self._core), clock)

    @classmethod
    def of(
        cls,
        *,
        settings: Settings,
        secrets: ServerSecrets,
        store: AsyncStore,
        clock: Clock = system_clock,
    ) -> AsyncSojourn[dict[str, Any]]:
        """Make one from parts that are already validated; for the server."""
        sojourn: AsyncSojourn[dict[str, Any]] = AsyncSojourn.__new__(AsyncSojourn)
        sojourn._core = Core(
            settings=settings,
            secrets=secrets,
            store=store,
            clock=clock,
            monotonic_ms=system_monotonic_ms,
            claims_type=dict,
        )
        sojourn._watchings = Watchings(WatchedCore(sojourn._core), clock)
        return sojourn

    @property
    def settings(self) -> Settings:
        """The settings in force."""
        return self._core.settings

    @property
    def lag_seconds(self) -> float:
        """How old this process's picture of revocations is; infinite before the first use."""
        return self._core.picture.lag_ms() / 1000

    @property
    def core(self) -> Core:
        """The engine's state, for adapters and the server."""
        return self._core

    async def __aenter__(self) -> Self:
        """Open the store and start following the feed."""
        await self._core.ready()
        return self

    async def __aexit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        trace: TracebackType | None,
    ) -> None:
        """Close."""
        await self.close()

    async def close(self) -> None:
        """Stop following the feed and give the store up, after finishing what was asked."""
        await self._core.close()

    async def begin(self, subject: Subject) -> Attempt:
        """Take a position before a password is checked; optional, good for 10 minutes.

        Without it, a sign-in whose password check straddles a `revoke_all` survives it.

        Args:
            subject: Who is about to prove who they are.

        Raises:
            InvalidInput: The subject is not one that can be kept.
            StoreError: The store cannot be reached.
        """
        return await login.begin(self._core, subject)

    async def login(
        self,
        incoming: Incoming,
        subject: Subject,
        *,
        attempt: Attempt | None = None,
        mode: Mode | None = None,
        transport: Transport | None = None,
        remember: bool = True,
        roles: Iterable[str] = (),
        scopes: Iterable[str] = (),
        claims: Mapping[str, Any] | msgspec.Struct | None = None,
        amr: Iterable[str] = (),
        client_id: str = "",
        carry: Iterable[str] = (),
    ) -> SignedIn[ClaimsT]:
        """Sign a subject in, whose credential the application has just checked.

        Always makes a new sid and handle (no fixation). The session that this browser held before
        is ended, and a visitor's data is deleted.

        Args:
            incoming: The request.
            subject: The application's own identifier of the user.
            attempt: From `begin`, called before the credential was checked.
            mode: Another of the allowed modes than the configured one.
            transport: ``cookie`` or ``bearer``; the configured one by default.
            remember: Whether to survive the browser's end; else at most `browser_ttl_seconds`.
            roles: What the subject may do, as names without white space.
            scopes: What the client may do on the subject's behalf.
            claims: Facts fixed at the sign-in and visible to the client. Roles, scopes, methods and claims
                may be 1,536 bytes of JSON together.
            amr: How the subject proved who they are (RFC 8176), as ``["pwd"]``.
            client_id: The OAuth client (RFC 9068), where there is one.
            carry: Keys of a visitor's data to take over.

        Returns:
            The principal, and headers or tokens to hand out.

        Raises:
            CrossSite: A page of another origin tried to sign somebody in (login CSRF).
            SessionLimit: There are too many sessions already, and `on_excess` is ``refuse``.
            Superseded: Everything of the subject was revoked since the attempt began.
            UnsupportedInMode: The mode is not allowed here.
            InvalidInput: A subject, role, scope or claim that cannot be kept.
            StoreError: The store cannot be reached; nobody is signed in.
        """
        return await login.login(
            self._core,
            incoming,
            subject,
            attempt=attempt,
            mode=mode,
            transport=transport,
            remember=remember,
            roles=roles,
            scopes=scopes,
            claims=claims,
            amr=amr,
            client_id=client_id,
            carry=carry,
        )

    async def login_failed(self, incoming: Incoming, subject: str, *, reason: str) -> None:
        """Put a failed sign-in on the audit trail.

        Args:
            incoming: The request.
            subject: Whom it concerned, as far as known.
            reason: A stable word, as ``wrong_password``.
        """
        await login.failed(self._core, incoming, subject, reason=reason)

    async def check(
        self, incoming: Incoming, *, need: Need = ANYONE_SIGNED_IN, renew: bool = True
    ) -> Checked[ClaimsT]:
        """Find out who a request is: no look-up while the picture of revocations is fresh.

        In ``hybrid`` over cookies an access token that is over is renewed in passing: apply
        `.outgoing` in every case.

        Args:
            incoming: The request.
            need: What the route asks for.
            renew: Whether to renew in passing; False where no cookie can be handed out, as in
                a WebSocket.

        Returns:
            The principal, or the refusal that says why there is none.

        Raises:
            Stale: The picture is too old and `when_stale` is ``refuse``.
            StoreError: The store had to be asked and cannot be reached.
        """
        return await check.check(self._core, incoming, need=need, renew=renew)

    async def refresh(
        self, incoming: Incoming, *, refresh_token: str | None = None
    ) -> SignedIn[ClaimsT]:
        """Rotate a refresh handle, from the cookie or as given (mode ``hybrid``).

        A retry or a second tab gets the same successor within `grace_seconds`.

        Args:
            incoming: The request.
            refresh_token: What a bearer client sent in the body.

        Raises:
            RefreshReuse: An old handle came back, so a copy exists; the session is ended.
            RefreshLate: The one before came back after the grace window; the session is ended.
            InvalidToken: It is no handle of this server.
            Expired: The session's life is over.
            Revoked: The session was ended.
            Unauthenticated: None was presented.
            UnsupportedInMode: What was presented is not refreshed.
            CrossSite: A page of another origin asked.
            Conflict: Others won every attempt; try again.
        """
        return await refresh.refresh(self._core, incoming, refresh_token=refresh_token)

    async def logout(self, incoming: Incoming) -> Outgoing:
        """End the session a request presents, also with an expired access token.

        Returns:
            The headers that take the cookies back; where nobody was signed in too.

        Raises:
            CrossSite: A page of another origin asked.
            StoreError: The store cannot be reached; the session is still alive.
        """
        return await revoke.logout(self._core, incoming)

    async def reauthenticate(
        self,
        incoming: Incoming,
        *,
        amr: Iterable[str] = (),
        attempt: Attempt | None = None,
    ) -> SignedIn[ClaimsT]:
        """Renew a live session after its subject proved again who they are.

        The sign-in time becomes now and the handle a new one; the old one is refused from here on.

        Args:
            incoming: The request, with a live session.
            amr: How it was proved; added to the earlier methods.
            attempt: From `begin`, called before the credential was checked.

        Raises:
            Refused: Nobody is signed in.
        """
        return await reauthenticate.reauthenticate(self._core, incoming, amr=amr, attempt=attempt)

    async def access_token(self, incoming: Incoming, *, audience: str = "") -> SignedIn[ClaimsT]:
        """Give a live session's short access token, as for a page that calls another service.

        Args:
            incoming: The request, with a live session.
            audience: One of the configured audiences; the own one by default.

        Raises:
            Refused: Nobody is signed in.
            InvalidInput: The audience is not configured.
        """
        return await exchange.access_token(self._core, incoming, audience=audience)

    async def move(
        self, incoming: Incoming, *, mode: Mode, refresh_token: str | None = None
    ) -> SignedIn[ClaimsT]:
        """Exchange a stored session for one of another mode, without a new sign-in.

        The sign-in time and the absolute end stay; handles from before are refused. What proves
        the session is its handle: an access token alone is not enough, and a JWT has nothing
        stored behind it that could move.

        Args:
            incoming: The request, with a live session.
            mode: One of the allowed modes.
            refresh_token: What a bearer client of mode ``hybrid`` sends beside its access token.

        Raises:
            Refused: Nobody is signed in, or not by the session's present handle.
            UnsupportedInMode: The mode is not allowed here, or a JWT was presented.
        """
        return await exchange.move(self._core, incoming, mode=mode, refresh_token=refresh_token)

    async def update(
        self,
        subject: Subject,
        *,
        roles: Iterable[str] | None = None,
        scopes: Iterable[str] | None = None,
        claims: Mapping[str, Any] | msgspec.Struct | None = None,
        by: str = "",
    ) -> int:
        """Change what a subject's live sessions say, everywhere within the bound of lag.

        A session has the new facts at its next check; a hybrid access token is answered "refresh
        now" and a JWT "sign in again".

        Args:
            subject: Whose.
            roles: The new roles; None leaves them.
            scopes: The new scopes; None leaves them.
            claims: The new claims; None leaves them.
            by: Who did it, for the audit trail.

        Returns:
            How many stored sessions were changed.
        """
        return await revoke.update(
            self._core, subject, roles=roles, scopes=scopes, claims=claims, by=by
        )

    async def sessions(self, subject: Subject) -> list[SessionInfo]:
        """List the live sessions of a subject, oldest first.

        Raises:
            UnsupportedInMode: In ``jwt``, which stores none.
        """
        return await revoke.sessions(self._core, subject)

    async def revoke(
        self,
        sid: str,
        *,
        subject: Subject | Any_,
        by: str = "",
        reason: str = "administrator",
        incoming: Incoming | None = None,
    ) -> bool:
        """End one session; acknowledged when the record and the feed both have it.

        Args:
            sid: Its public name.
            subject: Whose it must be; ``ANY`` for an administrator. A sid from a URL is not a
                permission: another subject's session is left alone.
            by: Who did it, for the audit trail.
            reason: A stable word; the session's holder is told what it stands for.
            incoming: The request that asked, for the audit trail.

        Returns:
            Whether there was such a session; a JWT is revoked too, though nothing is known of it.

        Raises:
            InvalidInput: That is not a sid.
            StoreError: The store cannot be reached; retry, which is safe.
        """
        return await revoke.revoke(
            self._core, sid, subject=subject, by=by, reason=reason, incoming=incoming
        )

    async def revoke_all(
        self,
        subject: Subject,
        *,
        keep: str | None = None,
        by: str = "",
        reason: str = "administrator",
        incoming: Incoming | None = None,
    ) -> int:
        """End everything of a subject: sessions, access tokens and sign-ins under way.

        Args:
            subject: Whose.
            keep: The sid of the one session to leave alone.
            by: Who did it, for the audit trail.
            reason: A stable word; the holders are told what it stands for.
            incoming: The request that asked, for the audit trail.

        Returns:
            How many stored sessions ended; JWTs are revoked uncounted.
        """
        return await revoke.revoke_all(
            self._core, subject, keep=keep, by=by, reason=reason, incoming=incoming
        )

    def watch(self, principal: Principal[Any]) -> AbstractAsyncContextManager[None]:
        """End what happens within the block when the session of a principal ends.

        For long connections: a check looks once, a WebSocket or an event stream may live for hours.
        It ends within milliseconds of a revocation, at the session's own end (an access token's
        does not matter while its session goes on), when roles or claims change, and where nothing
        may be believed any more (`when_stale`). An open connection is not use: idle time goes on.

            async with auth.watch(principal):
                async for message in messages():
                    await websocket.send_text(message)

        Args:
            principal: Who was checked when the connection was opened.

        Raises:
            Revoked: The session was ended.
            Expired: It reached the end of its life.
            RefreshRequired: Roles or claims have changed; the client is to connect again.
            Stale: The picture is too old, and the policy does not let it go on.
            StoreError: The same, and the store cannot be asked.
        """
        return self._watchings.here.watch(principal)

    @property
    def watching(self) -> Watching:
        """All that is watched in the running event loop; for adapters."""
        return self._watchings.here

    async def data(
        self, incoming: Incoming, principal: Principal[Any] | None = None
    ) -> SessionData:
        """Load the application's own data of a session, or of a visitor (a guest).

        Args:
            incoming: The request.
            principal: Who was checked; None for a visitor.

        Raises:
            UnsupportedInMode: The principal's is a JWT, which has no data.
        """
        return await data.load(self._core, incoming, principal)

    async def save(self, incoming: Incoming, values: SessionData) -> Outgoing:
        """Save what changed in the data; apply the answer's headers (a guest's cookie).

        Args:
            incoming: The request.
            values: What `data` gave, changed.

        Raises:
            InvalidInput: Not JSON, or over 32 KiB.
            Conflict: It kept changing, or the session was ended meanwhile.
        """
        return await data.save(self._core, incoming, values)

    async def rotate_keys(self, *, by: str = "", is_emergency: bool = False) -> None:
        """Put a new signing key into service; keys also rotate by themselves.

        Args:
            by: Who did it, for the audit trail.
            is_emergency: A key was stolen: sign with a new one now, and refuse at once every token
                of the old ones.
        """
        await upkeep.rotate_keys(self._core, by=by, is_emergency=is_emergency)

    async def jwks(self) -> dict[str, Any]:
        """Give the public keys for verifiers (RFC 7517)."""
        return await upkeep.jwks(self._core)

    async def purge(self) -> int:
        """Remove what is dead from the store; the server does it by itself, each few minutes.

        Returns:
            How many rows went.
        """
        return await upkeep.purge(self._core)
