"""Verifiers: other services that follow the revocation feed over HTTP, each with a token of its own.

A token is 256 random bits; its SHA-256 alone is stored, since nothing short enough to guess was
hashed.
"""

from __future__ import annotations

import hashlib
import re
import secrets
from typing import TYPE_CHECKING

import msgspec

from sojourn.errors import InvalidInput, InvalidToken, NotFound

if TYPE_CHECKING:
    from sojourn.ports import Clock
    from sojourn.server.database import Connection, Database

PREFIX = "sjv_"
_NAME_CHARACTERS = 64
_TOKEN_BYTES = 32
_TOKEN = re.compile(re.escape(PREFIX) + r"[A-Za-z0-9_-]{43}")
"""What such a token looks like; the database is not asked for anything else."""


class VerifierInfo(msgspec.Struct, frozen=True):
    """A verifier as staff may see it."""

    name: str
    created_at_ms: int


class Verifiers:
    """The verifiers in the server's database.

    Args:
        database: Where they are kept.
        clock: Gives milliseconds since the epoch.
    """

    def __init__(self, database: Database, *, clock: Clock) -> None:
        """Take the database."""
        self._database = database
        self._clock = clock

    async def add(self, name: str) -> str:
        """Add a verifier and give its token, this once; an existing name gets a new token."""
        if not 1 <= len(name) <= _NAME_CHARACTERS or not name.isprintable():
            raise InvalidInput(
                f"a verifier's name has 1 to {_NAME_CHARACTERS} printable characters"
            )
        text = PREFIX + secrets.token_urlsafe(_TOKEN_BYTES)
        row = (name, _hashed(text), self._clock())

        def insert(db: Connection) -> None:
            db.execute(
                "INSERT INTO sojourn_verifiers (name, token_hash, created_at_ms) VALUES (?, ?, ?) "
                "ON CONFLICT (name) DO UPDATE SET token_hash = excluded.token_hash",
                row,
            )

        await self._database.write(insert)
        return text

    async def remove(self, name: str) -> None:
        """Remove a verifier; its streams end within a minute.

        Raises:
            NotFound: There is none of this name.
        """
        sql = "DELETE FROM sojourn_verifiers WHERE name = ?"
        if not await self._database.write(lambda db: db.execute(sql, (name,)).rowcount):
            raise NotFound(f"there is no verifier {name!r}")

    async def list(self) -> tuple[VerifierInfo, ...]:
        """List them by name."""
        sql = "SELECT name, created_at_ms FROM sojourn_verifiers ORDER BY name"
        rows = await self._database.read(lambda db: db.execute(sql).fetchall())
        return tuple(VerifierInfo(*row) for row in rows)

    async def named_by(self, authorization: str) -> str:
        """Tell which verifier an Authorization header speaks for.

        Raises:
            InvalidToken: None.
        """
        scheme, _, text = authorization.partition(" ")
        if scheme.lower() == "bearer" and _TOKEN.fullmatch(text):
            sql = "SELECT name FROM sojourn_verifiers WHERE token_hash = ?"
            row = await self._database.read(lambda db: db.execute(sql, (_hashed(text),)).fetchone())
            if row is not None:
                return str(row[0])
        raise InvalidToken(
            "the feed is for verifiers; add one with: sojourn verifiers add NAME",
            reason="unknown_verifier",
        )


def _hashed(text: str) -> bytes:
    return hashlib.sha256(text.encode()).digest()
