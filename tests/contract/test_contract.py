"""The suite itself: how it is given a store, and how it says what failed."""

import asyncio
import subprocess
import sys

import pytest

from sojourn.errors import StoreError
from sojourn.ports import inline
from sojourn.stores.memory import MemoryStore
from sojourn.testing.clock import ManualClock
from sojourn.testing.contract import CONTRACT_TESTS, StoreContract, run_contract
from sojourn.testing.promises.bench import Bench, equal, sure

A_TEST = "test_a_created_session_is_read_back"


def test_a_clock_moves_when_told_to():
    """A manual clock stands still, moves on by seconds and may be set back."""
    clock = ManualClock(now_ms=5000)
    readings = [clock(), clock()]
    for seconds in (1, 0.25, -2):
        clock.advance(seconds=seconds)
        readings.append(clock())
    assert readings == [5000, 5000, 6000, 6250, 4250]


def test_each_test_states_its_promise():
    """Each test of the contract has a docstring, and none asks a runner for a fixture."""
    tests = [getattr(StoreContract, name) for name in CONTRACT_TESTS]
    assert [test.__name__ for test in tests if not test.__doc__] == []
    assert {test.__code__.co_argcount for test in tests} == {1}
    assert [name for name in CONTRACT_TESTS if len(name) > 60] == []


def test_neither_pytest_nor_a_plugin_is_needed():
    """The suite, its clock and the sabotaged stores are imported without pytest."""
    program = (
        "import sys, sojourn.testing.contract, sojourn.testing.sabotage; "
        "sys.exit('pytest' in sys.modules)"
    )
    done = subprocess.run([sys.executable, "-c", program], check=False, timeout=60)
    assert done.returncode == 0


async def test_asserting_survives_optimisation():
    """Failures are raised, not asserted, so that ``python -O`` checks as much."""
    equal(1, 1, "one")
    sure([1], "something")
    with pytest.raises(AssertionError, match="the answer: expected 1, got 2"):
        equal(1, 2, "the answer")
    with pytest.raises(AssertionError, match="nothing"):
        sure([], "nothing")


async def test_a_store_of_either_kind_is_taken():
    """A factory may return a blocking or an asynchronous store, or an awaitable of one."""

    async def later(clock):
        await asyncio.sleep(0)
        return inline(MemoryStore(clock=clock))

    assert await run_contract(later, tests=[A_TEST]) == {}
    blocking = await run_contract(lambda clock: MemoryStore(clock=clock), tests=[A_TEST])
    assert blocking == {}


async def test_a_failing_store_fails_by_name():
    """What a store raises is reported under the test's name, and the other tests are run."""

    class Failing(MemoryStore):
        def get(self, sid):
            raise StoreError("no answer")

    names = [A_TEST, "test_ids_follow_the_clock"]
    failures = await run_contract(lambda clock: Failing(clock=clock), tests=names)
    assert [(name, str(failure)) for name, failure in failures.items()] == [(A_TEST, "no answer")]


async def test_a_failing_reader_fails_by_name():
    """What a reader raises in its thread is reported, too."""

    class Failing(MemoryStore):
        def feed(self):
            raise StoreError("no reader")

    names = [name for name in CONTRACT_TESTS if "reader" in name or "wait_ends" in name]
    failures = await run_contract(lambda clock: Failing(clock=clock), tests=names)
    assert set(failures) == set(names)


async def test_a_suite_without_a_store_says_so():
    """The one thing that a subclass must define is named."""
    with pytest.raises(NotImplementedError, match="must define make_store"):
        await StoreContract().keep(Bench.head)
