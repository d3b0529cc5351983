"""Applications on real ASGI servers, in processes of their own, and clients that stay connected."""

from __future__ import annotations

import os
import signal
import subprocess
import sys
import time
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path

import httpx2
from servers import START_SECONDS, STOP_SECONDS, free_port
from websockets.exceptions import ConnectionClosed
from websockets.sync.client import connect

from sojourn import Sojourn

BOUND_SECONDS = 1.0
"""Within this a connection is closed."""
PATIENCE_SECONDS = 10.0
SECRET = "only-for-this-test-Zq8Lx2Vm5Rk7Ty4Wn1Bp3Cd6"
COMMANDS = {
    "uvicorn": ("uvicorn", "--log-level", "warning"),
    "granian": ("granian", "--interface", "asgi"),
}


@dataclass(frozen=True)
class Live:
    """An application that answers, and what another process sees of its store.

    Args:
        url: Where it is reached.
        elsewhere: An engine of this process on the same store.
        log: What the server printed.
    """

    url: str
    elsewhere: Sojourn
    log: Path

    def sign_in(self, **options) -> tuple[dict[str, str], str]:
        """Sign ann in; gives her client's headers, and her sid."""
        told = httpx2.post(f"{self.url}/login", json=options).json()
        return {"Authorization": f"Bearer {told['access_token']}"}, told["sid"]

    def connect(self, path: str, headers: dict[str, str]):
        """Open a WebSocket."""
        address = self.url.replace("http", "ws", 1) + path
        return connect(address, additional_headers=headers, proxy=None)

    @contextmanager
    def events(self, path: str, headers: dict[str, str]):
        """Read an event stream by lines."""
        with (
            httpx2.Client(timeout=PATIENCE_SECONDS) as client,
            client.stream("GET", self.url + path, headers=headers) as response,
        ):
            assert response.status_code == 200, response.read()
            yield response, response.iter_lines()


def closed(socket) -> tuple[int, str]:
    """Wait for the close of a WebSocket, as long as the bound allows, and give its code and reason."""
    deadline = time.monotonic() + BOUND_SECONDS
    try:
        while True:
            socket.recv(timeout=max(deadline - time.monotonic(), 0))
    except ConnectionClosed as error:
        return error.rcvd.code, error.rcvd.reason


def rest_of(response, lines) -> list[str]:
    """Read an event stream to its end, which has to come within the bound."""
    response.request.extensions["timeout"]["read"] = BOUND_SECONDS
    return list(lines)


@contextmanager
def live(server: str, app: Path, folder: Path, **options):
    """Serve an application of one file as long as the block lasts."""
    port = free_port()
    store, log = f"sqlite:///{folder / 'live.db'}", folder / "server.log"
    url = f"http://127.0.0.1:{port}"
    inherited = {k: v for k, v in os.environ.items() if not k.startswith("SOJOURN_")}
    with log.open("wb") as output:
        process = subprocess.Popen(
            [sys.executable, "-m", *COMMANDS[server], "--port", str(port), f"{app.stem}:app"],
            cwd=app.parent,
            env=inherited | {"SOJOURN_SECRET": SECRET, "LIVE_STORE": store, "SOJOURN_URL": url},
            stdout=output,
            stderr=subprocess.STDOUT,
        )
    try:
        wait_until_it_answers(url, process, log)
        with Sojourn(store, url=url, secret=SECRET, mode="session", **options) as elsewhere:
            yield Live(url, elsewhere, log)
        process.send_signal(signal.SIGTERM)
        process.wait(STOP_SECONDS)
        assert "Traceback" not in log.read_text(), log.read_text()
    finally:
        if process.poll() is None:
            process.kill()
            process.wait()


def wait_until_it_answers(url: str, process: subprocess.Popen, log: Path) -> None:
    deadline = time.monotonic() + START_SECONDS
    while time.monotonic() < deadline and process.poll() is None:
        try:
            httpx2.get(f"{url}/public", timeout=1)
        except httpx2.TransportError:
            time.sleep(0.03)
        else:
            return
    raise AssertionError(f"the application does not answer:\n{log.read_text()}")
