"""`sojourn completion`: the script that lets a shell complete the command."""

from __future__ import annotations

import click

from sojourn.cli.commands import command
from sojourn.cli.output import Output


@command(
    "completion",
    'eval "$(sojourn completion bash)"        # in ~/.bashrc',
    'eval "$(sojourn completion zsh)"         # in ~/.zshrc',
    "sojourn completion fish > ~/.config/fish/completions/sojourn.fish",
)
@click.argument("shell", type=click.Choice(["bash", "zsh", "fish"]))
def completion(output: Output, *, shell: str) -> None:
    """Print the completion script for a shell."""
    from click.shell_completion import get_completion_class

    from sojourn.cli.root import root

    kind = get_completion_class(shell)
    assert kind is not None  # noqa: S101 - the choice above is of what click knows
    script = kind(root, {}, "sojourn", "_SOJOURN_COMPLETE").source()
    output.text({"shell": shell, "script": script}, script)
