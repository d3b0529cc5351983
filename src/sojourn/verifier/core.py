"""The state behind one `Verifier` or `AsyncVerifier`, and how it comes into being in each process.

Nothing is inherited across a fork: a child starts with an empty picture (never fresh), no keys but
pinned ones, its own followers and its own locks, at first use.
"""

from __future__ import annotations

import os
import threading
import time
import warnings
import weakref
from collections.abc import Callable, Iterable, Sequence
from dataclasses import dataclass
from typing import Any

from sojourn.engine.picture import Bounded, Stamp
from sojourn.errors import ConfigurationError, SecurityWarning
from sojourn.jose.claims import RegisteredClaims
from sojourn.jose.expectation import MAX_LEEWAY_SECONDS
from sojourn.model import Principal
from sojourn.settings import WhenStale
from sojourn.verifier.asking import Asking
from sojourn.verifier.fetching import Fetcher, drive
from sojourn.verifier.flights import Flights
from sojourn.verifier.follower import Follower
from sojourn.verifier.introspection import Introspector
from sojourn.verifier.issuer import Issuer
from sojourn.verifier.keys import Keys, Loaded
from sojourn.verifier.picture import Picture

REMEMBERED_TOKENS = 20_000
LONGEST_LAG_SECONDS = 60
_cores: weakref.WeakSet[VerifierCore] = weakref.WeakSet()


def system_clock() -> int:
    """Read the wall clock, in milliseconds since the epoch."""
    return time.time_ns() // 1_000_000


@dataclass(frozen=True, slots=True, kw_only=True)
class Rules:
    """What an application decides about checks.

    Args:
        max_lag_seconds: How old the picture of revocations may be, 0 to 60; 0 always asks.
        when_stale: What a check does beyond that: ``ask`` the issuer, ``refuse``, or ``trust``.
        leeway_seconds: How far clocks may differ, 0 to 60.
        is_following: Whether a thread follows each feed; else checks poll in passing.

    Raises:
        ConfigurationError: A value is out of range.
    """

    max_lag_seconds: float
    when_stale: WhenStale
    leeway_seconds: int
    is_following: bool

    def __post_init__(self) -> None:
        """Check once."""
        if not 0 <= self.max_lag_seconds <= LONGEST_LAG_SECONDS:
            raise ConfigurationError(f"max_lag_seconds ranges from 0 to {LONGEST_LAG_SECONDS}")
        if self.when_stale not in {"ask", "refuse", "trust"}:
            raise ConfigurationError("when_stale is 'ask', 'refuse' or 'trust'")
        if (
            type(self.leeway_seconds) is not int
            or not 0 <= self.leeway_seconds <= MAX_LEEWAY_SECONDS
        ):
            raise ConfigurationError(f"leeway_seconds is an int from 0 to {MAX_LEEWAY_SECONDS}")
        if self.when_stale == "trust":
            warnings.warn(
                "when_stale='trust' accepts revoked tokens while their issuer's feed is away",
                SecurityWarning,
                stacklevel=4,  # whoever makes the verifier
            )


@dataclass(frozen=True, slots=True)
class Remembered:
    """A token that was verified; time, keys and revocation are judged at every hit."""

    state: IssuerState
    loaded: Loaded
    claims: RegisteredClaims
    principal: Principal[Any]
    not_after_ms: int


class IssuerState:
    """One issuer in this process.

    Args:
        issuer: Which.
        core: Of which verifier.
    """

    def __init__(self, issuer: Issuer, core: VerifierCore) -> None:
        """Know nothing."""
        self.issuer = issuer
        fetch = core.fetcher.fetch
        keys = Keys(issuer, leeway_seconds=core.rules.leeway_seconds, stamp=core.stamp)
        self.keys = keys
        self.key_flights = Flights(lambda: drive(keys.fetch(), fetch))
        self.picture: Picture | None = None
        if issuer.feed_token:
            picture = self.picture = Picture(
                issuer, stamp=core.stamp, on_key=keys.revoke, on_ring=keys.mark_outdated
            )
            self.feed_flights = Flights(lambda: drive(picture.poll(), fetch))


class VerifierCore:
    """The state behind one verifier.

    Args:
        audience: The ``aud`` where an issuer names none.
        issuers: Whose tokens are accepted.
        introspectors: Who is asked about opaque tokens.
        cache_seconds: How long their answers are believed.
        rules: How checks go.
        fetcher: Asks over the network.
        clock: The wall clock.
        monotonic_ms: The monotonic clock.

    Raises:
        ConfigurationError: Two issuers share a spelling, or an audience is missing.
    """

    def __init__(
        self,
        *,
        audience: str,
        issuers: Iterable[Issuer],
        introspectors: Sequence[Introspector],
        cache_seconds: float,
        rules: Rules,
        fetcher: Fetcher,
        clock: Callable[[], int],
        monotonic_ms: Callable[[], float],
    ) -> None:
        """Check everything; nothing is asked before the first use."""
        self.audience = audience
        self.issuers = tuple(issuers)
        self.rules = rules
        self.fetcher = fetcher
        self.clock = clock
        self._monotonic_ms = monotonic_ms
        self._introspectors = tuple(introspectors)
        self._cache_seconds = cache_seconds
        if not self.issuers and not self._introspectors:
            raise ConfigurationError("name at least one issuer, as Issuer.sojourn(url, …)")
        for issuer in self.issuers:
            if not isinstance(issuer, Issuer):
                raise ConfigurationError("issuers are made by Issuer.sojourn, Issuer.oidc, …")
            if not issuer.audiences and not audience:
                raise ConfigurationError(
                    f"no audience is set for {issuer.url}; a token for another service must not "
                    "be good here: give audience="
                )
        spellings = [spelling for issuer in self.issuers for spelling in issuer.spellings]
        if len(set(spellings)) != len(spellings):
            raise ConfigurationError(
                "two issuers have the same iss; make them one, with all its audiences"
            )
        self._start_over()
        _cores.add(self)

    def _start_over(self) -> None:
        self.states = tuple(IssuerState(issuer, self) for issuer in self.issuers)
        self.by_spelling = {
            spelling: (state, name, tenant)
            for state in self.states
            for spelling, (name, tenant) in state.issuer.spellings.items()
        }
        self.remembered: Bounded[Remembered] = Bounded(REMEMBERED_TOKENS)
        self.asking = Asking(
            self._introspectors,
            kept_seconds=self._cache_seconds,
            fetch=self.fetcher.fetch,
            stamp=self.stamp,
        )
        self._lock = threading.Lock()
        self._followers: tuple[Follower, ...] = ()
        self.is_started = False

    def stamp(self) -> Stamp:
        """Read both clocks."""
        return Stamp(self.clock(), self._monotonic_ms())

    def audiences_of(self, issuer: Issuer) -> frozenset[str]:
        """Give the audiences of which an issuer's token must have one."""
        return issuer.audiences or frozenset((self.audience,))

    # --- beginning and end ------------------------------------------------------------------------

    def start(self) -> None:
        """Start following, once per process."""
        with self._lock:
            if self.is_started:
                return
            if self.rules.is_following:
                self._followers = tuple(
                    self._follower(state, state.picture) for state in self.states if state.picture
                )
            for follower in self._followers:
                follower.start()
            self.is_started = True

    def _follower(self, state: IssuerState, picture: Picture) -> Follower:
        def poll() -> None:
            flight, is_mine = state.feed_flights.board(joins_sent=True)
            if is_mine:
                flight.run()
            flight.await_blocking()

        return Follower(state.issuer.url, picture, poll=poll, fetcher=self.fetcher)

    def close(self) -> None:
        """Stop following."""
        with self._lock:
            followers, self._followers = self._followers, ()
            self.is_started = False
        for follower in followers:
            follower.stop()


def _forget_after_fork() -> None:
    for core in _cores:
        core._start_over()  # noqa: SLF001 - the class's own fork rule


os.register_at_fork(after_in_child=_forget_after_fork)
