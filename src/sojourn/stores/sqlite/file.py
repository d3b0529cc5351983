"""A SQLite file as this process sees it: its connections, its writer, and which file it is.

There is one `SqliteFile` per process and path, whoever asks for it, since two writers of one process
would only wait for each other. Two things about SQLite shape it:

- A connection must not exist while the process forks in the midst of using it, and a child must
  close what it inherited before it opens its own: SQLite counts its file locks in memory, and a
  child that leaves inherited connections alone believes to hold locks that only its parent has.
  The parent's closing then deletes the write-ahead log under the child, and what the child was
  told is committed is lost. So a fork waits until nobody is inside, and the child closes.
- Locks belong to the file, not to the path. Once another file is at the path, everything is
  opened again.
"""

from __future__ import annotations

import os
import sqlite3
import threading
import time
from collections.abc import Callable
from functools import partial
from pathlib import Path
from typing import Concatenate, ParamSpec, TypeVar

from sojourn.errors import StoreError
from sojourn.stores.sqlite.connection import (
    READER_BUSY_MS,
    WRITER_BUSY_MS,
    Slot,
    connect,
    create_file,
    identify,
)
from sojourn.stores.sqlite.writer import Writer

QUIET_SECONDS = 5.0
"""How long a fork waits for whoever is inside SQLite."""

P = ParamSpec("P")
T = TypeVar("T")


class SqliteFile:
    """Connections to one file: a pool of readers, the writer's, the followers'.

    Args:
        path: The real path of the file, which need not be there yet.
        durable: Whether a commit is on the disk before it is acknowledged.
    """

    def __init__(self, path: str, *, durable: bool) -> None:
        """Open nothing yet."""
        self.path = path
        self.durable = durable
        self.users = 0
        self.followers: set[threading.Event] = set()
        """Set after each commit of this process."""
        self._is_closed = False
        self._identity = identify(path)
        self._lock = threading.Lock()
        self._slots: set[Slot] = set()
        self._idle: list[Slot] = []
        self._quiet: list[Slot] = []
        self._writing = self.new_slot(busy_ms=WRITER_BUSY_MS)
        self.writer = self._new_writer()

    def _new_writer(self) -> Writer:
        return Writer(
            self.path, self._writing, before_batch=self.check, after_commit=self._wake_followers
        )

    def _wake_followers(self) -> None:
        for event in tuple(self.followers):
            event.set()

    def create(self) -> None:
        """Create the file if it is missing.

        Raises:
            StoreError: It cannot be created.
        """
        with _registry.creating:
            create_file(Path(self.path))

    # --- connections ------------------------------------------------------------------------------

    def new_slot(self, *, busy_ms: int = READER_BUSY_MS) -> Slot:
        """Make a place for a connection that this file looks after."""
        slot = Slot(self.path, partial(self._connect, busy_ms))
        with self._lock:
            self._slots.add(slot)
        return slot

    def give_up(self, slot: Slot) -> None:
        """Close a slot for good."""
        with self._lock:
            self._slots.discard(slot)
        slot.close(for_good=True)

    def _connect(self, busy_ms: int) -> sqlite3.Connection:
        if self._is_closed:
            raise StoreError(f"the database {self.path} is closed; call open() first")
        with _registry.creating:
            return connect(self.path, durable=self.durable, busy_ms=busy_ms)

    def read(
        self, query: Callable[Concatenate[sqlite3.Connection, P], T], *args: P.args, **kw: P.kwargs
    ) -> T:
        """Run a query on an idle connection of the pool, here and now."""
        try:
            slot = self._idle.pop()  # the one used last, whose cache is warm; atomic
        except IndexError:
            slot = self.new_slot()
        try:
            with slot as connection:
                return query(connection, *args, **kw)
        finally:
            self._idle.append(slot)

    def check(self) -> None:
        """See whether the path still leads to the file that is open; if not, let go of it."""
        identity = identify(self.path)
        if identity != self._identity:
            self._identity = identity
            self.close_connections()

    def close_connections(self) -> None:
        """Close every connection as soon as nobody is inside; the next use opens another."""
        with self._lock:
            slots = tuple(self._slots)
        for slot in slots:
            slot.close()

    def shut(self) -> None:
        """Finish what was asked, and close for good."""
        self.writer.stop()
        self._is_closed = True
        self.close_connections()
        self._wake_followers()

    # --- forks ------------------------------------------------------------------------------------

    def be_quiet(self) -> None:
        """Wait until nobody is inside SQLite, and keep everybody out."""
        self._lock.acquire()
        deadline = time.monotonic() + QUIET_SECONDS
        self._quiet = [
            slot
            for slot in self._slots
            if slot.lock.acquire(timeout=max(0.0, deadline - time.monotonic()))
        ]

    def go_on(self) -> None:
        """Let everybody in again."""
        for slot in self._quiet:
            slot.lock.release()
        self._quiet = []
        self._lock.release()

    def start_over(self) -> None:
        """In a child: close what was inherited; threads and locks are made anew."""
        for slot in self._slots:
            if slot.connection is not None:
                if slot in self._quiet:
                    slot.connection.close()
                else:
                    # In the midst of something: closing it might wait for a thread that is not here.
                    _abandoned.append(slot.connection)
            slot.connection = None
            slot.lock = threading.Lock()
        self._quiet = []
        self._lock = threading.Lock()
        self._idle = []
        self.followers = set()
        self.writer = self._new_writer()


_abandoned: list[sqlite3.Connection] = []
"""Referred to for ever, since forgetting a connection closes it."""


class _Registry:
    """The files in use by this process."""

    def __init__(self) -> None:
        """Know none."""
        self.lock = threading.Lock()
        self.creating = threading.Lock()
        """Keeps `os.close` after creating a file (it drops the process's locks on it) from meeting a
        connection to the same file."""
        self.files: dict[str, SqliteFile] = {}

    def before_fork(self) -> None:
        self.lock.acquire()
        for file in self.files.values():
            file.be_quiet()

    def after_in_parent(self) -> None:
        for file in self.files.values():
            file.go_on()
        self.lock.release()

    def after_in_child(self) -> None:
        for file in self.files.values():
            file.start_over()
        self.lock = threading.Lock()
        self.creating = threading.Lock()


_registry = _Registry()
os.register_at_fork(
    before=_registry.before_fork,
    after_in_parent=_registry.after_in_parent,
    after_in_child=_registry.after_in_child,
)


def registry_lock() -> threading.Lock:
    """Give the lock under which files are attached and detached; a fork waits for it, too."""
    return _registry.lock


def attach(path: str, *, durable: bool) -> SqliteFile:
    """Take part in this process's use of a file, creating it where it is missing.

    Where one user wants durable commits, all get them. The registry's lock is held.

    Raises:
        StoreError: The file cannot be created.
    """
    real = str(Path(path).resolve())
    file = _registry.files.get(real) or SqliteFile(real, durable=durable)
    file.create()
    _registry.files[real] = file
    file.users += 1
    if durable and not file.durable:
        file.durable = True
        file.close_connections()
    return file


def detach(file: SqliteFile) -> None:
    """Take part no longer; the last user's leaving closes it. The registry's lock is held."""
    file.users -= 1
    if file.users == 0:
        file.shut()
        del _registry.files[file.path]
