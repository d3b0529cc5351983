"""`Sojourn`: the face for blocking applications, over the same coroutines as `AsyncSojourn`.

A blocking store never suspends, so a coroutine is driven to its end by one `send(None)`: no event
loop, no thread, no generated twin. `AsyncSojourn` documents each method in full.
"""

from __future__ import annotations

import inspect
from collections.abc import Callable, Coroutine, Iterable, Mapping, Sequence
from types import TracebackType
from typing import TYPE_CHECKING, Any, Generic, Self, TypeVar, Unpack

from sojourn.arrivals import CookieDoor, TokenDoor
from sojourn.engine import check, data, exchange, login, reauthenticate, refresh, revoke, upkeep
from sojourn.engine.answers import Attempt, Checked, SessionInfo, SignedIn
from sojourn.engine.core import Application, Core
from sojourn.engine.data import SessionData
from sojourn.engine.facts import FactsLoader
from sojourn.engine.picture import monotonic_ms as system_monotonic_ms
from sojourn.environment import secrets_from, settings_from
from sojourn.errors import ConfigurationError
from sojourn.messages import Incoming, Outgoing
from sojourn.model import Any_, ClaimsT, Mode, Principal, Subject, Transport
from sojourn.need import ANYONE_SIGNED_IN, Need
from sojourn.ports import Clock, Store, inline
from sojourn.settings import Options, Settings
from sojourn.stores import blocking_store
from sojourn.stores.memory import system_clock

if TYPE_CHECKING:
    import msgspec


T = TypeVar("T")


def drive(coroutine: Coroutine[Any, Any, T]) -> T:
    """Run a coroutine that never suspends to its end.

    Raises:
        RuntimeError: It suspended: the store is not a blocking one.
    """
    try:
        coroutine.send(None)
    except StopIteration as stop:
        result: T = stop.value
        return result
    coroutine.close()
    raise RuntimeError(
        "the store suspended under the blocking face; use AsyncSojourn, or a blocking store"
    )


class Sojourn(Generic[ClaimsT]):
    """Keeps people signed in, for a blocking application. `AsyncSojourn` is the same, awaited.

    Args:
        store: Where sessions live: a URL (``sqlite:///app.db``, ``memory://``), or a store.
        claims: The type of ``Principal.claims``: a msgspec Struct, dataclass or TypedDict; a plain
            dictionary by default.
        secret: The server secret, at least 32 random characters; several with the current one
            first. By default ``SOJOURN_SECRET`` or ``SOJOURN_SECRET_FILE``, and in development a
            file that is made by itself.
        facts: Given a subject, its `Facts` (roles, scopes, claims), or None for one that may not be
            signed in any more. Asked at each sign-in for what `login` is not told, and at each
            refresh; in mode ``session`` nothing is refreshed, so `update` tells.
        doors: Let in who was signed in by what the application used before (`sojourn.doors`).
        clock: Gives milliseconds since the epoch; for tests.
        monotonic_ms: Gives monotonic milliseconds; for tests.
        **options: The settings, as `Settings` describes them; ``SOJOURN_*`` where not given.

    Raises:
        ConfigurationError: A setting is missing or wrong, or the store is asynchronous.
        UnsupportedInMode: A setting asks the mode for what it cannot know.
    """

    def __init__(
        self,
        store: str | Store,
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
        if inspect.iscoroutinefunction(facts):
            raise ConfigurationError("facts is a coroutine function; Sojourn takes a blocking one")
        settings = settings_from(options)
        self._core = Core(
            settings=settings,
            secrets=secrets_from(
                secret,
                is_development=settings.is_development,
                is_kept=not isinstance(store, str) or not store.startswith("memory:"),
            ),
            store=inline(blocking_store(store, clock=clock)),
            clock=clock,
            monotonic_ms=monotonic_ms,
            claims_type=claims or dict,
            application=Application(facts=facts, doors=doors),
        )

    def run(self, coroutine: Coroutine[Any, Any, T]) -> T:
        """Run a coroutine of the engine to its end, the store being opened first; for adapters."""
        if not self._core.is_open:
            # Threads of a fresh process would open the store twice; drive() holds them no longer.
            try:
                with self._core.opening:
                    drive(self._core.ready())
            except BaseException:
                coroutine.close()  # it was never begun
                raise
        return drive(coroutine)

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

    def __enter__(self) -> Self:
        """Open the store and start following the feed."""
        self.run(self._core.ready())
        return self

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        trace: TracebackType | None,
    ) -> None:
        """Close."""
        self.close()

    def close(self) -> None:
        """Stop following the feed and give the store up, after finishing what was asked."""
        drive(self._core.close())

    def begin(self, subject: Subject) -> Attempt:
        """Take a position before a password is checked; optional, good for 10 minutes.

        See `AsyncSojourn.begin`.
        """
        return self.run(login.begin(self._core, subject))

    def login(
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

        See `AsyncSojourn.login`.
        """
        return self.run(
            login.login(
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
        )

    def login_failed(self, incoming: Incoming, subject: str, *, reason: str) -> None:
        """Put a failed sign-in on the audit trail.

        See `AsyncSojourn.login_failed`.
        """
        self.run(login.failed(self._core, incoming, subject, reason=reason))

    def check(
        self, incoming: Incoming, *, need: Need = ANYONE_SIGNED_IN, renew: bool = True
    ) -> Checked[ClaimsT]:
        """Find out who a request is: no look-up while the picture of revocations is fresh.

        See `AsyncSojourn.check`.
        """
        return self.run(check.check(self._core, incoming, need=need, renew=renew))

    def refresh(self, incoming: Incoming, *, refresh_token: str | None = None) -> SignedIn[ClaimsT]:
        """Rotate a refresh handle, from the cookie or as given (mode ``hybrid``).

        See `AsyncSojourn.refresh`.
        """
        return self.run(refresh.refresh(self._core, incoming, refresh_token=refresh_token))

    def logout(self, incoming: Incoming) -> Outgoing:
        """End the session a request presents, also with an expired access token.

        See `AsyncSojourn.logout`.
        """
        return self.run(revoke.logout(self._core, incoming))

    def reauthenticate(
        self,
        incoming: Incoming,
        *,
        amr: Iterable[str] = (),
        attempt: Attempt | None = None,
    ) -> SignedIn[ClaimsT]:
        """Renew a live session after its subject proved again who they are.

        See `AsyncSojourn.reauthenticate`.
        """
        return self.run(
            reauthenticate.reauthenticate(self._core, incoming, amr=amr, attempt=attempt)
        )

    def access_token(self, incoming: Incoming, *, audience: str = "") -> SignedIn[ClaimsT]:
        """Give a live session's short access token, as for a page that calls another service.

        See `AsyncSojourn.access_token`.
        """
        return self.run(exchange.access_token(self._core, incoming, audience=audience))

    def move(
        self, incoming: Incoming, *, mode: Mode, refresh_token: str | None = None
    ) -> SignedIn[ClaimsT]:
        """Exchange a live session for one of another mode, without a new sign-in.

        See `AsyncSojourn.move`.
        """
        return self.run(exchange.move(self._core, incoming, mode=mode, refresh_token=refresh_token))

    def update(
        self,
        subject: Subject,
        *,
        roles: Iterable[str] | None = None,
        scopes: Iterable[str] | None = None,
        claims: Mapping[str, Any] | msgspec.Struct | None = None,
        by: str = "",
    ) -> int:
        """Change what a subject's live sessions say, everywhere within the bound of lag.

        See `AsyncSojourn.update`.
        """
        return self.run(
            revoke.update(self._core, subject, roles=roles, scopes=scopes, claims=claims, by=by)
        )

    def sessions(self, subject: Subject) -> list[SessionInfo]:
        """List the live sessions of a subject, oldest first.

        See `AsyncSojourn.sessions`.
        """
        return self.run(revoke.sessions(self._core, subject))

    def revoke(
        self,
        sid: str,
        *,
        subject: Subject | Any_,
        by: str = "",
        reason: str = "administrator",
        incoming: Incoming | None = None,
    ) -> bool:
        """End one session; acknowledged when the record and the feed both have it.

        See `AsyncSojourn.revoke`.
        """
        return self.run(
            revoke.revoke(self._core, sid, subject=subject, by=by, reason=reason, incoming=incoming)
        )

    def revoke_all(
        self,
        subject: Subject,
        *,
        keep: str | None = None,
        by: str = "",
        reason: str = "administrator",
        incoming: Incoming | None = None,
    ) -> int:
        """End everything of a subject: sessions, access tokens and sign-ins under way.

        See `AsyncSojourn.revoke_all`.
        """
        return self.run(
            revoke.revoke_all(
                self._core, subject, keep=keep, by=by, reason=reason, incoming=incoming
            )
        )

    def data(self, incoming: Incoming, principal: Principal[Any] | None = None) -> SessionData:
        """Load the application's own data of a session, or of a visitor (a guest).

        See `AsyncSojourn.data`.
        """
        return self.run(data.load(self._core, incoming, principal))

    def save(self, incoming: Incoming, values: SessionData) -> Outgoing:
        """Save what changed in the data; apply the answer's headers (a guest's cookie).

        See `AsyncSojourn.save`.
        """
        return self.run(data.save(self._core, incoming, values))

    def rotate_keys(self, *, by: str = "", is_emergency: bool = False) -> None:
        """Put a new signing key into service; keys also rotate by themselves.

        See `AsyncSojourn.rotate_keys`.
        """
        self.run(upkeep.rotate_keys(self._core, by=by, is_emergency=is_emergency))

    def jwks(self) -> dict[str, Any]:
        """Give the public keys for verifiers (RFC 7517)."""
        return self.run(upkeep.jwks(self._core))

    def purge(self) -> int:
        """Remove what is dead from the store; the server does it by itself, each few minutes.

        See `AsyncSojourn.purge`.
        """
        return self.run(upkeep.purge(self._core))
