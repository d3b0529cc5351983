"""What all commands share: ``--json``, ``--quiet``, examples in the help, and which server is meant."""

from __future__ import annotations

import functools
from collections.abc import Callable
from pathlib import Path
from typing import Any

import click

from sojourn.cli.output import Output
from sojourn.cli.place import Place

Function = Callable[..., Any]


class WithExamples(click.Command):
    """What ends its help with examples.

    Args:
        examples: Lines as they are typed.
    """

    def __init__(self, *args: Any, examples: tuple[str, ...] = (), **attributes: Any) -> None:
        super().__init__(*args, **attributes)
        self.examples = examples

    def format_epilog(
        self,
        ctx: click.Context,  # noqa: ARG002 - click's signature
        formatter: click.HelpFormatter,
    ) -> None:
        """Write the examples."""
        with formatter.section("Examples"):
            for example in self.examples:
                formatter.write(f"{'':>{formatter.current_indent}}{example}\n")


def command(name: str, *examples: str) -> Callable[[Function], WithExamples]:
    """Make a function a command that is given an `Output` first.

    Args:
        name: Its name.
        examples: Lines as they are typed, for the help.
    """

    def decorate(function: Function) -> WithExamples:
        @click.option("--json", "is_json", is_flag=True, help="One JSON document to stdout.")
        @click.option("-q", "--quiet", "is_quiet", is_flag=True, help="No chatter on stderr.")
        @functools.wraps(function)
        def run(*, is_json: bool, is_quiet: bool, **values: Any) -> Any:
            return function(Output(is_json, is_quiet), **values)

        return click.command(name, cls=WithExamples, examples=examples)(run)

    return decorate


def configured(function: Function) -> Function:
    """Add the options that say which server is meant; the function is given a `Place`."""

    @click.option(
        "--data",
        type=click.Path(file_okay=False, path_type=Path),
        help="The folder of the database and the secret.  [default: SOJOURN_DATA, else .sojourn]",
    )
    @click.option(
        "--config",
        "config_file",
        type=click.Path(dir_okay=False, path_type=Path),
        help="The TOML file of settings.  [default: SOJOURN_CONFIG]",
    )
    @functools.wraps(function)
    def run(
        output: Output, /, *, data: Path | None, config_file: Path | None, **values: Any
    ) -> Any:
        place = Place(config_file=config_file, overrides={"data": data and str(data)})
        return function(output, place=place, **values)

    return run
