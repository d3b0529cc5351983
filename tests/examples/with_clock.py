"""Run a module as a program under a clock that a test can set forward: `with_clock.py FILE MODULE ARGUMENTS`.

FILE holds by how many nanoseconds the wall clock is ahead. The monotonic clock, by which a server
waits, is left alone.
"""

import mmap
import runpy
import sys
import time
from pathlib import Path

real_ns = time.time_ns


def main() -> None:
    """Patch the clock, then become the module."""
    _, name, module, *arguments = sys.argv
    with Path(name).open("rb") as file:
        ahead = mmap.mmap(file.fileno(), 8, access=mmap.ACCESS_READ)

    def time_ns() -> int:
        return real_ns() + int.from_bytes(ahead[:8], "little")

    time.time_ns = time_ns
    time.time = lambda: time_ns() / 1e9
    sys.argv = [module, *arguments]
    sys.path[0] = ""
    runpy.run_module(module, run_name="__main__", alter_sys=True)


main()
