from __future__ import annotations

import json
import os
import signal
import subprocess
from collections.abc import Iterator
from pathlib import Path

import click
import pytest
from cli.programs import PASSWORD, PROGRAM, Cli, environment, problem, run

from sojourn import errors
from sojourn.cli import ending
from sojourn.errors import SojournError
from sojourn.server.serve import PortTaken


def _kinds(kind: type[SojournError]) -> Iterator[type[SojournError]]:
    yield kind
    for derived in kind.__subclasses__():
        yield from _kinds(derived)


@pytest.mark.parametrize(
    ("kind", "code"),
    [
        (errors.ConfigurationError, 3),
        (errors.InvalidKey, 3),
        (PortTaken, 3),
        (errors.StoreError, 4),
        (errors.Conflict, 4),
        (errors.Stale, 4),
        (errors.NotFound, 1),
        (errors.InvalidInput, 1),
        (errors.Refused, 1),
        (errors.Expired, 1),
        (errors.UnsupportedInMode, 1),
    ],
)
def test_exit_code_of_an_error(kind: type[SojournError], code: int) -> None:
    """One table says how each error ends a command; what derives from one ends alike."""
    assert ending.exit_code(kind("because")) == code


def test_every_error_has_an_exit_code() -> None:
    """No error is without a row: whatever derives from the root ends with 1, 3 or 4."""
    for kind in _kinds(SojournError):
        assert ending.exit_code(kind.__new__(kind)) in {1, 3, 4}


def test_errors_are_told_in_one_line_without_a_traceback() -> None:
    """An error is one line on stderr with cause and remedy; stdout stays empty."""
    ended = run("users", "list")
    assert (ended.returncode, ended.stdout) == (3, "")
    assert ended.stderr.startswith("sojourn: there is no database ")
    assert "sojourn serve" in ended.stderr
    assert len(ended.stderr.splitlines()) == 1


def test_errors_as_problem_documents(account: object) -> None:
    """With --json an error is one problem document on stderr, with its stable code."""
    ended = run("users", "disable", "nobody@example.com", "--json")
    assert (ended.returncode, ended.stdout) == (1, "")
    told = problem(ended.stderr)
    assert told["code"] == "not_found"
    assert told["status"] == 404
    assert told["exit_code"] == 1
    assert "nobody@example.com" in told["detail"]


def test_usage_errors_as_problem_documents() -> None:
    """Wrong usage exits with 2, and is a problem document as well."""
    ended = run("users", "disable", "--json")
    assert (ended.returncode, ended.stdout) == (2, "")
    assert problem(ended.stderr)["code"] == "usage"
    assert run("users", "disable").returncode == 2


def test_store_that_cannot_be_opened(tmp_path: Path) -> None:
    """A file that is no database ends with 4."""
    data = tmp_path / "data"
    data.mkdir()
    (data / "sojourn.db").write_text("this is no database, and long enough to show it" * 100)
    ended = run("users", "list", "--json")
    assert ended.returncode == 4, ended
    assert problem(ended.stderr)["code"] == "store_unavailable"


def test_file_that_cannot_be_written(cli: Cli, tmp_path: Path) -> None:
    """What the operating system refuses is told with the path, and no traceback."""
    taken = tmp_path / "taken.pem"
    taken.write_text("something precious")
    ended = cli("jwt", "key", "--alg", "ES256", "--out", taken)
    assert ended.exit_code == 3
    assert "taken.pem" in ended.stderr
    assert "Traceback" not in ended.stderr
    assert taken.read_text() == "something precious"


def test_broken_pipe_is_quiet(account: object) -> None:
    """A reader that went away is not told about; the exit code is the one of SIGPIPE."""
    reader, writer = os.pipe()
    os.close(reader)
    ended = subprocess.run(
        [*PROGRAM, "users", "list"],
        env=environment(),
        stdout=writer,
        stderr=subprocess.PIPE,
        check=False,
    )
    os.close(writer)
    assert ended.stderr == b""
    assert ended.returncode == 141


def test_interrupt_is_quiet(account: object) -> None:
    """Ctrl-C ends what waits, without a traceback, with 130."""
    process = subprocess.Popen(
        [*PROGRAM, "audit", "tail", "--follow"],
        env=environment(),
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
    )
    assert process.stdout is not None
    assert process.stdout.readline()
    process.send_signal(signal.SIGINT)
    _, told = process.communicate(timeout=20)
    assert b"Traceback" not in told
    assert process.returncode == 130


def test_an_interrupt_before_anything_was_said(monkeypatch: pytest.MonkeyPatch) -> None:
    """An abort of a question ends with 130 as well."""

    def abort() -> None:
        raise click.Abort

    assert ending.code_of(abort, is_json=False) == 130


def test_faults_of_this_program_are_not_hidden() -> None:
    """Only what is understood is told briefly: a fault of our own keeps its traceback."""

    def fail() -> None:
        raise ZeroDivisionError

    def miss() -> None:
        raise ModuleNotFoundError(name="sojourn.nothing")

    with pytest.raises(ZeroDivisionError):
        ending.code_of(fail, is_json=False)
    with pytest.raises(ModuleNotFoundError):
        ending.code_of(miss, is_json=False)


def test_json_is_one_document(account: dict[str, object]) -> None:
    """Stdout is one JSON document and stderr silent, in a process of its own too."""
    ended = run("users", "add", "bob@example.com", "--json", stdin=PASSWORD)
    assert ended.returncode == 0
    assert json.loads(ended.stdout)["email"] == "bob@example.com"
    assert ended.stderr == ""
