"""Sessions in a SQLite file, for the processes of one machine."""

from sojourn.stores.sqlite.database import Database
from sojourn.stores.sqlite.migrations import apply_migrations
from sojourn.stores.sqlite.store import AsyncSqliteStore, SqliteStore

__all__ = ["AsyncSqliteStore", "Database", "SqliteStore", "apply_migrations"]
