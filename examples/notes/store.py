"""The notes, in SQLite. A connection for each call: a call is short, and any thread may make it."""

import secrets
import sqlite3
import time
from collections.abc import Iterator
from contextlib import contextmanager
from typing import Any

Note = dict[str, Any]


@contextmanager
def connected(path: str) -> Iterator[sqlite3.Connection]:
    """Connect, and commit unless something fails."""
    database = sqlite3.connect(path)
    try:
        with database:
            yield database
    finally:
        database.close()


class Notes:
    def __init__(self, path: str) -> None:
        self._path = path
        with connected(path) as database:
            database.execute(
                "CREATE TABLE IF NOT EXISTS notes (id TEXT PRIMARY KEY, "
                "owner TEXT NOT NULL, text TEXT NOT NULL, written_at INTEGER NOT NULL)"
            )

    def of(self, owner: str) -> list[Note]:
        with connected(self._path) as database:
            rows = database.execute(
                "SELECT id, text, written_at FROM notes WHERE owner = ? ORDER BY rowid DESC",
                (owner,),
            ).fetchall()
        return [dict(zip(("id", "text", "written_at"), row, strict=True)) for row in rows]

    def add(self, owner: str, text: str) -> Note:
        note = {"id": secrets.token_hex(8), "text": text, "written_at": int(time.time())}
        with connected(self._path) as database:
            database.execute(
                "INSERT INTO notes VALUES (:id, :owner, :text, :written_at)",
                note | {"owner": owner},
            )
        return note

    def delete(self, owner: str, note: str) -> bool:
        """Delete a note by its id, if it is the owner's."""
        with connected(self._path) as database:
            cursor = database.execute("DELETE FROM notes WHERE owner = ? AND id = ?", (owner, note))
        return cursor.rowcount == 1

    def clear(self, owner: str) -> int:
        """Delete all notes of an owner."""
        with connected(self._path) as database:
            return database.execute("DELETE FROM notes WHERE owner = ?", (owner,)).rowcount

    def counts(self) -> dict[str, int]:
        """Count the notes of each owner."""
        with connected(self._path) as database:
            return dict(database.execute("SELECT owner, count(*) FROM notes GROUP BY owner"))
