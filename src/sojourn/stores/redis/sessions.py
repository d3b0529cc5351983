"""Sessions: the operations of `Store` that create, read, replace and end them, as flows."""

from __future__ import annotations

from collections.abc import Mapping, Sequence

from sojourn.model import ANY, Any_, AuditRecord, Event, Kind, OnExcess, Session
from sojourn.ports import Created, Deleted, Found, Written
from sojourn.stores.redis.calls import Flow
from sojourn.stores.redis.core import Core
from sojourn.stores.redis.endings import UNFINISHED, Ending, go_on
from sojourn.stores.redis.entries import around_sid, encode, unpack_written
from sojourn.stores.redis.lua import CHUNK, CREATE, CUT, DELETE, LIST, REPLACE
from sojourn.stores.redis.records import member, pack_session, unpack_record

_LIMIT_EVENT = around_sid(Event(kind=Kind.ENDED, reason="session_limit"))


def create(
    core: Core,
    session: Session,
    *,
    limit: int | None,
    on_excess: OnExcess,
    audit: Sequence[AuditRecord] = (),
    ended_audit: AuditRecord | None = None,
) -> Flow[Created]:
    """See `Store.create`."""
    sid, subject = session.sid, session.subject
    call = core.script(
        CREATE,
        core.shard_of_sid(sid),
        (f"s:{sid}", f"u:{subject}", f"c:{subject}"),
        sid,
        pack_session(session),
        session.dies_at_ms,
        session.position,
        member(session),
        b"" if limit is None else limit,
        on_excess,
        *_LIMIT_EVENT,
        *(around_sid(ended_audit) if ended_audit else (b"", b"")),
        audit=audit,
        is_acknowledged=True,
    )
    ((_, rows, outcome, ended),) = yield (call,)
    return Created(outcome.decode(), tuple(sid.decode() for sid in ended), unpack_written(rows))


def lookup(core: Core, shard: int, sids: Sequence[str]) -> Flow[list[Found]]:
    """Read several sessions of a shard at one instant."""
    (found,) = yield from lookups(core, {shard: sids})
    return found


def lookups(core: Core, by_shard: Mapping[int, Sequence[str]]) -> Flow[list[list[Found]]]:
    """Read sessions of several shards, in one round trip a node."""
    time = () if core.clock else (("TIME",),)
    calls = []
    for shard, sids in by_shard.items():
        names = core.keys.named(shard, *[f"s:{sid}" for sid in sids])
        calls.append(core.command(shard, *time, ("MGET", *names)))
    replies = yield calls
    answers = []
    for sids, reply in zip(by_shard.values(), replies, strict=True):
        now_ms = core.clock() if core.clock else int(reply[0][0]) * 1000 + int(reply[0][1]) // 1000
        head, *records = reply[-1]
        core.check(head)
        answers.append(
            [Found(unpack_record(*pair), now_ms) for pair in zip(sids, records, strict=True)]
        )
    return answers


def get(core: Core, sid: str) -> Flow[Found]:
    """See `Store.get`."""
    (found,) = yield from lookup(core, core.shard_of_sid(sid), (sid,))
    return found


def replace(
    core: Core,
    session: Session,
    *,
    expected_revision: int,
    event: Event | None = None,
    audit: Sequence[AuditRecord] = (),
) -> Flow[Written | None]:
    """See `Store.replace`."""
    sid, subject = session.sid, session.subject
    call = core.script(
        REPLACE,
        core.shard_of_sid(sid),
        (f"s:{sid}", f"d:{sid}", f"u:{subject}", f"c:{subject}"),
        sid,
        expected_revision,
        pack_session(session),
        session.dies_at_ms,
        member(session),
        b"" if event is None else encode(event),
        audit=audit,
        is_acknowledged=True,
    )
    ((now_ms, rows, is_done),) = yield (call,)
    return Written(unpack_written(rows), now_ms) if is_done else None


def delete(
    core: Core,
    sid: str,
    *,
    subject: str | Any_,
    reason: str,
    audit: Sequence[AuditRecord] = (),
) -> Flow[Deleted]:
    """See `Store.delete`."""
    owner = "" if subject is ANY else str(subject)
    event = Event(kind=Kind.ENDED, sid=sid, reason=reason)
    call = core.script(
        DELETE,
        core.shard_of_sid(sid),
        (f"s:{sid}", f"d:{sid}"),
        sid,
        owner,
        int(subject is ANY),
        reason,
        encode(event),
        encode(Event(kind=Kind.ENDED, sid=sid, subject=owner, reason=reason)),
        audit=audit,
        is_acknowledged=True,
    )
    ((_, rows, was_alive),) = yield (call,)
    return Deleted((sid,) if was_alive else (), unpack_written(rows))


def delete_subject(
    core: Core,
    subject: str,
    *,
    keep: str | None,
    reason: str,
    audit: Sequence[AuditRecord] = (),
) -> Flow[Deleted]:
    """See `Store.delete_subject`.

    The first script stores the cutoff, which refuses logins and refreshes from before it; those
    that follow end what it had no room for.
    """
    shard = core.shard_of(subject)
    call = core.script(
        CUT,
        shard,
        (f"u:{subject}", f"c:{subject}", UNFINISHED),
        keep or "",
        reason,
        encode(Event(kind=Kind.CUTOFF, subject=subject, keep=keep, reason=reason)),
        audit=audit,
        is_acknowledged=True,
    )
    ((_, rows, ended, skipped, is_end),) = yield (call,)
    entries = unpack_written(rows)
    if not is_end:
        ending = Ending(subject, entries[0].id, keep or "", reason)
        ended += yield from go_on(core, shard, ending, offset=skipped)
    return Deleted(tuple(sid.decode() for sid in ended), entries)


def list_sessions(core: Core, subject: str) -> Flow[Sequence[Session]]:
    """See `Store.list`; guests are asked for in every shard."""
    shards = range(core.opened.shards) if subject == "" else [core.shard_of(subject)]
    replies = yield [core.script(LIST, shard, (f"u:{subject}",)) for shard in shards]
    sessions: list[Session] = []
    for shard, (_, _, members) in zip(shards, replies, strict=True):
        sids = [place[6:].decode() for place in members]
        for start in range(0, len(sids), CHUNK):
            found = yield from lookup(core, shard, sids[start : start + CHUNK])
            records = (one.record for one in found)
            # What ended since the index was read is not among them.
            sessions += [record for record in records if isinstance(record, Session)]
    return sorted(sessions, key=lambda session: (session.created_at_ms, session.sid))
