"""The thread that follows an issuer's feed: a stream, opened again whenever it ends."""

from __future__ import annotations

import logging
import random
import threading
from collections.abc import Callable

from sojourn.engine.picture import monotonic_ms
from sojourn.verifier.events import events_of
from sojourn.verifier.fetching import Fetcher, FetchError, Stream
from sojourn.verifier.picture import STREAM_MS, GapError, Picture

log = logging.getLogger("sojourn.verifier")

FIRST_WAIT_SECONDS = 0.1
LONGEST_WAIT_SECONDS = 1.5
"""Short of the two seconds within which a link that is back has to be noticed."""
QUIET_MS = 60_000.0
"""While the server stays away, that is said once in so long."""


class Follower:
    """One blocking daemon thread of this process (an asyncio task would die with its loop).

    Args:
        name: Whose feed, for the log.
        picture: What to keep fresh.
        poll: Takes a snapshot or what came after the cursor, blocking.
        fetcher: Opens the stream.
    """

    def __init__(
        self, name: str, picture: Picture, *, poll: Callable[[], None], fetcher: Fetcher
    ) -> None:
        """Be ready to start."""
        self._name = name
        self._picture = picture
        self._poll = poll
        self._fetcher = fetcher
        self._stopping = threading.Event()
        self._stream: Stream | None = None
        self._failures = 0
        self._quiet_until_ms = 0.0
        self._thread = threading.Thread(target=self._run, name="sojourn-verifier", daemon=True)

    def start(self) -> None:
        """Start following."""
        self._thread.start()

    def stop(self) -> None:
        """Stop following; returns when the thread is done."""
        self._stopping.set()
        stream = self._stream  # the thread may let go of it at any time
        if stream is not None:
            stream.close()
        self._thread.join(timeout=5)

    def _run(self) -> None:
        while not self._stopping.is_set():
            has_failed = self._failures > 0
            self._failures += 1  # until a heartbeat comes
            try:
                if has_failed or not self._picture.cursor:
                    self._poll()  # which says more plainly why a stream is refused
                self._follow()
            except GapError:
                pass  # said already; a snapshot is taken, soon
            except FetchError as error:
                self._note(str(error))
            except Exception:
                log.exception("following the feed of %s failed, trying again", self._name)
            self._stopping.wait(self._pause_seconds())

    def _follow(self) -> None:
        """Follow one stream until it ends, or is old enough for another."""
        opened = self._picture.stamp()
        stream = self._stream = self._fetcher.stream(self._picture.stream_request())
        try:
            for event in events_of(stream.lines()):
                self._picture.take_event(event, opened=opened)
                if event.name == "heartbeat":
                    self._failures = 0
                if self._stopping.is_set() or opened.age_ms(self._picture.stamp()) >= STREAM_MS:
                    return
        finally:
            self._stream = None
            stream.close()

    def _note(self, what: str) -> None:
        if monotonic_ms() >= self._quiet_until_ms:
            self._quiet_until_ms = monotonic_ms() + QUIET_MS
            log.warning("following the feed of %s failed, trying again: %s", self._name, what)

    def _pause_seconds(self) -> float:
        """Wait longer the more often it failed, and never in step with other verifiers."""
        longest = min(LONGEST_WAIT_SECONDS, FIRST_WAIT_SECONDS * 2 ** min(self._failures, 10))
        return float(longest * random.uniform(0.5, 1))  # noqa: S311 - spreads load, guards nothing
