"""The judge of recorded runs is itself judged: a broken store does not get past it."""

import asyncio
import logging

import pytest
from faults.engines_in_one import run_engines
from faults.history import judge
from faults.recorder import read_histories
from faults.workload import GRACE_SECONDS

from sojourn.stores.memory import system_clock
from sojourn.testing.sabotage.ending import KeepIgnored, SilentWhereAbsent
from sojourn.testing.sabotage.feed import LossyFeed
from sojourn.testing.sabotage.sessions import EventForgotten, NoCompareAndSwap, Resurrecting

ROUNDS = 10
OPERATIONS = 800

SEEDED = {
    NoCompareAndSwap: "one generation has two successors",
    Resurrecting: "one generation has two successors",
    LossyFeed: "accepted after it was over",
    SilentWhereAbsent: "accepted after it was over",
    EventForgotten: "roles that had been changed were shown",
    KeepIgnored: "refused as ended, and nobody ended it",
}
"""Stores with one fault each, and the promise that its fault breaks."""

WEIGHTS = {
    Resurrecting: {"login": 15, "refresh": 60, "revoke": 25},
    LossyFeed: {"login": 30, "check": 50, "revoke": 20},
}
"""Where the usual mix seldom meets the fault."""


@pytest.mark.parametrize("broken", SEEDED, ids=lambda broken: broken.__name__)
def test_seeded_fault_is_caught(broken, tmp_path, caplog):
    """A recorded run on a broken store ends with the violation that its fault is."""
    caplog.set_level(logging.ERROR)  # a lossy feed has gaps, and says so each time
    found: set[str] = set()
    for seed in range(ROUNDS):
        folder = tmp_path / str(seed)
        folder.mkdir()
        mix = {"weights": WEIGHTS[broken]} if broken in WEIGHTS else {}
        store = broken(clock=system_clock)
        asyncio.run(run_engines(store, folder, seed=seed, operations=OPERATIONS, **mix))
        history = read_histories(folder)
        violations = judge(history, grace_ms=GRACE_SECONDS * 1000)
        found |= {one.promise for one in violations}
        if SEEDED[broken] in found:
            print(f"{broken.__name__}: caught in run {seed + 1}, {len(violations)} violations")
            return
    pytest.fail(f"{ROUNDS} runs on {broken.__name__} found only {found or 'nothing'}")
