"""A connection to a SQLite file: how it is opened, who is inside, and what its failures mean."""

from __future__ import annotations

import os
import sqlite3
import threading
from collections.abc import Callable
from pathlib import Path
from types import TracebackType

from sojourn.errors import StoreError

WRITE_SECONDS = 5.0
"""How long a write may wait for another process's lock before it fails."""
WRITER_BUSY_MS = 5
"""One attempt of the writer, of many. SQLite waits longer from one look at the lock to the next; against
two processes that write without pause, starting over early cut a write's p99 from 257 ms to 23 ms."""
READER_BUSY_MS = 1000
"""Readers hardly ever wait in WAL mode; they run on the event loop's thread, so not for long."""
WAL_LIMIT_BYTES = 16 * 1024 * 1024
"""A larger write-ahead log (after a long read elsewhere) is truncated again."""

_REMEDIES = {
    sqlite3.SQLITE_BUSY: "another process has kept it locked; end that process's transaction "
    "(backups and shells included), then retry",
    sqlite3.SQLITE_LOCKED: "another connection has kept it locked; retry",
    sqlite3.SQLITE_FULL: "no space is left; free some on its disk, then retry",
    sqlite3.SQLITE_IOERR: "reading or writing failed; check its disk (space, limits, mount)",
    sqlite3.SQLITE_READONLY: "it may not be written; give this process write permission on the "
    "file and on its directory",
    sqlite3.SQLITE_CANTOPEN: "it is gone or may not be opened; restore it (or call open() to "
    "begin anew), and check the permissions of its directory",
    sqlite3.SQLITE_CORRUPT: "it is damaged; restore a backup",
    sqlite3.SQLITE_NOTADB: "it is not a SQLite database; correct the path, or restore a backup",
}


def is_busy(error: BaseException | None) -> bool:
    """Tell whether somebody else's lock was in the way."""
    code = getattr(error, "sqlite_errorcode", 0) & 0xFF
    return code in {sqlite3.SQLITE_BUSY, sqlite3.SQLITE_LOCKED}


def store_error(error: Exception, path: str) -> StoreError:
    """Say what a failure of SQLite means; its own texts name tables, never values."""
    code = getattr(error, "sqlite_errorcode", 0) & 0xFF
    remedy = _REMEDIES.get(code, "see the cause; nothing was decided")
    return StoreError(f"the database {path}: {remedy} ({type(error).__name__}: {error})")


def create_file(path: Path) -> None:
    """Create the file for its owner only, with its directory, unless it is there.

    SQLite gives its -wal and -shm files the permissions of the database.

    Raises:
        StoreError: It cannot be created.
    """
    try:
        for folder in reversed(path.parents):
            if not folder.exists():
                folder.mkdir(mode=0o700, exist_ok=True)
        if not path.exists():
            os.close(os.open(path, os.O_CREAT | os.O_RDWR, 0o600))
    except OSError as error:
        raise StoreError(
            f"the database {path} cannot be created ({error.strerror}); give this process write "
            "permission on the directory, or choose another path"
        ) from error


def identify(path: str) -> tuple[int, int] | None:
    """Tell which file is at a path; None for none."""
    try:
        status = os.stat(path)  # noqa: PTH116 - a third of Path.stat's time, at each poll
    except OSError:
        return None
    return status.st_dev, status.st_ino


def connect(path: str, *, durable: bool, busy_ms: int) -> sqlite3.Connection:
    """Open a file that exists; deleted meanwhile, it is not made anew behind the store's back.

    Raises:
        sqlite3.Error: SQLite could not open it.
        StoreError: Its file system cannot share memory between processes.
    """
    connection = sqlite3.connect(
        Path(path).as_uri() + "?mode=rw",
        uri=True,
        timeout=busy_ms / 1000,
        isolation_level=None,  # transactions are begun and ended in plain sight
        check_same_thread=False,  # a slot's lock keeps threads apart
        cached_statements=256,
    )
    try:
        _use_write_ahead_log(connection, path)
        # Neither is a property of the file: each connection has to say so again.
        connection.execute(f"PRAGMA synchronous = {'FULL' if durable else 'NORMAL'}")
        connection.execute(f"PRAGMA fullfsync = {'ON' if durable else 'OFF'}")  # heeded by macOS
        connection.execute("PRAGMA foreign_keys = ON")
        connection.execute(f"PRAGMA journal_size_limit = {WAL_LIMIT_BYTES}").fetchall()
    except BaseException:
        connection.close()
        raise
    return connection


def _use_write_ahead_log(connection: sqlite3.Connection, path: str) -> None:
    mode = connection.execute("PRAGMA journal_mode = WAL").fetchone()[0]
    if mode != "wal":
        raise StoreError(
            f"the database {path} cannot use a write-ahead log (its mode stays {mode!r}); "
            "put it on a local file system"
        )


class Slot:
    """A place for one connection, opened at use, with the lock of whoever is inside SQLite by it.

    ``with slot as connection`` turns SQLite's errors into `StoreError` and leaves no transaction
    open. Nobody holds two slots, so holding all of them (before a fork) cannot deadlock.

    Args:
        path: Named in errors.
        open_connection: Opens the connection, or refuses.
    """

    __slots__ = ("_open_connection", "_path", "connection", "lock")

    def __init__(self, path: str, open_connection: Callable[[], sqlite3.Connection]) -> None:
        """Start empty."""
        self._path = path
        self._open_connection = open_connection
        self.connection: sqlite3.Connection | None = None
        self.lock = threading.Lock()

    def __enter__(self) -> sqlite3.Connection:
        """Enter alone, opening the connection where there is none."""
        self.lock.acquire()
        try:
            connection = self.connection
            if connection is None:
                connection = self.connection = self._open_connection()
        except BaseException as error:
            self.lock.release()
            if isinstance(error, sqlite3.Error):
                raise store_error(error, self._path) from error
            raise
        return connection

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        traceback: TracebackType | None,
    ) -> None:
        """Leave no transaction behind."""
        try:
            if self.connection is not None and self.connection.in_transaction:
                self.connection.execute("ROLLBACK")
        finally:
            self.lock.release()
        if isinstance(error, sqlite3.Error):
            raise store_error(error, self._path) from error

    def close(self, *, for_good: bool = False) -> None:
        """Close the connection once nobody is inside; the next use opens another, or is refused."""
        with self.lock:
            if for_good:
                self._open_connection = self._refuse
            connection, self.connection = self.connection, None
            if connection is not None:
                connection.close()

    def _refuse(self) -> sqlite3.Connection:
        raise StoreError(f"this use of the database {self._path} was ended; open another")
