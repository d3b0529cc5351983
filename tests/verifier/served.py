"""Foreign issuers as they are met on the network: small HTTP servers on loopback, which count."""

from __future__ import annotations

import json
import threading
from collections import Counter
from contextlib import contextmanager, suppress
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from urllib.parse import urlsplit

from sojourn.verifier import Fetch, Web


class Reply:
    """What a path answers with."""

    def __init__(self, body=b"", *, status=200, headers=None):
        self.body = body if isinstance(body, bytes) else json.dumps(body).encode()
        self.status = status
        self.headers = {"Content-Type": "application/json"} | (headers or {})


class Served:
    """A server: `routes` by path, each a `Reply` or a function of the request that gives one.

    A function that answers by itself, byte by byte, gives None. `requests` keeps what was asked.
    """

    def __init__(self, url, routes):
        self.url = url
        self.routes = routes
        self.counts = Counter()
        self.requests = []


@contextmanager
def served(routes=None, *, tls=None):
    """Serve as long as the block lasts.

    Args:
        routes: By path.
        tls: A server's SSL context.
    """

    class Handler(BaseHTTPRequestHandler):
        def answer(self):
            path = self.path.partition("?")[0]
            length = int(self.headers.get("Content-Length") or 0)
            self.sent = self.rfile.read(length)
            here.counts[path] += 1
            here.requests.append((self.command, self.path, dict(self.headers), self.sent))
            route = here.routes.get(path, Reply(b"{}", status=404))
            reply = route(self) if callable(route) else route
            if reply is None:
                return
            self.send_response(reply.status)
            for name, value in reply.headers.items():
                self.send_header(name, value)
            self.send_header("Content-Length", str(len(reply.body)))
            self.end_headers()
            self.wfile.write(reply.body)

        do_GET = do_POST = do_CONNECT = answer  # noqa: N815 - the base class calls them so

        def log_message(self, *args):
            pass

        def handle(self):
            with suppress(OSError):  # the client went away, as it should
                super().handle()

    server = ThreadingHTTPServer(("127.0.0.1", 0), Handler)
    server.daemon_threads = True
    scheme = "http"
    if tls is not None:
        server.socket = tls.wrap_socket(server.socket, server_side=True)
        scheme = "https"
    host = "localhost" if tls else "127.0.0.1"
    here = Served(f"{scheme}://{host}:{server.server_port}", dict(routes or {}))
    thread = threading.Thread(target=server.serve_forever, args=(0.01,), daemon=True)
    thread.start()
    try:
        yield here
    finally:
        server.shutdown()
        server.server_close()
        thread.join(5)


class Rerouted(Web):
    """The real client, that finds every https host as a folder of one server on loopback."""

    def __init__(self, url):
        super().__init__()
        self._url = url

    def fetch(self, request):
        if not request.url.startswith("https://"):
            return super().fetch(request)
        parts = urlsplit(request.url)
        moved = f"{self._url}/{parts.netloc}{parts.path}"
        return super().fetch(
            Fetch(
                url=moved,
                method=request.method,
                headers=request.headers,
                body=request.body,
                max_bytes=request.max_bytes,
                timeout_seconds=request.timeout_seconds,
            )
        )
