"""The store on Django's connections keeps the contract, on SQLite and on a real PostgreSQL."""

import pytest
from django_databases import KINDS, database

from sojourn.testing.contract import StoreContract


class PerRequest:
    """A store whose every call is a request of its own, after which Django closes its connections.

    Each coroutine that asks has a connection of its own, and they are many.
    """

    def __init__(self, store):
        self._store = store
        self.feed = store.feed

    def __getattr__(self, name):
        """Make a request of an operation."""
        from django.db import connections

        operation = getattr(self._store, name)

        def request(*args, **kwargs):
            try:
                return operation(*args, **kwargs)
            finally:
                connections.close_all()

        return request


class _OnDjango(StoreContract):
    kind = ""

    @pytest.fixture(autouse=True)
    def _database(self, tmp_path, monkeypatch):
        # The suite drives blocking stores from coroutines of its own, which Django would refuse.
        monkeypatch.setenv("DJANGO_ALLOW_ASYNC_UNSAFE", "1")
        with database(KINDS[self.kind](tmp_path)) as self.alias:
            yield

    def make_store(self, clock):
        """Make one on a new database."""
        from sojourn.stores.django import DjangoStore

        return PerRequest(DjangoStore(self.alias, clock=clock))

    def make_another(self, store, clock):
        """Use the same database again."""
        return self.make_store(clock)


class TestDjangoOnSqlite(_OnDjango):
    """SQLite as Django sets it up."""

    kind = "sqlite"


class TestDjangoOnSqliteWithALog(_OnDjango):
    """SQLite with a write-ahead log."""

    kind = "sqlite-wal"


class TestDjangoOnPostgres(_OnDjango):
    """PostgreSQL."""

    kind = "postgres"
