"""A primary that dies: with `?replicas=1`, what was acknowledged is acknowledged for good."""

import asyncio
import time

import pytest
from services_valkey import running_valkey_cluster, running_valkey_sentinel

from sojourn import AsyncSojourn, Incoming, Need, SojournError

URL = "http://127.0.0.1:8000"
SECRET = "Jq7-first-server-secret-of-the-tests-0123456789abcdef"
ASK = Need(max_lag_seconds=0)
PEOPLE = 60
PATIENCE_SECONDS = 60


def process(url, mode):
    return AsyncSojourn(url, mode=mode, url=URL, secret=SECRET)


def bearer(signed_in):
    return Incoming(authorization=f"Bearer {signed_in.access_token}")


async def serves_again(auth):
    """Wait until a sign-in works, and tell how long that took."""
    began = time.monotonic()
    while time.monotonic() - began < PATIENCE_SECONDS:
        try:
            await auth.login(Incoming(), "somebody", transport="bearer")
        except SojournError:
            await asyncio.sleep(0.05)
        else:
            return time.monotonic() - began
    raise AssertionError("nobody can sign in any more")


async def revoke_while_dying(auth, people, kill):
    """Revoke one after the other, with the primary killed in the middle; tells who was acknowledged."""
    acknowledged = []
    for number, signed_in in enumerate(people):
        if number == len(people) // 2:
            await asyncio.to_thread(kill)
        try:
            await auth.revoke(signed_in.principal.sid, subject=signed_in.principal.subject)
        except SojournError:
            if number > len(people) // 2 + 3:
                break  # the outcome of each is not known; the failover goes on
        else:
            acknowledged.append(signed_in)
    return acknowledged


async def nothing_acknowledged_is_undone(url, mode, kill):
    here = process(url, mode)
    people = [
        await here.login(Incoming(), f"person {n}", transport="bearer") for n in range(PEOPLE)
    ]
    assert all([(await here.check(bearer(one))).principal for one in people])
    acknowledged = await revoke_while_dying(here, people, kill)
    await here.close()  # whoever knew is gone: the engine alone has to know
    newcomer = process(url, mode)
    seconds = await serves_again(newcomer)
    undone = [
        one
        for one in acknowledged
        if (await newcomer.check(bearer(one), need=ASK)).principal is not None
    ]
    await newcomer.close()
    assert len(acknowledged) >= PEOPLE // 2
    assert [] == undone
    return len(acknowledged), seconds


@pytest.mark.slow
@pytest.mark.parametrize("mode", ["session", "jwt"])
async def test_sentinel(mode):
    """The primary is killed among revocations; the replica that takes its place knows each acknowledged one."""
    with running_valkey_sentinel(replicas=2) as service:
        service.wait_until_whole()
        url = f"{service.url}?replicas=1"
        count, seconds = await nothing_acknowledged_is_undone(url, mode, service.primary.kill)
        print(
            f"sentinel, {mode}: {count} acknowledged, 0 undone, serving again after {seconds:.1f} s"
        )


@pytest.mark.slow
async def test_cluster():
    """The same on a cluster of three primaries with two replicas each, one primary killed."""
    with running_valkey_cluster(replicas=2) as cluster:
        cluster.wait_until_whole()
        nodes = ",".join(url.split("//")[1].split("/")[0] for url in cluster.urls)
        url = f"redis+cluster://{nodes}?replicas=1"
        kill = cluster.primaries[0].kill
        count, seconds = await nothing_acknowledged_is_undone(url, "session", kill)
        print(f"cluster: {count} acknowledged, 0 undone, serving again after {seconds:.1f} s")
