"""The local picture of revocations: what the feed has said and could still concern somebody.

A `View` is told entries in order and answers for a token or a near copy of a session. It does no
I/O: the follower feeds it, the engine asks it. Memory follows events within one token life, since
an entry is dropped once nothing it could concern can still be alive.
"""

from __future__ import annotations

import heapq
from collections.abc import Iterator
from dataclasses import dataclass, field
from enum import Enum
from typing import Any, assert_never

from sojourn.model import NO_CUTOFF, Cutoff, Entry, Event, Kind

RESTORED = "restored"
"""The reason of what a store had lost and was told again."""


class Verdict(Enum):
    """What the picture says of one credential."""

    GOOD = "good"
    REVOKED = "revoked"
    """Sign in again."""
    REFRESH = "refresh"
    """Out of date, and a stored session stands behind it: refresh now."""


@dataclass(slots=True)
class View:
    """Everything revoked or changed that could still be presented.

    Each map holds (expiry in ms, value). Readers take no lock: an answer reads single entries, and
    the follower writes the maps before it moves the freshness stamp.
    """

    ended: dict[str, tuple[int, None]] = field(default_factory=dict)
    """Sids ended with the store's or an administrator's word for it."""
    ended_of: dict[tuple[str, str], tuple[int, None]] = field(default_factory=dict)
    """(sid, subject) where nothing was stored: binds that subject's token only."""
    changed: dict[str, tuple[int, int]] = field(default_factory=dict)
    cutoffs: dict[str, tuple[int, Cutoff]] = field(default_factory=dict)
    outdated: dict[str, tuple[int, int]] = field(default_factory=dict)
    revoked_keys: set[str] = field(default_factory=set)
    _expiries: list[tuple[int, int, dict[Any, tuple[int, Any]], Any]] = field(default_factory=list)
    _serial: int = 0

    def apply(self, entry: Entry) -> None:
        """Take in an entry; taking one in twice changes nothing."""
        event = entry.event
        match event.kind:
            case Kind.ENDED if event.subject is None:
                self._note(self.ended, event.sid, entry, None)
            case Kind.ENDED:
                self._note(self.ended_of, (event.sid, event.subject), entry, None)
            case Kind.CHANGED:
                known = self.changed.get(event.sid or "", (0, 0))[1]
                self._note(self.changed, event.sid, entry, max(known, event.version))
            case Kind.CUTOFF:
                older = self.cutoffs.get(event.subject or "", (0, NO_CUTOFF))[1]
                self._note(self.cutoffs, event.subject, entry, _merged(older, entry))
            case Kind.OUTDATED:
                known = self.outdated.get(event.subject or "", (0, 0))[1]
                self._note(self.outdated, event.subject, entry, max(known, entry.id))
            case Kind.KEY:
                # Never forgotten: whoever stole the key mints any expiry and any position.
                self.revoked_keys.add(event.kid or "")
            case Kind.RING:
                pass
            case _:  # pragma: no cover - every kind is above
                assert_never(event.kind)

    def _note(self, said: dict[Any, tuple[int, Any]], key: Any, entry: Entry, value: Any) -> None:
        known_until_ms = said.get(key, (-1, None))[0]
        expires_at_ms = max(entry.expires_at_ms, known_until_ms)
        said[key] = (expires_at_ms, value)
        if expires_at_ms == known_until_ms:
            return  # its turn to be forgotten is noted already; a snapshot repeats everything
        self._serial += 1  # unique, so that the heap never compares the maps
        heapq.heappush(self._expiries, (expires_at_ms, self._serial, said, key))

    def forget(self, *, now_ms: int) -> None:
        """Drop what nothing alive can be concerned by any more."""
        while self._expiries and self._expiries[0][0] <= now_ms:
            _, _, said, key = heapq.heappop(self._expiries)
            # A later entry about the same key has moved its expiry on, and has its own turn.
            if said.get(key, (now_ms + 1, None))[0] <= now_ms:
                del said[key]

    def missing_from(self, other: View, *, after_ms: int) -> Iterator[Event]:
        """Give as events what this view knows and another does not, of what expires after an instant.

        What a store acknowledged and lost, where the other was made from its whole feed.
        """
        for sid, (expires_at_ms, _) in self.ended.items():
            if expires_at_ms > after_ms and sid not in other.ended:
                yield Event(kind=Kind.ENDED, sid=sid, reason=RESTORED)
        for (sid, subject), (expires_at_ms, _) in self.ended_of.items():
            if expires_at_ms > after_ms and (sid, subject) not in other.ended_of:
                yield Event(kind=Kind.ENDED, sid=sid, subject=subject, reason=RESTORED)
        for subject, (expires_at_ms, cutoff) in self.cutoffs.items():
            known = other.cutoffs.get(subject, (0, NO_CUTOFF))[1]
            has_lost_floor = known.floor < cutoff.floor
            if expires_at_ms > after_ms and (known.cutoff < cutoff.cutoff or has_lost_floor):
                # Whoever is kept may be below the floor; a store cannot be told a floor alone.
                keep = None if has_lost_floor else cutoff.keep
                yield Event(kind=Kind.CUTOFF, subject=subject, keep=keep, reason=RESTORED)
        for sid, (expires_at_ms, version) in self.changed.items():
            if expires_at_ms > after_ms and other.changed.get(sid, (0, 0))[1] < version:
                yield Event(kind=Kind.CHANGED, sid=sid, version=version)
        for subject, (expires_at_ms, position) in self.outdated.items():
            if expires_at_ms > after_ms and other.outdated.get(subject, (0, 0))[1] < position:
                yield Event(kind=Kind.OUTDATED, subject=subject, reason=RESTORED)
        for kid in self.revoked_keys - other.revoked_keys:
            yield Event(kind=Kind.KEY, kid=kid, reason=RESTORED)

    def __len__(self) -> int:
        """Count what is remembered."""
        sessions = len(self.ended) + len(self.ended_of) + len(self.changed)
        return sessions + len(self.cutoffs) + len(self.outdated) + len(self.revoked_keys)

    def judge(self, *, subject: str, sid: str, position: int, version: int | None) -> Verdict:
        """Judge an access token or a near copy.

        Args:
            subject: Whose it is.
            sid: Its session's public name.
            position: The feed position its sign-in was given.
            version: The session's version it was made from; None where nothing is stored.
        """
        if sid in self.ended or (self.ended_of and (sid, subject) in self.ended_of):
            return Verdict.REVOKED
        cutoff = self.cutoffs.get(subject)
        if cutoff is not None and cutoff[1].refuses(position=position, sid=sid):
            return Verdict.REVOKED
        if version is None:
            outdated = self.outdated.get(subject)
            if outdated is not None and position < outdated[1]:
                return Verdict.REVOKED
        else:
            changed = self.changed.get(sid)
            if changed is not None and version < changed[1]:
                return Verdict.REFRESH
        return Verdict.GOOD


def _merged(older: Cutoff, entry: Entry) -> Cutoff:
    """Follow a cutoff by an entry's, by the rules of `Cutoff.succeeded_by`.

    The entry's own floor says the same of what its store knew: one that had lost the older cutoff
    must not let whoever is kept now revive.
    """
    event = entry.event
    if entry.id <= older.cutoff:
        return older
    floor = max(event.floor, older.floor)
    if event.keep != older.keep:
        floor = max(floor, older.cutoff)
    return Cutoff(floor, entry.id, event.keep)
