"""The server processes of the tests, which a test may kill, pause and start again."""

from __future__ import annotations

import os
import shutil
import signal
import subprocess
import time
from collections.abc import Callable, Iterable, Iterator, Sequence
from contextlib import contextmanager, suppress
from pathlib import Path

import psutil
from services_keeper import WAIT_SECONDS, keeper, nobody


def wait_until(is_so: Callable[[], bool], *, what: str, pause_seconds: float = 0.01) -> None:
    """Wait until something holds; fail after half a minute.

    Args:
        is_so: Asked again and again.
        what: What is waited for, as the failure says it.
        pause_seconds: Between two questions.
    """
    deadline = time.monotonic() + WAIT_SECONDS
    while not is_so():
        assert time.monotonic() < deadline, f"waited {WAIT_SECONDS} s in vain: {what}"
        time.sleep(pause_seconds)


class Node:
    """One server process, which a test may hurt.

    Args:
        command: The program and its arguments.
        port: Where it listens.
        folder: Its data; the log is written beside them.
        answers: Whether the server on a port answers.
        ending: The signal that ends it at once and leaves nothing behind.
        as_nobody: Whether root's rights are laid down first.
    """

    def __init__(
        self,
        command: Sequence[str],
        *,
        port: int,
        folder: Path,
        answers: Callable[[int], bool],
        ending: signal.Signals = signal.SIGKILL,
        as_nobody: bool = False,
    ) -> None:
        self.port = port
        self.folder = folder
        self.log = folder.parent / f"{folder.name}.log"
        self._command = list(command)
        self._answers = answers
        self._ending = ending
        self._user = nobody() if as_nobody else {}
        self._process: subprocess.Popen[bytes] | None = None

    @property
    def pid(self) -> int:
        """The latest process."""
        assert self._process is not None, "it was never started"
        return self._process.pid

    def is_alive(self) -> bool:
        """Whether the process exists, paused or not."""
        if self._process is None:
            return False
        if self._process.poll() is None:
            return True
        keeper().forget(self.pid)
        return False

    def launch(self) -> None:
        """Start the process; `wait_until_it_answers` belongs after it."""
        assert not self.is_alive(), "it runs already"
        with self.log.open("ab") as log:
            self._process = subprocess.Popen(
                self._command,
                cwd=self.folder,
                env={"LC_ALL": "C", "PATH": os.environ.get("PATH", os.defpath)},
                stdin=subprocess.DEVNULL,
                stdout=log,
                stderr=subprocess.STDOUT,
                start_new_session=True,  # a Ctrl-C is for the tests; they end it
                **self._user,
            )
        keeper().guard(self.pid, self._ending, self.end)

    def wait_until_it_answers(self) -> None:
        """Wait until clients are served; a process that ends instead is a failure with its log."""

        def answers() -> bool:
            assert self.is_alive(), f"the server ended:\n{self.log.read_text()}"
            return self._answers(self.port)

        wait_until(answers, what=f"an answer on port {self.port}", pause_seconds=0.005)

    def kill(self) -> None:
        """Kill the process and its children as a power cut would; they are gone when this returns."""
        family = self._freeze()
        _signal(family, signal.SIGKILL)
        assert self._process is not None
        self._process.wait(WAIT_SECONDS)
        keeper().forget(self.pid)
        wait_until(lambda: all(map(_is_dead, family)), what="the end of a killed server")
        assert not self.is_alive()

    def pause(self) -> None:
        """Stop it and its children where they are: connections stay open, nothing answers."""
        self._freeze()

    def resume(self) -> None:
        """Let it go on after `pause`."""
        _signal(reversed(self._family()), signal.SIGCONT)

    def restart(self) -> None:
        """Start it on the same port and data; what still runs is killed first."""
        if self.is_alive():
            self.kill()
        self.launch()
        self.wait_until_it_answers()

    def end(self) -> None:
        """End it for good, paused, dead or alive."""
        if self.is_alive():
            self.resume()
            assert self._process is not None
            self._process.send_signal(self._ending)
            try:
                self._process.wait(WAIT_SECONDS)
            except subprocess.TimeoutExpired:
                self.kill()
            keeper().forget(self.pid)

    def _family(self) -> list[psutil.Process]:
        assert self.is_alive(), "the server is not running"
        parent = psutil.Process(self.pid)
        return [parent, *parent.children(recursive=True)]

    def _freeze(self) -> list[psutil.Process]:
        """Stop the parent before its children are counted: from then on there are no new ones."""
        _signal(self._family()[:1], signal.SIGSTOP)
        wait_until(lambda: _is_still(self._family()[0]), what="a paused server")
        family = self._family()
        _signal(family[1:], signal.SIGSTOP)
        wait_until(lambda: all(map(_is_still, family)), what="a paused server's children")
        return family


@contextmanager
def running(nodes: Sequence[Node]) -> Iterator[None]:
    """Run servers as long as the block does; their data are deleted after it."""
    try:
        for node in nodes:
            node.launch()
        for node in nodes:
            node.wait_until_it_answers()
        yield
    finally:
        for node in nodes:
            node.end()
        for node in nodes:
            shutil.rmtree(node.folder)


def _signal(processes: Iterable[psutil.Process], number: signal.Signals) -> None:
    for process in processes:
        with suppress(psutil.NoSuchProcess):  # a child may end by itself
            process.send_signal(number)


def _is_dead(process: psutil.Process) -> bool:
    try:  # without an init process nobody buries an orphan
        return process.status() == psutil.STATUS_ZOMBIE
    except psutil.NoSuchProcess:
        return True


def _is_still(process: psutil.Process) -> bool:
    try:
        return process.status() in {psutil.STATUS_STOPPED, psutil.STATUS_ZOMBIE}
    except psutil.NoSuchProcess:
        return True
