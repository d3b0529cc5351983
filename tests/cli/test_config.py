from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import pytest
from cli.programs import Cli, problem

SECRET = "a-secret-of-the-test-and-long-enough-for-one"


def _checked(cli: Cli, *args: object) -> dict[str, Any]:
    checked = cli("config", "check", "--json", *args)
    assert checked.exit_code == 0, checked.stderr
    document: dict[str, Any] = json.loads(checked.stdout)
    return document


def test_sources(cli: Cli, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """Each setting says whether it is from the command line, environment, file or default."""
    file = tmp_path / "sojourn.toml"
    file.write_text('mode = "session"\nport = 9000\nmax_sessions = 3\ndata = "nowhere"\n')
    monkeypatch.setenv("SOJOURN_PORT", "9001")
    settings = _checked(cli, "--config", file, "--data", tmp_path / "x")["settings"]
    assert settings["mode"] == {"value": "session", "source": "file"}
    assert settings["max_sessions"] == {"value": 3, "source": "file"}
    assert settings["port"] == {"value": 9001, "source": "environment"}
    assert settings["data"] == {"value": str(tmp_path / "x"), "source": "command line"}
    assert settings["host"] == {"value": "127.0.0.1", "source": "default"}
    assert settings["url"] == {"value": "http://127.0.0.1:9001", "source": "default"}


def test_every_setting_is_shown(cli: Cli) -> None:
    """No setting is left out, as a document or as text."""
    from sojourn.settings import SETTING_NAMES

    assert set(_checked(cli)["settings"]) >= SETTING_NAMES
    shown = {line.split("\t")[0] for line in cli("config", "check").stdout.splitlines()}
    assert shown >= SETTING_NAMES | {"secret"}


def test_the_secret_is_never_shown(
    cli: Cli, monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    """Of the secret there is its public id and where it comes from."""
    monkeypatch.setenv("SOJOURN_SECRET", SECRET)
    shown = cli("config", "check")
    assert SECRET not in shown.output
    secret = _checked(cli)["secret"]
    assert secret == {"is_set": True, "id": secret["id"], "source": "environment (SOJOURN_SECRET)"}
    assert f"set, id {secret['id']}" in shown.stdout
    monkeypatch.delenv("SOJOURN_SECRET")
    kept = tmp_path / "kept"
    kept.write_text(SECRET)
    kept.chmod(0o600)
    file = tmp_path / "sojourn.toml"
    file.write_text(f'secret_file = "{kept}"\n')
    assert _checked(cli, "--config", file)["secret"] == {
        **secret,
        "source": "file (secret_file)",
    }


def test_a_check_writes_nothing(cli: Cli, tmp_path: Path) -> None:
    """Before the first start the secret is yet to be made, and the check does not make it."""
    assert _checked(cli)["secret"]["is_set"] is False
    assert not (tmp_path / "data").exists()


def test_warnings(cli: Cli, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """What is weak, misspelt or readable by others is warned of; it is no error."""
    secret = tmp_path / "secret"
    secret.write_text(SECRET)
    secret.chmod(0o644)
    monkeypatch.setenv("SOJOURN_WHEN_STALE", "trust")
    monkeypatch.setenv("SOJOURN_MODEE", "jwt")
    monkeypatch.setenv("SOJOURN_SECRET_FILE", str(secret))
    warnings = _checked(cli)["warnings"]
    assert len(warnings) == 3
    for text in ("when_stale='trust'", "SOJOURN_MODEE", "chmod 600"):
        assert any(text in warning for warning in warnings)
    told = cli("config", "check").stderr
    assert told.count("warning: ") == 3


@pytest.mark.parametrize(
    ("line", "cause"),
    [
        ("grace_seconds = 99", "it ranges from 0 to 60"),
        ("url = 5", "url in "),
        ('url = "http://example.com"', "use https"),
        ('url = "https://example.com"', "SOJOURN_SECRET"),
        ('mode = "jwt"\nmax_sessions = 2', "use mode 'session' or 'hybrid'"),
        ("bogus = 1", "unknown settings: bogus"),
        ('secret = "in the file"', "secret_file"),
        ('store = "memory://"', "sqlite:///"),
        ('open_registration = "perhaps"', "yes or no"),
        ("port = ", "cannot be read"),
    ],
)
def test_wrong_settings(cli: Cli, tmp_path: Path, line: str, cause: str) -> None:
    """A wrong setting is told with cause and remedy, and exit 3."""
    file = tmp_path / "sojourn.toml"
    file.write_text(line + "\n")
    refused = cli("config", "check", "--config", file, "--json")
    assert refused.exit_code == 3
    assert refused.stdout == ""
    told = problem(refused.stderr)
    assert told["code"] == "configuration"
    assert cause in told["detail"]


def test_a_folder_of_any_name(cli: Cli, tmp_path: Path) -> None:
    """A data folder may have a name that means something in a URL."""
    odd = tmp_path / "100% of #1?"
    added = cli("users", "add", "ada@example.com", "--generate", "--data", odd)
    assert added.exit_code == 0, added.stderr
    assert (odd / "sojourn.db").exists()
    assert "ada@example.com" in cli("users", "list", "--data", odd).stdout
