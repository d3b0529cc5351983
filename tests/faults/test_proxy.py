"""The proxy of the fault tests does what a network does, and no more."""

from __future__ import annotations

import socket
import socketserver
import threading
import time
from collections.abc import Iterator
from contextlib import ExitStack

import pytest
from proxy import CHUNK_BYTES, LIMIT_BYTES, Proxy
from services_keeper import HOST, WAIT_SECONDS, reserve_port
from services_processes import wait_until

SHORT_SECONDS = 0.2


class _Echo(socketserver.BaseRequestHandler):
    def handle(self) -> None:
        while piece := self.request.recv(CHUNK_BYTES):
            self.request.sendall(piece)


class _Server(socketserver.ThreadingTCPServer):
    allow_reuse_address = True
    daemon_threads = True
    request_queue_size = 256

    def handle_error(self, *_: object) -> None:
        """A reset is part of the tests."""


@pytest.fixture
def echo_port() -> Iterator[int]:
    """A server that says what it is told."""
    with _Server((HOST, reserve_port()), _Echo) as server:
        thread = threading.Thread(target=server.serve_forever, args=(0.01,))
        thread.start()
        yield server.server_address[1]
        server.shutdown()
        thread.join()


@pytest.fixture
def proxy(echo_port) -> Iterator[Proxy]:
    """A proxy before it."""
    with Proxy(echo_port) as running:
        yield running


def _client(proxy: Proxy) -> socket.socket:
    return socket.create_connection((HOST, proxy.port), WAIT_SECONDS)


def _read(client: socket.socket, size: int) -> bytes:
    with client.makefile("rb") as stream:
        return stream.read(size)


def _assert_silent(client: socket.socket) -> None:
    client.settimeout(SHORT_SECONDS)
    with pytest.raises(TimeoutError):
        client.recv(1)
    client.settimeout(WAIT_SECONDS)


def test_many_connections_are_forwarded_unchanged(proxy):
    """Each gets its own bytes back, in order, up to the end of the stream."""
    with ExitStack() as stack:
        clients = [stack.enter_context(_client(proxy)) for _ in range(100)]
        messages = [bytes([number]) * 3 * CHUNK_BYTES for number in range(100)]
        senders = [
            threading.Thread(target=client.sendall, args=(message,))
            for client, message in zip(clients, messages, strict=True)
        ]
        for sender in senders:
            sender.start()
        assert messages == [_read(client, len(messages[0])) for client in clients]
        for sender, client in zip(senders, clients, strict=True):
            sender.join()
            client.shutdown(socket.SHUT_WR)
        assert [b""] * 100 == [client.recv(1) for client in clients]
    wait_until(lambda: proxy.connection_count() == 0, what="the end of the connections")


def test_a_cut_holds_everything_and_closes_nothing(proxy):
    """Old and new connections stay open in silence; healed, they get what was sent meanwhile."""
    with _client(proxy) as old:
        old.sendall(b"before")
        assert b"before" == _read(old, 6)
        proxy.cut()
        old.sendall(b"within")
        with _client(proxy) as new:
            new.sendall(b"newer")
            _assert_silent(old)
            _assert_silent(new)
            proxy.heal()
            assert b"within" == _read(old, 6)
            assert b"newer" == _read(new, 5)


def test_a_close_behind_a_cut_is_not_seen(echo_port, proxy):
    """The end of a connection is held like its bytes."""
    with _client(proxy) as client:
        client.sendall(b"x")
        assert b"x" == _read(client, 1)
        proxy.cut()
        client.shutdown(socket.SHUT_WR)
        _assert_silent(client)
        assert 1 == proxy.connection_count()
        proxy.heal()
        assert b"" == client.recv(1)


def test_a_drop_resets_and_refuses_until_it_is_healed(proxy):
    """Every connection is reset, new ones are refused; afterwards the same port serves."""
    with _client(proxy) as one, _client(proxy) as another:
        one.sendall(b"x")
        assert b"x" == _read(one, 1)
        proxy.drop()
        for client in (one, another):
            with pytest.raises(ConnectionResetError):
                client.recv(1)
    for _ in range(2):
        with pytest.raises(ConnectionRefusedError):
            _client(proxy)
    proxy.drop()  # once more changes nothing
    proxy.heal()
    with _client(proxy) as client:
        client.sendall(b"again")
        assert b"again" == _read(client, 5)


def test_what_a_cut_keeps_is_dropped_too(proxy):
    """A connection the target never heard of is reset like the others."""
    proxy.cut()
    with _client(proxy) as client:
        wait_until(lambda: proxy.connection_count() == 1, what="a connection")
        proxy.drop()
        with pytest.raises(ConnectionResetError):
            client.recv(1)


def test_every_byte_is_late_by_the_delay(proxy):
    """There and back it is twice the delay; order is kept, and pieces do not wait for each other."""
    proxy.delay_seconds = 0.1
    with _client(proxy) as client:
        began = time.monotonic()
        for piece in (b"a", b"b", b"c"):
            client.sendall(piece)
        assert b"abc" == _read(client, 3)
        assert 0.2 <= time.monotonic() - began
        proxy.delay_seconds = 0.0
        client.sendall(b"d")
        assert b"d" == _read(client, 1)


def test_a_target_that_is_gone_shows_as_a_reset():
    """A refusal behind the proxy reaches the client, whose connection the proxy took."""
    with (
        Proxy(reserve_port()) as proxy,
        pytest.raises(ConnectionError),  # at once, or at the first use
        _client(proxy) as client,
    ):
        client.recv(1)


def test_a_sender_that_runs_ahead_has_to_wait():
    """What the proxy holds for a target that does not read is bounded."""
    with (
        socket.create_server((HOST, 0)) as listener,
        Proxy(listener.getsockname()[1]) as proxy,
        _client(proxy) as client,
    ):
        client.settimeout(SHORT_SECONDS)
        with pytest.raises(TimeoutError):
            while True:
                client.sendall(b"x" * CHUNK_BYTES)
        (link,) = proxy._links
        assert LIMIT_BYTES <= link._flows[0].size < LIMIT_BYTES + CHUNK_BYTES


def test_nothing_is_left_of_it(echo_port):
    """At the end of the block connections and thread are gone, cut or not."""
    with Proxy(echo_port) as proxy:
        client = _client(proxy)
        client.sendall(b"x")
        assert b"x" == _read(client, 1)
        proxy.cut()
    with client, pytest.raises(ConnectionResetError):
        client.recv(1)
    with pytest.raises(ConnectionRefusedError):
        _client(proxy)
    assert not [t for t in threading.enumerate() if t.name == f"proxy-{proxy.port}"]
