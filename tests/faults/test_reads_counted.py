"""What a check costs, counted at the client library on every engine: nothing, and a write a minute."""

import asyncio
import inspect
import secrets
import time
from contextlib import AsyncExitStack
from datetime import timedelta

import pytest
from engines import SHARED, Engine
from faults.counting import counted
from faults.verifying import SETTINGS

from sojourn import AsyncSojourn, Incoming, Need, Sojourn
from sojourn.stores.memory import system_clock

CHECKS = 200
MINUTES = {"session": 2, "hybrid": 1, "jwt": 1}
MINUTE_MS = 61_000
PATIENCE_SECONDS = 20
ASKING = Need.of(max_lag=timedelta(0))
FACES = {"async": AsyncSojourn, "sync": Sojourn}


class Clock:
    """The system's, and what a test adds to it."""

    def __init__(self) -> None:
        self.added_ms = 0

    def __call__(self) -> int:
        return system_clock() + self.added_ms


class Process:
    """An engine of either face, awaited."""

    def __init__(self, auth) -> None:
        self.auth = auth

    async def run(self, name: str, *args, **kwargs):
        answer = getattr(self.auth, name)(*args, **kwargs)
        return await answer if inspect.isawaitable(answer) else answer

    async def sign_in(self, mode: str) -> Incoming:
        signed_in = await self.run(
            "login", Incoming(), "ann", mode=mode, transport="bearer", roles={"reader"}
        )
        return Incoming(authorization=f"Bearer {signed_in.access_token}")

    async def roles(self, incoming: Incoming, times: int = 1, **options) -> set[frozenset[str]]:
        """Check some times, and give which roles were shown."""
        return {
            (await self.run("check", incoming, **options)).require().roles for _ in range(times)
        }

    async def until(self, condition, about: str) -> None:
        deadline = time.monotonic() + PATIENCE_SECONDS
        while not condition():
            assert time.monotonic() < deadline, about
            await asyncio.sleep(0.005)

    async def become_fresh(self) -> None:
        """Wait until the follower has read, and nobody else has anything to do."""
        await self.until(lambda: self.auth.core.picture.lag_ms() < 2500, "never fresh")


@pytest.fixture(params=FACES)
def face(request):
    return FACES[request.param]


@pytest.fixture
async def processes(face, request, tmp_path, monkeypatch):
    """Two engines on a store, a clock they share, and the counts of both."""
    engine: Engine = request.getfixturevalue("engine")
    url, clock, secret = engine.place(tmp_path).url, Clock(), secrets.token_urlsafe(48)
    async with AsyncExitStack() as stack:
        counts = stack.enter_context(counted(monkeypatch))
        other = AsyncSojourn(url, clock=clock, secret=secret, **SETTINGS)
        await stack.enter_async_context(other)
        auth = face(url, clock=clock, secret=secret, **SETTINGS)
        if face is AsyncSojourn:
            await stack.enter_async_context(auth)
        else:
            stack.enter_context(auth)
        yield Process(auth), Process(other), clock, counts


@pytest.mark.slow
@pytest.mark.parametrize("mode", ["session", "hybrid", "jwt"])
@pytest.mark.parametrize("engine", SHARED)
async def test_steady_state(engine: Engine, mode, processes):
    """Checks read nothing; a session's "last seen" is one write a minute, a token's is none."""
    process, _, clock, counts = processes
    incoming = await process.sign_in(mode)
    await process.become_fresh()
    await process.roles(incoming)
    counts.take()
    await process.roles(incoming, CHECKS)
    steady = counts.take()
    minutes = []
    for _ in range(1 + MINUTES[mode]):
        clock.added_ms += MINUTE_MS
        await process.become_fresh()
        counts.take()
        await process.roles(incoming, CHECKS)
        minutes.append(counts.take())
    del minutes[0]  # a script that the server sees for the first time is sent twice
    print(
        f"{CHECKS} checks, {mode} on {engine.name}, {type(process.auth).__name__}: {steady} calls, "
        f"then {minutes} in each minute; {counts.by_the_follower} of the follower"
    )
    assert 0 == steady
    assert [1 if mode == "session" else 0] * MINUTES[mode] == minutes


@pytest.mark.parametrize("mode", ["session", "hybrid", "jwt"])
@pytest.mark.parametrize("engine", SHARED)
async def test_asking(engine: Engine, mode, processes):
    """A route that always asks costs exactly one read a check."""
    process, _, _, counts = processes
    incoming = await process.sign_in(mode)
    await process.roles(incoming, need=ASKING)
    counts.take()
    await process.roles(incoming, 10, need=ASKING)
    assert 10 == counts.take()


@pytest.mark.parametrize("engine", SHARED)
async def test_role_change(engine: Engine, processes):
    """New roles given in another process are shown after one read, and the next checks read nothing."""
    process, other, _, counts = processes
    incoming = await process.sign_in("session")
    await process.become_fresh()
    assert {frozenset({"reader"})} == await process.roles(incoming, 10)
    await other.run("update", "ann", roles={"admin"})
    await process.until(lambda: process.auth.core.picture.view.changed, "never heard of it")
    counts.take()
    assert {frozenset({"admin"})} == await process.roles(incoming)
    assert 1 == counts.take()
    assert {frozenset({"admin"})} == await process.roles(incoming, CHECKS)
    assert 0 == counts.take()
