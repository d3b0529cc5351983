"""Both PostgreSQL stores keep the contract on a real server; several store objects share a schema."""

import pytest

from sojourn.stores.postgres import AsyncPostgresStore, PostgresStore
from sojourn.testing.contract import StoreContract


class _InASchema(StoreContract):
    @pytest.fixture(autouse=True)
    def _schema(self, shared_postgres):
        self.url = shared_postgres.new_schema()

    def make_another(self, store, clock):
        """Open the same schema again."""
        return self.make_store(clock)


class TestPostgres(_InASchema):
    """The blocking store, raced on threads."""

    def make_store(self, clock):
        """Make one in a new schema."""
        return PostgresStore(self.url, clock=clock)


class TestAsyncPostgres(_InASchema):
    """The asynchronous store, raced in tasks."""

    def make_store(self, clock):
        """Make one in a new schema."""
        return AsyncPostgresStore(self.url, clock=clock)
