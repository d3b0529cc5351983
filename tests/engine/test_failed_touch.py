"""A "last seen" that cannot be written signs nobody out and is not tried at every request."""

import pytest
from engine.harness import eventually

from sojourn import Incoming, Sojourn, StoreError
from sojourn.stores.memory import MemoryStore
from sojourn.testing import ManualClock


async def test_who_is_known_stays_known_while_the_store_cannot_write(caplog):
    """On a full disk a check still answers; the next try comes when the next touch is due."""
    clock, store = ManualClock(), MemoryStore()
    tries = []

    class Full:
        never_blocks = True

        def __getattr__(self, name):
            return getattr(store, name)

        def get(self, sid):
            return store.get(sid)

        def replace(self, *args, **kwargs):
            tries.append(args)
            raise StoreError("the disk is full; make room")

    settings = {"mode": "session", "url": "http://127.0.0.1:8000"}
    with Sojourn(Full(), clock=clock, monotonic_ms=clock, **settings) as auth:
        told = auth.login(Incoming(), "ann", transport="bearer")
        bearer = Incoming(authorization=f"Bearer {told.access_token}")
        assert auth.check(bearer).principal is not None
        for minute in (1, 2):
            clock.advance(seconds=61)
            await eventually(lambda: auth.core.picture.lag_ms() < 5000, "a fresh picture")
            for _ in range(5):
                assert auth.check(bearer).principal is not None
            assert minute == len(tries)
        assert "the disk is full" in caplog.text
        assert told.access_token not in caplog.text
    with pytest.raises(StoreError):
        Full().replace()
