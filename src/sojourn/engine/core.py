"""What all verbs share: settings, store, clock, picture, keys, and how they come into being.

Nothing is inherited across a fork: a child starts with an empty picture (never fresh), its own
follower and no open store, at first use.
"""

from __future__ import annotations

import os
import secrets as csprng
import threading
import weakref
from collections.abc import Awaitable, Callable, Sequence
from dataclasses import dataclass
from typing import Any, cast

import msgspec

from sojourn.arrivals import CookieDoor, TokenDoor
from sojourn.browser import Browser
from sojourn.engine.facts import FactsLoader
from sojourn.engine.follower import Follower
from sojourn.engine.keys import Keys
from sojourn.engine.picture import Bounded, Picture
from sojourn.errors import ConfigurationError, Expired, InvalidInput
from sojourn.handles import SID_RANDOM_BYTES, new_sid, shard_of_sid, shard_of_subject
from sojourn.messages import Incoming
from sojourn.model import AuditRecord, Mode, Principal, Session, Transport
from sojourn.ports import AsyncStore, Clock, StoreInfo, tentative, when_committed
from sojourn.server_secret import ServerSecrets
from sojourn.settings import Settings

Call = Callable[..., Awaitable[Any]]
"""Calls a blocking function of the application's with its arguments: here, or in a thread."""
NOTE_MS = 60_000
"""What anybody can repeat with a dead credential is put on the trail once in so long."""
MAX_AGENT_CHARACTERS = 256
_cores: weakref.WeakSet[Core] = weakref.WeakSet()


async def call_here(function: Callable[..., Any], *args: Any) -> Any:
    """Call a blocking function in the calling thread, as blocking applications expect."""
    return function(*args)


@dataclass(frozen=True, slots=True, kw_only=True)
class Application:
    """What the application gives the engine to ask.

    Args:
        facts: Loads a subject's roles, scopes and claims.
        doors: Recognise the proofs of what was used before.
        call: Calls them.
    """

    facts: FactsLoader | None = None
    doors: Sequence[CookieDoor | TokenDoor] = ()
    call: Call = call_here


class Core:
    """The state behind one `AsyncSojourn` or `Sojourn`.

    Args:
        settings: The validated settings.
        secrets: The server secrets in force.
        store: Where sessions live.
        clock: The wall clock.
        monotonic_ms: The monotonic clock.
        claims_type: What `Principal.claims` is decoded into.
        application: What the application gives to ask.
    """

    def __init__(
        self,
        *,
        settings: Settings,
        secrets: ServerSecrets,
        store: AsyncStore,
        clock: Clock,
        monotonic_ms: Callable[[], float],
        claims_type: type[Any],
        application: Application = Application(),
    ) -> None:
        """Prepare; the store is opened at first use."""
        self.settings = settings
        self.secrets = secrets
        self.store = store
        self.clock = clock
        self.browser = Browser(settings)
        self.claims_type = claims_type
        self.application = application
        doors = application.doors
        for door in doors:
            if not isinstance(door, CookieDoor | TokenDoor):
                raise ConfigurationError(
                    f"{type(door).__name__} is no door; those of sojourn.doors are, and what has "
                    "the members of sojourn.arrivals.CookieDoor or TokenDoor"
                )
        if len({door.name for door in doors}) < len(doors):
            raise ConfigurationError("two doors have one name; their proofs would be taken for one")
        self.cookie_doors = tuple(door for door in doors if isinstance(door, CookieDoor))
        self.token_doors = tuple(door for door in doors if isinstance(door, TokenDoor))
        self._monotonic_ms = monotonic_ms
        self._start_over()
        _cores.add(self)

    def _start_over(self) -> None:
        self.info: StoreInfo | None = None
        self.opening = threading.Lock()
        self._noted: Bounded[int] = Bounded(10_000)
        self.keys = Keys(self.settings, self.secrets)
        self.picture = self._new_picture(1)
        self._follower: Follower | None = None

    def _new_picture(self, shards: int) -> Picture:
        return Picture(
            shards=shards,
            clock=self.clock,
            monotonic_ms=self._monotonic_ms,
            on_keys=self.keys.mark_outdated,
            shard_of=self.shard_of,
            when_committed=when_committed(self.store),
            tentative=tentative(self.store),
        )

    # --- beginning and end ------------------------------------------------------------------------

    async def ready(self) -> StoreInfo:
        """Open the store, take the first snapshot and start following, once per process."""
        if self.is_open:
            return self.opened
        # What was revoked is remembered for as long as anything that it concerns could come.
        longest_seconds = [door.longest_seconds for door in self.application.doors]
        longest_token_ms = max(self.settings.longest_token_seconds, *longest_seconds, 0) * 1000
        info = await self.store.open(longest_token_ms=longest_token_ms)
        if self._follower is not None:
            return self.opened  # another task was first
        self.picture = self._new_picture(info.shards)
        self.info = info
        self._follower = Follower(self.picture, info.shards, self.store.feed)
        self._follower.start()
        try:
            for shard in range(info.shards):
                await self.catch_up(shard)
            await self.keys.load(self)
        except BaseException:
            await self.close()
            raise
        return info

    @property
    def is_open(self) -> bool:
        """Whether this process has opened the store."""
        return self.info is not None

    @property
    def opened(self) -> StoreInfo:
        """What the opened store is."""
        return cast("StoreInfo", self.info)

    async def close(self) -> None:
        """Stop following and give the store up."""
        follower, self._follower = self._follower, None
        if follower is not None:
            follower.stop()
        self.info = None
        await self.store.close()

    async def catch_up(self, shard: int) -> None:
        """Read a shard's feed up to its head now: one read where nothing is new."""
        picture = self.picture
        while True:
            start = picture.cursor(shard)
            sent = picture.stamp()
            page = await self.store.read(shard, after=start.id if start else 0)
            if picture.take(shard, start=start, page=page, sent=sent):
                return

    # --- small things every verb needs -------------------------------------------------------------

    def shard_of(self, subject: str) -> int:
        """Place a subject."""
        info = self.opened
        return shard_of_subject(subject, placement_key=info.placement_key, shards=info.shards)

    def new_sid(self, subject: str) -> str:
        """Make the public name of a new session of a subject; a guest's lands anywhere."""
        shard = self.shard_of(subject) if subject else csprng.randbelow(self.opened.shards)
        return new_sid(shard, csprng.token_bytes(SID_RANDOM_BYTES))

    def shard_of_sid(self, sid: str) -> int | None:
        """Read a sid's shard; None where this store has no such shard."""
        shard = shard_of_sid(sid)
        return shard if shard < self.opened.shards else None

    def typed_claims(self, claims: dict[str, Any]) -> Any:
        """Decode an application's claims into its type.

        Raises:
            InvalidInput: They are not of that type.
        """
        if self.claims_type is dict:
            return claims
        try:
            return msgspec.convert(claims, self.claims_type)
        except msgspec.ValidationError as error:
            raise InvalidInput(f"the claims are not of the declared type: {error}") from error

    def kept_claims(self, claims: dict[str, Any]) -> Any:
        """Decode claims from a session or token that is already there.

        Raises:
            Expired: They are of an earlier form than the declared type.
        """
        try:
            return self.typed_claims(claims)
        except InvalidInput as error:
            raise Expired(
                "this sign-in is of an earlier version of the application; sign in again"
            ) from error

    def principal_of(
        self, session: Session, *, transport: Transport, mode: Mode | None = None
    ) -> Principal[Any]:
        """Describe who a session's holder is."""
        return Principal(
            subject=session.subject,
            issuer=self.settings.issuer,
            sid=session.sid,
            mode=mode or session.mode,
            transport=transport,
            auth_time=session.auth_time_ms // 1000,
            expires_at=session.expires_at_ms // 1000,
            roles=frozenset(session.roles),
            scopes=frozenset(session.scopes),
            amr=session.amr,
            claims=self.kept_claims(session.claims),
            position=session.position,
            version=session.version,
            client_id=session.client_id,
        )

    def is_note_due(self, what: str) -> bool:
        """Tell whether something repeatable has not been put on the trail for a while."""
        now_ms = self.clock()
        noted_ms = self._noted.entries.get(what)
        if noted_ms is not None and abs(now_ms - noted_ms) < NOTE_MS:
            return False
        self._noted.put(what, now_ms)
        return True

    def audit(
        self,
        action: str,
        *,
        incoming: Incoming | None = None,
        subject: str = "",
        sid: str = "",
        by: str = "",
        reason: str = "",
        mode: str = "",
    ) -> AuditRecord:
        """Write a line for the trail; the store keeps it in the same step as the change."""
        return AuditRecord(
            at_ms=self.clock(),
            action=action,
            subject=subject,
            sid=sid,
            by=by,
            reason=reason,
            mode=mode,
            address=self.browser.client_address(incoming) if incoming else "",
            user_agent=shown_agent(incoming) if incoming else "",
        )


def shown_agent(incoming: Incoming) -> str:
    """Give the User-Agent as it is kept: bounded, printable."""
    return shown_text(incoming.user_agent, MAX_AGENT_CHARACTERS)


def shown_text(text: str, limit: int) -> str:
    """Give what a stranger wrote as it may be kept: bounded, printable."""
    return "".join(c if c.isprintable() else "?" for c in text[:limit])


def _forget_after_fork() -> None:
    for core in _cores:
        core._start_over()  # noqa: SLF001 - the class's own fork rule


os.register_at_fork(after_in_child=_forget_after_fork)
