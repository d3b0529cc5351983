"""What goes to a store, counted at the client library: redis-py's commands, psycopg's statements, SQLite's.

The follower's thread is counted apart. SQLite's writer works for everybody in a thread of its own, where
a transaction is one write.
"""

import sqlite3
import threading
from collections import Counter
from collections.abc import Iterator
from contextlib import contextmanager

import psycopg
import redis.asyncio.connection
import redis.connection
from faults.processes import FOLLOWER

SQLITE_WRITER = "sojourn-sqlite-writer"
_REDIS = (redis.connection.AbstractConnection, redis.asyncio.connection.AbstractConnection)
_PSYCOPG = (psycopg.Cursor, psycopg.AsyncCursor)


class Counted:
    """How often the store was asked since the last `take`, by requests and by the follower."""

    def __init__(self) -> None:
        self._counts: Counter[str] = Counter()

    def note(self, calls: int = 1) -> None:
        is_follower = threading.current_thread().name == FOLLOWER
        self._counts["follower" if is_follower else "requests"] += calls

    def take(self) -> int:
        """Give what requests cost, and begin anew."""
        return self._counts.pop("requests", 0)

    @property
    def by_the_follower(self) -> int:
        return self._counts["follower"]


@contextmanager
def counted(monkeypatch) -> Iterator[Counted]:
    """Count from here on, on connections that are opened while the block lasts."""
    counts = Counted()

    def packing(original):
        def pack_commands(self, commands):
            commands = list(commands)
            counts.note(len(commands))
            return original(self, commands)

        return pack_commands

    def executing(original):
        def execute(self, *args, **kwargs):
            counts.note()
            return original(self, *args, **kwargs)

        return execute

    connect = sqlite3.connect

    def traced_connect(*args, **kwargs):
        connection = connect(*args, **kwargs)
        connection.set_trace_callback(traced)
        return connection

    def traced(statement: str) -> None:
        is_writer = threading.current_thread().name == SQLITE_WRITER
        if statement.lstrip().upper().startswith("BEGIN" if is_writer else "SELECT"):
            counts.note()

    with monkeypatch.context() as patched:
        for kind in _REDIS:
            patched.setattr(kind, "pack_commands", packing(kind.pack_commands))
        for kind in _PSYCOPG:
            patched.setattr(kind, "execute", executing(kind.execute))
        patched.setattr(sqlite3, "connect", traced_connect)
        yield counts
