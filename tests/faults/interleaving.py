"""A store of one process under which tasks race as processes do: each call lets the others in."""

import asyncio
from types import SimpleNamespace

from sojourn.ports import OPERATIONS, AsyncStore, Store


def interleaving(store: Store) -> AsyncStore:
    """Present a blocking store as an asynchronous one that suspends before and after each call."""
    shaped = SimpleNamespace(feed=store.feed)
    for name in OPERATIONS:
        setattr(shaped, name, _suspending(getattr(store, name)))
    return shaped


def _suspending(operation):
    async def suspending(*args, **kwargs):
        await asyncio.sleep(0)
        try:
            return operation(*args, **kwargs)
        finally:
            await asyncio.sleep(0)

    return suspending
