"""Sessions in PostgreSQL, for many processes on many machines."""

from sojourn.stores.postgres.connection import DEADLINE_SECONDS
from sojourn.stores.postgres.database import PostgresDatabase
from sojourn.stores.postgres.migrations import apply_postgres_migrations
from sojourn.stores.postgres.store import AsyncPostgresStore, PostgresStore
from sojourn.stores.postgres.threads import PostgresThreads

__all__ = [
    "DEADLINE_SECONDS",
    "AsyncPostgresStore",
    "PostgresDatabase",
    "PostgresStore",
    "PostgresThreads",
    "apply_postgres_migrations",
]
