"""Sessions in a SQLite file, for the processes of one machine: no server, one file.

Reads are made inline, on the calling thread or event loop: an indexed look-up takes microseconds,
handing it to a thread ten times that. Writes go to the one writing thread of the process, which
commits together what waits together.

With ``durable=False`` (`PRAGMA synchronous = NORMAL`) a commit does not wait for the disk: several
times as many lone writes a second, but a power cut or a crash of the operating system may lose the
last commits, revocations among them. A crash of the process loses nothing either way.
"""

from __future__ import annotations

import asyncio
import threading
from collections.abc import Callable, Sequence
from functools import partial
from sqlite3 import Connection
from typing import Concatenate, ParamSpec, TypeVar, cast

from sojourn.errors import ConfigurationError, StoreError
from sojourn.model import Any_, AuditRecord, Event, Head, OnExcess, Session
from sojourn.ports import (
    AuditLine,
    Clock,
    Created,
    Deleted,
    Found,
    Page,
    StoreInfo,
    Versioned,
    Written,
)
from sojourn.stores import sql, sql_feed, sql_records
from sojourn.stores.memory import system_clock
from sojourn.stores.sqlite_feed import SqliteFeed
from sojourn.stores.sqlite_file import SqliteFile, attach, detach
from sojourn.stores.sqlite_writer import Job

P = ParamSpec("P")
T = TypeVar("T")


class Database:
    """A SQLite file with this process's readers and its one writer.

    Functions handed to `read` and `write` take a connection first. In `write` they run within a
    transaction (and a savepoint of their own); they neither begin nor commit, and may be run again
    if a commit did not come about. They fetch all rows.

    Args:
        path: The file; it and its directory are made for their owner only where missing.
        durable: Whether a commit waits for the disk.
    """

    def __init__(self, path: str, *, durable: bool = True) -> None:
        """Open nothing yet."""
        if path in {"", ":memory:"}:
            raise ConfigurationError(
                f"a SQLite store needs a file, not {path!r}: each connection would have a database "
                "of its own; use memory:// for a store of the process"
            )
        self.path = path
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
        with _opening:
            if self._file is None:
                self._file = attach(self.path, durable=self._durable)

    def close(self) -> None:
        """Finish what was asked; close connections that nobody else in the process uses. Idempotent."""
        with _opening:
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
        job = Job(partial(change, *args, **kwargs))
        self.file.writer.submit(job)
        return cast("T", job.wait())
