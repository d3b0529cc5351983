from __future__ import annotations

import json
import time
from typing import Any

from cli.programs import Cli, problem

from sojourn.cli.place import operator


def _keys(cli: Cli) -> list[dict[str, Any]]:
    keys: list[dict[str, Any]] = json.loads(cli("keys", "list", "--json").stdout)["keys"]
    return keys


def test_list(cli: Cli, account: object) -> None:
    """What is public of each key, and which signs; nothing of what is sealed."""
    [key] = _keys(cli)
    assert key["alg"] == "ES256"
    assert key["state"] == "signs"
    assert "sealed" not in key
    assert cli("keys", "list", "--quiet").stdout.split("\t")[:3] == [key["kid"], "ES256", "signs"]


def test_list_without_a_database(cli: Cli) -> None:
    """Where there is no server yet, there are no keys, and none is made."""
    assert cli("keys", "list").exit_code == 3


def test_rotate(cli: Cli, account: object) -> None:
    """A new key is published and takes over once verifiers have had time to fetch it."""
    [old] = _keys(cli)
    rotated = cli("keys", "rotate")
    assert rotated.exit_code == 0
    kept, new = _keys(cli)
    assert rotated.stdout == new["kid"] + "\n"
    assert (kept["kid"], kept["state"], new["state"]) == (old["kid"], "signs", "next")
    assert new["signs_from"] > time.time() + 500
    lines = json.loads(cli("audit", "tail", "--json").stdout)["lines"]
    assert [line["by"] for line in lines if line["action"] == "key_added"] == [
        "schedule",
        operator(),
    ]


def test_rotate_in_an_emergency(cli: Cli, account: object) -> None:
    """With --emergency --yes the old keys are gone at once, and the new one signs."""
    [old] = _keys(cli)
    rotated = cli("keys", "rotate", "--emergency", "--yes", "--json")
    assert rotated.exit_code == 0
    [new] = _keys(cli)
    assert json.loads(rotated.stdout)["kid"] == new["kid"] != old["kid"]
    assert new["state"] == "signs"


def test_an_emergency_is_confirmed(cli: Cli, account: object) -> None:
    """Without a terminal to ask on, --yes is needed; nothing changes without it."""
    before = _keys(cli)
    refused = cli("keys", "rotate", "--emergency", "--json", stdin="y\n")
    assert refused.exit_code == 2
    assert problem(refused.stderr)["code"] == "usage"
    assert _keys(cli) == before


def test_keys_under_another_secret(cli: Cli, account: object, monkeypatch: Any) -> None:
    """A secret that the keys were not sealed under is told apart, with the remedy."""
    monkeypatch.setenv("SOJOURN_SECRET", "another-secret-and-long-enough-for-one")
    refused = cli("keys", "list")
    assert refused.exit_code == 3
    assert "SOJOURN_SECRET" in refused.stderr
