"""Recorded runs: several processes do everything at once, and the judge reads what they wrote."""

import asyncio
import collections
import random
import secrets

import pytest
from engines import TABLE, Engine
from faults.history import Operation, Violation, judge
from faults.interleaving import interleaving
from faults.processes import IS_FULL, child, ending, results_of, wait_until_ready
from faults.recorder import Recorder, read_histories
from faults.workload import GRACE_SECONDS, SETTINGS, Shelf, Worker

from sojourn import AsyncSojourn
from sojourn.stores.memory import MemoryStore

PROCESSES = 3
OPERATIONS = 60_000 if IS_FULL else 6_000
"""Of each process; a refresh at once counts for one."""
NAMES = tuple(f"p{n}" for n in range(PROCESSES))


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


async def run_engines(store: MemoryStore, folder, seed: int, operations: int = OPERATIONS) -> None:
    """Run several engines on one object: the "processes" of a store that ends with its process."""
    secret = secrets.token_urlsafe(48)
    engines = [AsyncSojourn(interleaving(store), secret=secret, **SETTINGS) for _ in NAMES]
    recorders = [Recorder(folder, name) for name in NAMES]
    shelves = [Shelf(folder, name) for name in NAMES]
    for auth in engines:
        await auth.core.ready()
    workers = [
        Worker(auth, recorder, shelf, random.Random(seed + n))
        for n, (auth, recorder, shelf) in enumerate(zip(engines, recorders, shelves, strict=True))
    ]
    await asyncio.gather(*(worker.work(operations) for worker in workers))
    for auth in engines:
        await auth.close()
    for one in (*recorders, *shelves):
        one.close()


@pytest.mark.slow
@pytest.mark.parametrize("engine", TABLE, ids=lambda engine: engine.name)
def test_recorded_run(engine: Engine, tmp_path):
    """Each session is one chain, nothing is accepted once it is over, roles change where told."""
    seed = random.randrange(10**9)
    place = engine.place(tmp_path)
    if engine.is_shared:
        run_processes(place.url, tmp_path, seed)
    else:
        asyncio.run(run_engines(place.memory, tmp_path, seed))
    history, violations = judged(tmp_path)
    print(f"seed {seed}; {told(engine.name, history, violations)}")
    outcomes = collections.Counter(one.outcome for one in history)
    assert [] == violations
    assert outcomes["ok"] > outcomes["unknown"], "the run says nothing"
