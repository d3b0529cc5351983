"""Recorded runs: several processes do everything at once, and the judge reads what they wrote."""

import asyncio
import collections
import random
import secrets
import time
from urllib.parse import urlsplit

import pytest
from engines import ENGINES, SHARED, Engine
from faults.engines_in_one import NAMES, run_engines
from faults.history import judge
from faults.operations import Operation, Violation
from faults.processes import IS_FULL, child, ending, results_of, wait_until_ready
from faults.recorder import read_histories
from faults.workload import GRACE_SECONDS
from proxy import Proxy

OPERATIONS = 40_000 if IS_FULL else 4_000
"""Of each process; several refreshes at once count for one."""
ONE_SERVER = ("postgres", "valkey")
GOOD_SECONDS = 0.3
SILENT_SECONDS = 1.2
"""Longer than an operation waits."""


def judged(folder) -> tuple[list[Operation], list[Violation]]:
    history = read_histories(folder)
    return history, judge(history, grace_ms=GRACE_SECONDS * 1000)


def told(engine: str, history: list[Operation], violations: list[Violation]) -> str:
    counts = collections.Counter(f"{one.name} {one.code or one.outcome}" for one in history)
    seconds = (max(one.start for one in history) - min(one.start for one in history)) / 1e9
    spread = ", ".join(f"{what} {n}" for what, n in sorted(counts.items()))
    count = f"{len(history)} operations in {seconds:.1f} s, {len(violations)} violations"
    return "\n".join((f"history on {engine}: {count} ({spread})", *map(str, violations[:5])))


def run_processes(store: str, folder, *, seed: int, operations: int, meanwhile=None) -> None:
    secret = secrets.token_urlsafe(48)
    children = [
        child("workload.py", store, folder, name, seed + n, operations, secret=secret)
        for n, name in enumerate(NAMES)
    ]
    with ending(children):
        wait_until_ready(children)
        (folder / "go").touch()
        while meanwhile is not None and all(one.poll() is None for one in children):
            meanwhile()
        results_of(children)


@pytest.mark.slow
@pytest.mark.parametrize("engine", ENGINES)
def test_recorded_run(engine: Engine, tmp_path):
    """Each session is one chain, nothing is accepted once it is over, roles change where told."""
    seed = random.randrange(10**9)
    place = engine.place(tmp_path)
    if engine.is_shared:
        run_processes(place.url, tmp_path, seed=seed, operations=OPERATIONS)
    else:
        asyncio.run(run_engines(place.memory, tmp_path, seed=seed, operations=OPERATIONS))
    history, violations = judged(tmp_path)
    print(f"seed {seed}; {told(engine.name, history, violations)}")
    outcomes = collections.Counter(one.outcome for one in history)
    assert [] == violations
    assert outcomes["ok"] > outcomes["unknown"], "the run says nothing"


@pytest.mark.slow
@pytest.mark.parametrize("engine", [one for one in SHARED if one.id in ONE_SERVER])
def test_recorded_run_on_a_bad_network(engine: Engine, tmp_path):
    """The same holds where connections break and go silent, and nobody knows what was done."""
    seed = random.randrange(10**9)
    url = engine.place(tmp_path).url
    port = urlsplit(url).port
    with Proxy(port) as way:

        def trouble() -> None:
            time.sleep(GOOD_SECONDS)
            way.drop()
            way.heal()
            time.sleep(GOOD_SECONDS)
            way.cut()
            time.sleep(SILENT_SECONDS)
            way.heal()

        run_processes(
            url.replace(f":{port}", f":{way.port}"),
            tmp_path,
            seed=seed,
            operations=OPERATIONS // 3,
            meanwhile=trouble,
        )
    history, violations = judged(tmp_path)
    about = f"{engine.name} on a bad network"
    print(f"seed {seed}; {told(about, history, violations)}")
    outcomes = collections.Counter(one.outcome for one in history)
    assert [] == violations
    assert outcomes["unknown"] > 0, "nothing went wrong"
    assert outcomes["ok"] > outcomes["unknown"], "the run says nothing"
