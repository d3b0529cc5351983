"""What is known of opaque tokens: answers kept shortly, and questions asked once."""

from __future__ import annotations

import hashlib
import threading
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import Any

from sojourn.engine.picture import Bounded, Stamp
from sojourn.errors import ConfigurationError, IssuerUnavailable
from sojourn.model import Principal
from sojourn.verifier.fetching import Answer, Fetch
from sojourn.verifier.flights import Flights
from sojourn.verifier.introspection import Introspector

KEPT_ANSWERS = 10_000
MOST_AT_ONCE = 256
"""Questions under way: a flood of made-up tokens is not passed on to the issuer."""
LONGEST_KEPT_SECONDS = 60.0


@dataclass(frozen=True, slots=True)
class Known:
    """An answer: who it is, or that the token is invalid."""

    principal: Principal[Any] | None
    read_at: Stamp


class Asking:
    """The introspectors' memory in this process.

    Args:
        introspectors: In the order in which they are tried.
        kept_seconds: How long an answer is believed, 0 to 60; never beyond its own expiry.
        fetch: Fetches, blocking.
        stamp: Reads both clocks.

    Raises:
        ConfigurationError: `kept_seconds` is out of range.
    """

    def __init__(
        self,
        introspectors: Sequence[Introspector],
        *,
        kept_seconds: float,
        fetch: Callable[[Fetch], Answer],
        stamp: Callable[[], Stamp],
    ) -> None:
        """Know nothing."""
        if not 0 <= kept_seconds <= LONGEST_KEPT_SECONDS:
            raise ConfigurationError(f"cache_seconds ranges from 0 to {LONGEST_KEPT_SECONDS:.0f}")
        self._introspectors = tuple(introspectors)
        self._kept_ms = kept_seconds * 1000
        self._fetch = fetch
        self._stamp = stamp
        self._lock = threading.Lock()
        self._under_way: dict[bytes, Flights] = {}
        # Apart, so that a flood of made-up tokens pushes no good one out.
        self._good: Bounded[Known] = Bounded(KEPT_ANSWERS)
        self._bad: Bounded[Known] = Bounded(KEPT_ANSWERS)

    def introspector_for(self, token_text: str) -> Introspector | None:
        """Choose by a token's form whom to ask; None where nobody takes it."""
        return next((one for one in self._introspectors if one.takes(token_text)), None)

    def known(self, token_text: str, *, max_age_ms: float) -> Known | None:
        """Give an answer that is young enough and that its own expiry has not overtaken."""
        key = key_of(token_text)
        answer = self._good.entries.get(key) or self._bad.entries.get(key)
        if answer is None:
            return None
        now = self._stamp()
        expires_at = answer.principal.expires_at if answer.principal else 0
        if answer.read_at.age_ms(now) > max_age_ms or 0 < expires_at * 1000 <= now.wall_ms:
            return None
        return answer

    @property
    def kept_ms(self) -> float:
        """How long an answer is believed."""
        return self._kept_ms

    def flights(self, introspector: Introspector, token_text: str) -> Flights:
        """Give the flights of the question what a token is worth.

        Raises:
            IssuerUnavailable: Too many such questions are under way.
        """
        key = hashlib.sha256(token_text.encode()).digest()
        with self._lock:
            flights = self._under_way.get(key)
            if flights is None:
                if len(self._under_way) >= MOST_AT_ONCE:
                    raise IssuerUnavailable(
                        f"too many opaque tokens of {introspector.name} are being asked about"
                    )
                flights = self._under_way[key] = Flights(
                    lambda: self._ask(introspector, token_text),
                    on_idle=lambda: self._under_way.pop(key, None),
                )
            return flights

    def _ask(self, introspector: Introspector, token_text: str) -> None:
        sent = self._stamp()
        answer = self._fetch(introspector.request(token_text))
        principal = introspector.read(answer, now_ms=self._stamp().wall_ms)
        key = key_of(token_text)
        known, other = (self._bad, self._good) if principal is None else (self._good, self._bad)
        known.put(key, Known(principal, sent))
        other.entries.pop(key, None)


def key_of(token_text: str) -> str:
    """Name a token in memory without keeping it."""
    return hashlib.sha256(token_text.encode()).hexdigest()
