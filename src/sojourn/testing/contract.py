"""The contract of `sojourn.ports.Store`, as tests for a store of your own.

Subclass `StoreContract`, say how a store is made, and let pytest find it. No plugin is needed: each
test is a plain method that runs an event loop of its own::

    from sojourn.testing.contract import StoreContract

    class TestMyStore(StoreContract):
        def make_store(self, clock):
            return MyStore(new_database(), clock=clock)

A blocking store is given as it is, and is then raced on threads; an asynchronous one in tasks of
one loop. `make_store` may be ``async def``. Where the data outlives the object, say how a second
process gets at it with `make_another`.

The suite is itself proven with the broken stores of `sojourn.testing.sabotage`.
"""

from __future__ import annotations

import asyncio
from collections.abc import Awaitable, Callable, Iterable

from sojourn.testing.clock import ManualClock
from sojourn.testing.promises.bench import AnyStore
from sojourn.testing.promises.creating import CreatePromises
from sojourn.testing.promises.ending import DeletePromises, DeleteSubjectPromises
from sojourn.testing.promises.feed import (
    PositionPromises,
    ReadPromises,
    RetentionPromises,
)
from sojourn.testing.promises.follower import FollowerPromises
from sojourn.testing.promises.races import RacePromises
from sojourn.testing.promises.records import (
    AuditPromises,
    DataPromises,
    DocumentPromises,
    UpkeepPromises,
)
from sojourn.testing.promises.sessions import GetPromises, ReplacePromises

Factory = Callable[[ManualClock], AnyStore | Awaitable[AnyStore]]


class StoreContract(
    CreatePromises,
    GetPromises,
    ReplacePromises,
    DeletePromises,
    DeleteSubjectPromises,
    PositionPromises,
    ReadPromises,
    RetentionPromises,
    FollowerPromises,
    DataPromises,
    DocumentPromises,
    AuditPromises,
    UpkeepPromises,
    RacePromises,
):
    """Everything a store promises; define `make_store` in a subclass."""


CONTRACT_TESTS = tuple(sorted(name for name in dir(StoreContract) if name.startswith("test_")))
"""The names of all tests."""


class _Given(StoreContract):
    def __init__(self, factory: Factory) -> None:
        self._factory = factory

    def make_store(self, clock: ManualClock) -> AnyStore | Awaitable[AnyStore]:
        return self._factory(clock)


async def run_contract(
    factory: Factory, *, tests: Iterable[str] = CONTRACT_TESTS
) -> dict[str, Exception]:
    """Run the contract without a test runner.

    Args:
        factory: Makes a new, empty, unopened store, as `StoreContract.make_store` does.
        tests: The names of the tests to run; all of them by default.

    Returns:
        The names of the tests that failed, each with its failure; empty for a store that keeps
        the contract.
    """
    suite = _Given(factory)
    failures: dict[str, Exception] = {}
    for name in tests:
        try:
            # Each test has an event loop of its own, so it needs a thread of its own here.
            await asyncio.to_thread(getattr(suite, name))
        except Exception as failure:  # noqa: BLE001 - whatever a broken store does is a failure
            failures[name] = failure
    return failures
