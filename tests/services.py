"""What the real servers of the tests have in common.

Where one comes from: a `SOJOURN_TEST_…_URL`, then a program on this machine, then a wheel.
"""

from __future__ import annotations

import os
import secrets
from contextlib import AbstractContextManager
from dataclasses import dataclass
from typing import NoReturn, TypeVar

import pytest
from services_keeper import keeper
from services_processes import Node

T = TypeVar("T")


def absent(what: str) -> NoReturn:
    """Skip visibly, or fail where everything is required."""
    if os.environ.get("SOJOURN_REQUIRE_SERVICES") == "1":
        pytest.fail(f"{what}, and SOJOURN_REQUIRE_SERVICES=1 demands it")
    pytest.skip(what)


def new_namespace() -> str:
    """Give a short text that nobody else uses: a prefix of keys, a name in SQL."""
    return f"t{secrets.token_hex(5)}"


@dataclass(frozen=True)
class Service:
    """Servers that answer, started for one test or shared by all tests of a process.

    Args:
        urls: Where they are reached.
        nodes: Their processes; none where the service is shared, because other tests need it.
    """

    urls: tuple[str, ...]
    nodes: tuple[Node, ...] = ()

    @property
    def url(self) -> str:
        """Where the service is reached."""
        return self.urls[0]

    @property
    def pids(self) -> tuple[int, ...]:
        """The processes, in the order of the nodes."""
        return tuple(node.pid for node in self._own_nodes())

    def kill(self) -> None:
        """Kill every node; they are gone when this returns."""
        for node in self._own_nodes():
            node.kill()

    def pause(self) -> None:
        """Stop every node where it is."""
        for node in self._own_nodes():
            node.pause()

    def resume(self) -> None:
        """Let every node go on after `pause`."""
        for node in self._own_nodes():
            node.resume()

    def restart(self) -> None:
        """Start every node again, on the same ports and data."""
        for node in self._own_nodes():
            node.restart()

    def _own_nodes(self) -> tuple[Node, ...]:
        assert self.nodes, "a shared service is not touched; start one with running_…()"
        return self.nodes


def shared(service: AbstractContextManager[T]) -> T:
    """Enter a running service for the rest of this process."""
    return keeper().shared.enter_context(service)
