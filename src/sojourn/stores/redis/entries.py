"""The bytes of what is not a session: heads, entries, lines of the trail, versioned payloads.

A head is store (8) · longest token (6) · id (7) · tag (7) · heartbeat (7) · fence (7) · last audit
number (7). An entry is tag (7) · previous tag (7) · expiry (6) · floor (7) · permanent (1) · event.
Data and documents are version (4) · payload. Numbers are big-endian; scripts read and write them.
"""

from __future__ import annotations

import hashlib
import secrets
from collections.abc import Iterable, Sequence
from typing import Any

import msgspec

from sojourn.errors import StoreError
from sojourn.model import AuditRecord, Entry, Event, Head
from sojourn.ports import Versioned

encode = msgspec.msgpack.Encoder().encode
_decode_event = msgspec.msgpack.Decoder(Event).decode
_decode_audit = msgspec.msgpack.Decoder(AuditRecord).decode
_NOT_UNDERSTOOD = (msgspec.MsgspecError, UnicodeDecodeError)


def store_id(placement_key: bytes) -> bytes:
    """Give what marks a shard as part of a store; it says nothing about the key."""
    return hashlib.sha256(b"sojourn store" + placement_key).digest()[:8]


def not_understood(error: Exception) -> StoreError:
    """Say that stored bytes are not what this version writes."""
    return StoreError(
        f"a record in Redis cannot be understood ({type(error).__name__}); restore a backup, or "
        "install the version that wrote it"
    )


def unpack_head(packed: bytes) -> Head:
    """Read the newest entry's id and tag out of a shard's head."""
    return Head(int.from_bytes(packed[14:21]), int.from_bytes(packed[21:28]))


def unpack_entries(rows: Iterable[Sequence[Any]]) -> tuple[Entry, ...]:
    """Read entries as a stream gives them: an id and its one field each."""
    return tuple(_entry(int(id_.partition(b"-")[0]), value) for id_, (_, value) in rows)


def _entry(id_: int, packed: bytes) -> Entry:
    try:
        event = _decode_event(packed[28:])
    except _NOT_UNDERSTOOD as error:
        raise not_understood(error) from error
    if floor := int.from_bytes(packed[20:27]):
        event = msgspec.structs.replace(event, floor=floor)
    return Entry(
        id_,
        int.from_bytes(packed[:7]),
        int.from_bytes(packed[7:14]),
        event,
        int.from_bytes(packed[14:20]),
    )


def unpack_written(rows: Iterable[Sequence[Any]]) -> tuple[Entry, ...]:
    """Read entries as a script that has just appended them answers: an id and its bytes each."""
    return tuple(_entry(id_, packed) for id_, packed in rows)


def unpack_audit(packed: bytes) -> AuditRecord:
    """Read a line of the trail.

    Raises:
        StoreError: It is damaged, or a newer version's.
    """
    try:
        return _decode_audit(packed)
    except _NOT_UNDERSTOOD as error:
        raise not_understood(error) from error


_SID_BYTES = 22


def around_sid(value: Event | AuditRecord) -> tuple[bytes, bytes]:
    """Give the bytes before and after the sid, for a script that knows it only later."""
    # Random each time: a known one might be in what a client chooses, such as its user agent.
    marker = secrets.token_hex(_SID_BYTES // 2)
    packed = encode(msgspec.structs.replace(value, sid=marker))
    before, _, after = packed.partition(marker.encode())
    return before, after


# --- data and documents ---------------------------------------------------------------------------


def unpack_versioned(packed: bytes | None) -> Versioned | None:
    """Read bytes with their version in front."""
    return None if packed is None else Versioned(packed[4:], int.from_bytes(packed[:4]))
