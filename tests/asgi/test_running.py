"""What happens beside requests while an application runs."""

import asyncio

import pytest

from sojourn import AsyncSojourn, AsyncVerifier, Issuer, StoreError
from sojourn.asgi import running

URL = "http://127.0.0.1:8000"


async def test_the_dead_are_removed_now_and_then(monkeypatch, caplog):
    """Again and again, also after the store was away; no longer when the application has stopped."""
    monkeypatch.setattr(running, "PURGE_SECONDS", 0)
    purged = asyncio.Semaphore(0)
    sojourn = AsyncSojourn("memory://", url=URL)

    async def purge():
        purged.release()
        raise StoreError("the store is away")

    monkeypatch.setattr(sojourn, "purge", purge)
    async with running.running(sojourn):
        await purged.acquire()
        await purged.acquire()
    assert not sojourn.core.is_open
    assert "removing what is dead failed" in caplog.text


@pytest.mark.filterwarnings("ignore:.*:sojourn.SecurityWarning")
async def test_a_verifier_has_nothing_to_remove():
    """It is opened and closed alone."""
    verifier = AsyncVerifier(audience="billing", issuers=[Issuer.sojourn(URL)])
    async with running.running(verifier):
        assert not verifier.is_fresh
