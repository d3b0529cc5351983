"""Every engine a promise is kept on, in one table: how a test gets an empty store of it.

A test takes `ENGINES` (or `SHARED`, what several processes can use at once) as parameters and asks
for `engine.place(folder)`; where an engine is not on this machine, that skips with the reason.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path
from urllib.parse import urlsplit

import pytest
from services import new_namespace
from services_postgres import shared_postgres
from services_valkey import shared_valkey, shared_valkey_cluster, shared_valkey_sentinel

from sojourn.stores.memory import MemoryStore


@dataclass(frozen=True)
class Place:
    """Where one test's data are.

    Args:
        engine: The engine's name.
        url: For other processes.
        memory: The one store of an engine that no other process can reach.
    """

    engine: str
    url: str
    memory: MemoryStore | None = None

    @property
    def store(self) -> str | MemoryStore:
        """What to make an `AsyncSojourn` or a `Sojourn` of; each shares the data."""
        return self.memory or self.url


@dataclass(frozen=True)
class Engine:
    """One row of the table.

    Args:
        name: As in the figures that tests print.
        new_url: Gives the URL of a new, empty store; skips where the engine is missing.
        is_shared: Whether several processes can use a store at once.
    """

    name: str
    new_url: Callable[[Path], str]
    is_shared: bool = True

    def place(self, folder: Path) -> Place:
        """Give an empty place."""
        url = self.new_url(folder)
        return Place(self.name, url, None if self.is_shared else MemoryStore())


def _sqlite(folder: Path) -> str:
    return f"sqlite:///{folder / 'engine.db'}"


def _postgres(_: Path) -> str:
    # A schema of its own would share the NOTIFY channel with every other test.
    return shared_postgres().new_database()


def _valkey(_: Path) -> str:
    return f"{shared_valkey().url}?prefix={new_namespace()}"


def _sentinel(_: Path) -> str:
    return f"{shared_valkey_sentinel().url}?prefix={new_namespace()}"


def _cluster(_: Path) -> str:
    places = ",".join(urlsplit(url).netloc for url in shared_valkey_cluster().urls)
    return f"redis+cluster://{places}?prefix={new_namespace()}"


TABLE = (
    Engine("memory", lambda _: "memory://", is_shared=False),
    Engine("sqlite", _sqlite),
    Engine("postgres", _postgres),
    Engine("valkey", _valkey),
    Engine("sentinel", _sentinel),
    Engine("cluster", _cluster),
)

ENGINES = tuple(pytest.param(engine, id=engine.name) for engine in TABLE)
SHARED = tuple(pytest.param(engine, id=engine.name) for engine in TABLE if engine.is_shared)
