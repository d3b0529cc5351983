"""The feed and the audit trail, as flows.

A line of the trail is numbered within its shard; the number that is shown is that times 256 plus the
shard, so that lines of all shards are in one order, by time. Filters are applied here, page by page:
reading the trail of one subject costs as much as reading the trail. A line that cannot be understood is
left out and left in its place: one such must not hide all others.
"""

from __future__ import annotations

import heapq
import logging
from collections.abc import Mapping, Sequence

from sojourn.errors import StoreError
from sojourn.model import AuditRecord, Event, Head, Kind
from sojourn.ports import AuditLine, Page, Written
from sojourn.stores.redis.calls import Call, Flow
from sojourn.stores.redis.core import Core
from sojourn.stores.redis.endings import finish_endings
from sojourn.stores.redis.entries import (
    encode,
    unpack_audit,
    unpack_entries,
    unpack_head,
    unpack_written,
)
from sojourn.stores.redis.lua import APPEND, PURGE, READ

log = logging.getLogger("sojourn.audit")

BEAT_MS = 1_000
"""How old a replicated shard's newest entry may be before a reader writes a heartbeat."""
_NUMBERED_SHARDS = 256
_PAGE_LINES = 1_000


def head(core: Core, shard: int) -> Flow[Head]:
    """See `Store.head`."""
    (((packed,),),) = yield (core.look(shard),)
    return unpack_head(core.check(packed))


def append(
    core: Core,
    shard: int,
    events: Sequence[Event],
    *,
    audit: Sequence[AuditRecord] = (),
    above: int = 0,
) -> Flow[Written]:
    """See `Store.append`."""
    words = [word for event in events for word in (encode(event), int(event.kind is Kind.KEY))]
    call = core.script(
        APPEND, shard, (), above, len(events), *words, audit=audit, is_acknowledged=True
    )
    ((now_ms, rows),) = yield (call,)
    return Written(unpack_written(rows), now_ms)


def read(core: Core, shard: int, *, after: int, limit: int = 1000) -> Flow[Page]:
    """See `Store.read`; it fails while the reader's does for how a node is set up."""
    if core.router.trouble:
        raise StoreError(core.router.trouble)
    pages, _ = yield from read_all(core, {shard: after}, limit=limit)
    return pages[shard]


def read_all(
    core: Core, after: Mapping[int, int], *, limit: int
) -> Flow[tuple[Mapping[int, Page], bool]]:
    """Read several shards, each in one step; tells too whether a heartbeat was refused."""
    every_ms = BEAT_MS if core.has_beats else 0
    calls = [
        core.script(READ, shard, ("f",), f"{id_ + 1}-0", limit, every_ms)
        for shard, id_ in after.items()
    ]
    replies = yield calls
    pages = {
        shard: Page(unpack_entries(rows), Head(last, tag), beat if every_ms else None)
        for shard, (last, tag, beat, _, rows) in zip(after, replies, strict=True)
    }
    return pages, any(is_refused for _, _, _, is_refused, _ in replies)


def purge(core: Core) -> Flow[int]:
    """See `Store.purge`: of the feeds only, since Redis lets go of all else by itself.

    It also comes to the end of a revoke-all that a process died amid.
    """
    yield from finish_endings(core)
    removed = 0
    places: dict[int, bytes] = dict.fromkeys(range(core.opened.shards), b"-")
    while places:
        replies = yield [
            core.script(PURGE, shard, ("f",), start) for shard, start in places.items()
        ]
        answers = dict(zip(places, replies, strict=True))
        removed += sum(count for _, _, count, _ in answers.values())
        places = {shard: start for shard, (_, _, _, start) in answers.items() if start}
    return removed


# --- the trail ------------------------------------------------------------------------------------


def read_audit(
    core: Core,
    *,
    after: int = 0,
    limit: int = 100,
    subject: str | None = None,
    sid: str | None = None,
) -> Flow[Sequence[AuditLine]]:
    """See `Store.read_audit`."""
    is_filtered = subject is not None or sid is not None
    page_lines = _PAGE_LINES if is_filtered else min(limit, _PAGE_LINES)
    lines: dict[int, list[AuditLine]] = {shard: [] for shard in range(core.opened.shards)}
    starts = {shard: max((after - shard) // _NUMBERED_SHARDS, 0) for shard in lines}
    while starts:
        calls = [_audit_call(core, shard, start, page_lines) for shard, start in starts.items()]
        replies = yield calls
        for shard, (packed, rows) in zip(list(starts), replies, strict=True):
            core.check(packed)
            for id_, (_, value) in rows:
                starts[shard] = int(id_.partition(b"-")[0])
                record = _understood(value, shard, starts[shard])
                if record is None:
                    continue
                if subject in {None, record.subject} and sid in {None, record.sid}:
                    number = starts[shard] * _NUMBERED_SHARDS + shard
                    lines[shard].append(AuditLine(number, record))
            if len(rows) < page_lines or len(lines[shard]) >= limit:
                del starts[shard]
    merged = heapq.merge(*lines.values(), key=lambda line: line.number)
    return [line for line, _ in zip(merged, range(limit), strict=False)]


def _understood(packed: bytes, shard: int, id_: int) -> AuditRecord | None:
    try:
        return unpack_audit(packed)
    except StoreError as error:
        log.error("line %d of shard %d of the audit trail is left out: %s", id_, shard, error)  # noqa: TRY400 - the bytes are not to be shown
        return None


def _audit_call(core: Core, shard: int, after: int, count: int) -> Call:
    (key, trail) = core.keys.named(shard, "a")
    return core.command(shard, ("GET", key), ("XRANGE", trail, f"({after}-0", "+", "COUNT", count))


def take_audit(core: Core, limit: int) -> Flow[Sequence[AuditLine]]:
    """Read the oldest lines, to be kept elsewhere; `drop_audit` removes them when they are."""
    return (yield from read_audit(core, limit=limit))


def drop_audit(core: Core, lines: Sequence[AuditLine]) -> Flow[None]:
    """Remove lines that are kept elsewhere now; repeating it is safe."""
    by_shard: dict[int, list[str]] = {}
    for line in lines:
        id_, shard = divmod(line.number, _NUMBERED_SHARDS)
        by_shard.setdefault(shard, []).append(f"{id_}-0")
    calls = [
        core.command(shard, ("XDEL", core.keys.named(shard, "a")[1], *ids))
        for shard, ids in by_shard.items()
    ]
    if calls:
        yield calls
