"""What is known of an issuer's revocations, told by its server over HTTP, and how old that is.

A snapshot, then everything after its cursor: by a stream, or by polls. The server checks the chain
of entries and says `gap` where it does not continue the cursor; then a snapshot is taken, and known
revocations are kept. Lag is dated from when a question was sent, on both clocks, and the server's
own lag counts. An entry that cannot be understood is not passed over: the picture then ages, and
the policy decides.
"""

from __future__ import annotations

import logging
import threading
from collections.abc import Callable
from math import inf
from typing import Annotated, TypeVar
from urllib.parse import quote

import msgspec

from sojourn.engine.picture import OnEntries, Stamp
from sojourn.model import Entry, Event, Kind
from sojourn.revocations import View
from sojourn.verifier.events import StreamEvent
from sojourn.verifier.fetching import Answer, Fetch, FetchError, Procedure, require_ok
from sojourn.verifier.issuer import Issuer

log = logging.getLogger("sojourn.verifier")

POLL_SECONDS = 3.0
SNAPSHOT_SECONDS = 20.0
MAX_FEED_BYTES = 64 * 1024 * 1024
"""About 300,000 entries: more than that a feed holds only where it ends single sessions in masses."""
SILENCE_SECONDS = 3.5
"""Three heartbeats: a stream without a byte for so long leads nowhere."""
STREAM_MS = 580_000
"""A stream is opened again after this long, so that two monotonic clocks cannot drift apart."""
BAD_REQUEST, UNAUTHORIZED, GONE = 400, 401, 410

T = TypeVar("T")
_Count = Annotated[int, msgspec.Meta(ge=0)]
_Lag = Annotated[int, msgspec.Meta(ge=0)] | None
"""Milliseconds; None where the server's own picture was never fresh."""


class _Told(msgspec.Struct, frozen=True):
    """An entry as the server shows it."""

    id: _Count
    expires_at_ms: int
    kind: Kind
    subject: str | None = None
    sid: str | None = None
    version: int = 0
    floor: int = 0
    keep: str | None = None
    kid: str | None = None

    def entry(self) -> Entry:
        event = Event(
            kind=self.kind,
            subject=self.subject,
            sid=self.sid,
            version=self.version,
            floor=self.floor,
            keep=self.keep,
            kid=self.kid,
        )
        return Entry(self.id, 0, 0, event, self.expires_at_ms)


class _Page(msgspec.Struct, frozen=True):
    cursor: str
    lag_ms: _Lag
    entries: list[_Told]


class _Heartbeat(msgspec.Struct, frozen=True):
    open_ms: _Count
    lag_ms: _Lag


_decode_page = msgspec.json.Decoder(_Page).decode
_decode_entry = msgspec.json.Decoder(_Told).decode
_decode_heartbeat = msgspec.json.Decoder(_Heartbeat).decode


class GapError(Exception):
    """The feed does not continue the cursor; a snapshot has to be taken."""


class Picture:
    """The picture of one issuer's revocations in this process.

    Args:
        issuer: Whose; it has a feed token.
        stamp: Reads both clocks.
        on_key: Told of each key that is revoked.
        on_ring: Told that the issuer's keys have changed.
    """

    def __init__(
        self,
        issuer: Issuer,
        *,
        stamp: Callable[[], Stamp],
        on_key: Callable[[str], None],
        on_ring: Callable[[], None],
    ) -> None:
        """Know nothing: lag is infinite."""
        self.view = View()
        self.cursor = ""
        """After what to go on; empty where a snapshot has to be taken."""
        self.gaps = 0
        self.has_failed_at: Stamp | None = None
        """When the last poll failed; None where it did not."""
        self.stamp = stamp
        self._issuer = issuer
        self._on_key = on_key
        self._on_ring = on_ring
        self._fresh_at: Stamp | None = None
        self._began = stamp()
        self._listeners: tuple[OnEntries, ...] = ()
        self._lock = threading.Lock()

    def lag_ms(self) -> float:
        """Tell how old the picture is."""
        fresh_at = self._fresh_at
        return inf if fresh_at is None else fresh_at.age_ms(self.stamp())

    def on_change(self, callback: OnEntries) -> Callable[[], None]:
        """Have a callback called, from any thread, with entries after they were taken in.

        Returns:
            What to call to have it called no more.
        """
        with self._lock:
            self._listeners = (*self._listeners, callback)

        def remove() -> None:
            with self._lock:
                self._listeners = tuple(one for one in self._listeners if one is not callback)

        return remove

    def _tell(self, *entries: Entry) -> None:
        for callback in self._listeners:
            callback(entries)

    # --- asking -----------------------------------------------------------------------------------

    def poll(self) -> Procedure[None]:
        """Ask for what came after the cursor, or for a snapshot, and take it in.

        Raises:
            FetchError: The server did not answer, or not acceptably.
        """
        try:
            sent = self.stamp()
            answer = yield self._request(self.cursor)
            if answer.status == GONE and self.cursor:
                self.note_gap()
                sent = self.stamp()
                answer = yield self._request("")
            self._take_page(self._page_of(answer), sent)
        except FetchError:
            self.has_failed_at = self.stamp()
            raise
        self.has_failed_at = None

    def _request(self, cursor: str) -> Fetch:
        return Fetch(
            url=self._issuer.feed_url + (f"?cursor={quote(cursor, safe='')}" if cursor else ""),
            headers={"Authorization": f"Bearer {self._issuer.feed_token}"},
            max_bytes=MAX_FEED_BYTES,
            timeout_seconds=POLL_SECONDS if cursor else SNAPSHOT_SECONDS,
        )

    def _page_of(self, answer: Answer) -> _Page:
        what = f"the feed of {self._issuer.url}"
        if answer.status == UNAUTHORIZED:
            raise FetchError(
                f"{what} does not know the feed token; make one there: sojourn verifiers add NAME"
            )
        if answer.status == BAD_REQUEST:
            self.cursor = ""  # of another store; the next question is for a snapshot
        require_ok(answer, what=what)
        return _decoded(_decode_page, answer.body, what=what)

    def stream_request(self) -> Fetch:
        """Ask for a stream of what comes after the cursor."""
        return Fetch(
            url=f"{self._issuer.feed_url}?cursor={quote(self.cursor, safe='')}",
            headers={
                "Authorization": f"Bearer {self._issuer.feed_token}",
                "Accept": "text/event-stream",
                "Cache-Control": "no-cache",
            },
            timeout_seconds=SILENCE_SECONDS,
        )

    # --- taking in --------------------------------------------------------------------------------

    def _take_page(self, page: _Page, sent: Stamp) -> None:
        entries = [told.entry() for told in page.entries]
        with self._lock:
            for entry in entries:
                self._apply(entry)
            self.cursor = page.cursor
            self._date(sent, lag_ms=page.lag_ms)
            self.view.forget(now_ms=self._began.at_least_ms(self.stamp()))
        self._tell(*entries)

    def take_event(self, event: StreamEvent, *, opened: Stamp) -> None:
        """Take in an event of a stream.

        Args:
            event: The event.
            opened: When the stream was asked for: before the server opened it, so that whatever
                happens to bytes on the way makes the picture look older, never younger.

        Raises:
            GapError: The feed does not continue the cursor.
            FetchError: It cannot be understood.
        """
        what = f"the stream of {self._issuer.url}"
        match event.name:
            case "entry":
                entry = _decoded(_decode_entry, event.data, what=what).entry()
                with self._lock:
                    self._apply(entry)
                    self.cursor = event.cursor or self.cursor
                self._tell(entry)
            case "heartbeat":
                beat = _decoded(_decode_heartbeat, event.data, what=what)
                said = Stamp(opened.wall_ms + beat.open_ms, opened.monotonic_ms + beat.open_ms)
                with self._lock:
                    self.cursor = event.cursor or self.cursor
                    self._date(said, lag_ms=beat.lag_ms)
                    self.view.forget(now_ms=self._began.at_least_ms(self.stamp()))
            case "gap":
                self.note_gap()
                raise GapError
            case _:
                pass  # "open", and whatever a later server says beside

    def note_gap(self) -> None:
        """Start over, with what is known kept: nothing since the cursor is certain."""
        log.warning("the feed of %s has a gap; taking a snapshot", self._issuer.url)
        with self._lock:
            self.gaps += 1
            self.cursor = ""
            self._fresh_at = None

    def _apply(self, entry: Entry) -> None:
        # The view first: whoever sees the key gone sees why.
        self.view.apply(entry)
        if entry.event.kind is Kind.KEY:
            self._on_key(entry.event.kid or "")
        if entry.event.kind in {Kind.KEY, Kind.RING}:
            self._on_ring()

    def _date(self, said: Stamp, *, lag_ms: int | None) -> None:
        """Date the picture, never back: a poll and the stream may overtake one another."""
        if lag_ms is None:
            return
        proof = Stamp(said.wall_ms - lag_ms, said.monotonic_ms - lag_ms)
        now = self.stamp()
        if self._fresh_at is None or proof.age_ms(now) < self._fresh_at.age_ms(now):
            self._fresh_at = proof


def _decoded(decode: Callable[[bytes], T], data: bytes, *, what: str) -> T:
    try:
        return decode(data)
    except (msgspec.MsgspecError, UnicodeDecodeError, RecursionError) as error:
        raise FetchError(
            f"{what} says what this version does not understand ({type(error).__name__}); "
            "is it a Sojourn server, and not newer than this?"
        ) from None
