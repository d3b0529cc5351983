"""A real server for tests: its own process, port and data folder; stopped by a signal."""

from __future__ import annotations

import os
import signal
import socket
import subprocess
import sys
import time
import urllib.error
import urllib.request
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path

START_SECONDS = 30
STOP_SECONDS = 20
_PROGRAM = (
    "from sojourn.server.config import load_config; from sojourn.server.serve import serve; "
    "serve(load_config())"
)


@dataclass(frozen=True)
class RunningServer:
    """A server that answers.

    Args:
        url: Where it is reached, without a trailing slash.
        process: Its process.
        data: Its data folder.
        log: The file of what it printed.
    """

    url: str
    process: subprocess.Popen[bytes]
    data: Path
    log: Path

    def stop(self) -> int:
        """Ask it to end, and give the exit status."""
        if self.process.poll() is None:
            self.process.send_signal(signal.SIGTERM)
        return self.process.wait(STOP_SECONDS)


def free_port() -> int:
    """Find a port of the loopback that nobody listens on."""
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        return int(probe.getsockname()[1])


@contextmanager
def running_server(folder: Path, **env: str) -> Iterator[RunningServer]:
    """Run a server as long as the block does; it must then end by itself, with status 0.

    Args:
        folder: Where its data folder and log go.
        **env: More of its environment, as `SOJOURN_MODE="jwt"`. What the tests run under is not
            handed on where it configures Sojourn.
    """
    port = int(env.get("SOJOURN_PORT") or free_port())
    data, log = folder / "data", folder / "server.log"
    inherited = {k: v for k, v in os.environ.items() if not k.startswith("SOJOURN_")}
    own = {"SOJOURN_PORT": str(port), "SOJOURN_DATA": str(data)}
    with log.open("ab") as output:
        process = subprocess.Popen(
            [sys.executable, "-c", _PROGRAM],
            env=inherited | own | env,
            stdout=output,
            stderr=subprocess.STDOUT,
        )
    server = RunningServer(f"http://127.0.0.1:{port}", process, data, log)
    try:
        _wait_until_it_answers(server)
        yield server
        status = server.stop()
        assert status == 0, f"the server ended with {status}:\n{log.read_text()}"
    finally:
        if process.poll() is None:
            process.kill()
            process.wait()


def _wait_until_it_answers(server: RunningServer) -> None:
    deadline = time.monotonic() + START_SECONDS
    while time.monotonic() < deadline:
        if server.process.poll() is not None:
            break
        try:
            with urllib.request.urlopen(f"{server.url}/livez", timeout=1) as answer:  # noqa: S310 - ours
                assert answer.status == 200
                return
        except (urllib.error.URLError, ConnectionError, TimeoutError):
            time.sleep(0.03)
    raise AssertionError(f"the server does not answer:\n{server.log.read_text()}")
