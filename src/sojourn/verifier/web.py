"""Asking over HTTP with the standard library: verified TLS, no redirects, bounded size and time."""

from __future__ import annotations

import io
import socket
import threading
import time
import urllib.request
from base64 import b64encode
from collections.abc import Callable, Iterator
from contextlib import closing, suppress
from http.client import HTTPConnection, HTTPException, HTTPResponse, HTTPSConnection
from typing import TYPE_CHECKING, Any, cast
from urllib.parse import unquote, urlsplit
from urllib.request import getproxies_environment

from sojourn._version import __version__
from sojourn.verifier.fetching import OK, Answer, Fetch, FetchError
from sojourn.verifier.urls import checked_url

if TYPE_CHECKING:
    import ssl

MAX_LINE_BYTES = 64 * 1024
"""Of a stream: an entry names a subject of at most 255 bytes, so this is no entry."""
# The environment alone, since asking macOS for its settings is not safe in a forked process; the type
# stubs do not know the function by name.
_is_direct: Callable[[str], object] = vars(urllib.request)["proxy_bypass_environment"]
_USUAL = {
    "Accept": "application/json",
    "Accept-Encoding": "identity",
    "Connection": "close",
    "User-Agent": f"sojourn-verifier/{__version__}",
}


class Web:
    """Fetches over HTTP/1.1; a connection per request, since requests are rare.

    ``HTTPS_PROXY`` and ``NO_PROXY`` are honoured. Names are resolved by the system, whose patience
    is its own.

    Args:
        ssl_context: Which authorities to trust, for an issuer with a private one; the system's by
            default (``SSL_CERT_FILE`` adds one without code).
    """

    def __init__(self, ssl_context: ssl.SSLContext | None = None) -> None:
        """Prepare; nothing is connected."""
        self._ssl_context = ssl_context

    def fetch(self, request: Fetch) -> Answer:
        """See `Fetcher.fetch`."""
        deadline = time.monotonic() + request.timeout_seconds
        try:
            connection, response = self._send(request, _Bounded(deadline=deadline))
            with closing(connection):
                body = response.read(request.max_bytes + 1)
        except (OSError, HTTPException, ValueError) as error:
            raise _failure(request, error) from None
        if len(body) > request.max_bytes:
            raise FetchError(f"{_host(request)} answered with over {request.max_bytes} bytes")
        return Answer(response.status, body, response.getheader("Cache-Control", ""))

    def stream(self, request: Fetch) -> WebStream:
        """See `Fetcher.stream`."""
        try:
            connection, response = self._send(request, _Bounded(silence=request.timeout_seconds))
        except (OSError, HTTPException, ValueError) as error:
            raise _failure(request, error) from None
        kind = response.getheader("Content-Type", "").partition(";")[0].strip().lower()
        if response.status != OK or kind != "text/event-stream":
            connection.close()
            raise FetchError(f"{_host(request)} answered {response.status} instead of a stream")
        return WebStream(request, connection, response)

    def _send(self, request: Fetch, bounds: _Bounded) -> tuple[HTTPConnection, HTTPResponse]:
        connection = self._connection(request)
        try:
            target = urlsplit(request.url)
            path = (target.path or "/") + (f"?{target.query}" if target.query else "")
            connection.request(
                request.method, path, body=request.body, headers={**_USUAL, **request.headers}
            )
            # By hand, since http.client bounds each read, and drops add up.
            wire = _Wire(connection.sock, bounds)
            response = HTTPResponse(cast("socket.socket", wire), method=request.method)
            response.begin()
        except BaseException:
            connection.close()
            raise
        return connection, response

    def _connection(self, request: Fetch) -> HTTPConnection:
        checked_url(request.url, what="the address to ask")  # whoever made the request
        target = urlsplit(request.url)
        host, port, seconds = target.hostname or "", target.port, request.timeout_seconds
        if target.scheme == "http":
            return HTTPConnection(host, port, timeout=seconds)
        proxy = None if _is_direct(host) else getproxies_environment().get("https")
        if proxy is None:
            return HTTPSConnection(host, port, timeout=seconds, context=self._tls())
        through = urlsplit(proxy if "://" in proxy else f"http://{proxy}")
        connection = HTTPSConnection(
            through.hostname or "", through.port or 80, timeout=seconds, context=self._tls()
        )
        connection.set_tunnel(
            host, port, headers=_proxy_headers(through.username, through.password)
        )
        return connection

    def _tls(self) -> ssl.SSLContext:
        if self._ssl_context is None:
            import ssl  # noqa: PLC0415 - reading the system's authorities takes a while

            self._ssl_context = ssl.create_default_context()
        return self._ssl_context


class WebStream:
    """An open stream.

    Args:
        request: What was asked.
        connection: Over which connection.
        response: Its answer, of which the head was read.
    """

    def __init__(self, request: Fetch, connection: HTTPConnection, response: HTTPResponse) -> None:
        """Take the open answer."""
        self._request = request
        self._connection = connection
        self._response = response
        self._socket = connection.sock
        self._closing = threading.Event()

    def lines(self) -> Iterator[bytes]:
        """See `Stream.lines`."""
        try:
            while line := self._response.readline(MAX_LINE_BYTES):
                if not line.endswith(b"\n"):
                    raise ValueError("the line does not end")  # noqa: TRY301 - one way out
                yield line.rstrip(b"\r\n")
        except (OSError, HTTPException, ValueError) as error:
            if not self._closing.is_set():
                raise _failure(self._request, error) from None
        finally:
            self._connection.close()

    def close(self) -> None:
        """See `Stream.close`."""
        self._closing.set()
        with suppress(OSError):
            self._socket.shutdown(socket.SHUT_RDWR)  # wakes the thread that reads


class _Bounded:
    """How long a read may take: until a deadline, or a longest silence."""

    def __init__(self, *, deadline: float | None = None, silence: float = 0) -> None:
        self._deadline = deadline
        self._silence = silence

    def seconds(self) -> float:
        if self._deadline is None:
            return self._silence
        left = self._deadline - time.monotonic()
        if left <= 0:
            raise TimeoutError
        return left


class _Wire(io.RawIOBase):
    """A socket's bytes, each read within the bounds."""

    def __init__(self, sock: socket.socket, bounds: _Bounded) -> None:
        self._sock = sock
        self._bounds = bounds

    def makefile(self, mode: str) -> io.BufferedReader:
        """Stand in for the socket, of which `HTTPResponse` asks this alone."""
        del mode
        return io.BufferedReader(self)

    def readable(self) -> bool:
        """Say so."""
        return True

    def readinto(self, buffer: Any) -> int:
        """Read what is there, or wait within the bounds."""
        self._sock.settimeout(self._bounds.seconds())
        return self._sock.recv_into(buffer)


def _host(request: Fetch) -> str:
    return urlsplit(request.url).netloc


def _failure(request: Fetch, error: Exception) -> FetchError:
    """Say what failed without what was sent."""
    if isinstance(error, TimeoutError):
        return FetchError(f"{_host(request)} took too long")
    # Of http.client's own errors the text may quote what the other end said; it is left out.
    detail = str(error) if isinstance(error, OSError) else type(error).__name__
    return FetchError(f"{_host(request)}: {detail}")


def _proxy_headers(user: str | None, password: str | None) -> dict[str, str]:
    if user is None:
        return {}
    pair = f"{unquote(user)}:{unquote(password or '')}".encode()
    return {"Proxy-Authorization": f"Basic {b64encode(pair).decode()}"}
