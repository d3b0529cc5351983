"""Both SQLite stores keep the contract; several store objects share one file."""

import pytest

from sojourn.testing.contract import StoreContract

sqlite = pytest.importorskip("sojourn.stores.sqlite", exc_type=ModuleNotFoundError)


class _OnAFile(StoreContract):
    @pytest.fixture(autouse=True)
    def _file(self, tmp_path):
        self.path = tmp_path / "sessions.db"

    def make_another(self, store, clock):
        """Open the same file again."""
        return self.make_store(clock)


class TestSqlite(_OnAFile):
    """The blocking store, raced on threads."""

    def make_store(self, clock):
        """Make one on a new file."""
        return sqlite.SqliteStore(self.path, clock=clock)


class TestAsyncSqlite(_OnAFile):
    """The asynchronous store, raced in tasks."""

    def make_store(self, clock):
        """Make one on a new file."""
        return sqlite.AsyncSqliteStore(self.path, clock=clock)
