"""What a test process owns while it lives: a folder, ports, processes. A sudden end frees them too."""

from __future__ import annotations

import atexit
import fcntl
import os
import pwd
import random
import socket
import subprocess
import sys
import tempfile
from collections.abc import Callable
from contextlib import ExitStack
from functools import cache
from pathlib import Path

HOST = "127.0.0.1"
WAIT_SECONDS = 30
# Systems hand out other ports by themselves, so a server that is down finds its own free again.
_PORTS = range(20_000, 32_000)
# Reads "pid signal" (signal 0: no longer ours) until the test process is gone, then ends the rest.
_KEEPER = """
import os, shutil, signal, sys, time

def hit(pid, number):
    try:
        os.kill(pid, number)
        with open(f"/proc/{pid}/stat") as stat:  # where no init process buries it, it stays a zombie
            if stat.read().rpartition(")")[2].split()[0] == "Z":
                left.pop(pid)
    except ProcessLookupError:
        left.pop(pid, None)
    except OSError:
        pass  # no such file on this system

left = {}
for line in sys.stdin:
    pid, ending = map(int, line.split())
    left[pid] = ending
    if not ending:
        del left[pid]
for pid, ending in list(left.items()):
    hit(pid, signal.SIGCONT)
    hit(pid, ending)
deadline = time.monotonic() + 10
while left and time.monotonic() < deadline:
    time.sleep(0.02)
    for pid in list(left):
        hit(pid, 0)
for pid in list(left):
    hit(pid, signal.SIGKILL)
shutil.rmtree(sys.argv[1], ignore_errors=True)
"""


class Keeper:
    """This process's folder, its shared services, and the helper that outlives a sudden end."""

    def __init__(self) -> None:
        self.owner = os.getpid()
        parent = Path(tempfile.gettempdir())
        if nobody() and not is_open_to_others(parent / "any"):
            parent = Path("/tmp")  # noqa: S108 - mkdtemp makes a new name in it
        self.folder = Path(tempfile.mkdtemp(prefix="sojourn-services-", dir=parent))
        if nobody():
            self.folder.chmod(0o711)
        self.shared = ExitStack()
        self.ending: dict[int, Callable[[], None]] = {}
        self.process = subprocess.Popen(
            [sys.executable, "-ISc", _KEEPER, self.folder],
            stdin=subprocess.PIPE,
            stdout=subprocess.DEVNULL,
            stderr=subprocess.DEVNULL,
            cwd="/",
            start_new_session=True,
        )

    def guard(self, pid: int, number: int, end: Callable[[], None]) -> None:
        """Take a process into care.

        Args:
            pid: The process.
            number: The signal that ends it, should this process be gone suddenly.
            end: Ends it in the usual way.
        """
        self.ending[pid] = end
        self._tell(f"{pid} {number:d}")

    def forget(self, pid: int) -> None:
        """Leave a process alone that is gone; its id may soon be another's."""
        if self.ending.pop(pid, None):
            self._tell(f"{pid} 0")

    def close(self) -> None:
        """End what is shared and what is left, then the helper, which deletes the folder."""
        if os.getpid() != self.owner:
            return  # a fork does not own them
        self.shared.close()
        for end in list(self.ending.values()):
            end()
        assert self.process.stdin is not None
        self.process.stdin.close()
        self.process.wait(WAIT_SECONDS)

    def _tell(self, line: str) -> None:
        assert self.process.stdin is not None
        self.process.stdin.write(f"{line}\n".encode())
        self.process.stdin.flush()


@cache
def keeper() -> Keeper:
    """Give the keeper of this process."""
    made = Keeper()
    atexit.register(made.close)
    return made


def nobody() -> dict[str, object]:
    """Give what `subprocess` needs to lay down root's rights; nothing for anybody else."""
    if os.geteuid() != 0:
        return {}
    user = pwd.getpwnam("nobody")
    return {"user": user.pw_uid, "group": user.pw_gid, "extra_groups": []}


def is_open_to_others(path: Path) -> bool:
    """Whether every folder above lets another user pass."""
    return all(folder.stat().st_mode & 0o001 for folder in path.resolve().parents)


def new_folder(name: str, *, of_nobody: bool = False) -> Path:
    """Make a folder in this process's own, which goes when the process does.

    Args:
        name: A word of its name.
        of_nobody: Whether it belongs to the user whom `nobody` names.
    """
    folder = Path(tempfile.mkdtemp(prefix=f"{name}-", dir=keeper().folder))
    if of_nobody and (user := nobody()):
        os.chown(folder, user["user"], user["group"])
    return folder


@cache
def _port_locks() -> int:
    path = Path(tempfile.gettempdir(), f"sojourn-test-ports-{os.geteuid()}")
    return os.open(path, os.O_RDWR | os.O_CREAT | os.O_NOFOLLOW, 0o600)


_reserved: set[int] = set()


def reserve_port() -> int:
    """Find a free port of the loopback, and keep other test processes from it while this one lives."""
    while True:
        port = random.choice(_PORTS)
        if port in _reserved:
            continue
        try:
            # One byte of a common file is one port; the system drops the lock with the process.
            fcntl.lockf(_port_locks(), fcntl.LOCK_EX | fcntl.LOCK_NB, 1, port)
            with socket.socket() as probe:
                probe.bind((HOST, port))
        except OSError:
            continue
        _reserved.add(port)
        return port
