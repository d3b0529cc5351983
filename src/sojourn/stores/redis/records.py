"""The bytes of what is stored, in a form that scripts can read where they must decide.

A session is ``S`` · revision (4) · end of life (6) · position (7) · created (6) · subject (2 of length,
then itself) · core (2 of length, then seed and chains) · the rest. A tombstone is ``T`` · ended (6) ·
reason (2 of length, then itself) and the same bytes from `created` to the core, so that a script
makes one from the other by cutting. Numbers are big-endian, instants milliseconds; core and rest are
msgpack arrays, instants in them relative to `created` (a third of what names and full numbers take).
"""

from __future__ import annotations

import zlib
from typing import Any

import msgspec

from sojourn.model import (
    Chain,
    Mode,
    Purpose,
    Session,
    Tombstone,
    Transport,
)
from sojourn.stores.redis.agents import restored, squeezed
from sojourn.stores.redis.entries import encode, not_understood

_MODES: tuple[Mode, ...] = ("session", "jwt", "hybrid")
_TRANSPORTS: tuple[Transport, ...] = ("cookie", "bearer")
_CREATED_AT = 18
"""Where in a session begins what its tombstone keeps."""

_decode_core = msgspec.msgpack.Decoder(list[Any]).decode


class _Rest(msgspec.Struct, frozen=True, array_like=True):
    """What of a session neither a script nor a tombstone needs; defaults at the end are left away."""

    flags: int
    auth_after_ms: int
    seen_after_ms: int
    lives_ms: int
    idle_ms: int | None = None
    version: int = 1
    user_agent: bytes = b""
    address: str = ""
    roles: tuple[str, ...] = ()
    claims: dict[str, Any] = {}
    amr: tuple[str, ...] = ()
    scopes: tuple[str, ...] = ()
    client_id: str = ""


_decode_rest = msgspec.msgpack.Decoder(_Rest).decode
_DEFAULTS = _Rest(0, 0, 0, 0)


def pack_session(session: Session) -> bytes:
    """Write a session down."""
    created_ms = session.created_at_ms
    subject = session.subject.encode()
    core = _pack_core(session)
    rest = _Rest(
        flags=_MODES.index(session.mode) * 4
        + _TRANSPORTS.index(session.transport) * 2
        + session.remember,
        auth_after_ms=session.auth_time_ms - created_ms,
        seen_after_ms=session.seen_at_ms - created_ms,
        lives_ms=session.expires_at_ms - created_ms,
        idle_ms=session.idle_ms,
        version=session.version,
        user_agent=squeezed(session.user_agent),
        address=session.address,
        roles=session.roles,
        claims=session.claims,
        amr=session.amr,
        scopes=session.scopes,
        client_id=session.client_id,
    )
    return b"".join(
        (
            b"S",
            session.revision.to_bytes(4),
            session.dies_at_ms.to_bytes(6),
            session.position.to_bytes(7),
            created_ms.to_bytes(6),
            len(subject).to_bytes(2),
            subject,
            len(core).to_bytes(2),
            core,
            encode(_without_defaults(rest)),
        )
    )


def member(session: Session) -> bytes:
    """Give a session's place in its subject's index."""
    return session.created_at_ms.to_bytes(6) + session.sid.encode()


def _without_defaults(rest: _Rest) -> list[Any]:
    values = list(msgspec.structs.astuple(rest))
    defaults = msgspec.structs.astuple(_DEFAULTS)
    while len(values) > 4 and values[-1] == defaults[len(values) - 1]:  # noqa: PLR2004 - required ones
        values.pop()
    return values


def _pack_core(session: Session) -> bytes:
    core: list[Any] = [session.seed]
    for purpose, chain in session.chains.items():
        core += (
            purpose,
            chain.generation,
            bytes.fromhex(chain.secret_id),
            chain.rotated_at_ms - session.created_at_ms,
            chain.access_expires_at_ms - session.created_at_ms
            if chain.access_expires_at_ms
            else None,
        )
    return encode(core)


def _unpack_core(core: bytes, created_ms: int) -> tuple[bytes, dict[Purpose, Chain]]:
    seed, *links = _decode_core(core)
    chains = {
        Purpose(purpose): Chain(
            generation,
            secret_id.hex(),
            created_ms + rotated_ms,
            0 if expires_ms is None else created_ms + expires_ms,
        )
        for purpose, generation, secret_id, rotated_ms, expires_ms in zip(
            *[iter(links)] * 5, strict=True
        )
    }
    return seed, chains


def unpack_record(sid: str, packed: bytes | None) -> Session | Tombstone | None:
    """Read what a session's key holds.

    Raises:
        StoreError: It is damaged, or a newer version's.
    """
    if packed is None:
        return None
    try:
        return (
            _unpack_session(sid, packed) if packed[:1] == b"S" else _unpack_tombstone(sid, packed)
        )
    except (ValueError, IndexError, TypeError, zlib.error, msgspec.MsgspecError) as error:
        raise not_understood(error) from error


def _unpack_session(sid: str, packed: bytes) -> Session:
    created_ms, subject, core, end = _unpack_middle(packed, _CREATED_AT)
    seed, chains = _unpack_core(core, created_ms)
    rest = _decode_rest(packed[end:])
    return Session(
        sid=sid,
        subject=subject,
        mode=_MODES[rest.flags >> 2],
        transport=_TRANSPORTS[rest.flags >> 1 & 1],
        seed=seed,
        position=int.from_bytes(packed[11:18]),
        chains=chains,
        created_at_ms=created_ms,
        auth_time_ms=created_ms + rest.auth_after_ms,
        seen_at_ms=created_ms + rest.seen_after_ms,
        expires_at_ms=created_ms + rest.lives_ms,
        idle_ms=rest.idle_ms,
        revision=int.from_bytes(packed[1:5]),
        version=rest.version,
        remember=bool(rest.flags & 1),
        amr=rest.amr,
        roles=rest.roles,
        scopes=rest.scopes,
        claims=rest.claims,
        client_id=rest.client_id,
        user_agent=restored(rest.user_agent),
        address=rest.address,
    )


def _unpack_middle(packed: bytes, start: int) -> tuple[int, str, bytes, int]:
    created_ms = int.from_bytes(packed[start : start + 6])
    subject_end = start + 8 + int.from_bytes(packed[start + 6 : start + 8])
    subject = packed[start + 8 : subject_end].decode()
    core_end = subject_end + 2 + int.from_bytes(packed[subject_end : subject_end + 2])
    return created_ms, subject, packed[subject_end + 2 : core_end], core_end


def _unpack_tombstone(sid: str, packed: bytes) -> Tombstone:
    reason_end = 9 + int.from_bytes(packed[7:9])
    created_ms, subject, core, _ = _unpack_middle(packed, reason_end)
    seed, chains = _unpack_core(core, created_ms)
    return Tombstone(
        sid=sid,
        subject=subject,
        seed=seed,
        chains=chains,
        reason=packed[9:reason_end].decode(),
        ended_at_ms=int.from_bytes(packed[1:7]),
    )
