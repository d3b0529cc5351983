"""Where the server keeps what is not a session: accounts, verifiers, counters, at times the trail.

SQLite beside the sessions, or PostgreSQL for servers on several machines. The tables are written
in one dialect, SQLite's, of which PostgreSQL needs a few words translated.
"""

from __future__ import annotations

import asyncio
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any, Protocol, TypeVar, cast

from sojourn.errors import ConfigurationError
from sojourn.stores import scheme_of, sqlite_path
from sojourn.stores.sqlite import AsyncSqliteStore, Database as SqliteFile, apply_migrations

if TYPE_CHECKING:
    from sojourn.ports import AsyncStore
    from sojourn.stores.postgres import PostgresThreads

T = TypeVar("T")


class Rows(Protocol):
    """What a statement answered."""

    @property
    def rowcount(self) -> int:
        """How many rows it changed."""
        ...

    def fetchone(self) -> Any:
        """Give the next row; None after the last."""
        ...

    def fetchall(self) -> list[Any]:
        """Give all rows left."""
        ...


class Connection(Protocol):
    """What a query gets; placeholders are ``?``."""

    def execute(self, sql: str, parameters: Sequence[Any] = (), /) -> Rows:
        """Run one statement."""
        ...


class Database(Protocol):
    """The server's tables.

    Writes are one transaction each and come one after the other, on all machines: a count that was
    read in one is still true when it is written.
    """

    async def open(self, *, namespace: str, migrations: Sequence[str]) -> None:
        """Bring the tables of a namespace up to date. Idempotent, safe in several processes."""
        ...

    async def read(self, query: Callable[[Connection], T]) -> T:
        """Run a query that fetches what it needs.

        Raises:
            StoreError: The database cannot be reached.
        """
        ...

    async def write(self, change: Callable[[Connection], T]) -> T:
        """Make a change; it is committed on return.

        Raises:
            StoreError: The database cannot be reached; nothing is known of the change.
        """
        ...

    async def close(self) -> None:
        """Give up what was opened here. Idempotent."""
        ...


def database_of(url: str, *, beside: AsyncStore) -> Database:
    """Choose the database by its URL.

    Args:
        url: ``sqlite:///…`` or ``postgresql://…``.
        beside: The store of the sessions; a SQLite file is shared with it.

    Raises:
        ConfigurationError: The URL names no engine that keeps tables.
    """
    match scheme_of(url):
        case "sqlite":
            file = SqliteFile(sqlite_path(url))
            is_shared = isinstance(beside, AsyncSqliteStore) and beside.database.path == file.path
            return SqliteTables(beside.database if is_shared else file, is_shared=is_shared)  # type: ignore[attr-defined]
        case "postgresql":
            from sojourn.stores.postgres import PostgresDatabase, PostgresThreads  # noqa: PLC0415 - an extra

            return PostgresTables(PostgresThreads(PostgresDatabase(url)))
        case scheme:
            raise ConfigurationError(
                f"{scheme} keeps sessions, and not accounts; name a database for those: "
                "SOJOURN_DATABASE=postgresql://… or sqlite:///…"
            )


@dataclass(frozen=True, slots=True)
class SqliteTables:
    """Tables in a SQLite file: read inline, written by the one writer of the process.

    Args:
        file: The file.
        is_shared: Whether the store of the sessions opens and closes it.
    """

    file: SqliteFile
    is_shared: bool

    async def open(self, *, namespace: str, migrations: Sequence[str]) -> None:
        """See `Database.open`."""
        if not self.is_shared:
            await asyncio.to_thread(self.file.open)
        await self.file.write_async(apply_migrations, namespace=namespace, migrations=migrations)

    async def read(self, query: Callable[[Connection], T]) -> T:
        """See `Database.read`."""
        return self.file.read(query)

    async def write(self, change: Callable[[Connection], T]) -> T:
        """See `Database.write`."""
        return await self.file.write_async(change)

    async def close(self) -> None:
        """See `Database.close`."""
        if not self.is_shared:
            await asyncio.to_thread(self.file.close)


_DIALECT = ((" BLOB", " BYTEA"), (" INTEGER PRIMARY KEY AUTOINCREMENT", " BIGINT GENERATED ALWAYS AS IDENTITY PRIMARY KEY"), (" INTEGER", " BIGINT"), (") STRICT;", ");"))  # fmt: skip
_WRITERS_LOCK = 0x534F4A4F
"""The advisory lock that a writing transaction holds to its end."""


@dataclass(frozen=True, slots=True)
class PostgresTables:
    """Tables in PostgreSQL, used from threads: beside a password's hash, that costs nothing.

    Args:
        threads: Few, and the pool.
    """

    threads: PostgresThreads

    async def open(self, *, namespace: str, migrations: Sequence[str]) -> None:
        """See `Database.open`."""
        translated = [_translated(script) for script in migrations]
        database = self.threads.database
        await asyncio.to_thread(database.open, namespace=namespace, migrations=translated)

    async def read(self, query: Callable[[Connection], T]) -> T:
        """See `Database.read`."""
        return await self.threads.read(lambda db: query(_Question(db)))

    async def write(self, change: Callable[[Connection], T]) -> T:
        """See `Database.write`."""

        def alone(db: Any) -> T:
            db.execute("SELECT pg_catalog.pg_advisory_xact_lock(%s::bigint)", (_WRITERS_LOCK,))
            return change(_Question(db))

        return await self.threads.write(alone)

    async def close(self) -> None:
        """See `Database.close`."""
        self.threads.close()
        self.threads.database.close()


def _translated(script: str) -> str:
    for word, theirs in _DIALECT:
        script = script.replace(word, theirs)
    return script


@dataclass(frozen=True, slots=True)
class _Question:
    """A connection of psycopg that takes ``?`` for a placeholder; no statement of ours has another."""

    connection: Any

    def execute(self, sql: str, parameters: Sequence[Any] = (), /) -> Rows:
        return cast("Rows", self.connection.execute(sql.replace("?", "%s"), parameters))
