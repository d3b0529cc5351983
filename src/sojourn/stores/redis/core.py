"""What the operations of a store share: its keys, its clock, and how a script is called."""

from __future__ import annotations

import secrets
from collections.abc import Sequence
from dataclasses import dataclass, field

from sojourn.errors import StoreError
from sojourn.handles import shard_of_sid, shard_of_subject
from sojourn.model import AuditRecord
from sojourn.ports import Clock, StoreInfo
from sojourn.stores.redis.calls import Call, Command, Word
from sojourn.stores.redis.entries import encode, store_id
from sojourn.stores.redis.keys import Keys
from sojourn.stores.redis.lua import Script
from sojourn.stores.redis.place import Place
from sojourn.stores.redis.router import LOST, Router


@dataclass(slots=True)
class Core:
    """A store without its wire.

    Args:
        place: Where it is.
        clock: The test's clock; None for the servers'.
    """

    place: Place
    clock: Clock | None
    router: Router = field(init=False)
    info: StoreInfo | None = None
    _store: bytes = b""

    def __post_init__(self) -> None:
        """Know no node yet."""
        self.router = Router(self.place)

    def has_opened(self, info: StoreInfo) -> None:
        """Take note of what the store is."""
        self.info, self._store = info, store_id(info.placement_key)

    def has_closed(self) -> None:
        """Ask for another `open`."""
        self.info, self._store, self.router.shape = None, b"", None

    @property
    def opened(self) -> StoreInfo:
        """What the store is.

        Raises:
            StoreError: It is not open.
        """
        if self.info is None:
            raise _not_open()
        return self.info

    @property
    def store(self) -> bytes:
        """What marks the shards as this store's.

        Raises:
            StoreError: It is not open.
        """
        if self._store == b"":
            raise _not_open()
        return self._store

    @property
    def keys(self) -> Keys:
        """The names of the keys."""
        keys = self.router.keys
        if keys is None:
            raise _not_open()
        return keys

    @property
    def has_beats(self) -> bool:
        """Whether freshness needs heartbeats."""
        shape = self.router.shape
        return shape is not None and shape.has_beats

    def shard_of(self, subject: str) -> int:
        """Place a subject."""
        info = self.opened
        return shard_of_subject(subject, placement_key=info.placement_key, shards=info.shards)

    def shard_of_sid(self, sid: str) -> int:
        """Place a sid; one that was never ours is looked for, and not found, where it might be."""
        try:
            return shard_of_sid(sid) % self.opened.shards
        except (ValueError, IndexError):
            return 0

    def script(
        self,
        script: Script,
        shard: int,
        names: Sequence[str],
        *args: Word,
        audit: Sequence[AuditRecord] = (),
        is_acknowledged: bool = False,
    ) -> Call:
        """Call a script on a shard.

        Args:
            script: Which.
            shard: Where.
            names: Its keys beside the head, without the tag; one that writes has the feed last.
            *args: Its arguments.
            audit: Records for the trail, its last arguments.
            is_acknowledged: Whether replicas must have it, where the store waits for them.
        """
        if script.writes and "f" not in names:
            names = (*names, "f")  # so that in a slot that is being moved it is there, or it waits
        head = (
            self.store,
            self.clock() if self.clock else b"",
            int(is_acknowledged and self.place.replicas > 0),
            secrets.token_bytes(16) if script.writes else b"",
            self.keys.channel,
        )
        return Call(
            shard,
            script=script,
            keys=self.keys.named(shard, *names),
            args=(*head, *args, *map(encode, audit)),
            is_acknowledged=is_acknowledged,
        )

    def look(self, shard: int, *names: str) -> Call:
        """Read keys as they are, the head first."""
        return self.command(shard, ("MGET", *self.keys.named(shard, *names)))

    def command(self, shard: int, *commands: Command) -> Call:
        """Have native commands done."""
        return Call(shard, commands)

    def check(self, head: bytes | None) -> bytes:
        """Make sure that a shard is this store's.

        Raises:
            StoreError: The store is gone.
        """
        mine = self.store
        if head is None or head[:8] != mine:
            raise StoreError(LOST)
        return head


def _not_open() -> StoreError:
    return StoreError("the store in Redis is not open; call open() first")
