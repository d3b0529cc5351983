"""What the engine needs from the outside: a store. The docstrings are the contract.

`Store` is blocking, `AsyncStore` is the same awaited; the engine is written against the latter, and
`Inline` presents a blocking store as one that never suspends. The contract suite in
`sojourn.testing` runs every line below against an implementation.

Absence is None or False; an exception (`StoreError`) means failure, and that nothing was decided.
Every operation that changes something does it in one step with the feed entries and the audit
records that belong to it: all of it has happened when the call returns, or none.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from typing import Any, Literal, Protocol, cast

import msgspec

from sojourn.model import (
    Any_,
    AuditRecord,
    Entry,
    Event,
    Head,
    OnExcess,
    Session,
    Tombstone,
)

Clock = Callable[[], int]
"""Gives milliseconds since the epoch."""

MAX_DATA_BYTES = 32 * 1024
TOMBSTONE_MS = 30 * 86_400_000
ATTEMPT_MS = 600_000
"""How long an attempt (`begin`) may be used: a token can be issued so much after its position."""
RETENTION_MARGIN_MS = ATTEMPT_MS + 60_000
"""How much longer than the longest token an entry is kept: an attempt's life, leeway and skew."""


class StoreInfo(msgspec.Struct, frozen=True):
    """What a store is, fixed when it was created (but for the longest token, which only grows)."""

    shards: int
    placement_key: bytes
    longest_token_ms: int


class Found(msgspec.Struct, frozen=True):
    """A record with the store's clock, which alone decides the age of a rotation."""

    record: Session | Tombstone | None
    now_ms: int


class Written(msgspec.Struct, frozen=True):
    """What a change appended to the feed, for the writer's own picture."""

    entries: tuple[Entry, ...]
    now_ms: int


class Created(msgspec.Struct, frozen=True):
    """The answer to `create`."""

    outcome: Literal["created", "limit", "superseded"]
    ended: tuple[str, ...] = ()
    """Sids of older sessions that had to go."""
    entries: tuple[Entry, ...] = ()


class Deleted(msgspec.Struct, frozen=True):
    """The answer to `delete` and `delete_subject`."""

    ended: tuple[str, ...]
    """Sids that were alive; empty where there was nothing (left) to end."""
    entries: tuple[Entry, ...]


class Page(msgspec.Struct, frozen=True):
    """A stretch of a shard's feed, with the head read in the same step.

    `beat` is the id of the shard's newest heartbeat where a replicated engine keeps one, since an
    isolated primary goes on answering that its head is the newest; None where reading is proof
    enough.
    """

    entries: tuple[Entry, ...]
    head: Head
    beat: int | None = None


class Versioned(msgspec.Struct, frozen=True):
    """Bytes under a name or sid with the version that a put compares."""

    payload: bytes
    version: int


class AuditLine(msgspec.Struct, frozen=True):
    """An audit record at its place in the trail."""

    number: int
    record: AuditRecord


class Feed(Protocol):
    """The blocking reader of one follower thread; it owns its connection."""

    def read(self, after: Mapping[int, int], *, limit: int = 1000) -> Mapping[int, Page]:
        """Read several shards, each after an id of its own, in as few round trips as there are nodes.

        A page has the shard's entries with an id above, oldest first, at most `limit`, with the
        head of the same instant. Where the engine needs heartbeats, one that is due is written.
        """
        ...

    def restore(self, shard: int, events: Sequence[Event], *, above: int = 0) -> None:
        """Make true again what the store once acknowledged and has lost (a failover, an old backup).

        Each event is acted on and appended anew: ENDED deletes the session where there is one,
        CUTOFF ends the subject's sessions, and CHANGED ends the session whose version is below, since
        what it had become is not known any more; others are appended alone. Idempotent. New ids
        are then above `above`, an id that was there before.
        """
        ...

    def wait(self, timeout_seconds: float) -> None:
        """Return when something may be new, or after the timeout. A wake-up is never truth."""
        ...

    def close(self) -> None:
        """Give up the connection; a `wait` under way in another thread returns soon. Idempotent."""
        ...


class Store(Protocol):
    """A blocking store."""

    def open(self, *, longest_token_ms: int) -> StoreInfo:
        """Make the store ready (migrations included) and say what it is.

        Idempotent, and safe in several processes at once. `longest_token_ms` raises, never lowers,
        the longest token life the store has ever heard of; feed entries live that long.
        """
        ...

    def close(self) -> None:
        """Give up connections and threads after finishing what was asked. Idempotent.

        A later `open` makes the store ready again.
        """
        ...

    def head(self, shard: int) -> Head:
        """Give the newest entry's id and tag; (0, 0) before the first."""
        ...

    def create(
        self,
        session: Session,
        *,
        limit: int | None,
        on_excess: OnExcess,
        audit: Sequence[AuditRecord] = (),
        ended_audit: AuditRecord | None = None,
    ) -> Created:
        """Store a new session, refused if it is late or one too many.

        `superseded` where the session's position is below the subject's stored cutoff, whatever its
        floor and keep: a new session is never the kept one. Live sessions of the subject are counted;
        with `limit` or more of them, `refuse` answers `limit` and changes nothing, and
        `end_oldest` ends as many as needed (by `created_at_ms`, then sid) with reason
        ``session_limit`` and an ENDED entry each, and `ended_audit` on the trail with the sid of
        each; guests (subject ``""``) are counted by shard and go without tombstone and entry, since
        anybody can make as many as they like. On a refusal nothing is written, the audit records
        included.
        """
        ...

    def get(self, sid: str) -> Found:
        """Read a session, or the tombstone of an ended one, or neither. Expired ones are returned."""
        ...

    def replace(
        self,
        session: Session,
        *,
        expected_revision: int,
        event: Event | None = None,
        audit: Sequence[AuditRecord] = (),
    ) -> Written | None:
        """Compare-and-swap a session on its revision.

        None, and nothing written, unless the stored revision equals `expected_revision`: also
        where the session is gone, for a replace never resurrects. The caller keeps the record's
        sid, subject and creation time as they were.
        """
        ...

    def delete(
        self,
        sid: str,
        *,
        subject: str | Any_,
        reason: str,
        audit: Sequence[AuditRecord] = (),
    ) -> Deleted:
        """End one session, leaving a tombstone; its data goes.

        A session of another subject than `subject` is treated as absent. An ENDED entry is
        appended in every case, so that retrying is safe and a stateless token can be revoked: for
        everyone (no subject in the event) where the session existed or `subject` is ANY, else for
        that subject only.
        """
        ...

    def delete_subject(
        self,
        subject: str,
        *,
        keep: str | None,
        reason: str,
        audit: Sequence[AuditRecord] = (),
    ) -> Deleted:
        """End all sessions of a subject but `keep`, storing a cutoff and appending its entry.

        The cutoff's value is the entry's id; `Cutoff.succeeded_by` says how it follows an earlier
        one. Tombstones are left. Works, and appends, where there are no sessions.
        """
        ...

    def list(self, subject: str) -> Sequence[Session]:
        """Give the live sessions of a subject, oldest first."""
        ...

    def append(
        self,
        shard: int,
        events: Sequence[Event],
        *,
        audit: Sequence[AuditRecord] = (),
        above: int = 0,
    ) -> Written:
        """Append events to a shard's feed, in order; with no events, the audit records alone.

        An id is the store's milliseconds, and more than the last one; and more than `above`, a
        position that was handed out before the store lost it.
        """
        ...

    def read(self, shard: int, *, after: int, limit: int = 1000) -> Page:
        """Read a shard's entries with an id above `after`, oldest first, as `Feed.read` does."""
        ...

    def feed(self) -> Feed:
        """Open a reader for a follower thread of this process."""
        ...

    def get_data(self, sid: str) -> Versioned | None:
        """Read a session's data; None before the first put, and where the session is gone."""
        ...

    def put_data(self, sid: str, payload: bytes, *, expected_version: int) -> bool:
        """Write a session's data if its version is still `expected_version` (0: none yet).

        False, and nothing written, on another version and where the session is not alive.
        """
        ...

    def get_document(self, name: str) -> Versioned | None:
        """Read a named record of the server itself (the key ring)."""
        ...

    def put_document(self, name: str, payload: bytes, *, expected_version: int) -> bool:
        """Write a named record if its version is still `expected_version` (0: none yet)."""
        ...

    def read_audit(
        self,
        *,
        after: int = 0,
        limit: int = 100,
        subject: str | None = None,
        sid: str | None = None,
    ) -> Sequence[AuditLine]:
        """Read the trail forwards from a number, filtered where asked.

        Numbers rise. Where several processes write at once, a line may become visible a moment
        after one with a higher number.
        """
        ...

    def purge(self) -> int:
        """Remove what is dead: expired sessions with their data, old tombstones, cutoffs, entries.

        Entries go once their expiry has passed, but the head stays known, and KEY entries stay for
        ever. Returns how many rows went; what an engine expires by itself it does not count, and may
        keep for an hour longer.
        """
        ...


class AsyncStore(Protocol):
    """`Store`, awaited; see there for what each operation promises."""

    async def open(self, *, longest_token_ms: int) -> StoreInfo:
        """See `Store.open`."""
        ...

    async def close(self) -> None:
        """See `Store.close`."""
        ...

    async def head(self, shard: int) -> Head:
        """See `Store.head`."""
        ...

    async def create(
        self,
        session: Session,
        *,
        limit: int | None,
        on_excess: OnExcess,
        audit: Sequence[AuditRecord] = (),
        ended_audit: AuditRecord | None = None,
    ) -> Created:
        """See `Store.create`."""
        ...

    async def get(self, sid: str) -> Found:
        """See `Store.get`."""
        ...

    async def replace(
        self,
        session: Session,
        *,
        expected_revision: int,
        event: Event | None = None,
        audit: Sequence[AuditRecord] = (),
    ) -> Written | None:
        """See `Store.replace`."""
        ...

    async def delete(
        self,
        sid: str,
        *,
        subject: str | Any_,
        reason: str,
        audit: Sequence[AuditRecord] = (),
    ) -> Deleted:
        """See `Store.delete`."""
        ...

    async def delete_subject(
        self,
        subject: str,
        *,
        keep: str | None,
        reason: str,
        audit: Sequence[AuditRecord] = (),
    ) -> Deleted:
        """See `Store.delete_subject`."""
        ...

    async def list(self, subject: str) -> Sequence[Session]:
        """See `Store.list`."""
        ...

    async def append(
        self,
        shard: int,
        events: Sequence[Event],
        *,
        audit: Sequence[AuditRecord] = (),
        above: int = 0,
    ) -> Written:
        """See `Store.append`."""
        ...

    async def read(self, shard: int, *, after: int, limit: int = 1000) -> Page:
        """See `Store.read`."""
        ...

    def feed(self) -> Feed:
        """See `Store.feed`; the reader blocks in both worlds, since a thread owns it."""
        ...

    async def get_data(self, sid: str) -> Versioned | None:
        """See `Store.get_data`."""
        ...

    async def put_data(self, sid: str, payload: bytes, *, expected_version: int) -> bool:
        """See `Store.put_data`."""
        ...

    async def get_document(self, name: str) -> Versioned | None:
        """See `Store.get_document`."""
        ...

    async def put_document(self, name: str, payload: bytes, *, expected_version: int) -> bool:
        """See `Store.put_document`."""
        ...

    async def read_audit(
        self,
        *,
        after: int = 0,
        limit: int = 100,
        subject: str | None = None,
        sid: str | None = None,
    ) -> Sequence[AuditLine]:
        """See `Store.read_audit`."""
        ...

    async def purge(self) -> int:
        """See `Store.purge`."""
        ...


OPERATIONS = (
    "open", "close", "head", "create", "get", "replace", "delete", "delete_subject", "list",
    "append", "read", "get_data", "put_data", "get_document", "put_document", "read_audit", "purge",
)  # fmt: skip
"""The names that differ between the two protocols only by ``async``."""


class _Inline:
    """The shape of an `AsyncStore`; its operations are set by `inline`."""


Later = Callable[[Callable[[], None]], None]
"""Has something done once what was written is there to stay."""


def at_once(act: Callable[[], None]) -> None:
    """Do it now: what a store has acknowledged is there to stay."""
    act()


def when_committed(store: object) -> Later:
    """Tell when a store's writes are there to stay: when they return, for most.

    A store that writes within transactions of the application has a method of this name beside
    its operations. It acts at the commit of the calling thread's transaction, and not at all where
    that is rolled back.
    """
    later: Later = getattr(store, "when_committed", at_once)
    return later


class Tentative(Protocol):
    """What a store that works within transactions of the application has beside its operations."""

    def is_tentative(self) -> bool:
        """Tell whether what the calling thread reads may yet be rolled back."""
        ...

    def read_tentative(self, shard: int, *, after: int, limit: int = 1000) -> Page:
        """Read a shard's entries as `Feed.read` does, with those that are not committed yet."""
        ...


def tentative(store: object) -> Tentative | None:
    """Give a store as one whose reads may be rolled back; None for most."""
    return cast("Tentative", store) if hasattr(store, "is_tentative") else None


def inline(store: Store) -> AsyncStore:
    """Present a blocking store as an `AsyncStore` whose coroutines never suspend."""
    shaped = _Inline()
    shaped.feed = store.feed  # type: ignore[attr-defined]
    shaped.when_committed = when_committed(store)  # type: ignore[attr-defined]
    if (told := tentative(store)) is not None:
        shaped.is_tentative = told.is_tentative  # type: ignore[attr-defined]
        shaped.read_tentative = told.read_tentative  # type: ignore[attr-defined]
    for name in OPERATIONS:
        setattr(shaped, name, _never_suspending(getattr(store, name)))
    return cast("AsyncStore", shaped)


def _never_suspending(operation: Callable[..., Any]) -> Callable[..., Any]:
    async def inline(*args: Any, **kwargs: Any) -> Any:
        return operation(*args, **kwargs)

    return inline
