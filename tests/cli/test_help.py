from __future__ import annotations

import subprocess
import sys
from collections.abc import Iterator

import click
import pytest
from cli.programs import Cli, environment, run

from sojourn._version import __version__
from sojourn.cli.commands import WithExamples
from sojourn.cli.root import root


def _commands(group: click.Group, *path: str) -> Iterator[tuple[tuple[str, ...], click.Command]]:
    context = click.Context(group)
    for name in group.list_commands(context):
        command = group.get_command(context, name)
        assert command is not None
        if isinstance(command, click.Group):
            yield from _commands(command, *path, name)
        else:
            yield (*path, name), command


COMMANDS = list(_commands(root))
NAMES = [" ".join(path) for path, _ in COMMANDS]


def test_there_are_exactly_the_known_commands() -> None:
    """A new command gets tests: this list, and those that go through it."""
    assert sorted(NAMES) == [
        "audit tail",
        "completion",
        "config check",
        "export",
        "jwt inspect",
        "jwt issue",
        "jwt key",
        "jwt verify",
        "keys list",
        "keys rotate",
        "migrate",
        "serve",
        "sessions list",
        "sessions revoke",
        "users add",
        "users disable",
        "users enable",
        "users import",
        "users list",
        "users password",
        "users remove",
        "users roles",
        "verifiers add",
        "verifiers list",
        "verifiers remove",
    ]


@pytest.mark.parametrize(("path", "command"), COMMANDS, ids=NAMES)
def test_each_command_has_examples_json_and_quiet(
    cli: Cli, path: tuple[str, ...], command: click.Command
) -> None:
    """The help of every command ends in examples of it; every one knows --json and --quiet."""
    shown = cli(*path, "--help")
    assert shown.exit_code == 0
    _, _, examples = shown.stdout.partition("Examples:\n")
    assert f"sojourn {' '.join(path)}" in examples
    assert "--json" in shown.stdout
    assert "-q, --quiet" in shown.stdout
    assert isinstance(command, WithExamples)


@pytest.mark.parametrize(("path", "command"), COMMANDS, ids=NAMES)
def test_each_example_would_be_understood(path: tuple[str, ...], command: click.Command) -> None:
    """An example has no option that the command does not know."""
    assert isinstance(command, WithExamples)
    known = {option for param in command.params for option in param.opts} | {"--help"}
    for example in command.examples:
        ours = example.partition("#")[0].partition(" | jq")[0].rpartition("sojourn ")[2]
        used = {word for word in ours.split() if word.startswith("-")}
        assert used <= known, example


@pytest.mark.parametrize(("path", "command"), COMMANDS, ids=NAMES)
def test_no_option_takes_a_secret(path: tuple[str, ...], command: click.Command) -> None:
    """Secrets come by stdin or file: no option's name asks for one in argv."""
    for param in command.params:
        for option in param.opts:
            is_of_secret = any(word in option for word in ("password", "secret", "token"))
            assert (
                not is_of_secret or option.endswith("-file") or isinstance(param, click.Argument)
            ), option


def test_help_lists_the_groups_and_explains_exit_codes() -> None:
    """`sojourn --help` names every command, where settings come from and what exit codes mean."""
    shown = run("--help")
    assert shown.returncode == 0
    for word in (
        "serve",
        "config",
        "users",
        "sessions",
        "keys",
        "audit",
        "jwt",
        "completion",
        "verifiers",
    ):
        assert f"\n  {word} " in shown.stdout
    assert "Exit codes: 0 ok" in shown.stdout
    assert "\nExamples:\n  sojourn serve\n" in shown.stdout
    assert "SOJOURN_CONFIG" in shown.stdout


def test_version() -> None:
    """`sojourn --version` gives name and version on stdout."""
    assert run("--version").stdout == f"sojourn {__version__}\n"


def test_without_a_command_the_help_is_a_usage_error() -> None:
    """`sojourn` alone helps, on stderr, and exits with 2; so does an unknown command."""
    alone = run()
    assert (alone.returncode, alone.stdout) == (2, "")
    assert "Commands:" in alone.stderr
    unknown = run("sesions")
    assert (unknown.returncode, unknown.stdout) == (2, "")
    assert "No such command" in unknown.stderr


def test_help_imports_nothing_heavy() -> None:
    """`sojourn --help` starts fast: no server, no web framework, no password hashing."""
    script = (
        "import sys\n"
        "from sojourn.cli.root import root\n"
        "try:\n    root.main(['--help'])\n"
        "except SystemExit: pass\n"
        "print([m for m in ('granian', 'starlette', 'argon2', 'rich', 'sqlite3', 'jinja2') "
        "if m in sys.modules])"
    )
    shown = subprocess.run(
        [sys.executable, "-c", script],
        env=environment(),
        capture_output=True,
        text=True,
        check=True,
    )
    assert shown.stdout.splitlines()[-1] == "[]"


@pytest.mark.parametrize("missing", ["click", "granian"])
def test_missing_extra_says_how_to_install(missing: str) -> None:
    """Without the extra there is one line with the remedy, exit 3, and no traceback."""
    script = (
        f"import sys; sys.modules[{missing!r}] = None\n"
        "sys.argv = ['sojourn', 'serve']\n"
        "from sojourn.cli import main; main()"
    )
    ended = subprocess.run(
        [sys.executable, "-c", script],
        env=environment(),
        capture_output=True,
        text=True,
        check=False,
    )
    assert ended.returncode == 3
    assert ended.stdout == ""
    assert "pip install 'sojourn[server]'" in ended.stderr
    assert len(ended.stderr.splitlines()) == 1


@pytest.mark.parametrize("shell", ["bash", "zsh", "fish"])
def test_completion(cli: Cli, shell: str) -> None:
    """The script of each shell asks `sojourn` for what comes next."""
    shown = cli("completion", shell)
    assert shown.exit_code == 0
    assert "_SOJOURN_COMPLETE" in shown.stdout
    assert shell in cli("completion", shell, "--json").stdout


def test_completion_of_an_unknown_shell(cli: Cli) -> None:
    """A shell that is not known is wrong usage."""
    assert cli("completion", "tcsh").exit_code == 2


def test_completion_answers() -> None:
    """What the script asks for is answered: the commands that begin with `se`."""
    asked = run(_SOJOURN_COMPLETE="bash_complete", COMP_WORDS="sojourn se", COMP_CWORD="1")
    assert asked.stdout.split() == ["plain,serve", "plain,sessions"]
