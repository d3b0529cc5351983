"""An application factory behind gunicorn: processes forked after the store was used, on one file."""

import json
import os
import signal
import subprocess
import sys
import time
from collections.abc import Iterator
from contextlib import closing, contextmanager
from http.client import HTTPConnection
from http.cookies import SimpleCookie

import psutil
import pytest
from servers import free_port

pytest.importorskip("gunicorn", exc_type=ModuleNotFoundError)

WORKERS = 2
PATIENCE_SECONDS = 30
APP = """
import os

from flask import Flask, session

from sojourn.flask import Auth, SojournSessionInterface, current_user, login_required, login_user

auth = Auth()


def create_app():
    app = Flask(__name__)
    app.session_interface = SojournSessionInterface()
    auth.init_app(app)
    with app.app_context():
        auth.sojourn.sessions("ann")  # the store is open before the fork

    @app.post("/login")
    def login():
        return login_user("ann").public()

    @app.get("/me")
    @login_required
    def me():
        session["seen"] = session.get("seen", 0) + 1
        return {"subject": current_user.get_id(), "seen": session["seen"], "pid": os.getpid()}

    return app
"""


class Farm:
    """gunicorn, and a browser before it.

    Args:
        port: Where it listens.
        process: The master.
    """

    def __init__(self, port: int, process: subprocess.Popen) -> None:
        self.port, self.process = port, process
        self.cookies: dict[str, str] = {}

    def ask(self, method: str, path: str):
        """Ask by a connection of its own; give the status and the document."""
        cookies = "; ".join(f"{name}={value}" for name, value in self.cookies.items())
        with closing(HTTPConnection("127.0.0.1", self.port, timeout=10)) as connection:
            connection.request(method, path, headers={"Cookie": cookies})
            answer = connection.getresponse()
            body = answer.read()
            for text in answer.headers.get_all("Set-Cookie", ()):
                self.cookies |= {key: one.value for key, one in SimpleCookie(text).items()}
            return answer.status, json.loads(body) if body else None

    def workers(self) -> set[int]:
        """Give the workers' pids."""
        children = psutil.Process(self.process.pid).children()
        return {one.pid for one in children if one.status() != psutil.STATUS_ZOMBIE}


@contextmanager
def gunicorn(folder, env) -> Iterator[Farm]:
    """Run a master and its workers as long as the block does."""
    port, log = free_port(), folder / "log"
    command = [sys.executable, "-m", "gunicorn", "--preload", "--workers", str(WORKERS)]
    command += ["--bind", f"127.0.0.1:{port}", "--no-control-socket", "site_of_test:create_app()"]
    with log.open("wb") as output:
        process = subprocess.Popen(command, cwd=folder, env=env, stdout=output, stderr=output)
    farm = Farm(port, process)
    try:
        deadline = time.monotonic() + PATIENCE_SECONDS
        while True:
            assert process.poll() is None, log.read_text()
            assert time.monotonic() < deadline, log.read_text()
            try:
                farm.ask("GET", "/me")
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


def test_every_worker_knows_who_it_is_and_that_it_is_over(tmp_path):
    """A sign-in and `flask.session` are those of all workers, and so is an end by `flask sojourn`."""
    (tmp_path / "site_of_test.py").write_text(APP)
    inherited = {k: v for k, v in os.environ.items() if not k.startswith("SOJOURN_")}
    env = inherited | {
        "SOJOURN_STORE": f"sqlite:///{tmp_path}/app.db",
        "SOJOURN_URL": "http://127.0.0.1:8000",
        "SOJOURN_DATA": str(tmp_path / "data"),
    }
    with gunicorn(tmp_path, env) as farm:
        assert (401, "unauthenticated") == (
            (refused := farm.ask("GET", "/me"))[0],
            refused[1]["code"],
        )
        status, told = farm.ask("POST", "/login")
        assert (200, "ann") == (status, told["subject"])
        missing, seen = farm.workers(), 0
        deadline = time.monotonic() + PATIENCE_SECONDS
        while missing:
            assert time.monotonic() < deadline, f"{missing} never answered"
            status, told = farm.ask("GET", "/me")
            seen += 1
            assert (200, "ann", seen) == (status, told["subject"], told["seen"])
            missing.discard(told["pid"])
        ended = subprocess.run(
            [
                sys.executable,
                "-m",
                "flask",
                "--app",
                "site_of_test",
                "sojourn",
                "revoke-all",
                "ann",
            ],
            cwd=tmp_path,
            env=env,
            capture_output=True,
            text=True,
            check=True,
        )
        assert "1 stored session(s) ended" in ended.stdout
        refusals = 0
        while refusals < 4 * WORKERS:
            assert time.monotonic() < deadline, "it is accepted still"
            status, told = farm.ask("GET", "/me")
            refusals = refusals + 1 if status == 401 else 0
        assert "revoked" == told["code"]
