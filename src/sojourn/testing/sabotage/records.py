"""Broken data, documents, trail and closing."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from sojourn.errors import StoreError
from sojourn.model import Session
from sojourn.ports import AuditLine, Versioned, Written
from sojourn.stores.memory import MemoryStore

if TYPE_CHECKING:
    from collections.abc import Sequence


class DataOutlivesItsSession(MemoryStore):
    """Leaves the data of an ended session to be read."""

    def _forget(self, session: Session) -> None:
        data = self._data.get(session.sid)
        super()._forget(session)
        if data is not None:
            self._data[session.sid] = data


class DataOverwritten(MemoryStore):
    """Puts data and documents without comparing versions."""

    def put_data(self, sid: str, payload: bytes, *, expected_version: int) -> bool:
        """Write over any version."""
        stored = self._data.get(sid)
        current = stored.version if stored else expected_version
        return super().put_data(sid, payload, expected_version=current)

    def put_document(self, name: str, payload: bytes, *, expected_version: int) -> bool:
        """Write over any version."""
        stored = self._documents.get(name)
        current = stored.version if stored else expected_version
        return super().put_document(name, payload, expected_version=current)


class DataWithoutASession(MemoryStore):
    """Puts data under any sid, alive or not."""

    def put_data(self, sid: str, payload: bytes, *, expected_version: int) -> bool:
        """Ask for no session."""
        stored = self._data.get(sid)
        if (stored.version if stored else 0) != expected_version:
            return False
        self._data[sid] = Versioned(payload, expected_version + 1)
        return True


class DataGoesWithARotation(MemoryStore):
    """Writes a session anew at a replace, and loses its data with the old row."""

    def replace(self, session: Session, **kwargs: Any) -> Written | None:
        """Drop the data."""
        written = super().replace(session, **kwargs)
        if written is not None:
            self._data.pop(session.sid, None)
        return written


class DataAsText(MemoryStore):
    """Keeps payloads in a text column."""

    def put_data(self, sid: str, payload: bytes, *, expected_version: int) -> bool:
        """Decode the payload."""
        text = payload.decode(errors="replace")
        return super().put_data(sid, text.encode(), expected_version=expected_version)


class DocumentsShareAName(MemoryStore):
    """Folds the names of documents."""

    def put_document(self, name: str, payload: bytes, *, expected_version: int) -> bool:
        """Put under a folded name."""
        folded = name.strip().casefold()
        return super().put_document(folded, payload, expected_version=expected_version)

    def get_document(self, name: str) -> Versioned | None:
        """Get by a folded name."""
        return super().get_document(name.strip().casefold())


class TrailBackwards(MemoryStore):
    """Gives the newest line of the trail first."""

    def read_audit(self, **kwargs: Any) -> Sequence[AuditLine]:
        """Read backwards."""
        return super().read_audit(**kwargs)[::-1]


class FilterAfterLimit(MemoryStore):
    """Cuts the trail to the limit first, and filters what is left."""

    def read_audit(
        self,
        *,
        after: int = 0,
        limit: int = 100,
        subject: str | None = None,
        sid: str | None = None,
    ) -> Sequence[AuditLine]:
        """Cut, then filter."""
        lines = super().read_audit(after=after, limit=limit)
        return [
            line
            for line in lines
            if subject in {None, line.record.subject} and sid in {None, line.record.sid}
        ]


class EmptyFilterIgnored(MemoryStore):
    """Takes the filter "" for none."""

    def read_audit(self, **kwargs: Any) -> Sequence[AuditLine]:
        """Confuse "" with None."""
        kwargs["subject"] = kwargs.get("subject") or None
        return super().read_audit(**kwargs)


class TrailPurged(MemoryStore):
    """Purges the trail along with everything else."""

    def purge(self) -> int:
        """Drop the trail."""
        self._audit.clear()
        return super().purge()


class ClosedOnce(MemoryStore):
    """Fails at the second close."""

    _is_closed = False

    def close(self) -> None:
        """Close, once."""
        if self._is_closed:
            raise StoreError("closed already")
        self._is_closed = True
