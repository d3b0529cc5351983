"""Stores with one fault each, every one a mistake that was or could be made: they prove the contract.

Each is a memory store whose docstring says what is wrong with it; `SABOTAGED` names them all. A
contract that lets one of them pass does not keep the promise it claims to keep.
"""

from sojourn.stores.memory import MemoryStore
from sojourn.testing.sabotage import ending, feed, records, sessions

SABOTAGED: tuple[type[MemoryStore], ...] = tuple(
    thing
    for module in (sessions, ending, feed, records)
    for thing in vars(module).values()
    if isinstance(thing, type) and thing.__module__ == module.__name__
)
"""Every store of this package."""
