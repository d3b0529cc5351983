"""The blocking face under gunicorn's prefork workers: made in the master, at work in its children."""

import os
import secrets
import signal
import subprocess
import sys
import time
from collections.abc import Iterator
from contextlib import closing, contextmanager
from http.client import HTTPConnection
from pathlib import Path

import psutil
import pytest
from engines import SHARED, Engine
from faults.processes import FAULTS
from faults.verifying import SETTINGS
from servers import free_port

from sojourn import ANY, Incoming, Sojourn

pytest.importorskip("gunicorn", exc_type=ModuleNotFoundError)

ENGINES = ("sqlite", "postgres", "valkey")
"""Each has its own way with a fork; clusters and sentinels share Valkey's."""
WORKERS = 3
PATIENCE_SECONDS = 30
BOUND_SECONDS = 5.0
"""`max_lag_seconds`, as it is by default."""


class Farm:
    """gunicorn, and what its workers answer.

    Args:
        port: Where it listens.
        process: The master.
    """

    def __init__(self, port: int, process: subprocess.Popen) -> None:
        self.port, self.process = port, process

    def ask(self, token: str) -> tuple[int, int]:
        """Give which worker answered, and with which status; by a connection of its own."""
        with closing(HTTPConnection("127.0.0.1", self.port, timeout=10)) as connection:
            connection.request("GET", "/", headers={"Authorization": f"Bearer {token}"})
            answer = connection.getresponse()
            return int(answer.read()), answer.status

    def workers(self) -> set[int]:
        """Give the workers' pids."""
        children = psutil.Process(self.process.pid).children()
        return {one.pid for one in children if one.status() != psutil.STATUS_ZOMBIE}

    def ask_each(self, token: str, expected: int) -> None:
        """Ask until each worker has given the answer that is expected, and none another."""
        deadline, missing = time.monotonic() + PATIENCE_SECONDS, self.workers()
        while missing:
            assert time.monotonic() < deadline, f"{missing} never answered {expected}"
            pid, status = self.ask(token)
            assert expected == status, f"worker {pid} answered {status}"
            missing.discard(pid)

    def until_refused(self, token: str, *, acknowledged: float) -> float:
        """Ask until each worker has refused; nothing is accepted that was asked after the bound."""
        missing, slowest = self.workers(), 0.0
        while missing:
            asked = time.monotonic()
            pid, status = self.ask(token)
            if status == 401:
                if pid in missing:
                    slowest = max(slowest, asked - acknowledged)
                missing.discard(pid)
                continue
            assert 200 == status
            assert asked <= acknowledged + BOUND_SECONDS, f"worker {pid} accepts it still"
        return slowest


@contextmanager
def gunicorn(url: str, secret: str, *, is_used: bool, log: Path) -> Iterator[Farm]:
    """Run a master and its workers as long as the block does."""
    port = free_port()
    command = [sys.executable, "-m", "gunicorn", "--preload", "--workers", str(WORKERS)]
    command += ["--bind", f"127.0.0.1:{port}", "--no-control-socket", "faults.prefork_app:app"]
    paths = os.pathsep.join(filter(None, (str(FAULTS.parent), os.environ.get("PYTHONPATH"))))
    env = {
        **os.environ,
        "PYTHONPATH": paths,
        "SOJOURN_SECRET": secret,
        "SOJOURN_TEST_STORE": url,
        "SOJOURN_TEST_USED": str(int(is_used)),
    }
    with log.open("wb") as output:
        process = subprocess.Popen(command, env=env, stdout=output, stderr=output)
    farm = Farm(port, process)
    try:
        deadline = time.monotonic() + PATIENCE_SECONDS
        while True:
            assert process.poll() is None, log.read_text()
            assert time.monotonic() < deadline, log.read_text()
            try:
                farm.ask("nobody")
            except ConnectionError:
                time.sleep(0.05)
                continue
            if len(farm.workers()) == WORKERS:
                break
        yield farm
        process.send_signal(signal.SIGTERM)
        assert 0 == process.wait(PATIENCE_SECONDS), log.read_text()
    finally:
        if process.poll() is None:
            for pid in farm.workers():
                os.kill(pid, signal.SIGKILL)
            process.kill()
            process.wait()


@pytest.mark.slow
@pytest.mark.parametrize("is_used", [False, True], ids=["made", "used"])
@pytest.mark.parametrize("engine", [one for one in SHARED if one.id in ENGINES])
def test_every_worker_refuses(engine: Engine, is_used, tmp_path):
    """What another process revoked is refused by each worker within the bound, a new worker included."""
    url, secret = engine.place(tmp_path).url, secrets.token_urlsafe(48)
    with (
        Sojourn(url, secret=secret, **SETTINGS) as auth,
        gunicorn(url, secret, is_used=is_used, log=tmp_path / "log") as farm,
    ):

        def sign_in(mode: str):
            signed_in = auth.login(Incoming(), "ann", mode=mode, transport="bearer")
            return signed_in.principal.sid, signed_in.access_token

        slowest = []
        for mode in ("session", "hybrid", "jwt"):
            sid, token = sign_in(mode)
            kept = sign_in(mode)[1]
            farm.ask_each(token, 200)
            auth.revoke(sid, subject=ANY)
            slowest.append(farm.until_refused(token, acknowledged=time.monotonic()))
            farm.ask_each(token, 401)
            farm.ask_each(kept, 200)
        killed = min(farm.workers())
        sid, token = sign_in("jwt")
        farm.ask_each(token, 200)
        os.kill(killed, signal.SIGKILL)
        auth.revoke(sid, subject=ANY)
        acknowledged = time.monotonic()
        while killed in farm.workers() or len(farm.workers()) < WORKERS:
            assert time.monotonic() < acknowledged + PATIENCE_SECONDS, "it is not replaced"
            time.sleep(0.05)
        slowest.append(farm.until_refused(token, acknowledged=acknowledged))
        farm.ask_each(token, 401)
    shown = ", ".join(f"{seconds * 1000:.0f} ms" for seconds in slowest)
    print(f"prefork on {engine.name}: refused by {WORKERS} workers within {shown}")
