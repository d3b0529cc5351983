"""E7 over HTTP: services without the store are cut off from their server for 60 s, and heal.

As over a store (`test_e7_cut_feed`): they know that they are stale, act by their policy, and have caught
up within 2 s of healing, with nothing missed of what was revoked meanwhile. The short form cuts for a
few real seconds and then leaves the follower as tired as 60 s of failures would have.
"""

import time
from contextlib import AsyncExitStack

import pytest
from faults.processes import IS_FULL
from faults.test_e7_cut_feed import CAUGHT_UP_SECONDS, CUT_SECONDS, POLICIES, REVOKED, Elapsing
from proxy import Proxy
from servers import free_port, running_server

from sojourn import ANY, Incoming, Issuer, Stale, Verifier
from sojourn.server.app import Server
from sojourn.server.config import load_config
from sojourn.verifier import IssuerUnavailable

REAL_SECONDS = CUT_SECONDS if IS_FULL else 5
"""A stream without a byte for 3.5 s is given up."""
TIRED = 10
"""So often an attempt has failed after 60 s."""
MAX_LAG_SECONDS = 5
PATIENCE_SECONDS = 20


def code(verifier, token: str) -> str:
    """Tell how a service answers a request."""
    try:
        checked = verifier.check(Incoming(authorization=f"Bearer {token}"))
    except (Stale, IssuerUnavailable) as error:
        return error.code
    return checked.refusal.code if checked.refusal else ""


def until(condition, about: str) -> float:
    began = time.monotonic()
    while not condition():
        assert time.monotonic() < began + PATIENCE_SECONDS, about
        time.sleep(0.005)
    return time.monotonic() - began


@pytest.mark.slow
@pytest.mark.filterwarnings("ignore::sojourn.SecurityWarning")
async def test_services_are_cut_off(tmp_path):
    """Each service knows that it is stale, acts by its policy, and misses nothing."""
    port, clock = free_port(), Elapsing()
    async with AsyncExitStack() as stack:
        way = stack.enter_context(Proxy(port))
        url = f"http://127.0.0.1:{way.port}"
        env = {"SOJOURN_URL": url, "SOJOURN_PORT": str(port)}
        server = stack.enter_context(running_server(tmp_path, **env))
        config = load_config(environ={"SOJOURN_DATA": str(server.data), "SOJOURN_URL": url})
        beside = Server(config)  # as another server on the same store, which is not cut off
        await beside.open()
        stack.push_async_callback(beside.close)
        issuer = Issuer.sojourn(url, feed_token=await beside.verifiers.add("cut off"))
        services = {
            policy: stack.enter_context(
                Verifier(audience=url, issuers=[issuer], when_stale=policy, monotonic_ms=clock)
            )
            for policy in POLICIES
        }
        signed_in = [
            await beside.sojourn.login(
                Incoming(), f"user-{n}", mode=("hybrid", "jwt")[n % 2], transport="bearer"
            )
            for n in range(2 * REVOKED)
        ]
        doomed, others = signed_in[:REVOKED], signed_in[REVOKED:]

        def codes(policy: str, some) -> set[str]:
            return {code(services[policy], one.access_token) for one in some}

        for policy in POLICIES:
            assert {""} == codes(policy, signed_in)
        way.cut()
        for one in doomed:
            await beside.sojourn.revoke(one.principal.sid, subject=ANY)
        time.sleep(REAL_SECONDS)  # noqa: ASYNC251 - nothing else runs in this loop
        clock.passed_ms += (CUT_SECONDS - REAL_SECONDS) * 1000
        for policy, service in services.items():
            assert service.lag_seconds >= CUT_SECONDS - 2, f"{policy} thinks that it is fresh"
            assert not service.is_fresh
        refused = code(services["ask"], others[0].access_token)
        assert refused in {"stale", IssuerUnavailable.code}
        assert {"stale"} == codes("refuse", signed_in)
        assert {""} == codes("trust", signed_in)
        if not IS_FULL:
            for service in services.values():
                service._core._followers[0]._failures = TIRED
            time.sleep(REAL_SECONDS)  # noqa: ASYNC251 - they fail once more
        way.heal()
        seconds = until(
            lambda: all(one.lag_seconds <= MAX_LAG_SECONDS for one in services.values()),
            "nobody catches up",
        )
        for policy in POLICIES:
            assert {"revoked"} == codes(policy, doomed)
            assert {""} == codes(policy, others)
        gaps = [service.gaps for service in services.values()]
        print(
            f"E7 over HTTP: caught up {seconds * 1000:.0f} ms after healing, "
            f"0 of {REVOKED} missed, gaps {gaps}"
        )
        assert seconds <= CAUGHT_UP_SECONDS
