"""SQLite under Django: the SQLite store's statements, on Django's connection."""

from __future__ import annotations

from collections.abc import Callable
from sqlite3 import Connection
from threading import Event
from typing import Any, Concatenate, ParamSpec, TypeVar

from django.db import connections
from django.db.backends.base.base import BaseDatabaseWrapper

from sojourn.errors import StoreError
from sojourn.ports import Clock, StoreInfo
from sojourn.stores.django.place import Place
from sojourn.stores.memory import system_clock
from sojourn.stores.sqlite import records
from sojourn.stores.sqlite.connection import is_busy, store_error
from sojourn.stores.sqlite.database import refuse_old_sqlite
from sojourn.stores.sqlite.migrations import (
    STORE_MIGRATIONS,
    STORE_NAMESPACE,
    apply_migrations,
    is_up_to_date,
)
from sojourn.stores.sqlite.operations import SqliteOperations

P = ParamSpec("P")
T = TypeVar("T")

POLL_SECONDS = 0.01
"""How late another thread's or process's commit is noticed at most."""


class SqliteEngine(SqliteOperations):
    """The operations on SQLite.

    Args:
        alias: The database in ``DATABASES``.
        clock: A test's clock; without one the system's.
        own: A connection to read on instead of the calling thread's.
    """

    def __init__(
        self, alias: str, *, clock: Clock | None, own: BaseDatabaseWrapper | None = None
    ) -> None:
        """Connect to nothing yet."""
        self.place = _LockingPlace(alias, _describe, own)
        super().__init__(self.place, clock=clock or system_clock)

    @staticmethod
    def create_tables(driver: Connection) -> None:
        """Bring the tables up to date, within a transaction.

        Raises:
            ConfigurationError: SQLite is too old, or the tables are a newer version's.
        """
        refuse_old_sqlite()
        apply_migrations(driver, namespace=STORE_NAMESPACE, migrations=STORE_MIGRATIONS)
        records.keep_facts(driver, longest_token_ms=0)

    def is_migrated(self) -> bool:
        """Tell whether the tables are there, and this version's."""
        return self.place.read(
            is_up_to_date, namespace=STORE_NAMESPACE, migrations=STORE_MIGRATIONS
        )

    def keep_facts(self, *, longest_token_ms: int) -> StoreInfo:
        """See `Store.open`; the tables are there."""
        return self.place.write(records.keep_facts, longest_token_ms=longest_token_ms)

    def listen(self) -> None:
        """Do nothing: SQLite tells nobody."""

    def pause(self, closing: Event) -> None:
        """Wait for a moment, or until closing."""
        closing.wait(POLL_SECONDS)


class _LockingPlace(Place):
    """Writes with the lock from the first statement on.

    Django begins a transaction without it, and SQLite refuses at once, waiting for nobody, who reads
    first and then finds that others have written.
    """

    def write(
        self, change: Callable[Concatenate[Any, P], T], *args: P.args, **kwargs: P.kwargs
    ) -> T:
        """See `Place.write`."""

        def locked(driver: Connection) -> T:
            driver.execute("UPDATE sojourn_meta SET shards = shards")
            return change(driver, *args, **kwargs)

        return super().write(locked)


def _describe(error: Exception, alias: str) -> StoreError:
    if is_busy(error) and connections[alias].in_atomic_block:
        return StoreError(
            f"the database {alias!r}: your transaction cannot begin to write, since others have written "
            "since it began by reading, or still are; begin it with the lock (in DATABASES: "
            "'OPTIONS': {'transaction_mode': 'IMMEDIATE'}), and retry"
        )
    return store_error(error, repr(alias))
