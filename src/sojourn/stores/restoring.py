"""Telling a store again what it acknowledged and has lost: one way for all engines."""

from __future__ import annotations

from collections.abc import Sequence

from sojourn.model import ANY, AuditRecord, Event, Kind, Session
from sojourn.ports import Store
from sojourn.revocations import RESTORED


def restore(store: Store, shard: int, events: Sequence[Event], *, above: int = 0) -> None:
    """See `Feed.restore`."""
    now_ms = store.append(shard, ()).now_ms
    if store.head(shard).id < above:
        # Everybody reads the key ring again, which may have been lost in part.
        store.append(shard, (Event(kind=Kind.RING, reason=RESTORED),), above=above)
    for event in events:
        record = AuditRecord(
            at_ms=now_ms,
            action=RESTORED,
            subject=event.subject or "",
            sid=event.sid or "",
            reason=event.kind,
        )
        match event.kind:
            case Kind.ENDED if event.sid is not None:
                owner = ANY if event.subject is None else event.subject
                store.delete(event.sid, subject=owner, reason=RESTORED, audit=(record,))
            case Kind.CUTOFF if event.subject is not None:
                store.delete_subject(
                    event.subject, keep=event.keep, reason=RESTORED, audit=(record,)
                )
            case Kind.CHANGED if event.sid is not None and _is_older(store, event):
                store.delete(event.sid, subject=ANY, reason=RESTORED, audit=(record,))
            case _:
                store.append(shard, (event,), audit=(record,))


def _is_older(store: Store, changed: Event) -> bool:
    record = store.get(changed.sid or "").record
    return isinstance(record, Session) and record.version < changed.version
