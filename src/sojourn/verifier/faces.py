"""`Verifier` and `AsyncVerifier`: the same flows, run in the calling thread or awaited."""

from __future__ import annotations

import asyncio
import logging
from collections.abc import Callable, Iterable, Sequence
from contextlib import AbstractAsyncContextManager
from dataclasses import dataclass
from math import inf
from types import TracebackType
from typing import Any, Self

from sojourn.engine.answers import Checked
from sojourn.engine.picture import monotonic_ms as system_monotonic_ms
from sojourn.errors import IssuerUnavailable
from sojourn.messages import Incoming
from sojourn.model import Principal
from sojourn.need import ANYONE_SIGNED_IN, Need
from sojourn.settings import WhenStale
from sojourn.verifier import checking, driving
from sojourn.verifier.core import Rules, VerifierCore, system_clock
from sojourn.verifier.fetching import Fetcher
from sojourn.verifier.introspection import Introspector
from sojourn.verifier.issuer import Issuer
from sojourn.verifier.watch import WatchedVerifier
from sojourn.verifier.web import Web
from sojourn.watching import Watching, Watchings

log = logging.getLogger("sojourn.verifier")


@dataclass(frozen=True, slots=True)
class IssuerHealth:
    """What a verifier knows of one issuer, for metrics.

    `lag_seconds` is infinite until the first snapshot, and None where no feed is followed;
    `key_age_seconds` is None until keys were fetched, and where they are pinned.
    """

    url: str
    lag_seconds: float | None
    key_age_seconds: float | None
    gaps: int
    entries: int


class _Face:
    """What both faces share: construction, and what can be said without asking anybody.

    Args:
        audience: The ``aud`` a token must have; an issuer may name its own.
        issuers: Whose tokens are accepted.
        introspectors: Who is asked about opaque tokens, in this order.
        cache_seconds: How long an introspector's answer is believed, 0 to 60; never beyond the
            expiry it names.
        max_lag_seconds: How old the picture of revocations may be, 0 to 60; 0 always asks.
        when_stale: What a check does beyond that: ``ask`` the issuer, ``refuse``, or ``trust``.
        leeway_seconds: How far clocks may differ, 0 to 60.
        is_following: Whether a daemon thread of this process follows each feed. False where
            nothing may run between requests (serverless): checks then poll in passing.
        fetcher: What asks over the network; `Web` by default.
        clock: Gives milliseconds since the epoch; for tests.
        monotonic_ms: Gives monotonic milliseconds; for tests.

    Raises:
        ConfigurationError: Something is missing, unsafe or contradicts another.
    """

    def __init__(
        self,
        *,
        issuers: Iterable[Issuer] = (),
        audience: str = "",
        introspectors: Sequence[Introspector] = (),
        cache_seconds: float = 10.0,
        max_lag_seconds: float = 5.0,
        when_stale: WhenStale = "ask",
        leeway_seconds: int = 1,
        is_following: bool = True,
        fetcher: Fetcher | None = None,
        clock: Callable[[], int] = system_clock,
        monotonic_ms: Callable[[], float] = system_monotonic_ms,
    ) -> None:
        """Check everything; nothing is asked before the first use."""
        self._core = VerifierCore(
            audience=audience,
            issuers=issuers,
            introspectors=introspectors,
            cache_seconds=cache_seconds,
            rules=Rules(
                max_lag_seconds=max_lag_seconds,
                when_stale=when_stale,
                leeway_seconds=leeway_seconds,
                is_following=is_following,
            ),
            fetcher=fetcher or Web(),
            clock=clock,
            monotonic_ms=monotonic_ms,
        )
        self._watchings = Watchings(WatchedVerifier(self._core), clock)

    def __repr__(self) -> str:
        """Show whose tokens are accepted."""
        urls = ", ".join(issuer.url for issuer in self._core.issuers)
        return f"{type(self).__name__}({urls})"

    @property
    def is_following(self) -> bool:
        """Whether a thread of this process follows each feed, or checks poll in passing."""
        return self._core.rules.is_following

    @property
    def issuers(self) -> tuple[IssuerHealth, ...]:
        """What is known of each issuer."""
        return tuple(
            IssuerHealth(
                url=state.issuer.url,
                lag_seconds=state.picture.lag_ms() / 1000 if state.picture else None,
                key_age_seconds=state.keys.age_seconds,
                gaps=state.picture.gaps if state.picture else 0,
                entries=len(state.picture.view) if state.picture else 0,
            )
            for state in self._core.states
        )

    @property
    def lag_seconds(self) -> float:
        """How old the oldest picture of revocations is; infinite where it was never fresh.

        0 where no issuer has a feed: nothing is known of revocations, then or ever.
        """
        lags = [h.lag_seconds for h in self.issuers if h.lag_seconds is not None]
        return max(lags, default=0.0)

    @property
    def gaps(self) -> int:
        """How often a feed was found broken, and a snapshot taken."""
        return sum(health.gaps for health in self.issuers)

    @property
    def is_fresh(self) -> bool:
        """Whether keys are there and no picture is older than allowed; for a readiness check."""
        has_keys = all(state.keys.loaded is not None for state in self._core.states)
        bound = self._core.rules.max_lag_seconds or inf
        return has_keys and self.lag_seconds <= bound and self.lag_seconds < inf


class Verifier(_Face):
    """Verifies tokens in a service without the store, blocking. `AsyncVerifier` is the same, awaited.

    Any number of threads may use one.
    """

    def __enter__(self) -> Self:
        """Start following, and fetch what checks will need; an issuer that is away is logged."""
        try:
            self.warm()
        except IssuerUnavailable as error:
            log.warning("starting without an issuer: %s", error)
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
        """Stop following."""
        self._core.close()

    def warm(self) -> None:
        """See `AsyncVerifier.warm`."""
        driving.run(checking.warm(self._core))

    def check(
        self, incoming: Incoming, *, need: Need = ANYONE_SIGNED_IN, renew: bool = False
    ) -> Checked[Any]:
        """See `AsyncVerifier.check`."""
        del renew
        return driving.run(checking.check(self._core, incoming, need))

    def verify(self, token_text: str, *, need: Need = ANYONE_SIGNED_IN) -> Principal[Any]:
        """See `AsyncVerifier.verify`."""
        return driving.run(checking.verify(self._core, token_text, need))


class AsyncVerifier(_Face):
    """Verifies tokens in a service without the store, for asyncio; `Verifier` is the same, blocking."""

    @property
    def watching(self) -> Watching:
        """All that is watched in the running event loop; for adapters."""
        return self._watchings.here

    def watch(self, principal: Principal[Any]) -> AbstractAsyncContextManager[None]:
        """End what happens within the block when what a principal was recognised by ends.

        See `AsyncSojourn.watch`. A verifier sees no sessions, so the block ends with the access
        token it was opened by, at the latest.

        Raises:
            Revoked: The session was ended.
            RefreshRequired: The token is over, or roles have changed; refresh and connect again.
            Expired: The token is over, and is not refreshed.
            Stale: What is known of revocations is too old.
        """
        return self._watchings.here.watch(principal)

    async def __aenter__(self) -> Self:
        """Start following, and fetch what checks will need; an issuer that is away is logged."""
        try:
            await self.warm()
        except IssuerUnavailable as error:
            log.warning("starting without an issuer: %s", error)
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
        """Stop following."""
        await asyncio.to_thread(self._core.close)

    async def warm(self) -> None:
        """Fetch what checks will need, so that the first does not wait.

        Raises:
            IssuerUnavailable: An issuer did not answer.
        """
        await driving.run_awaited(checking.warm(self._core))

    async def check(
        self, incoming: Incoming, *, need: Need = ANYONE_SIGNED_IN, renew: bool = False
    ) -> Checked[Any]:
        """Find out who a request is, by its bearer token; cookies are not looked at.

        Args:
            incoming: The request.
            need: What is asked of it.
            renew: As in `AsyncSojourn.check`; here there is nothing to renew.

        Returns:
            The principal, or the refusal.

        Raises:
            Stale: Too little is known of revocations, and asking did not help or is not allowed.
            IssuerUnavailable: Whether the token is good cannot be known now.
            ConfigurationError: `need` asks for revocations of an issuer that is not followed.
        """
        del renew
        return await driving.run_awaited(checking.check(self._core, incoming, need))

    async def verify(self, token_text: str, *, need: Need = ANYONE_SIGNED_IN) -> Principal[Any]:
        """Find out whom a token speaks of.

        Args:
            token_text: The token, without ``Bearer``.
            need: What is asked of it.

        Raises:
            Refused: The token is not good, or not good enough; its class and code say why.
            Stale: As `check`.
            IssuerUnavailable: As `check`.
            ConfigurationError: As `check`.
        """
        return await driving.run_awaited(checking.verify(self._core, token_text, need))
