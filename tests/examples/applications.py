"""The applications of examples/, each as a real process on a real server."""

from __future__ import annotations

import os
import secrets
import signal
import sqlite3
import subprocess
import sys
import time
from collections.abc import Iterator
from contextlib import closing, contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import httpx2
from argon2 import PasswordHasher
from examples.launched import CHEAP
from servers import START_SECONDS, STOP_SECONDS, free_port

import sojourn

ROOT = Path(__file__).resolve().parents[2]
EXAMPLES = ROOT / "examples"
HASHER = PasswordHasher(**CHEAP)
PASSWORD = "six unrelated words are enough"
sys.path.append(str(EXAMPLES))  # what the examples share; nothing else there can be imported
from notes import People  # noqa: E402

_UVICORN = ("uvicorn", "--app-dir", "{folder}", "--log-level", "warning")
_GUNICORN = ("gunicorn", "--chdir", "{folder}", "--threads", "4", "--log-level", "warning")
SERVERS = {
    "fastapi": _UVICORN,
    "litestar": _UVICORN,
    "starlette": _UVICORN,
    "asgi": _UVICORN,
    "django": _GUNICORN,
    "flask": _GUNICORN,
    "wsgi": _GUNICORN,
}


@dataclass(frozen=True)
class Application:
    """An application that answers.

    Args:
        name: Which, and so its folder.
        mode: How it keeps people signed in.
        url: Where it is reached, without a trailing slash.
        log: The file of what it printed.
        clock: The file that sets its clock forward.
        people: Its own table of people.
    """

    name: str
    mode: str
    url: str
    log: Path
    clock: Path
    people: Any

    def new_person(self, *, roles: str = "") -> str:
        """Put somebody new into its table of people, and give the name."""
        name = f"person-{secrets.token_hex(4)}"
        self.people.add(name, PASSWORD, roles=roles)
        return name

    def set_forward(self, *, seconds: int) -> None:
        """Let time pass for it."""
        ahead_ns = int.from_bytes(self.clock.read_bytes(), "little") + seconds * 1_000_000_000
        with self.clock.open("r+b") as file:  # in place: the process looks at this very file
            file.write(ahead_ns.to_bytes(8, "little"))


def environment(folder: Path, **more: str) -> dict[str, str]:
    """Give what an example runs under: the package under test, and nothing else of Sojourn's."""
    inherited = {k: v for k, v in os.environ.items() if not k.startswith("SOJOURN_")}
    package = Path(sojourn.__file__).parents[1]
    return inherited | {
        "PYTHONPATH": os.pathsep.join((str(package), str(EXAMPLES))),
        "NOTES_DATABASE": str(folder / "notes.db"),
        "SOJOURN_DATA": str(folder / "data"),
        **more,
    }


class DjangoPeople:
    """Django's own users.

    Args:
        path: The database.
        hasher: Hashes as the application does.
    """

    def __init__(self, path: str, hasher: PasswordHasher) -> None:
        self._path, self._hasher = path, hasher

    def add(self, name: str, password: str, *, roles: str = "") -> None:
        password = "argon2" + self._hasher.hash(password)
        values = {"name": name, "password": password, "is_admin": "admin" in roles}
        with closing(sqlite3.connect(self._path)) as database, database:
            database.execute(
                "INSERT OR IGNORE INTO auth_user (username, password, is_superuser, is_staff, is_active, "
                "first_name, last_name, email, date_joined) "
                "VALUES (:name, :password, :is_admin, 0, 1, '', '', '', '2026-01-01')",
                values,
            )


def people_of(name: str, folder: Path) -> Any:
    """Give an application's own table of people."""
    kind = DjangoPeople if name == "django" else People
    return kind(str(folder / "notes.db"), HASHER)


@contextmanager
def running(name: str, mode: str, folder: Path, *, module: str = "app") -> Iterator[Application]:
    """Run an application as long as the block does; it must then end by itself."""
    people = people_of(name, folder)
    port = free_port()
    clock, log = folder / "clock", folder / "server.log"
    clock.write_bytes(bytes(8))
    server, *arguments = SERVERS[name]
    bound = ("--bind", f"127.0.0.1:{port}") if server == "gunicorn" else ("--port", str(port))
    where = [argument.format(folder=EXAMPLES / name) for argument in arguments]
    with log.open("ab") as output:
        process = subprocess.Popen(
            [sys.executable, Path(__file__).with_name("launched.py"), clock, server, *where,
             *bound, f"{module}:app"],
            cwd=folder,
            env=environment(
                folder,
                PORT=str(port),
                SOJOURN_MODE=mode,
                SOJOURN_STORE=f"sqlite:///{folder / 'notes.db'}?durable=no",
            ),
            stdout=output,
            stderr=subprocess.STDOUT,
        )  # fmt: skip
    application = Application(name, mode, f"http://127.0.0.1:{port}", log, clock, people)
    try:
        wait_until_it_answers(application.url, process, log)
        yield application
        process.send_signal(signal.SIGTERM)
        status = process.wait(STOP_SECONDS)
        assert status in {0, -signal.SIGTERM}, f"it ended with {status}:\n{log.read_text()}"
    finally:
        if process.poll() is None:
            process.kill()
            process.wait()


def wait_until_it_answers(url: str, process: subprocess.Popen[bytes], log: Path) -> None:
    """Wait until an application's first page can be had."""
    deadline = time.monotonic() + START_SECONDS
    while time.monotonic() < deadline and process.poll() is None:
        try:
            httpx2.get(f"{url}/static/style.css", timeout=1).raise_for_status()
        except httpx2.TransportError:
            time.sleep(0.03)
        else:
            return
    raise AssertionError(f"the application does not answer:\n{log.read_text()}")
