"""What `AsyncSojourn.watch` goes by: this process's picture, and the record where a proof is over."""

from __future__ import annotations

from collections.abc import Awaitable, Callable, Coroutine
from typing import TYPE_CHECKING, Any

from sojourn.engine.proof import read_live
from sojourn.errors import Expired, RefreshRequired, Revoked, SojournError, Stale
from sojourn.model import Principal
from sojourn.modes import MODES
from sojourn.policy import TOUCH_MS
from sojourn.revocations import Verdict
from sojourn.watching import OnEvents, news_for

if TYPE_CHECKING:
    from sojourn.engine.core import Core
    from sojourn.engine.picture import Picture

Run = Callable[[Coroutine[Any, Any, Any]], Awaitable[Any]]


async def _in_this_loop(coroutine: Coroutine[Any, Any, Any]) -> Any:
    return await coroutine


class WatchedCore:
    """A core as something to watch.

    Args:
        core: The core.
        run: Runs a coroutine of the engine; a blocking store's in a thread.
    """

    def __init__(self, core: Core, run: Run = _in_this_loop) -> None:
        """Take the core."""
        self._core = core
        self._run = run
        self._picture: Picture | None = None

    def listen(self, callback: OnEvents) -> Callable[[], None]:
        """See `Watched.listen`."""
        self._picture = self._core.picture
        return self._picture.on_change(news_for(callback, self._picture.view.revoked_keys))

    def is_same(self) -> bool:
        """See `Watched.is_same`; another opening of the store makes another picture."""
        return self._picture is self._core.picture

    def refusal(self, principal: Principal[Any]) -> SojournError | None:
        """See `Watched.refusal`."""
        verdict = self._core.picture.view.judge(
            subject=principal.subject,
            sid=principal.sid,
            position=principal.position,
            version=principal.version,
        )
        if verdict is Verdict.REVOKED:
            return Revoked("this sign-in was ended; sign in again")
        if verdict is Verdict.REFRESH:
            return RefreshRequired("roles or claims have changed; connect again")
        return None

    def due_ms(self, principal: Principal[Any]) -> int:
        """See `Watched.due_ms`: the proof's own end, or that of idleness."""
        ends_ms = principal.expires_at * 1000
        idle_seconds = self._core.settings.idle_seconds(principal.mode)
        if idle_seconds is None:
            return ends_ms
        # What was just checked was touched within the last minute.
        return min(ends_ms, self._core.clock() + idle_seconds * 1000 - TOUCH_MS)

    async def look_again(self, principal: Principal[Any]) -> int:
        """See `Watched.look_again`; an open connection is not use, so it keeps nothing alive."""
        if not MODES[principal.mode].is_stored:
            raise Expired("the access token is over; sign in again")
        session = await self._run(read_live(self._core, principal.sid))
        if principal.version is not None and session.version > principal.version:
            raise RefreshRequired("roles or claims have changed; connect again")
        return int(session.dies_at_ms)

    async def freshen(self) -> None:
        """See `Watched.freshen`: what a check would do, for all of them at once."""
        core = self._core
        bound_ms = core.settings.max_lag_seconds * 1000
        if core.picture.lag_ms() <= bound_ms or core.settings.when_stale == "trust":
            return
        if core.settings.when_stale == "refuse" and bound_ms > 0:
            raise Stale(
                "the picture of revocations is older than max_lag_seconds and when_stale is "
                "'refuse'; connect again"
            )
        await self._run(_catch_up(core))


async def _catch_up(core: Core) -> None:
    for shard in range(core.opened.shards):
        await core.catch_up(shard)
