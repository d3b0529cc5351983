"""What operations ask for and what goes over a connection: values, with no I/O.

An operation is a generator that yields calls and is sent their replies ("one flow, two drivers");
the router turns calls into exchanges with nodes, and a leaf performs those, blocking or awaited.
"""

from __future__ import annotations

from collections.abc import Generator, Sequence
from dataclasses import dataclass, field
from typing import Any, TypeVar

from sojourn.stores.redis.lua import Script
from sojourn.stores.redis.place import Address

T = TypeVar("T")
Word = str | bytes | int
Command = tuple[Word, ...]


@dataclass(frozen=True, slots=True)
class Call:
    """Something to be done on the node of a shard.

    Args:
        shard: Whose node is asked.
        commands: Native commands that only read.
        script: A script, instead.
        keys: Its keys.
        args: Its arguments.
        is_acknowledged: Whether replicas must have it, where the store is told to wait for them.
    """

    shard: int
    commands: tuple[Command, ...] = ()
    script: Script | None = None
    keys: Sequence[str] = ()
    args: Sequence[Word] = ()
    is_acknowledged: bool = False

    def spelled(self, *, in_full: bool) -> tuple[Command, ...]:
        """Give the commands, with the script's digest or its body."""
        script = self.script
        if script is None:
            return self.commands
        how: Command = ("EVAL", script.body) if in_full else ("EVALSHA", script.digest)
        return ((*how, len(self.keys), *self.keys, *self.args),)

    @property
    def writes(self) -> bool:
        """Whether doing it twice could do twice as much."""
        return self.script is not None and self.script.writes


Flow = Generator[Sequence[Call], Sequence[Any], T]
"""An operation: yields calls that go together, is sent a reply for each (of a script its reply, of
commands a list), and returns its answer."""


@dataclass(frozen=True, slots=True)
class Exchange:
    """Commands for one node, on one connection, in one go.

    Args:
        address: The node.
        commands: What is sent.
        is_of_sentinel: Whether it is a sentinel, which has neither databases nor our password.
    """

    address: Address
    commands: tuple[Command, ...]
    is_of_sentinel: bool = False


@dataclass(frozen=True, slots=True)
class Failed:
    """An exchange that did not come to its end.

    Args:
        address: The node.
        error: What happened.
        was_sent: Whether the node may have received the commands.
    """

    address: Address
    error: Exception
    was_sent: bool

    def __str__(self) -> str:
        """Say it without anything secret: the library's own texts name hosts, never passwords."""
        host, port = self.address
        return f"{host}:{port}: {type(self.error).__name__}: {self.error}"


@dataclass(frozen=True, slots=True)
class Step:
    """What a leaf does next: pause, then exchange with several nodes at once.

    Args:
        exchanges: One a node.
        deadline: By when all has to be over, on the monotonic clock.
        pause_seconds: For how long to wait before.
    """

    exchanges: tuple[Exchange, ...]
    deadline: float
    pause_seconds: float = 0


Outcome = list[Any] | Failed
"""The replies in order, an error reply as the exception it is; or what went wrong."""
Steps = Generator[Step, Sequence[Outcome], T]


@dataclass(frozen=True, slots=True)
class Shape:
    """Which node has what, as last seen.

    Args:
        nodes: By shard, and last the one of the store's own record.
        has_replicas: Whether the server has, or once had, or is to have replicas.
        is_cluster: Whether it is a cluster, where replicas come and go.
        others: More nodes that may be asked.
    """

    nodes: tuple[Address, ...]
    has_replicas: bool
    is_cluster: bool = False
    others: tuple[Address, ...] = field(default=())

    @property
    def has_beats(self) -> bool:
        """Whether an isolated primary is possible, so that freshness needs heartbeats."""
        return self.is_cluster or self.has_replicas
