"""Each test of the command line has a data folder of its own."""

from __future__ import annotations

import json
import os
from pathlib import Path
from typing import Any

import pytest
from cli.programs import PASSWORD, Cli
from click.testing import CliRunner, Result

from sojourn.cli.root import root


@pytest.fixture(autouse=True)
def own_environment(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """Give each test a data folder of its own and nothing of the environment it runs under."""
    for name in [name for name in os.environ if name.startswith("SOJOURN_")]:
        monkeypatch.delenv(name)
    monkeypatch.setenv("SOJOURN_DATA", str(tmp_path / "data"))
    monkeypatch.chdir(tmp_path)


@pytest.fixture
def cli() -> Cli:
    """Run a command in this process."""

    def run(*args: object, stdin: str | bytes | None = None) -> Result:
        result = CliRunner().invoke(root, [str(arg) for arg in args], input=stdin)
        if result.exception is not None and not isinstance(result.exception, SystemExit):
            raise result.exception
        return result

    return run


@pytest.fixture
def account(cli: Cli) -> dict[str, Any]:
    """Give an account: ada@example.com."""
    added = cli("users", "add", "ada@example.com", "--json", stdin=PASSWORD)
    assert added.exit_code == 0, added.stderr
    shown: dict[str, Any] = json.loads(added.stdout)
    return shown
