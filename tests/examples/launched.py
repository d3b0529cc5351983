"""Run a module as a program as a test wants it: `launched.py CLOCK MODULE ARGUMENTS`.

CLOCK is a file that holds by how many nanoseconds the wall clock is ahead; the monotonic clock, by
which a server waits, is left alone. Passwords are hashed cheaply: hundreds are checked.
"""

import mmap
import runpy
import sys
import time
from pathlib import Path

import argon2

real_ns = time.time_ns
CHEAP = {"time_cost": 1, "memory_cost": 8, "parallelism": 1}


def set_clock(path: Path) -> None:
    """Have the wall clock be ahead by what a file says at each moment."""
    with path.open("rb") as file:
        ahead = mmap.mmap(file.fileno(), 8, access=mmap.ACCESS_READ)

    def time_ns() -> int:
        return real_ns() + int.from_bytes(ahead[:8], "little")

    time.time_ns = time_ns
    time.time = lambda: time_ns() / 1e9


def hash_cheaply(*, is_django: bool) -> None:
    """Make Argon2 cost next to nothing."""
    defaults = argon2.PasswordHasher.__init__.__defaults__
    argon2.PasswordHasher.__init__.__defaults__ = (*CHEAP.values(), *defaults[len(CHEAP) :])
    if is_django:
        from django.contrib.auth.hashers import Argon2PasswordHasher

        for name, value in CHEAP.items():
            setattr(Argon2PasswordHasher, name, value)


def main() -> None:
    """Prepare, then become the module."""
    _, clock, module, *arguments = sys.argv
    set_clock(Path(clock))
    hash_cheaply(is_django=any(argument.endswith("/django") for argument in arguments))
    sys.argv = [module, *arguments]
    sys.path[0] = ""
    runpy.run_module(module, run_name="__main__", alter_sys=True)


if __name__ == "__main__":
    main()
