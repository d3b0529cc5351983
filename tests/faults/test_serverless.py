"""A process per call, with nothing that runs before or after: the first call knows what is revoked."""

import secrets

import pytest
from engines import SHARED, Engine
from faults.processes import child, ending, results_of, wait_until_ready
from faults.verifying import SETTINGS

from sojourn import ANY, Incoming, Sojourn


def called(url: str, secret: str, credentials: list[str]) -> list[str]:
    """Call a function in a new process for each credential."""
    children = [child("one_call.py", url, one, secret=secret) for one in credentials]
    with ending(children):
        wait_until_ready(children)
        return [printed.strip() for printed in results_of(children)]


@pytest.mark.slow
@pytest.mark.parametrize("engine", SHARED)
def test_first_call_after_the_acknowledgement(engine: Engine, tmp_path):
    """A session, a hybrid token and a JWT are refused by the first call after they were revoked."""
    url, secret = engine.place(tmp_path).url, secrets.token_urlsafe(48)
    with Sojourn(url, secret=secret, **SETTINGS) as auth:
        signed_in = [
            auth.login(Incoming(), "ann", mode=mode, transport="bearer")
            for mode in ("session", "hybrid", "jwt")
        ]
        credentials = [one.access_token for one in signed_in]
        assert ["good"] * 3 == called(url, secret, credentials)
        for one in signed_in:
            auth.revoke(one.principal.sid, subject=ANY)
        assert ["revoked"] * 3 == called(url, secret, credentials)
        again = auth.login(Incoming(), "ann", mode="jwt", transport="bearer").access_token
        auth.update("ann", roles={"admin"})
        assert ["revoked"] == called(url, secret, [again])
        auth.revoke_all("ann")
        after = auth.login(Incoming(), "ann", mode="hybrid", transport="bearer").access_token
        assert ["good"] == called(url, secret, [after])
