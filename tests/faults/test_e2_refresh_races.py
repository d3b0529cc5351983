"""E2: a refresh racing a logout, a password change, a revoke-all and a login; 1,000 times each.

Two engines work on one store, as two processes would; on engines over a network, a fifth as often
unless SOJOURN_FULL=1. Whatever the order, after the acknowledged
revocation none of the proofs ever handed out is accepted by either.
"""

import asyncio
import random
import secrets
import time
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from datetime import timedelta

import pytest
from engines import ENGINES, Engine
from faults.processes import IS_FULL

from sojourn import AsyncSojourn, Incoming, Need, Refused, SignedIn

URL = "http://127.0.0.1:8000"
LOCAL = ("memory", "sqlite")
SUSPENDING_SECONDS = 0.0001
ASKING = Need.of(max_lag=timedelta(0))


def rounds_on(engine: Engine) -> int:
    return 1000 if IS_FULL or engine.name in LOCAL else 200


@asynccontextmanager
async def two_engines(engine: Engine, tmp_path, **settings) -> AsyncIterator[list[AsyncSojourn]]:
    store = engine.place(tmp_path).store
    secret = secrets.token_urlsafe(48)
    options = {"mode": "hybrid", "url": URL, "secret": secret, **settings}
    async with AsyncSojourn(store, **options) as one, AsyncSojourn(store, **options) as two:
        yield [one, two]


ENDS = {
    "logout": lambda auth, _, bearer: auth.logout(bearer),
    # Another session changes the password and stays.
    "password_change": lambda auth, subject, _: auth.revoke_all(
        subject, keep=secrets.token_urlsafe(16)[:21] + "A", reason="password_changed"
    ),
    "revoke_all": lambda auth, subject, _: auth.revoke_all(subject),
}


async def refreshed(auth: AsyncSojourn, handle: str, given: list[SignedIn]) -> None:
    try:
        given.append(await auth.refresh(Incoming(), refresh_token=handle))
    except Refused:
        return


async def alive(engines: list[AsyncSojourn], given: list[SignedIn]) -> int:
    """Count the proofs that any engine still accepts when it asks."""
    count = 0
    for signed_in in given:
        for auth in engines:
            bearer = Incoming(authorization=f"Bearer {signed_in.access_token}")
            count += (await auth.check(bearer, need=ASKING)).principal is not None
    for auth in engines:
        try:
            await auth.refresh(Incoming(), refresh_token=given[-1].refresh_token)
            count += 1
        except Refused:
            pass
    return count


async def in_any_order(auth: AsyncSojourn, refreshing, ending) -> None:
    """Begin an end at any moment of a refresh: after a few turns of the loop, or round trips."""
    seconds = random.uniform(0, 1.5) * await seconds_of_a_read(auth)

    async def after(turns: int, action) -> None:
        for _ in range(turns):
            await asyncio.sleep(0)
        await action

    async def later(action) -> None:
        await asyncio.sleep(seconds)
        await after(random.randrange(6), action)

    await asyncio.gather(after(random.randrange(6), refreshing), later(ending))


async def seconds_of_a_read(auth: AsyncSojourn) -> float:
    """Measure how long the store lets a refresh wait before it writes; 0 where nothing suspends."""
    began = time.perf_counter()
    await auth.core.store.get("A" * 22)
    seconds = time.perf_counter() - began
    return seconds if seconds > SUSPENDING_SECONDS else 0


@pytest.mark.slow
@pytest.mark.parametrize("engine", ENGINES)
@pytest.mark.parametrize("race", sorted(ENDS))
async def test_refresh_races_an_end(race, engine: Engine, tmp_path):
    """After an acknowledged end nothing that a racing refresh handed out is alive."""
    rounds, survivors, wins = rounds_on(engine), 0, 0
    async with two_engines(engine, tmp_path) as engines:
        for number in range(rounds):
            subject = f"user-{number}"
            one, two = random.sample(engines, 2)
            first = await one.login(Incoming(), subject, transport="bearer")
            given = [first]
            bearer = Incoming(authorization=f"Bearer {first.access_token}")
            end = ENDS[race](two, subject, bearer)
            await in_any_order(one, refreshed(one, first.refresh_token, given), end)
            wins += len(given) > 1
            survivors += await alive(engines, given)
    print(f"E2 {race} on {engine.name}: {wins} of {rounds} refreshes won, {survivors} survivors")
    assert 0 == survivors


@pytest.mark.slow
@pytest.mark.parametrize("engine", ENGINES)
async def test_refresh_races_the_login_that_takes_its_place(engine: Engine, tmp_path):
    """With one session allowed, a racing refresh never leaves two sessions of a subject alive."""
    rounds, survivors = rounds_on(engine), 0
    async with two_engines(engine, tmp_path, max_sessions=1) as engines:
        for number in range(rounds):
            subject = f"user-{number}"
            one, two = random.sample(engines, 2)
            first = await one.login(Incoming(), subject, transport="bearer")
            given, latest = [first], []

            async def sign_in(two=two, subject=subject, latest=latest) -> None:
                latest.append(await two.login(Incoming(), subject, transport="bearer"))

            await in_any_order(one, refreshed(one, first.refresh_token, given), sign_in())
            survivors += await alive(engines, given)
            assert 1 == len(await one.sessions(subject))
            bearer = Incoming(authorization=f"Bearer {latest[0].access_token}")
            assert (await one.check(bearer, need=ASKING)).principal is not None
    print(f"E2 login on {engine.name}: {survivors} survivors in {rounds} rounds")
    assert 0 == survivors
