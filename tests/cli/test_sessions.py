from __future__ import annotations

import json

import pytest
from cli.programs import Cli, problem, signed_in

from sojourn.cli.place import operator


def _sids(cli: Cli) -> list[str]:
    listed = json.loads(cli("sessions", "list", "ada@example.com", "--json").stdout)
    return [session["sid"] for session in listed["sessions"]]


def test_list(cli: Cli, account: dict[str, str]) -> None:
    """Each live session has its sid, mode, instants, address and user agent; nothing secret."""
    first, second = signed_in(), signed_in(mode="session")
    listed = json.loads(cli("sessions", "list", "ada@example.com", "--json").stdout)
    assert listed["subject"] == account["subject"]
    assert [(s["sid"], s["mode"]) for s in listed["sessions"]] == [
        (first, "hybrid"),
        (second, "session"),
    ]
    assert listed["sessions"][0]["address"] == "192.0.2.7"
    assert "seed" not in str(listed)
    rows = cli("sessions", "list", account["subject"]).stdout.splitlines()
    assert [row.split("\t")[0] for row in rows] == ["sid", first, second]


def test_list_of_nobody(cli: Cli, account: object) -> None:
    """Whom nobody knows is a negative answer, not an empty list."""
    assert cli("sessions", "list", "nobody@example.com").exit_code == 1


def test_revoke_one(cli: Cli, account: object) -> None:
    """One session ends, by the operator; to do it again is no error."""
    first, second = signed_in(), signed_in()
    revoked = cli("sessions", "revoke", first, "--json")
    assert json.loads(revoked.stdout) == {"sid": first, "was_alive": True}
    assert _sids(cli) == [second]
    lines = json.loads(cli("audit", "tail", "--sid", first, "--json").stdout)["lines"]
    assert [line["by"] for line in lines if line["action"] == "revoked"] == [operator()]
    again = cli("sessions", "revoke", first)
    assert (again.exit_code, again.stdout) == (0, "")
    assert again.stderr == f"{first} was over already\n"


def test_revoke_a_token(cli: Cli, account: object) -> None:
    """A token of mode jwt, with nothing stored, is known from the trail and revoked."""
    sid = signed_in(mode="jwt")
    revoked = cli("sessions", "revoke", sid)
    assert revoked.exit_code == 0
    assert "refused from now on" in revoked.stderr


def test_revoke_what_was_never_handed_out(cli: Cli, account: object) -> None:
    """A sid with a typing error is a negative answer, for the session that was meant goes on."""
    sid = signed_in()
    wrong = sid[:-2] + ("AA" if sid[-2:] != "AA" else "BA")
    refused = cli("sessions", "revoke", wrong, "--json")
    assert refused.exit_code == 1
    assert problem(refused.stderr)["code"] in {"not_found", "invalid_input"}
    assert cli("sessions", "revoke", "nonsense").exit_code == 1
    assert _sids(cli) == [sid]


def test_revoke_all(cli: Cli, account: dict[str, str]) -> None:
    """All sessions of an account end, or all but one."""
    sids = [signed_in() for _ in range(3)]
    kept = cli("sessions", "revoke", "--all", "ada@example.com", "--keep", sids[1], "--json")
    assert json.loads(kept.stdout) == {
        "subject": account["subject"],
        "ended": 2,
        "kept": sids[1],
    }
    assert _sids(cli) == [sids[1]]
    ended = cli("sessions", "revoke", "--all", account["subject"])
    assert (
        ended.stderr == "ada@example.com: 1 stored session(s) ended, and all tokens from before\n"
    )
    assert _sids(cli) == []


@pytest.mark.parametrize(
    "args",
    [
        (),
        ("AAAA", "--all", "ada@example.com"),
        ("AAAA", "--keep", "BBBB"),
    ],
)
def test_revoke_is_clear_about_what_ends(cli: Cli, args: tuple[str, ...]) -> None:
    """Neither, both, or --keep with one SID is wrong usage."""
    assert cli("sessions", "revoke", *args).exit_code == 2


def test_revoke_all_of_nobody(cli: Cli, account: object) -> None:
    """Whom nobody knows is a negative answer."""
    assert cli("sessions", "revoke", "--all", "nobody@example.com").exit_code == 1
