"""PostgreSQL under Django: the PostgreSQL store's functions, on Django's connection."""

from __future__ import annotations

from threading import Event
from typing import Any, TypeVar

from django.db.backends.base.base import BaseDatabaseWrapper

from sojourn.errors import ConfigurationError, StoreError
from sojourn.ports import Clock, StoreInfo
from sojourn.stores.django.place import Place
from sojourn.stores.postgres import records
from sojourn.stores.postgres.connection import store_error
from sojourn.stores.postgres.driver import psycopg
from sojourn.stores.postgres.migrations import apply_postgres_migrations, is_up_to_date
from sojourn.stores.postgres.operations import PostgresOperations
from sojourn.stores.postgres.schema import STORE_MIGRATIONS, STORE_NAMESPACE
from sojourn.stores.postgres.statements import Statement

T = TypeVar("T")
Driver = psycopg.Connection[Any]

WAIT_SECONDS = 0.2
"""How long a follower listens before it looks: behind a pooler no notification arrives."""


class PostgresEngine(PostgresOperations):
    """The operations on PostgreSQL.

    Args:
        alias: The database in ``DATABASES``.
        clock: A test's clock; without one the server's.
        own: A connection to read on instead of the calling thread's.
    """

    def __init__(
        self, alias: str, *, clock: Clock | None, own: BaseDatabaseWrapper | None = None
    ) -> None:
        """Connect to nothing yet."""
        self.place = Place(alias, _describe, own)
        super().__init__(clock=clock)

    def run(self, statement: Statement[T]) -> T:
        """Send a statement; alone it is a step of its own.

        In the application's transaction a savepoint keeps its failure from ending that.
        """
        is_alone = statement.is_repeatable or not self.place.is_in_transaction
        return (self.place.read if is_alone else self.place.write)(_ask, statement)

    @staticmethod
    def create_tables(driver: Driver) -> None:
        """Bring the tables up to date, within a transaction.

        Raises:
            ConfigurationError: The tables are a newer version's.
        """
        apply_postgres_migrations(driver, namespace=STORE_NAMESPACE, migrations=STORE_MIGRATIONS)
        records.keep_facts(driver, longest_token_ms=0)

    def is_migrated(self) -> bool:
        """Tell whether the tables are there, and this version's.

        Raises:
            ConfigurationError: Transactions would not see what was committed while they waited.
        """
        isolation = self.place.write(_isolation)  # it is that of Django's transactions
        if isolation != "read committed":
            raise ConfigurationError(
                f"the database {self.place.alias!r} has transactions that are {isolation!r}; the store "
                "needs READ COMMITTED, Django's own default: leave isolation_level out of OPTIONS, or "
                "name a database of its own"
            )
        return self.place.read(
            is_up_to_date, namespace=STORE_NAMESPACE, migrations=STORE_MIGRATIONS
        )

    def keep_facts(self, *, longest_token_ms: int) -> StoreInfo:
        """See `Store.open`; the tables are there."""
        return self.place.write(records.keep_facts, longest_token_ms=longest_token_ms)

    def listen(self) -> None:
        """Have every append end a pause of this connection."""
        self.place.read(_listen)

    def pause(self, _: Event) -> None:
        """Wait for an append, for a moment at most."""
        self.place.read(_hear)


def _ask(driver: Driver, statement: Statement[T]) -> T:
    # Not Django's own cursor, which puts the parameters into the text.
    with psycopg.Cursor(driver) as cursor:
        cursor.execute(statement.sql, statement.parameters, binary=True)
        return statement.answer(cursor.fetchall())


def _isolation(driver: Driver) -> str:
    ((isolation,),) = driver.execute("SHOW transaction_isolation").fetchall()
    return str(isolation)


def _listen(driver: Driver) -> None:
    ((channel,),) = driver.execute("SELECT sojourn_channel()").fetchall()
    driver.execute(f"LISTEN {channel}".encode())


def _hear(driver: Driver) -> None:
    for _ in driver.notifies(timeout=WAIT_SECONDS, stop_after=1):
        pass


def _describe(error: Exception, alias: str) -> StoreError:
    if isinstance(error, psycopg.Error):
        return store_error(error, repr(alias))
    return StoreError(f"the database {alias!r}: see the cause ({type(error).__name__}: {error})")
