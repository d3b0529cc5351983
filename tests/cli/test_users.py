from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import pytest
from cli.programs import PASSWORD, Cli, problem, run, signed_in

from sojourn.cli.place import operator
from sojourn.errors import InvalidCredentials


def _users(cli: Cli) -> list[dict[str, Any]]:
    users: list[dict[str, Any]] = json.loads(cli("users", "list", "--json").stdout)["users"]
    return users


def _by(cli: Cli, action: str) -> list[str | None]:
    lines = json.loads(cli("audit", "tail", "--json").stdout)["lines"]
    return [line.get("by") for line in lines if line["action"] == action]


def test_add_with_the_password_from_stdin(cli: Cli) -> None:
    """The password is one line of stdin; stdout has the subject, and nothing of the password."""
    added = cli(
        "users", "add", "Ada@Example.com", "--role", "admin", "--role", "editor",
        stdin=PASSWORD + "\n",
    )  # fmt: skip
    assert added.exit_code == 0
    facts = dict(line.split("\t") for line in added.stdout.splitlines())
    assert facts.keys() == {"subject", "email"}
    assert PASSWORD not in added.output
    [user] = _users(cli)
    assert user["email"] == "ada@example.com"
    assert user["roles"] == ["admin", "editor"]
    assert user["subject"] == facts["subject"]
    assert signed_in()  # with exactly this password


def test_add_with_a_password_file(cli: Cli, tmp_path: Path) -> None:
    """A file's one line is the password, its line end is not."""
    file = tmp_path / "password"
    file.write_text(PASSWORD + "\r\n")
    assert cli("users", "add", "ada@example.com", "--password-file", file).exit_code == 0
    assert signed_in()


def test_add_generates_a_password(cli: Cli) -> None:
    """--generate shows a new password on stdout, each time another."""
    made = [
        json.loads(cli("users", "add", f"{name}@example.com", "--generate", "--json").stdout)
        for name in ("ada", "bob")
    ]
    assert len({one["password"] for one in made}) == 2
    assert all(len(one["password"]) >= 20 for one in made)
    plain = cli("users", "add", "eve@example.com", "--generate", "--quiet")
    assert "password\t" in plain.stdout
    assert plain.stderr == ""


@pytest.mark.parametrize(
    ("stdin", "why"),
    [
        (b"", "no password was given"),
        (b"\n", "no password was given"),
        (b"correct horse\nbattery staple\n", "more than one line"),
        (b"\xff\xfe" * 10, "not UTF-8"),
        (b"x" * 5000, "too long"),
    ],
)
def test_add_needs_one_line(cli: Cli, stdin: bytes, why: str) -> None:
    """What is no password is wrong usage, and no account is made."""
    added = cli("users", "add", "ada@example.com", stdin=stdin)
    assert added.exit_code == 2
    assert why in added.stderr
    assert cli("users", "list").exit_code == 3  # not even a database


def test_add_takes_one_source_of_passwords(cli: Cli, tmp_path: Path) -> None:
    """A file and --generate exclude each other; a file that is missing is wrong usage."""
    file = tmp_path / "password"
    add = ("users", "add", "ada@example.com", "--password-file", file)
    assert cli(*add).exit_code == 2
    file.write_text(PASSWORD)
    assert cli(*add, "--generate").exit_code == 2


def test_add_refuses(cli: Cli, account: object) -> None:
    """A taken address, a weak password, a wrong address and a wrong role are refused with 1."""
    for args, stdin, code in (
        (("ada@example.com",), PASSWORD, "account_exists"),
        (("bob@example.com",), "short", "weak_password"),
        (("bob",), PASSWORD, "invalid_input"),
        (("bob@example.com", "--role", "two words"), PASSWORD, "invalid_input"),
    ):
        refused = cli("users", "add", *args, "--json", stdin=stdin)
        assert refused.exit_code == 1
        assert problem(refused.stderr)["code"] == code
    assert len(_users(cli)) == 1


def test_list_goes_through_all_pages(cli: Cli, monkeypatch: pytest.MonkeyPatch) -> None:
    """However many accounts there are, all are listed, by address."""
    monkeypatch.setattr("sojourn.cli.users.PAGE", 2)
    for name in ("eve", "ada", "bob", "dan", "cyd"):
        cli("users", "add", f"{name}@example.com", stdin=PASSWORD)
    listed = [user["email"].partition("@")[0] for user in _users(cli)]
    assert listed == ["ada", "bob", "cyd", "dan", "eve"]


def test_list_of_nobody(cli: Cli, account: dict[str, str]) -> None:
    """Another data folder is another server: there is no database yet, and none is made."""
    asked = cli("users", "list", "--data", "elsewhere")
    assert asked.exit_code == 3
    assert not Path("elsewhere").exists()


def test_disable_and_enable(cli: Cli, account: dict[str, str]) -> None:
    """A disabled account's sessions end, by the operator's name; enabled, it signs in again."""
    signed_in()
    disabled = cli("users", "disable", "ada@example.com", "--json")
    assert disabled.exit_code == 0
    assert json.loads(disabled.stdout)["is_disabled"] is True
    listed = json.loads(cli("sessions", "list", account["subject"], "--json").stdout)
    assert listed["sessions"] == []
    assert cli("users", "list", "--quiet").stdout.split("\t")[3] == "disabled"
    enabled = cli("users", "enable", account["subject"])
    assert enabled.stdout == ""
    assert enabled.stderr == "ada@example.com can sign in again\n"
    assert signed_in()
    assert _by(cli, "disabled") == [operator()]
    assert _by(cli, "enabled") == [operator()]


def test_roles(cli: Cli, account: dict[str, str]) -> None:
    """Roles are replaced, in live sessions too; an empty list takes all away."""
    signed_in()
    changed = cli("users", "roles", "ada@example.com", "editor,admin", "--json")
    assert json.loads(changed.stdout)["roles"] == ["admin", "editor"]
    listed = json.loads(cli("sessions", "list", "ada@example.com", "--json").stdout)
    assert listed["sessions"][0]["roles"] == ["admin", "editor"]
    assert cli("users", "roles", "ada@example.com", "").exit_code == 0
    assert _users(cli)[0]["roles"] == []
    assert _by(cli, "updated") == [operator(), operator()]


@pytest.mark.parametrize(
    "args", [("disable", "nobody"), ("enable", "nobody"), ("roles", "nobody", "admin")]
)
def test_unknown_account(cli: Cli, account: object, args: tuple[str, ...]) -> None:
    """Whom nobody knows is a negative answer."""
    asked = cli("users", *args, "--json")
    assert asked.exit_code == 1
    assert problem(asked.stderr)["code"] == "not_found"


def test_roles_refuses_white_space(cli: Cli, account: object) -> None:
    """A role with white space is refused before anything is opened."""
    assert cli("users", "roles", "ada@example.com", "a b").exit_code == 1


def test_files_are_their_owners_alone(tmp_path: Path) -> None:
    """Whatever a first command makes is for its owner alone, under any umask."""
    added = run("users", "add", "ada@example.com", "--generate")
    assert added.returncode == 0, added.stderr
    data = tmp_path / "data"
    assert data.stat().st_mode & 0o777 == 0o700
    made = list(data.iterdir())
    assert {"secret", "sojourn.db"} <= {path.name for path in made}
    assert all(path.stat().st_mode & 0o777 == 0o600 for path in made)


def test_a_forgotten_password_is_replaced(cli: Cli) -> None:
    """The new password signs in, everything from before is over, and the trail says who did it."""
    cli("users", "add", "ada@example.com", stdin=PASSWORD + "\n")
    assert signed_in()
    made = cli("users", "password", "ada@example.com", "--generate", "--json")
    assert made.exit_code == 0
    with pytest.raises(InvalidCredentials):
        signed_in()
    assert len(json.loads(made.stdout)["password"]) >= 20
    assert cli("users", "password", "ada@example.com", stdin=PASSWORD + "\n").exit_code == 0
    assert signed_in()
    assert _by(cli, "password_reset") == [operator(), operator()]
    assert _by(cli, "revoked_all") == [operator(), operator()]
    weak = cli("users", "password", "ada@example.com", "--json", stdin="short\n")
    assert (weak.exit_code, problem(weak.stderr)["code"]) == (1, "weak_password")
    unknown = cli("users", "password", "bob@example.com", stdin=PASSWORD + "\n")
    assert unknown.exit_code == 1


def test_remove(cli: Cli) -> None:
    """A removed account is gone and signed out; the address may be used again."""
    cli("users", "add", "ada@example.com", stdin=PASSWORD + "\n")
    assert cli("users", "remove", "ada@example.com").exit_code == 0
    assert _users(cli) == []
    assert _by(cli, "removed") == _by(cli, "revoked_all") == [operator()]
    assert cli("users", "remove", "ada@example.com").exit_code == 1
    assert cli("users", "add", "ada@example.com", stdin=PASSWORD + "\n").exit_code == 0
