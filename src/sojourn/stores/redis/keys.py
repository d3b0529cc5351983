"""What the keys are called, and in which slots of a cluster they lie.

Everything of a shard has one hash tag, so that each operation is one script on one slot. The tags
are chosen so that shard n of 16 lies in the n-th sixteenth of the slots: however many primaries
share the slots evenly, they share the shards evenly, too.

=================  ================================================================
``{t}:h``          the head: see `sojourn.stores.redis.records`
``{t}:s:<sid>``    a session, or the tombstone of an ended one
``{t}:d:<sid>``    a session's data
``{t}:u:<subject>``  the subject's sessions: created and sid, scored by the end of life
``{t}:c:<subject>``  the subject's cutoff
``{t}:p``          subjects whose sessions are being ended in several steps
``{t}:f``          the feed, a stream
``{t}:a``          the audit trail, a stream
``{t}:doc:<name>``  a document (first shard)
``{t}:meta``       what the store is (a slot of its own)
=================  ================================================================
"""

from __future__ import annotations

from binascii import crc_hqx
from collections.abc import Sequence
from itertools import count

SLOTS = 16_384
CLUSTER_SHARDS = 16


def slot_of(tag: str) -> int:
    """Compute the slot of a hash tag (CRC-16/XMODEM, as the cluster specification has it)."""
    return crc_hqx(tag.encode(), 0) % SLOTS


class Keys:
    """The names of the keys of a store.

    Args:
        prefix: What all begin with.
        shards: How many shards there are.
    """

    def __init__(self, prefix: str, shards: int) -> None:
        """Choose the tags; the same arguments give the same ones, for ever."""
        self.shards = shards
        tags = [_tag(f"{prefix}:{shard}", shard, shards) for shard in range(shards)]
        self.meta_shard = shards
        """The place of the store's own record, numbered as if it were one more shard."""
        tags.append(f"{prefix}:meta")
        self.slots: Sequence[int] = tuple(slot_of(tag) for tag in tags)
        self._bases = tuple(f"{{{tag}}}:" for tag in tags)
        self.channel = f"{prefix}:wake"

    def named(self, shard: int, *names: str) -> list[str]:
        """Give keys of a shard, its head first: whoever reads the others must know whose they are."""
        base = self._bases[shard]
        return [f"{base}h", *[base + name for name in names]]

    @property
    def meta(self) -> str:
        """The key of the store's own record."""
        return self._bases[self.meta_shard] + "meta"


def _tag(start: str, shard: int, shards: int) -> str:
    """Find the first tag in the shard's stretch of the slots."""
    width = SLOTS // shards
    candidates = (start if n == 0 else f"{start}.{n}" for n in count())
    return next(tag for tag in candidates if slot_of(tag) // width == shard)
