"""A TCP proxy that can turn into a black hole or a closed door: what a network does to a store."""

from __future__ import annotations

import selectors
import socket
import struct
import threading
import time
from collections import deque
from collections.abc import Callable
from concurrent.futures import Future
from contextlib import suppress
from functools import partial
from typing import Self

from services_keeper import HOST, reserve_port

CHUNK_BYTES = 65_536
LIMIT_BYTES = 1_048_576
STOP_SECONDS = 10
_RESET = struct.pack("ii", 1, 0)  # a close that throws away what is unsent resets


class Proxy:
    """Forwards connections to a port of the loopback, from a thread of its own, while a block lasts.

    What `cut`, `heal` and `drop` promise holds when they return. Of each direction of a connection
    about a megabyte is held at most; then the sender has to wait.

    Args:
        target_port: Where connections go.
        delay_seconds: How much later each byte arrives; may be set anew at any time.
    """

    def __init__(self, target_port: int, *, delay_seconds: float = 0.0) -> None:
        self.target_port = target_port
        self.delay_seconds = delay_seconds
        self.port = reserve_port()
        self._links: set[_Link] = set()
        self._unsettled: set[_Link] = set()  # what they wait for may have changed
        self._kept: list[socket.socket] = []  # taken while cut; the target has not heard of them
        self._orders: deque[tuple[Callable[[], None], Future[None]]] = deque()
        self._is_cut = self._is_listening = self._is_over = False

    def __enter__(self) -> Self:
        """Begin to listen."""
        self._selector = selectors.DefaultSelector()
        self._bell, self._clapper = socket.socketpair()
        self._bell.setblocking(False)
        self._selector.register(self._bell, selectors.EVENT_READ, self._obey)
        self._listener = self._bound()
        self._listen()
        self._thread = threading.Thread(target=self._run, name=f"proxy-{self.port}", daemon=True)
        self._thread.start()
        return self

    def __exit__(self, *_: object) -> None:
        """Close every connection and end the thread."""
        self._order(self._end)
        self._thread.join(STOP_SECONDS)
        assert not self._thread.is_alive(), "the proxy's thread hangs"
        self._clapper.close()

    def cut(self) -> None:
        """Become a black hole: connections are taken and kept; nothing passes, either way."""
        self._order(self._cut)

    def heal(self) -> None:
        """Forward again, what was held first; after `drop`, take connections again."""
        self._order(self._heal)

    def drop(self) -> None:
        """Reset every connection, and refuse new ones until `heal`."""
        self._order(self._drop)

    def connection_count(self) -> int:
        """Count the open connections."""
        return len(self._links) + len(self._kept)

    def _order(self, what: Callable[[], None]) -> None:
        """Let the thread do something, and wait until it is done."""
        done: Future[None] = Future()
        self._orders.append((what, done))
        self._clapper.send(b"!")
        done.result(STOP_SECONDS)

    # Everything below runs in the thread.

    def _run(self) -> None:
        while not self._is_over:
            for key, mask in self._selector.select(self._settle()):
                key.data(mask)
        self._selector.close()

    def _obey(self, _mask: int) -> None:
        with suppress(BlockingIOError):
            self._bell.recv(CHUNK_BYTES)
        while self._orders:
            what, done = self._orders.popleft()
            try:
                what()
                done.set_result(None)
            except Exception as error:  # noqa: BLE001 - for whoever gave the order
                done.set_exception(error)

    def _settle(self) -> float | None:
        """Watch for what is wanted now, and say in how many seconds something held is due."""
        now = time.monotonic()
        waits = []
        for link in list(self._unsettled):
            wait = None if self._is_cut else link.seconds_until_due(now)
            self._watch(link, now)
            if wait is None or wait <= 0:
                self._unsettled.discard(link)
            else:
                waits.append(wait)
        return min(waits, default=None)

    def _watch(self, link: _Link, now: float) -> None:
        for end in link.ends:
            before = link.watched.get(end, 0)
            wanted = 0 if self._is_cut else link.wanted(end, now)
            if not wanted and before:
                self._selector.unregister(end)
            elif wanted and not before:
                self._selector.register(end, wanted, partial(self._serve, link, end))
            elif wanted != before:
                self._selector.modify(end, wanted, partial(self._serve, link, end))
            link.watched[end] = wanted

    def _serve(self, link: _Link, end: socket.socket, mask: int) -> None:
        if self._is_cut or link not in self._links:
            return  # since the selector spoke
        self._unsettled.add(link)
        try:
            if mask & selectors.EVENT_READ:
                link.take(end, time.monotonic() + self.delay_seconds)
            if mask & selectors.EVENT_WRITE:
                link.give(end, time.monotonic())
            if link.is_done():
                self._close(link)
        except BlockingIOError:
            pass
        except OSError:
            self._close(link, resets=True)  # what one end suffered, the other end suffers

    def _accept(self, _mask: int) -> None:
        with suppress(OSError):  # it may have gone again
            client, _ = self._listener.accept()
            self._kept.append(client)
        if not self._is_cut:
            self._connect_kept()

    def _connect_kept(self) -> None:
        for client in self._kept:
            server = socket.socket()
            for end in (client, server):
                end.setblocking(False)
                end.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
            server.connect_ex((HOST, self.target_port))  # a failure shows at the first read
            link = _Link(client, server)
            self._links.add(link)
            self._unsettled.add(link)
        self._kept.clear()

    def _close(self, link: _Link, *, resets: bool = False) -> None:
        for end in link.ends:
            if link.watched.get(end):
                self._selector.unregister(end)
            _close(end, resets=resets)
        self._links.discard(link)
        self._unsettled.discard(link)

    def _bound(self) -> socket.socket:
        """Hold the port; who connects before `_listen` is refused."""
        listener = socket.socket()
        listener.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
        listener.setblocking(False)
        listener.bind((HOST, self.port))
        return listener

    def _listen(self) -> None:
        self._listener.listen(1024)
        self._selector.register(self._listener, selectors.EVENT_READ, self._accept)
        self._is_listening = True

    def _cut(self) -> None:
        self._is_cut = True
        self._unsettled |= self._links

    def _heal(self) -> None:
        self._is_cut = False
        self._unsettled |= self._links
        if not self._is_listening:
            self._listen()
        self._connect_kept()

    def _drop(self) -> None:
        if self._is_listening:
            self._selector.unregister(self._listener)
            self._is_listening = False
        self._listener.close()
        for link in list(self._links):
            self._close(link, resets=True)
        for client in self._kept:
            _close(client, resets=True)
        self._kept.clear()
        self._listener = self._bound()

    def _end(self) -> None:
        self._drop()
        self._listener.close()
        self._selector.unregister(self._bell)
        self._bell.close()
        self._is_over = True


class _Flow:
    """One direction: what the source has sent and the sink has not got; an empty piece is the end."""

    def __init__(self, source: socket.socket, sink: socket.socket) -> None:
        self.source = source
        self.sink = sink
        self.held: deque[tuple[float, bytes]] = deque()
        self.size = 0
        self.is_ended = self.is_delivered = False


class _Link:
    """A client, its connection to the target, and what is on its way between them."""

    def __init__(self, client: socket.socket, server: socket.socket) -> None:
        self.ends = (client, server)
        self.watched: dict[socket.socket, int] = {}
        self._flows = (_Flow(client, server), _Flow(server, client))

    def wanted(self, end: socket.socket, now: float) -> int:
        """Tell what an end is waited for: to read from it, to write to it, both or neither."""
        wanted = 0
        for flow in self._flows:
            if flow.source is end and not flow.is_ended and flow.size < LIMIT_BYTES:
                wanted |= selectors.EVENT_READ
            if flow.sink is end and flow.held and flow.held[0][0] <= now:
                wanted |= selectors.EVENT_WRITE
        return wanted

    def seconds_until_due(self, now: float) -> float | None:
        """Tell when the next piece may go that may not go yet."""
        waits = (flow.held[0][0] - now for flow in self._flows if flow.held)
        return min((wait for wait in waits if wait > 0), default=None)

    def take(self, source: socket.socket, due: float) -> None:
        """Read a piece, which may go on at a time."""
        (flow,) = (flow for flow in self._flows if flow.source is source)
        piece = source.recv(CHUNK_BYTES)
        flow.held.append((due, piece))
        flow.size += len(piece)
        flow.is_ended = not piece

    def give(self, sink: socket.socket, now: float) -> None:
        """Write what may go, as much as the sink takes."""
        (flow,) = (flow for flow in self._flows if flow.sink is sink)
        while flow.held and flow.held[0][0] <= now:
            due, piece = flow.held[0]
            if not piece:
                flow.is_delivered = True
                with suppress(OSError):  # it may be gone already
                    sink.shutdown(socket.SHUT_WR)
                flow.held.popleft()
                return
            sent = sink.send(piece)
            flow.size -= sent
            if sent < len(piece):
                flow.held[0] = (due, piece[sent:])
                return
            flow.held.popleft()

    def is_done(self) -> bool:
        """Whether both directions have come to their end."""
        return all(flow.is_delivered for flow in self._flows)


def _close(end: socket.socket, *, resets: bool) -> None:
    if resets:
        end.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, _RESET)
    end.close()
