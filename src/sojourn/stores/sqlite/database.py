"""A SQLite file shared by whoever keeps tables in it: the store, and the server's accounts."""

from __future__ import annotations

import asyncio
import sqlite3
from collections.abc import Callable
from pathlib import Path
from sqlite3 import Connection
from typing import Concatenate, ParamSpec, TypeVar, cast

from sojourn.errors import ConfigurationError, StoreError
from sojourn.stores.sqlite.file import SqliteFile, attach, detach, registry_lock
from sojourn.stores.sqlite.writer import Job

OLDEST_SQLITE = (3, 37, 0)
"""The first with STRICT tables."""

P = ParamSpec("P")
T = TypeVar("T")


def refuse_old_sqlite() -> None:
    """Make sure that tables can be made.

    Raises:
        ConfigurationError: Python's SQLite is too old.
    """
    if sqlite3.sqlite_version_info < OLDEST_SQLITE:
        raise ConfigurationError(
            f"SQLite {sqlite3.sqlite_version} is too old, {'.'.join(map(str, OLDEST_SQLITE))} is "
            "needed; use a Python with a newer one, or another store"
        )


class Database:
    """A SQLite file with this process's readers and its one writer.

    Functions handed to `read` and `write` take a connection first. In `write` they run within a
    transaction (and a savepoint of their own); they neither begin nor commit, and may be run again
    if a commit did not come about. They fetch all rows.

    Args:
        path: The file; it and its directory are made for their owner only where missing.
        durable: Whether a commit waits for the disk.
    """

    def __init__(self, path: str | Path, *, durable: bool = True) -> None:
        """Open nothing yet.

        Raises:
            ConfigurationError: The path names no file, or SQLite is too old.
        """
        if str(path) in {"", ":memory:"}:
            raise ConfigurationError(
                f"a SQLite store needs a file, not {str(path)!r}: each connection would have a database "
                "of its own; use memory:// for a store of the process"
            )
        refuse_old_sqlite()
        self.path = str(path)
        self._durable = durable
        self._file: SqliteFile | None = None

    @property
    def file(self) -> SqliteFile:
        """What is open.

        Raises:
            StoreError: Nothing is.
        """
        file = self._file
        if file is None:
            raise StoreError(f"the database {self.path} is not open; call open() first")
        return file

    def open(self) -> None:
        """Create the file where it is missing, and take part in the process's use of it. Idempotent.

        Raises:
            StoreError: The file cannot be created.
        """
        with registry_lock():
            if self._file is None:
                self._file = attach(self.path, durable=self._durable)
            else:
                self._file.create()  # deleted under us: whoever opens again means to begin anew

    def close(self) -> None:
        """Finish what was asked; close connections that nobody else in the process uses. Idempotent."""
        with registry_lock():
            file, self._file = self._file, None
            if file is not None:
                detach(file)

    def read(
        self,
        query: Callable[Concatenate[Connection, P], T],
        *args: P.args,
        **kwargs: P.kwargs,
    ) -> T:
        """Run a query here and now; it sees every commit acknowledged before.

        Raises:
            StoreError: SQLite failed.
        """
        return self.file.read(query, *args, **kwargs)

    def write(
        self,
        change: Callable[Concatenate[Connection, P], T],
        *args: P.args,
        **kwargs: P.kwargs,
    ) -> T:
        """Make a change, and block until it is committed.

        Raises:
            StoreError: It was not committed.
        """
        job = Job(lambda connection: change(connection, *args, **kwargs))
        self.file.writer.submit(job)
        return cast("T", job.wait())

    async def write_async(
        self,
        change: Callable[Concatenate[Connection, P], T],
        *args: P.args,
        **kwargs: P.kwargs,
    ) -> T:
        """Make a change, and wait until it is committed; a cancelled wait may or may not make it.

        Raises:
            StoreError: It was not committed.
        """
        loop = asyncio.get_running_loop()
        job = Job(lambda connection: change(connection, *args, **kwargs), loop=loop)
        self.file.writer.submit(job)
        return cast("T", await job.wait_async())
