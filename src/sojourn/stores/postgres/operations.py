"""The operations of a blocking store on PostgreSQL, wherever their connections come from."""

from __future__ import annotations

from abc import ABC, abstractmethod
from collections.abc import Callable
from typing import Any, Concatenate, ParamSpec, TypeVar

from sojourn.ports import Clock
from sojourn.stores.postgres import records, statements as sessions
from sojourn.stores.postgres.statements import Flow, Statement

P = ParamSpec("P")
T = TypeVar("T")
F = TypeVar("F", bound=Callable[..., Any])


def named(operation: F, described: Callable[..., Any]) -> F:
    """Give an operation the name and words of its description."""
    operation.__name__ = described.__name__
    operation.__doc__ = described.__doc__
    return operation


def _blocking(
    describe: Callable[Concatenate[int | None, P], Statement[T]],
) -> Callable[Concatenate[PostgresOperations, P], T]:
    def operation(self: PostgresOperations, /, *args: P.args, **kwargs: P.kwargs) -> T:
        return self.run(describe(self.now_ms(), *args, **kwargs))

    return named(operation, describe)


def _blocking_steps(
    describe: Callable[Concatenate[int | None, P], Flow[T]],
) -> Callable[Concatenate[PostgresOperations, P], T]:
    def operation(self: PostgresOperations, /, *args: P.args, **kwargs: P.kwargs) -> T:
        flow = describe(self.now_ms(), *args, **kwargs)
        answer = None
        while True:
            try:
                statement = flow.send(answer)
            except StopIteration as end:
                result: T = end.value
                return result
            answer = self.run(statement)

    return named(operation, describe)


class PostgresOperations(ABC):
    """The operations of `Store`, but for beginning, ending and following.

    Args:
        clock: A test's clock; without one the server's.
    """

    def __init__(self, *, clock: Clock | None) -> None:
        """Run nothing yet."""
        self._clock = clock

    def now_ms(self) -> int | None:
        """Read a test's clock, if there is one."""
        return None if self._clock is None else self._clock()

    @abstractmethod
    def run(self, statement: Statement[T]) -> T:
        """Send a statement and understand its answer."""

    head = _blocking(records.head)
    create = _blocking(sessions.create)
    get = _blocking(sessions.get)
    replace = _blocking(sessions.replace)
    delete = _blocking(sessions.delete)
    delete_subject = _blocking_steps(sessions.delete_subject)
    list = _blocking(sessions.list_sessions)
    append = _blocking(records.append)
    read = _blocking(records.read)
    get_data = _blocking(records.get_data)
    put_data = _blocking(records.put_data)
    get_document = _blocking(records.get_document)
    put_document = _blocking(records.put_document)
    read_audit = _blocking(records.read_audit)
    purge = _blocking_steps(records.purge)
