"""What the tests of the command line share: running it in processes of their own, and a server."""

from __future__ import annotations

import json
import os
import signal
import subprocess
import sys
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager, suppress
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import httpx2
from click.testing import Result

import sojourn
from sojourn.cli.place import Place, run_with_server
from sojourn.messages import Incoming
from sojourn.server.accounts import AccountExists

PASSWORD = "correct horse battery staple"
PROGRAM = (sys.executable, "-m", "sojourn.cli")
START_SECONDS = 30
STOP_SECONDS = 20
_SOURCE = str(Path(sojourn.__file__).parents[1])


Cli = Callable[..., Result]


def environment(**more: str) -> dict[str, str]:
    """Give a process the environment of this one, and this very package."""
    return {**os.environ, "PYTHONPATH": _SOURCE, **more}


def run(*args: object, stdin: str = "", **env: str) -> subprocess.CompletedProcess[str]:
    """Run a command in a process of its own."""
    return subprocess.run(
        [*PROGRAM, *map(str, args)],
        env=environment(**env),
        input=stdin,
        capture_output=True,
        text=True,
        check=False,
        timeout=60,
    )


def problem(text: str) -> dict[str, Any]:
    """Read the one problem document that stderr holds."""
    document: dict[str, Any] = json.loads(text)
    return document


def signed_in(email: str = "ada@example.com", mode: Any = None) -> str:
    """Sign an account in and give the sid; the account is added where it is missing."""

    async def act(server: Any) -> str:
        with suppress(AccountExists):
            await server.service.register(email, PASSWORD)
        incoming = Incoming(method="POST", user_agent="Agent [red]", peer="192.0.2.7")
        signed = await server.service.login(incoming, email, PASSWORD, mode=mode)
        return signed.principal.sid

    return run_with_server(Place().load()[0], act)


@dataclass(frozen=True)
class Serving:
    """A server that `sojourn serve` started."""

    process: subprocess.Popen[str]
    said: dict[str, Any]

    @property
    def url(self) -> str:
        """Where it is reached."""
        return str(self.said["url"])

    def log_in(self, **more: Any) -> httpx2.Response:
        """Sign in with the ready account."""
        account = self.said["account"]
        body = {"email": account["email"], "password": account["password"], **more}
        return httpx2.post(f"{self.url}/auth/login", json=body, timeout=20)

    def stop(self, number: int = signal.SIGTERM) -> int:
        """Ask it to end, and give the exit status."""
        if self.process.poll() is None:
            self.process.send_signal(number)
        return self.process.wait(STOP_SECONDS)


@contextmanager
def serving(*args: object, **env: str) -> Iterator[Serving]:
    """Serve on a free port as long as the block does."""
    process = subprocess.Popen(
        [*PROGRAM, "serve", "--json", "--port", "0", *map(str, args)],
        env=environment(**env),
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
        text=True,
        start_new_session=True,
    )
    try:
        assert process.stdout is not None
        line = process.stdout.readline()
        assert line, process.communicate(timeout=STOP_SECONDS)
        server = Serving(process, json.loads(line))
        wait_until_it_answers(server)
        yield server
        server.stop()
    finally:
        if process.poll() is None:
            process.kill()
        process.communicate()


def wait_until_it_answers(server: Serving) -> None:
    """Wait until the server is alive."""
    deadline = time.monotonic() + START_SECONDS
    while True:
        try:
            if httpx2.get(f"{server.url}/livez", timeout=5).status_code == 200:
                return
        except httpx2.TransportError:
            assert time.monotonic() < deadline, "the server does not answer"
            assert server.process.poll() is None, "the server ended"
            time.sleep(0.05)
