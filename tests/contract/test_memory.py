"""The memory store keeps the contract, as a blocking store and as an asynchronous one."""

from sojourn.ports import inline
from sojourn.stores.memory import MemoryStore
from sojourn.testing.contract import StoreContract


class TestBlocking(StoreContract):
    """As it is, raced on threads."""

    def make_store(self, clock):
        return MemoryStore(clock=clock)


class TestInline(StoreContract):
    """Awaited, as the blocking face drives it; two objects share one store."""

    async def make_store(self, clock):
        self.store = MemoryStore(clock=clock)
        return inline(self.store)

    async def make_another(self, store, clock):
        return inline(self.store)
