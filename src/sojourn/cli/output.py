"""What a command says: data to stdout as JSON or text, chatter to stderr."""

from __future__ import annotations

import json
import sys
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from datetime import UTC, datetime
from typing import Any

import click

MAX_INSTANT = 253_402_300_799
"""The last second of the year 9999."""


def printable(text: str) -> str:
    """Take out what could steer a terminal or break a line: control and bidi characters, tabs."""
    return "".join(c if c.isprintable() else "?" for c in text)


def instant(seconds: int) -> str:
    """Show an instant in UTC."""
    if not 0 <= seconds <= MAX_INSTANT:
        return str(seconds)
    return datetime.fromtimestamp(seconds, UTC).strftime("%Y-%m-%d %H:%M:%SZ")


def as_json(value: Any, *, is_indented: bool = False) -> str:
    """Write JSON in ASCII, so that no character of a stranger's reaches a terminal as it is."""
    return json.dumps(value, indent=2 if is_indented else None)


@dataclass(frozen=True, slots=True)
class Output:
    """Where a command's answers go.

    Args:
        is_json: One JSON document to stdout, and no chatter.
        is_quiet: No chatter, and no column titles.
    """

    is_json: bool = False
    is_quiet: bool = False

    def say(self, text: str) -> None:
        """Say something to the person, not to the next program."""
        if not self.is_json and not self.is_quiet:
            click.echo(text, err=True)

    def warn(self, text: str) -> None:
        """Warn the person."""
        self.say(f"warning: {text}")

    def document(self, value: Any) -> None:
        """Give one JSON document."""
        click.echo(as_json(value, is_indented=sys.stdout.isatty()))

    def text(self, value: Any, text: str) -> None:
        """Give data that is one text; `value` is the same as a document."""
        if self.is_json:
            self.document(value)
        else:
            click.echo(text)

    def facts(self, value: Any, facts: Mapping[str, object]) -> None:
        """Give data that is a few named facts."""
        if self.is_json:
            self.document(value)
        elif sys.stdout.isatty():
            width = max(map(len, facts), default=0)
            for name, fact in facts.items():
                click.echo(f"{name:<{width}}  {_cell(fact)}")
        else:
            for pair in facts.items():
                self.line(pair)

    def table(self, value: Any, columns: Sequence[str], rows: Iterable[Sequence[object]]) -> None:
        """Give data that is a table: aligned on a terminal, separated by tabs elsewhere."""
        if self.is_json:
            self.document(value)
        elif sys.stdout.isatty():
            self._aligned(columns, rows)
        else:
            if not self.is_quiet:
                self.line(columns)
            for row in rows:
                self.line(row)

    def line(self, cells: Iterable[object]) -> None:
        """Give one line of a table."""
        click.echo("\t".join(_cell(cell) for cell in cells))

    def _aligned(self, columns: Sequence[str], rows: Iterable[Sequence[object]]) -> None:
        from rich.console import Console
        from rich.table import Table
        from rich.text import Text

        table = Table(box=None, pad_edge=False, show_header=not self.is_quiet)
        for column in columns:
            table.add_column(column, overflow="fold")
        for row in rows:
            table.add_row(*(Text(_cell(cell)) for cell in row))  # Text: brackets are no markup
        Console().print(table)


def _cell(value: object) -> str:
    if value is None:
        return ""
    if isinstance(value, bool):
        return "yes" if value else "no"
    if isinstance(value, list | tuple):
        return printable(",".join(str(item) for item in value))
    return printable(str(value))
