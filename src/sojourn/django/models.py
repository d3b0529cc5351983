"""What is stored, for lists in the admin: to be read, never written.

The columns are those that both engines have. Whatever changes a session goes through Sojourn, which
tells the other processes.
"""

from __future__ import annotations

from typing import ClassVar

import msgspec
from django.db import models

from sojourn.model import AuditRecord, Session as SessionRecord
from sojourn.stores.django import DjangoStore

_decode = msgspec.msgpack.Decoder(SessionRecord).decode


class Session(models.Model):
    """A session that is stored, over or not; guests have the subject ``""``."""

    sid: models.TextField[str, str] = models.TextField(primary_key=True)
    subject: models.TextField[str, str] = models.TextField()
    created_at_ms: models.BigIntegerField[int, int] = models.BigIntegerField(db_column="created_at")
    dies_at_ms: models.BigIntegerField[int, int] = models.BigIntegerField(db_column="dies_at")
    """When it ends if nothing touches it."""
    payload: models.BinaryField[bytes, bytes] = models.BinaryField()

    class Meta:
        """A mirror of the store's table."""

        db_table = "sojourn_sessions"
        ordering: ClassVar = ["-created_at_ms"]
        managed = False

    def __str__(self) -> str:
        """Give its public name."""
        return self.sid

    @property
    def record(self) -> SessionRecord:
        """The whole record; with PostgreSQL without its seed and chains, which are kept apart."""
        return _decode(bytes(self.payload))


class AuditLine(models.Model):
    """A line of the trail."""

    number: models.BigIntegerField[int, int] = models.BigIntegerField(primary_key=True)
    subject: models.TextField[str, str] = models.TextField()
    sid: models.TextField[str, str] = models.TextField()

    class Meta:
        """A mirror of the store's table."""

        db_table = "sojourn_audit"
        ordering: ClassVar = ["-number"]
        managed = False

    def __str__(self) -> str:
        """Give its number."""
        return str(self.number)

    @property
    def record(self) -> AuditRecord:
        """What happened; read from the store."""
        store = DjangoStore(self._state.db or "default")
        return store.read_audit(after=self.number - 1, limit=1)[0].record
