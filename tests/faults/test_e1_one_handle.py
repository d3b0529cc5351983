"""E1: 10,000 refreshes of one handle, 200 in flight, from 4 processes."""

import collections
import json
import os
import secrets
import subprocess
import sys
from pathlib import Path

import pytest
from faults.refresher import URL, refresh_many

from sojourn import AsyncSojourn, Incoming

TOTAL = 10_000
IN_FLIGHT = 200
PROCESSES = 4
SECRET = secrets.token_urlsafe(48)


def engine(store: str, *, grace_seconds: int) -> AsyncSojourn:
    return AsyncSojourn(store, mode="hybrid", url=URL, secret=SECRET, grace_seconds=grace_seconds)


def run_processes(store: str, handle: str, *, grace_seconds: int, go: Path) -> list[dict]:
    command = [
        sys.executable,
        str(Path(__file__).with_name("refresher.py")),
        store,
        handle,
        str(TOTAL // PROCESSES),
        str(IN_FLIGHT // PROCESSES),
        str(grace_seconds),
        str(go),
    ]
    env = {**os.environ, "SOJOURN_SECRET": SECRET}
    children = [
        subprocess.Popen(
            command, env=env, text=True, stdout=subprocess.PIPE, stderr=subprocess.PIPE
        )
        for _ in range(PROCESSES)
    ]
    try:
        for child in children:
            assert child.stdout is not None
            line = child.stdout.readline()
            assert line == "ready\n", child.stderr and child.stderr.read()
        go.touch()
        results = []
        for child in children:
            out, err = child.communicate(timeout=300)
            assert child.returncode == 0, err
            results.append(json.loads(out))
        return results
    finally:
        for child in children:
            if child.poll() is None:
                child.kill()
                child.communicate()


def summed(results: list[dict]) -> tuple[collections.Counter, set[str], list[str]]:
    outcomes: collections.Counter = collections.Counter()
    for result in results:
        outcomes.update(result["outcomes"])
    successors = {s for result in results for s in result["successors"]}
    tokens = [t for result in results for t in result["access_tokens"]]
    return outcomes, successors, tokens


async def judge_graceful(auth: AsyncSojourn, results: list[dict]) -> None:
    outcomes, successors, tokens = summed(results)
    print(f"E1 in the window: {dict(outcomes)}, {len(successors)} successor(s)")
    assert {"ok": TOTAL} == dict(outcomes)
    assert 1 == len(successors)
    for token in tokens:
        checked = await auth.check(Incoming(authorization=f"Bearer {token}"))
        assert checked.principal is not None


async def judge_strict(auth: AsyncSojourn, results: list[dict]) -> None:
    outcomes, successors, tokens = summed(results)
    print(f"E1 strict: {dict(outcomes)}, {len(successors)} successor(s)")
    assert 1 == outcomes["ok"]
    assert {"ok", "refresh_late"} == set(outcomes)
    assert TOTAL == outcomes.total()
    for token in tokens:
        checked = await auth.check(Incoming(authorization=f"Bearer {token}"))
        assert checked.principal is None, "the winner's token outlived the session"


@pytest.mark.slow
async def test_sqlite_four_processes_in_the_window(tmp_path):
    """Whoever asks, and however many at once, one successor exists and nobody gets an error."""
    store = f"sqlite:///{tmp_path / 'e1.db'}"
    async with engine(store, grace_seconds=60) as auth:
        first = await auth.login(Incoming(), "ann", transport="bearer")
        results = run_processes(store, first.refresh_token, grace_seconds=60, go=tmp_path / "go")
        await judge_graceful(auth, results)


@pytest.mark.slow
async def test_sqlite_four_processes_strict(tmp_path):
    """Without a window one asker wins, the next ends the session, the winner's token with it."""
    store = f"sqlite:///{tmp_path / 'e1.db'}"
    async with engine(store, grace_seconds=0) as auth:
        first = await auth.login(Incoming(), "ann", transport="bearer")
        results = run_processes(store, first.refresh_token, grace_seconds=0, go=tmp_path / "go")
        await judge_strict(auth, results)


@pytest.mark.slow
@pytest.mark.parametrize("grace_seconds", [60, 0])
async def test_memory_one_process(grace_seconds):
    """The same holds in one process on the memory store."""
    async with engine("memory://", grace_seconds=grace_seconds) as auth:
        first = await auth.login(Incoming(), "ann", transport="bearer")
        result = await refresh_many(auth, first.refresh_token, count=TOTAL, in_flight=IN_FLIGHT)
        if grace_seconds:
            await judge_graceful(auth, [result])
        else:
            await judge_strict(auth, [result])
