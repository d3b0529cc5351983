"""Telling a person how far a long command has come; nobody else is told."""

from __future__ import annotations

import sys
from collections.abc import Iterable, Iterator
from types import TracebackType
from typing import Self, TypeVar

import click

from sojourn.cli.output import Output

T = TypeVar("T")
STEP = 500


class Progress:
    """A count of lines on a terminal's stderr, as long as the block runs.

    Args:
        output: Says whether a person wants to be told.
    """

    def __init__(self, output: Output) -> None:
        self._is_shown = not (output.is_json or output.is_quiet) and sys.stderr.isatty()
        self._count = 0

    def step(self) -> None:
        """Count one more."""
        self._count += 1
        if self._is_shown and self._count % STEP == 0:
            click.echo(f"\r{self._count:,} lines", err=True, nl=False)

    def counted(self, lines: Iterable[T]) -> Iterator[T]:
        """Count what goes by."""
        for line in lines:
            self.step()
            yield line

    def __enter__(self) -> Self:
        """Start counting."""
        return self

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        trace: TracebackType | None,
    ) -> None:
        """Leave the line of the count."""
        if self._is_shown and self._count >= STEP:
            click.echo(f"\r{self._count:,} lines", err=True)
