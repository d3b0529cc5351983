"""The store while tests run: each test is rolled back, and the process lives on.

To a follower a rollback would look like a store that has lost what it acknowledged, and it would
make it true again. So nothing is followed: no picture is ever fresh, and each check asks the store, on the
connection of the test. What a process has to keep across rollbacks is kept here: positions go
on, since the picture remembers the revocations of earlier tests, and the key ring is not taken back.
"""

from __future__ import annotations

import logging
import sys
import threading
from collections.abc import Mapping, Sequence
from typing import TYPE_CHECKING, Any

import msgspec

from sojourn.model import Event, Head, Kind
from sojourn.ports import Page, Versioned
from sojourn.revocations import RESTORED

if TYPE_CHECKING:
    from sojourn.stores.django.engines import Engine

STOPPED = 2**62
"""A heartbeat that never advances: no read proves that the picture is fresh."""


def is_rehearsal() -> bool:
    """Tell whether Django's test environment is set up (`setup_test_environment`)."""
    # `mail.outbox`, its visible sign, is also there for whoever keeps mail in memory.
    utils = sys.modules.get("django.test.utils")
    return utils is not None and hasattr(utils._TestState, "saved_data")  # noqa: SLF001


class Rehearsal:
    """An engine's operations, as they are while tests run.

    Args:
        engine: The engine.
    """

    def __init__(self, engine: Engine) -> None:
        """Remember nothing yet."""
        self._engine = engine
        self._lock = threading.Lock()
        self._above = 0
        self._documents: dict[str, Versioned] = {}
        # That the feed went backwards is no news after each rollback.
        logging.getLogger("sojourn.feed").addFilter(lambda _: not is_rehearsal())

    def __getattr__(self, name: str) -> Any:
        """Give the engine's own operation."""
        return getattr(self._engine, name)

    def head(self, shard: int) -> Head:
        """See `Store.head`; above whatever this process has seen, rolled back or not."""
        head = self._engine.head(shard)
        if head.id >= self._above:
            return head
        event = Event(kind=Kind.RING, reason=RESTORED)
        (entry,) = self._engine.append(shard, (event,), above=self._above).entries
        return Head(entry.id, entry.tag)

    def read(self, shard: int, *, after: int, limit: int = 1000) -> Page:
        """See `Store.read`."""
        page = self._engine.read(shard, after=after, limit=limit)
        self._above = max(self._above, page.head.id)
        return msgspec.structs.replace(page, beat=STOPPED)

    def get_document(self, name: str) -> Versioned | None:
        """See `Store.get_document`."""
        return self._documents.get(name)

    def put_document(self, name: str, payload: bytes, *, expected_version: int) -> bool:
        """See `Store.put_document`."""
        with self._lock:
            known = self._documents.get(name)
            if (known.version if known else 0) != expected_version:
                return False
            self._documents[name] = Versioned(payload, expected_version + 1)
            return True


class SilentFeed:
    """A `Feed` that has no news."""

    def __init__(self) -> None:
        """Wait for the end."""
        self._closing = threading.Event()

    def read(self, after: Mapping[int, int], *, limit: int = 1000) -> Mapping[int, Page]:
        """Answer no pages, so that nothing is fresh."""
        del after, limit
        return {}

    def restore(self, shard: int, events: Sequence[Event], *, above: int = 0) -> None:
        """Leave a rollback as it is."""

    def wait(self, timeout_seconds: float) -> None:
        """Wait until closed: what follows the feed does it once."""
        del timeout_seconds
        self._closing.wait()

    def close(self) -> None:
        """See `Feed.close`. Idempotent, from any thread."""
        self._closing.set()
