from __future__ import annotations

import json
from pathlib import Path

import httpx2
from cli.programs import Cli, problem, run, serving

from sojourn.cli.place import operator


def test_add_list_remove(cli: Cli, account: object) -> None:
    """A service gets a token, shown once and not kept; the trail says who gave and took it."""
    added = cli("verifiers", "add", "billing")
    assert added.exit_code == 0
    feed_token = added.stdout.strip()
    listed = json.loads(cli("verifiers", "list", "--json").stdout)["verifiers"]
    assert [one["name"] for one in listed] == ["billing"]
    assert cli("verifiers", "list").stdout.splitlines()[1].startswith("billing\t")
    for path in Path("data").iterdir():
        assert feed_token.encode() not in path.read_bytes()
    again = json.loads(cli("verifiers", "add", "billing", "--json").stdout)
    assert again["feed_token"] != feed_token
    removed = cli("verifiers", "remove", "billing", "--json")
    assert json.loads(removed.stdout) == {"name": "billing", "removed": True}
    assert json.loads(cli("verifiers", "list", "--json").stdout) == {"verifiers": []}
    lines = json.loads(cli("audit", "tail", "-n", "3", "--json").stdout)["lines"]
    assert [(line["action"], line["by"], line["reason"]) for line in lines] == [
        ("verifier_added", operator(), "billing"),
        ("verifier_added", operator(), "billing"),
        ("verifier_removed", operator(), "billing"),
    ]


def test_add_to_a_file(cli: Cli, account: object) -> None:
    """The token goes into a new file of the owner's alone; a file that is there is kept."""
    added = cli("verifiers", "add", "billing", "--out", "feed-token")
    assert added.exit_code == 0
    kept = Path("feed-token").read_text()
    assert kept.strip() not in added.output
    assert Path("feed-token").stat().st_mode & 0o777 == 0o600
    assert cli("verifiers", "add", "billing", "--out", "feed-token").exit_code == 3
    assert Path("feed-token").read_text() == kept


def test_refusals(cli: Cli, account: object) -> None:
    """A wrong name and an unknown one are negative answers; without a database there is none."""
    assert cli("verifiers", "add", "").exit_code == 1
    refused = cli("verifiers", "remove", "nobody", "--json")
    assert refused.exit_code == 1
    assert problem(refused.stderr)["code"] == "not_found"
    for command in (("list",), ("add", "x"), ("remove", "x")):
        assert cli("verifiers", *command, "--data", "elsewhere").exit_code == 3


def test_a_running_server_knows_at_once() -> None:
    """A token given or taken while the server runs counts from then on."""
    with serving() as server:
        added = run("verifiers", "add", "billing")
        bearer = {"Authorization": f"Bearer {added.stdout.strip()}"}
        url = f"{server.url}/auth/revocations"
        assert httpx2.get(url, headers=bearer).status_code == 200
        assert run("verifiers", "remove", "billing").returncode == 0
        assert httpx2.get(url, headers=bearer).status_code == 401
