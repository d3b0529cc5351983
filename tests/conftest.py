"""Real servers for every test: one of each kind per test process, started when first asked for."""

from __future__ import annotations

import pytest


@pytest.fixture
def namespace() -> str:
    """A short text of this test alone, to begin its keys with on a shared server."""
    from services import new_namespace

    return new_namespace()


@pytest.fixture(scope="session")
def shared_valkey():
    """A Valkey alone."""
    from services_valkey import shared_valkey

    return shared_valkey()


@pytest.fixture(scope="session")
def shared_valkey_cluster():
    """A Valkey cluster of three primaries."""
    from services_valkey import shared_valkey_cluster

    return shared_valkey_cluster()


@pytest.fixture(scope="session")
def shared_valkey_sentinel():
    """A Valkey primary with a replica, under three sentinels."""
    from services_valkey import shared_valkey_sentinel

    return shared_valkey_sentinel()


@pytest.fixture(scope="session")
def shared_postgres():
    """A PostgreSQL; a test takes `new_schema()` or `new_database()` from it."""
    from services_postgres import shared_postgres

    return shared_postgres()
