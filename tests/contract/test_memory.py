"""The memory store keeps the contract, as a blocking store and as an asynchronous one."""

from sojourn.ports import inline
from sojourn.stores.memory import MemoryStore
from sojourn.testing.contract import StoreContract


class TestBlocking(StoreContract):
    """As it is, raced on threads."""

    def make_store(self, clock):
        """Make one in this process."""
        return MemoryStore(clock=clock)


class TestInline(StoreContract):
    """Awaited, as the blocking face drives it; two objects share one store."""

    async def make_store(self, clock):
        """Make one, presented as asynchronous."""
        self.shared = MemoryStore(clock=clock)
        return inline(self.shared)

    async def make_another(self, store, clock):
        """Present the same one again."""
        return inline(self.shared)
