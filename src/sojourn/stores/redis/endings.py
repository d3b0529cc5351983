"""Ending all sessions of a subject in several steps, to the end even where a process dies amid it.

The first script (`delete_subject`) stores the cutoff and notes what it had no room for; those here go on,
and take the note away when nothing from before the cutoff is left. Who signs in meanwhile stays.
"""

from __future__ import annotations

from dataclasses import dataclass

from sojourn.stores.redis.calls import Flow
from sojourn.stores.redis.core import Core
from sojourn.stores.redis.lua import SWEEP

UNFINISHED = "p"
"""The key of endings that are under way."""


@dataclass(frozen=True, slots=True)
class Ending:
    """A subject's sessions being ended, as it is noted until it is done."""

    subject: str
    cutoff: int
    keep: str
    reason: str

    @classmethod
    def unpack(cls, subject: bytes, noted: bytes) -> Ending:
        """Read what a script has noted."""
        keep_end = 9 + int.from_bytes(noted[7:9])
        return cls(
            subject.decode(),
            int.from_bytes(noted[:7]),
            noted[9:keep_end].decode(),
            noted[keep_end:].decode(),
        )


def go_on(core: Core, shard: int, ending: Ending, *, offset: int = 0) -> Flow[list[bytes]]:
    """End the rest of a subject's sessions, script by script; gives the sids that were alive."""
    ended: list[bytes] = []
    # What the first script ended counts as found: its walk alone does not prove that it is done.
    found, is_done = int(offset > 0), 0
    while not is_done:
        call = core.script(
            SWEEP,
            shard,
            (f"u:{ending.subject}", UNFINISHED),
            ending.keep,
            ending.reason,
            ending.cutoff,
            offset,
            found,
            is_acknowledged=True,
        )
        ((_, _, sids, found, skipped, is_end, is_done),) = yield (call,)
        ended += sids
        offset += skipped
        if is_end:
            offset = found = 0
    return ended


def finish_endings(core: Core) -> Flow[None]:
    """End what a process began to end and did not come to the end of."""
    shards = range(core.opened.shards)
    replies = yield [
        core.command(shard, ("HGETALL", core.keys.named(shard, UNFINISHED)[1])) for shard in shards
    ]
    for shard, (noted,) in zip(shards, replies, strict=True):
        for subject, packed in zip(noted[::2], noted[1::2], strict=True):
            yield from go_on(core, shard, Ending.unpack(subject, packed))
