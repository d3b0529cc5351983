"""Recorded runs: several processes do everything at once, and the judge reads what they wrote."""

import asyncio
import collections
import random
import secrets

import pytest
from engines import ENGINES, Engine
from faults.engines_in_one import NAMES, run_engines
from faults.history import Operation, Violation, judge
from faults.processes import IS_FULL, child, ending, results_of, wait_until_ready
from faults.recorder import read_histories
from faults.workload import GRACE_SECONDS

OPERATIONS = 40_000 if IS_FULL else 4_000
"""Of each process; a refresh at once counts for one."""


def judged(folder) -> tuple[list[Operation], list[Violation]]:
    history = read_histories(folder)
    return history, judge(history, grace_ms=GRACE_SECONDS * 1000)


def told(engine: str, history: list[Operation], violations: list[Violation]) -> str:
    counts = collections.Counter(f"{one.name} {one.code or one.outcome}" for one in history)
    seconds = (max(one.start for one in history) - min(one.start for one in history)) / 1e9
    spread = ", ".join(f"{what} {n}" for what, n in sorted(counts.items()))
    lines = (
        f"history on {engine}: {len(history)} operations in {seconds:.1f} s, "
        f"{len(violations)} violations ({spread})",
        *map(str, violations[:5]),
    )
    return "\n".join(lines)


def run_processes(store: str, folder, seed: int) -> None:
    secret = secrets.token_urlsafe(48)
    children = [
        child("workload.py", store, folder, name, seed + n, OPERATIONS, secret=secret)
        for n, name in enumerate(NAMES)
    ]
    with ending(children):
        wait_until_ready(children)
        (folder / "go").touch()
        results_of(children)


@pytest.mark.slow
@pytest.mark.parametrize("engine", ENGINES)
def test_recorded_run(engine: Engine, tmp_path):
    """Each session is one chain, nothing is accepted once it is over, roles change where told."""
    seed = random.randrange(10**9)
    place = engine.place(tmp_path)
    if engine.is_shared:
        run_processes(place.url, tmp_path, seed)
    else:
        asyncio.run(run_engines(place.memory, tmp_path, seed=seed, operations=OPERATIONS))
    history, violations = judged(tmp_path)
    print(f"seed {seed}; {told(engine.name, history, violations)}")
    outcomes = collections.Counter(one.outcome for one in history)
    assert [] == violations
    assert outcomes["ok"] > outcomes["unknown"], "the run says nothing"
