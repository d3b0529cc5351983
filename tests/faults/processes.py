"""Starting the processes of an experiment: they say "ready", begin together, and end by themselves."""

import os
import subprocess
import sys
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from pathlib import Path

FAULTS = Path(__file__).parent
IS_FULL = os.environ.get("SOJOURN_FULL") == "1"
"""Whether experiments run at their full length, where the short form is a share of it."""
PATIENCE_SECONDS = 300
FOLLOWER = "sojourn-follower"
"""The name of the thread that follows a feed."""


def child(
    program: str, *arguments: object, secret: str, stdin: int | None = None
) -> subprocess.Popen:
    """Start a program of this folder."""
    inherited = {k: v for k, v in os.environ.items() if not k.startswith("SOJOURN_")}
    paths = os.pathsep.join(filter(None, (str(FAULTS.parent), os.environ.get("PYTHONPATH"))))
    return subprocess.Popen(
        [sys.executable, str(FAULTS / program), *map(str, arguments)],
        env={**inherited, "PYTHONPATH": paths, "SOJOURN_SECRET": secret},
        text=True,
        stdin=stdin,
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
    )


@contextmanager
def ending(children: Sequence[subprocess.Popen]) -> Iterator[None]:
    """See to it that no child is left."""
    try:
        yield
    finally:
        for one in children:
            one.kill()
            one.wait()
            for pipe in (one.stdin, one.stdout, one.stderr):
                if pipe is not None:
                    pipe.close()


def wait_until_ready(children: Sequence[subprocess.Popen]) -> None:
    """Wait until each has said that it is ready."""
    for one in children:
        line = one.stdout.readline()
        assert line == "ready\n", line + one.stderr.read()


def results_of(children: Sequence[subprocess.Popen]) -> list[str]:
    """Wait until each has ended well; give what it printed since it was ready."""
    printed = []
    for one in children:
        out = one.stdout.read()  # what came with "ready" is in its buffer already
        assert one.wait(PATIENCE_SECONDS) == 0, one.stderr.read()
        printed.append(out)
    return printed
