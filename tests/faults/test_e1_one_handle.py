"""E1: 10,000 refreshes of one handle, 200 in flight, from 4 processes, on every engine."""

import collections
import json
import secrets
import time

import pytest
from engines import SHARED, Engine
from faults.processes import child, ending, results_of, wait_until_ready
from faults.refresher import URL, refresh_many

from sojourn import AsyncSojourn, Incoming

TOTAL = 10_000
IN_FLIGHT = 200
PROCESSES = 4
SECRET = secrets.token_urlsafe(48)


def engine_on(store: str, *, grace_seconds: int) -> AsyncSojourn:
    return AsyncSojourn(store, mode="hybrid", url=URL, secret=SECRET, grace_seconds=grace_seconds)


def run_processes(store: str, handle: str, *, grace_seconds: int, go) -> list[dict]:
    count, in_flight = TOTAL // PROCESSES, IN_FLIGHT // PROCESSES
    children = [
        child("refresher.py", store, handle, count, in_flight, grace_seconds, go, secret=SECRET)
        for _ in range(PROCESSES)
    ]
    with ending(children):
        wait_until_ready(children)
        go.touch()
        return [json.loads(printed) for printed in results_of(children)]


def summed(results: list[dict]) -> tuple[collections.Counter, set[str], list[str]]:
    outcomes: collections.Counter = collections.Counter()
    for result in results:
        outcomes.update(result["outcomes"])
    successors = {s for result in results for s in result["successors"]}
    tokens = [t for result in results for t in result["access_tokens"]]
    return outcomes, successors, tokens


async def judge_graceful(auth: AsyncSojourn, results: list[dict], about: str) -> None:
    outcomes, successors, tokens = summed(results)
    print(f"E1 in the window on {about}: {dict(outcomes)}, {len(successors)} successor(s)")
    assert {"ok": TOTAL} == dict(outcomes)
    assert 1 == len(successors)
    for token in tokens:
        checked = await auth.check(Incoming(authorization=f"Bearer {token}"))
        assert checked.principal is not None


async def judge_strict(auth: AsyncSojourn, results: list[dict], about: str) -> None:
    outcomes, successors, tokens = summed(results)
    print(f"E1 strict on {about}: {dict(outcomes)}, {len(successors)} successor(s)")
    assert 1 == outcomes["ok"]
    assert {"ok", "refresh_late"} == set(outcomes)
    assert TOTAL == outcomes.total()
    for token in tokens:
        checked = await auth.check(Incoming(authorization=f"Bearer {token}"))
        assert checked.principal is None, "the winner's token outlived the session"


@pytest.mark.slow
@pytest.mark.parametrize("engine", SHARED)
async def test_four_processes_in_the_window(engine: Engine, tmp_path):
    """Whoever asks, and however many at once, one successor exists and nobody gets an error."""
    store = engine.place(tmp_path).url
    async with engine_on(store, grace_seconds=60) as auth:
        first = await auth.login(Incoming(), "ann", transport="bearer")
        began = time.monotonic()
        results = run_processes(store, first.refresh_token, grace_seconds=60, go=tmp_path / "go")
        about = f"{engine.name} ({time.monotonic() - began:.1f} s)"
        await judge_graceful(auth, results, about)


@pytest.mark.slow
@pytest.mark.parametrize("engine", SHARED)
async def test_four_processes_strict(engine: Engine, tmp_path):
    """Without a window one asker wins, the next ends the session, the winner's token with it."""
    store = engine.place(tmp_path).url
    async with engine_on(store, grace_seconds=0) as auth:
        first = await auth.login(Incoming(), "ann", transport="bearer")
        began = time.monotonic()
        results = run_processes(store, first.refresh_token, grace_seconds=0, go=tmp_path / "go")
        about = f"{engine.name} ({time.monotonic() - began:.1f} s)"
        await judge_strict(auth, results, about)


@pytest.mark.slow
@pytest.mark.parametrize("grace_seconds", [60, 0])
async def test_memory_one_process(grace_seconds):
    """The same holds in one process on the memory store."""
    async with engine_on("memory://", grace_seconds=grace_seconds) as auth:
        first = await auth.login(Incoming(), "ann", transport="bearer")
        result = await refresh_many(auth, first.refresh_token, count=TOTAL, in_flight=IN_FLIGHT)
        if grace_seconds:
            await judge_graceful(auth, [result], "memory")
        else:
            await judge_strict(auth, [result], "memory")
