"""A connection to PostgreSQL that gives up at a deadline, and what its failures mean.

psycopg drives libpq by generators and waits for the socket where they say so. Here these waits end
at the connection's deadline, also where the network swallows everything: the connection is thrown
away then, since nobody knows what the server did. So it is when a task is cancelled: psycopg's own
way, asking the server to cancel, may take ten seconds.
"""

from __future__ import annotations

import select
import time
from collections.abc import Generator
from math import inf
from typing import Any, LiteralString, TypeVar

from sojourn.errors import StoreError
from sojourn.stores.postgres.driver import psycopg

T = TypeVar("T")
Row = tuple[Any, ...]

DEADLINE_SECONDS = 1.0
"""An operation takes no longer, getting a connection included."""
OPENING_SECONDS = 30.0
"""Connecting, waiting for other processes that migrate, and migrating."""
OPENING_LOCK_MS = 5000
"""A store that is opened by a request waits no longer for a process that migrates."""
PATIENCE_SECONDS = 30.0
"""Connecting takes libpq's ``connect_timeout`` for each host; this is for what comes after."""
STATEMENT_MS = 800
"""The server gives up before we do, so that an answer says why."""
LOCK_MS = 600
"""And before that it says that it waits for somebody else's lock."""
IDLE_IN_TRANSACTION_MS = 5000
"""A process that is stopped within a transaction gives its locks back."""
PREPARE_AFTER = 2
_INTERVAL_SECONDS = 0.1
"""How often a blocked thread looks for signals and at the deadline."""

# Behind a pooler that hands out server connections by transaction, settings of the session would
# stay with others and prepared statements vanish. Its process id is not the server's.
_SETTLE: LiteralString = """
SELECT pg_catalog.set_config('statement_timeout', %s, false),
    pg_catalog.set_config('lock_timeout', %s, false),
    pg_catalog.set_config('idle_in_transaction_session_timeout', %s, false),
    pg_catalog.set_config('default_transaction_isolation', 'read committed', false)
WHERE pg_catalog.pg_backend_pid() = %s
"""

_READ_ONLY = "25006"
_REMEDIES = {
    "28": "it refuses these credentials; correct user and password",
    "3D": "there is no such database; create it",
    "42501": "this role may not do that; grant it the tables' rights (and CREATE on the schema for "
    "migrations)",
    "42P01": "the tables are not there; call open(), and check the search_path",
    "42883": "the functions are not there; call open(), and check the search_path",
    "53": "it is out of resources (disk, memory or connections); free some, or lower ?pool=",
    _READ_ONLY: "it is read-only, a standby or a demoted primary; name the primary, or all hosts",
    "55P03": "somebody else's transaction kept a lock; end that one, then retry",
    "57014": "it took too long; look at its load and at long transactions, then retry",
    "57P": "it is starting, stopping or was restarted; retry",
}
"""By SQLSTATE, or what it begins with."""


_KINDS = (
    "Connection refused", "timeout expired", "could not translate host name",
    "password authentication failed", "no password supplied", "no pg_hba.conf entry",
    "certificate", "SSL", "does not exist", "is starting up", "is shutting down",
    "too many clients", "remaining connection slots", "session is read-only",
    "server closed the connection", "closed meanwhile", "the event loop is ending",
)  # fmt: skip
"""What may be told of a failure to connect, where the text has it."""


class Overdue(psycopg.OperationalError):
    """There was no answer before the deadline; whether the server acted is not known."""


class NotPrimary(psycopg.OperationalError):
    """A standby answered, or what is one now; nothing was decided."""


class BlockingConnection(psycopg.Connection[Row]):
    """Blocks its thread until the deadline at most."""

    deadline: float = inf
    """On the monotonic clock."""

    def wait(  # type: ignore[override]
        self, gen: Generator[Any, Any, T], interval: float = _INTERVAL_SECONDS
    ) -> T:
        """Drive a generator of libpq's protocol to its end."""
        try:
            return psycopg.waiting.wait(
                _until(self.deadline, gen), self.pgconn.socket, interval=_pause(self.deadline)
            )
        except BaseException:
            discard(self)
            raise


class LoopConnection(psycopg.AsyncConnection[Row]):
    """Waits in an event loop, until the deadline at most."""

    deadline: float = inf
    """On the monotonic clock."""

    async def wait(  # type: ignore[override]
        self, gen: Generator[Any, Any, T], interval: float = _INTERVAL_SECONDS
    ) -> T:
        """Drive a generator of libpq's protocol to its end."""
        try:
            return await psycopg.waiting.wait_async(
                _until(self.deadline, gen), self.pgconn.socket, interval=_pause(self.deadline)
            )
        except BaseException:
            discard(self)
            raise


AnyConnection = BlockingConnection | LoopConnection


def _pause(deadline: float) -> float:
    return max(0.001, min(_INTERVAL_SECONDS, deadline - time.monotonic()))


def _until(deadline: float, steps: Generator[Any, Any, T]) -> Generator[Any, Any, T]:
    """Go through the steps while there is time; a wait that found nothing ready sends 0."""
    try:
        wanted = next(steps)
        while True:
            is_ready = yield wanted
            if not is_ready and time.monotonic() >= deadline:
                raise Overdue("no answer before the deadline")
            wanted = steps.send(is_ready)
    except StopIteration as end:
        answer: T = end.value
        return answer


def connect(conninfo: str) -> BlockingConnection:
    """Connect, blocking.

    Raises:
        psycopg.Error: No host could be reached, or none let us in.
    """
    connection = BlockingConnection.connect(
        conninfo, autocommit=True, prepare_threshold=PREPARE_AFTER
    )
    connection.deadline = time.monotonic() + DEADLINE_SECONDS
    _settled(connection, connection.execute(*_settings(connection)).fetchall())
    return connection


async def connect_async(conninfo: str) -> LoopConnection:
    """Connect in the running event loop.

    Raises:
        psycopg.Error: No host could be reached, or none let us in.
    """
    connection = await LoopConnection.connect(
        conninfo, autocommit=True, prepare_threshold=PREPARE_AFTER
    )
    connection.deadline = time.monotonic() + DEADLINE_SECONDS
    cursor = await connection.execute(*_settings(connection))
    _settled(connection, await cursor.fetchall())
    return connection


def _settings(connection: AnyConnection) -> tuple[LiteralString, tuple[object, ...]]:
    times = (STATEMENT_MS, LOCK_MS, IDLE_IN_TRANSACTION_MS)
    return _SETTLE, (*map(str, times), connection.pgconn.backend_pid)


def _settled(connection: AnyConnection, rows: list[Row]) -> None:
    if not rows:
        connection.prepare_threshold = None


def discard(connection: AnyConnection) -> None:
    """Give a connection up for good; never waits."""
    connection.pgconn.finish()


def is_reusable(connection: AnyConnection) -> bool:
    """Tell whether nothing is under way on a connection."""
    return connection.pgconn.transaction_status == psycopg.pq.TransactionStatus.IDLE


def is_quiet(connection: AnyConnection) -> bool:
    """Tell whether an idle connection has heard nothing: the server speaks unasked to say goodbye."""
    look = select.poll()
    look.register(connection.pgconn.socket, select.POLLIN)
    return not look.poll(0)


def may_repeat(error: psycopg.Error, connection: AnyConnection, *, is_repeatable: bool) -> bool:
    """Tell whether to ask once more, on another connection.

    Args:
        error: What happened.
        connection: Where; it is given up if its server is no primary any more.
        is_repeatable: Whether asking twice is as good as asking once.
    """
    if isinstance(error, NotPrimary) or error.sqlstate == _READ_ONLY:
        discard(connection)
        return True  # it did nothing, and another host may be the primary
    return is_repeatable and connection.closed and not isinstance(error, Overdue)


def store_error(error: psycopg.Error, name: str) -> StoreError:
    """Say what a failure means.

    The server's own texts are left out: they quote values. So are libpq's, on connecting: where a
    password was not escaped, part of it may stand for a host, a user or a database.
    """
    if isinstance(error, Overdue):
        remedy = (
            f"no answer within {DEADLINE_SECONDS:g} s; check the network and its load, then retry"
        )
        return StoreError(f"the database {name}: {remedy}")
    state = _READ_ONLY if isinstance(error, NotPrimary) else error.sqlstate
    if state is None and not isinstance(error, psycopg.OperationalError):
        return StoreError(
            f"the database {name} cannot keep this value ({type(error).__name__}); pass plain text, "
            "without NUL"
        )
    if state is None:
        said = str(error)
        kind = next((kind for kind in _KINDS if kind in said), type(error).__name__)
        return StoreError(
            f"the database {name} cannot be reached; check that it runs and the url ({kind})"
        )
    remedy = next(
        (what for start, what in _REMEDIES.items() if state.startswith(start)),
        "see the cause; nothing was decided",
    )
    return StoreError(f"the database {name}: {remedy} ({type(error).__name__}, SQLSTATE {state})")
