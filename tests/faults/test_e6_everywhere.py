"""E6: 1,000 revocations by one process are refused by four others, each at its next request or so.

Measured from the acknowledgement to the first request that is refused, asked every 2 ms: over
a store by `AsyncSojourn` and by `Sojourn`, and over HTTP by verifiers that never had the store. A
measurement that a busy machine spoilt is taken once more.
"""

import asyncio
import secrets
import time
from contextlib import asynccontextmanager
from dataclasses import dataclass
from pathlib import Path

import msgspec
import pytest
from engines import SHARED, Engine
from faults.processes import IS_FULL, child, ending, results_of, wait_until_ready
from faults.verifying import SETTINGS, Errand
from servers import running_server

from sojourn import ANY, AsyncSojourn, Incoming
from sojourn.server.app import Server
from sojourn.server.config import load_config

VERIFIERS = 4
REVOCATIONS = 1000
BLOCKING_REVOCATIONS = REVOCATIONS if IS_FULL else 300
PAUSE_SECONDS = 0.006
P99_MS = 50
MAX_MS = 1000
ATTEMPTS = 2
MODES = {"store": ("hybrid", "session", "jwt"), "http": ("hybrid", "jwt")}


@dataclass(frozen=True)
class Delays:
    """How long after the acknowledgement each process refused, sorted, in milliseconds."""

    ms: list[float]

    def at(self, share: float) -> float:
        return self.ms[min(len(self.ms) - 1, int(share * len(self.ms)))]

    @property
    def holds(self) -> bool:
        return self.at(0.99) <= P99_MS and self.ms[-1] <= MAX_MS

    def __str__(self) -> str:
        """Give the figures."""
        return (
            f"p50 {self.at(0.5):.1f} ms, p99 {self.at(0.99):.1f} ms, max {self.ms[-1]:.1f} ms "
            f"of {len(self.ms)}"
        )


async def measure(
    auth: AsyncSojourn,
    folder: Path,
    *,
    face: str,
    where: str,
    count: int,
    secret: str,
    feed_token="",
) -> Delays:
    """Sign in, start the verifiers, revoke one after the other."""
    modes = MODES["http" if feed_token else "store"]
    signed_in = [
        await auth.login(Incoming(), f"user-{n}", mode=modes[n % len(modes)], transport="bearer")
        for n in range(count)
    ]
    file = folder / f"{secrets.token_hex(4)}.json"
    errand = Errand([one.access_token for one in signed_in], feed_token)
    file.write_bytes(msgspec.json.encode(errand))
    children = [child("verifying.py", face, where, file, secret=secret) for _ in range(VERIFIERS)]
    with ending(children):
        await asyncio.to_thread(wait_until_ready, children)
        acknowledged = []
        for one in signed_in:
            await auth.revoke(one.principal.sid, subject=ANY)
            acknowledged.append(time.monotonic_ns())
            await asyncio.sleep(PAUSE_SECONDS)
        printed = await asyncio.to_thread(results_of, children)
    delays = []
    for text in printed:
        refused = msgspec.json.decode(text, type=list[int])
        pairs = zip(acknowledged, refused, strict=True)
        delays += [max(0, there - here) / 1e6 for here, there in pairs]
    return Delays(sorted(delays))


async def judge(about: str, measuring) -> None:
    """Measure, once more where the bounds are missed, and say so."""
    for attempt in range(1, ATTEMPTS + 1):
        delays = await measuring()
        again = "" if attempt == 1 else " (measured again: the machine was busy)"
        print(f"E6 {about}: {delays}{again}")
        if delays.holds:
            return
    pytest.fail(f"{about}: {delays}; p99 may be {P99_MS} ms and max {MAX_MS} ms")


@pytest.mark.slow
@pytest.mark.parametrize("face", ["async", "sync"])
@pytest.mark.parametrize("engine", SHARED)
async def test_revoked_everywhere(engine: Engine, face, tmp_path):
    """Four processes on a store refuse within 50 ms (p99) what a fifth revoked, never later than 1 s."""
    place, secret = engine.place(tmp_path), secrets.token_urlsafe(48)
    count = REVOCATIONS if face == "async" else BLOCKING_REVOCATIONS
    async with AsyncSojourn(place.url, secret=secret, **SETTINGS) as auth:
        await judge(
            f"on {engine.name}, {face}",
            lambda: measure(auth, tmp_path, face=face, where=place.url, count=count, secret=secret),
        )


@asynccontextmanager
async def beside(server):
    """Open a running server's store from here, as another server would."""
    one = Server(load_config(environ={"SOJOURN_DATA": str(server.data), "SOJOURN_URL": server.url}))
    await one.open()
    try:
        yield one
    finally:
        await one.close()


@pytest.mark.slow
@pytest.mark.parametrize("face", ["async_verifier", "verifier"])
async def test_revoked_everywhere_over_http(face, tmp_path):
    """Four services without the store refuse as fast what another process than their server revoked."""
    count = REVOCATIONS if face == "async_verifier" else BLOCKING_REVOCATIONS
    with running_server(tmp_path) as server:
        async with beside(server) as one:
            feed_token = await one.verifiers.add("everywhere")
            await judge(
                f"over HTTP, {face}",
                lambda: measure(
                    one.sojourn,
                    tmp_path,
                    face=face,
                    where=server.url,
                    count=count,
                    secret=secrets.token_urlsafe(48),
                    feed_token=feed_token,
                ),
            )
