"""The root command: finds a command by name and imports only that one."""

from __future__ import annotations

import importlib
import sys
from typing import Any

import click

from sojourn._version import __version__
from sojourn.cli import ending
from sojourn.cli.commands import WithExamples

COMMANDS = {
    "serve": "sojourn.cli.serve:serve",
    "migrate": "sojourn.cli.migrate:migrate",
    "config": "sojourn.cli.config:config",
    "users": "sojourn.cli.users:users",
    "sessions": "sojourn.cli.sessions:sessions",
    "verifiers": "sojourn.cli.verifiers:verifiers",
    "keys": "sojourn.cli.keys:keys",
    "audit": "sojourn.cli.audit:audit",
    "export": "sojourn.cli.export:export",
    "jwt": "sojourn.cli.jwt:jwt",
    "completion": "sojourn.cli.completion:completion",
}


class Root(WithExamples, click.Group):
    """A group whose commands are imported when they are asked for."""

    def list_commands(self, ctx: click.Context) -> list[str]:  # noqa: ARG002 - click's signature
        """Give the names, in the order in which they are met."""
        return list(COMMANDS)

    def get_command(
        self,
        ctx: click.Context,  # noqa: ARG002 - click's signature
        cmd_name: str,
    ) -> click.Command | None:
        """Import a command; None where there is no such name."""
        place = COMMANDS.get(cmd_name)
        if place is None:
            return None
        module, _, attribute = place.partition(":")
        command: click.Command = getattr(importlib.import_module(module), attribute)
        return command

    def invoke(self, ctx: click.Context) -> Any:
        """Run the command; a reader that went away is no error to tell about."""
        try:
            result = super().invoke(ctx)
            sys.stdout.flush()
        except BrokenPipeError:
            ending.silence()
            raise click.exceptions.Exit(ending.BROKEN_PIPE) from None
        return result

    def main(self, *args: Any, **extra: Any) -> Any:
        """Run, and end the process by the table of exit codes."""
        given = args[0] if args else extra.get("args")
        arguments = list(sys.argv[1:] if given is None else given)
        extra["standalone_mode"] = False
        run = super().main
        sys.exit(ending.code_of(lambda: run(*args, **extra), is_json="--json" in arguments))


@click.group(
    cls=Root,
    context_settings={"help_option_names": ["-h", "--help"]},
    examples=(
        "sojourn serve",
        "sojourn users add ada@example.com --role admin --generate",
        "sojourn sessions revoke --all ada@example.com",
    ),
)
@click.version_option(__version__, "--version", prog_name="sojourn", message="%(prog)s %(version)s")
def root() -> None:
    """Keep people signed in: the server, and what its operator does.

    Settings come from the command line, then SOJOURN_* in the environment, then the TOML file that
    SOJOURN_CONFIG names. Exit codes: 0 ok, 1 the answer is no, 2 wrong usage, 3 configuration,
    4 the store cannot be reached.
    """
