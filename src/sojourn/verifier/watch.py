"""What `AsyncVerifier.watch` goes by: the pictures of the issuers' revocations.

A verifier sees no sessions, so a connection lives no longer than the token it was opened with.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import TYPE_CHECKING, Any

from sojourn.errors import Expired, RefreshRequired, Revoked, SojournError, Stale
from sojourn.model import Principal
from sojourn.revocations import Verdict
from sojourn.watching import OnEvents, news_for

if TYPE_CHECKING:
    from sojourn.verifier.core import IssuerState, VerifierCore


class WatchedVerifier:
    """A verifier as something to watch.

    Args:
        core: The verifier's core.
    """

    def __init__(self, core: VerifierCore) -> None:
        """Take the core."""
        self._core = core
        self._states: Sequence[IssuerState] = ()

    def listen(self, callback: OnEvents) -> Callable[[], None]:
        """See `Watched.listen`."""
        self._states = self._core.states
        leaves = [
            state.picture.on_change(news_for(callback, state.picture.view.revoked_keys))
            for state in self._states
            if state.picture
        ]

        def leave() -> None:
            for each in leaves:
                each()

        return leave

    def is_same(self) -> bool:
        """See `Watched.is_same`."""
        return self._states is self._core.states

    def refusal(self, principal: Principal[Any]) -> SojournError | None:
        """See `Watched.refusal`."""
        found = self._core.by_spelling.get(principal.issuer)
        picture = found[0].picture if found else None
        if picture is None:
            return None
        verdict = picture.view.judge(
            subject=principal.subject,
            sid=principal.sid,
            position=principal.position,
            version=principal.version,
        )
        if verdict is Verdict.REVOKED:
            return Revoked("this sign-in was ended; sign in again")
        if verdict is Verdict.REFRESH:
            return RefreshRequired("roles or claims have changed; refresh, and connect again")
        return None

    def due_ms(self, principal: Principal[Any]) -> int:
        """See `Watched.due_ms`."""
        return principal.expires_at * 1000

    async def look_again(self, principal: Principal[Any]) -> int:
        """See `Watched.look_again`; nothing is behind the token that a verifier could read."""
        if principal.version is None:
            raise Expired("the access token is over; sign in again")
        raise RefreshRequired("the access token is over; refresh, and connect again")

    async def freshen(self) -> None:
        """See `Watched.freshen`; asking is for checks, which come with the next connection."""
        rules = self._core.rules
        if rules.when_stale == "trust" or not rules.is_following:
            return
        bound_ms = max(rules.max_lag_seconds, 1.0) * 1000
        for state in self._states:
            if state.picture is not None and state.picture.lag_ms() > bound_ms:
                raise Stale(
                    f"what is known of revocations at {state.issuer.url} is too old; connect again"
                )
