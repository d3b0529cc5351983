"""A database of Django's: the connection of the calling thread, in whatever transaction it is.

Our statements run on the driver's connection beneath Django's wrapper, where the SQL of the other
stores is at home. The wrapper goes on knowing what matters to it: that a transaction is broken, or
a connection unusable.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from typing import Any, Concatenate, ParamSpec, TypeVar

from django.db import Error, connections, transaction
from django.db.backends.base.base import BaseDatabaseWrapper

from sojourn.errors import StoreError

P = ParamSpec("P")
T = TypeVar("T")


@dataclass(frozen=True, slots=True)
class Place:
    """Where statements run.

    Args:
        alias: The database in ``DATABASES``.
        describe: Says what a driver's error means, and what to do about it.
        own: A connection to read on instead of the calling thread's.
    """

    alias: str
    describe: Callable[[Exception, str], StoreError]
    own: BaseDatabaseWrapper | None = None

    @property
    def connection(self) -> BaseDatabaseWrapper:
        """Django's wrapper."""
        return self.own or connections[self.alias]

    @property
    def is_in_transaction(self) -> bool:
        """Whether the application has a transaction open, which may still be rolled back."""
        return self.connection.in_atomic_block

    def read(self, query: Callable[Concatenate[Any, P], T], *args: P.args, **kwargs: P.kwargs) -> T:
        """Run statements on the driver's connection.

        Raises:
            StoreError: The database failed.
        """
        with self._failures(), self._driver() as driver:
            return query(driver, *args, **kwargs)

    def write(
        self, change: Callable[Concatenate[Any, P], T], *args: P.args, **kwargs: P.kwargs
    ) -> T:
        """Make a change in one step: a transaction, or a savepoint of the application's.

        Raises:
            StoreError: It was not made.
        """
        with self._failures(), transaction.atomic(using=self.alias), self._driver() as driver:
            return change(driver, *args, **kwargs)

    @contextmanager
    def _driver(self) -> Iterator[Any]:
        connection = self.connection
        connection.validate_no_broken_transaction()
        # The cursor is not used: where a test may not use the database, it is what Django refuses.
        with connection.wrap_database_errors, connection.cursor():
            yield connection.connection

    @contextmanager
    def _failures(self) -> Iterator[None]:
        try:
            yield
        except Error as error:
            # Django's error is made of the driver's; one of its own has none behind it.
            cause = error.__cause__
            if not isinstance(cause, Exception):
                cause = error
            raise self.describe(cause, self.alias) from cause
