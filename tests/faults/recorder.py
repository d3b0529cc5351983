"""Writing down what each process does, and reading it back: a file of JSON lines a process.

Each call is written when it is made and again when its outcome is there, and flushed, so that what
a killed process had under way is known to be unknown.
"""

from __future__ import annotations

import time
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import msgspec
from faults.operations import Name, Operation

from sojourn import Refused, SojournError


class Call:
    """One call under way: say `ok` with what it answered, else its error tells the outcome."""

    def __init__(self, known: dict[str, Any]) -> None:
        self.known = known
        self.outcome: dict[str, Any] = {}

    def ok(self, **answer: Any) -> None:
        """It was done, or accepted."""
        self.outcome = {"outcome": "ok", **answer}

    def refused(self, code: str) -> None:
        """The answer was no."""
        self.outcome = {"outcome": "refused", "code": code}

    def unknown(self, code: str) -> None:
        """There was no answer."""
        self.outcome = {"outcome": "unknown", "code": code}


class Recorder:
    """What one process writes.

    Args:
        folder: Where each process has a file of its own.
        process: Its name.
    """

    def __init__(self, folder: Path, process: str) -> None:
        self.process = process
        self._file = (folder / f"{process}.history").open("ab", buffering=0)
        self._number = 0

    @contextmanager
    def call(self, name: Name, **known: Any) -> Iterator[Call]:
        """Record a call: made at the beginning of the block, answered at its end.

        A `SojournError` ends the block, not the run: refused, or unknown where it says so.
        """
        self._number += 1
        number = self._number
        call = Call({"process": self.process, "name": name, **known})
        self._write({"number": number, **call.known, "start": time.monotonic_ns()})
        try:
            yield call
        except Refused as error:
            call.refused(error.code)
        except SojournError as error:
            call.unknown(error.code)
        finally:
            end = time.monotonic_ns()
            if call.outcome.get("outcome", "unknown") != "unknown":
                call.outcome["end"] = end
            self._write({"number": number, **call.outcome})

    def _write(self, line: dict[str, Any]) -> None:
        self._file.write(msgspec.json.encode(line) + b"\n")

    def close(self) -> None:
        """Close the file."""
        self._file.close()


def read_histories(folder: Path) -> list[Operation]:
    """Merge what all processes wrote."""
    operations = []
    for path in sorted(folder.glob("*.history")):
        calls: dict[int, dict[str, Any]] = {}
        for line in path.read_bytes().splitlines():
            try:
                fields = msgspec.json.decode(line)
            except msgspec.DecodeError:
                continue  # a killed process's last line: the call stays unknown
            calls.setdefault(fields.pop("number"), {}).update(fields)
        operations += [msgspec.convert(call, Operation) for call in calls.values()]
    return operations
