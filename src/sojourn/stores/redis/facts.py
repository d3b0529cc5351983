"""What is not a session, as flows: the store's own record, data and documents."""

from __future__ import annotations

import secrets

from sojourn.errors import ConfigurationError, StoreError
from sojourn.ports import StoreInfo, Versioned
from sojourn.stores.redis.calls import Call, Flow
from sojourn.stores.redis.core import Core
from sojourn.stores.redis.entries import store_id, unpack_versioned
from sojourn.stores.redis.lua import OPEN_SHARD, OPEN_STORE, PUT_DATA, PUT_DOCUMENT

_PLACEMENT_KEY_BYTES = 32


def open_store(core: Core, *, longest_token_ms: int) -> Flow[StoreInfo]:
    """See `Store.open`; the nodes are known already."""
    keys = core.keys
    yield from _refuse_remains(core)
    call = Call(
        keys.meta_shard,
        script=OPEN_STORE,
        keys=(keys.meta,),
        args=(keys.shards, secrets.token_bytes(_PLACEMENT_KEY_BYTES), longest_token_ms),
        is_acknowledged=True,
    )
    ((shards, placement_key, longest_ms),) = yield (call,)
    if shards != keys.shards:
        raise ConfigurationError(
            f"the store was created with {shards} shard(s), and what is opened now would have "
            f"{keys.shards}: it moved between a single Redis and a cluster, where subjects would be "
            "looked for in the wrong place; use the kind it was created on, or another ?prefix= to "
            "begin anew"
        )
    info = StoreInfo(shards, placement_key, longest_ms)
    mine = store_id(placement_key)
    owners = yield [
        Call(
            shard,
            script=OPEN_SHARD,
            keys=keys.named(shard),
            args=(mine, longest_ms),
            is_acknowledged=True,
        )
        for shard in range(shards)
    ]
    if set(owners) != {mine}:
        raise StoreError(_REMAINS)
    return info


_REMAINS = (
    "there are shards of a store whose own record is gone or another: part of what Redis held was "
    "lost. Restore a backup, or choose another ?prefix= to begin anew"
)


def _refuse_remains(core: Core) -> Flow[None]:
    """A store is not made anew while parts of an earlier one are there."""
    keys = core.keys
    for _ in range(2):  # another process may be making it between the two looks
        ((meta,),) = yield (core.command(keys.meta_shard, ("GET", keys.meta)),)
        if meta is not None:
            return
        heads = yield [core.look(shard) for shard in range(keys.shards)]
        if all(head is None for ((head,),) in heads):
            return
    raise StoreError(_REMAINS)


# --- data and documents ---------------------------------------------------------------------------


def get_data(core: Core, sid: str) -> Flow[Versioned | None]:
    """See `Store.get_data`."""
    (((head, packed),),) = yield (core.look(core.shard_of_sid(sid), f"d:{sid}"),)
    core.check(head)
    return unpack_versioned(packed)


def put_data(core: Core, sid: str, payload: bytes, *, expected_version: int) -> Flow[bool]:
    """See `Store.put_data`."""
    names = (f"s:{sid}", f"d:{sid}")
    call = core.script(PUT_DATA, core.shard_of_sid(sid), names, expected_version, payload)
    ((_, _, is_done),) = yield (call,)
    return bool(is_done)


def get_document(core: Core, name: str) -> Flow[Versioned | None]:
    """See `Store.get_document`."""
    (((head, packed),),) = yield (core.look(0, f"doc:{name}"),)
    core.check(head)
    return unpack_versioned(packed)


def put_document(core: Core, name: str, payload: bytes, *, expected_version: int) -> Flow[bool]:
    """See `Store.put_document`."""
    call = core.script(
        PUT_DOCUMENT, 0, (f"doc:{name}",), expected_version, payload, is_acknowledged=True
    )
    ((_, _, is_done),) = yield (call,)
    return bool(is_done)
