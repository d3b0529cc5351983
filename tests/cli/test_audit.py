from __future__ import annotations

import json
import subprocess
from collections.abc import Sequence
from typing import Any, cast

import pytest
from cli.programs import PROGRAM, Cli, environment, run, signed_in

from sojourn.cli.trail import Tail, Trail
from sojourn.model import AuditRecord
from sojourn.ports import AsyncStore, AuditLine


def _lines(cli: Cli, *args: str) -> list[dict[str, Any]]:
    shown = cli("audit", "tail", "--json", *args)
    assert shown.exit_code == 0, shown.stderr
    lines: list[dict[str, Any]] = json.loads(shown.stdout)["lines"]
    return lines


def test_tail(cli: Cli, account: dict[str, str]) -> None:
    """The last lines come oldest first, and can be asked for by account or session."""
    sid = signed_in()
    signed_in("bob@example.com")
    every = _lines(cli)
    assert [line["action"] for line in every] == [
        "key_added", "registered", "login", "registered", "login",
    ]  # fmt: skip
    assert _lines(cli, "-n", "2") == every[-2:]
    assert _lines(cli, "-n", "0") == []
    ours = _lines(cli, "--subject", "ada@example.com")
    assert {line["subject"] for line in ours} == {account["subject"]}
    assert _lines(cli, "--subject", account["subject"]) == ours
    assert [line["action"] for line in _lines(cli, "--sid", sid)] == ["login"]
    assert _lines(cli, "--subject", "nobody") == []


def test_tail_as_text(cli: Cli, account: object) -> None:
    """As text it is one line each, with tabs between."""
    rows = [row.split("\t") for row in cli("audit", "tail").stdout.splitlines()]
    assert rows[0][:3] == ["number", "at", "action"]
    assert rows[1][2] == "key_added"


def test_tail_refuses_a_wrong_count(cli: Cli) -> None:
    """A count that is no number is wrong usage; without a database there is no trail."""
    assert cli("audit", "tail", "-n", "many").exit_code == 2
    assert cli("audit", "tail").exit_code == 3


def test_follow(account: dict[str, str]) -> None:
    """With --follow what another process does appears, one JSON document a line."""
    process = subprocess.Popen(
        [*PROGRAM, "audit", "tail", "-n", "1", "--follow", "--json"],
        env=environment(),
        stdout=subprocess.PIPE,
        text=True,
    )
    try:
        assert process.stdout is not None
        assert json.loads(process.stdout.readline())["action"] == "registered"
        assert run("users", "disable", "ada@example.com").returncode == 0
        followed = [json.loads(process.stdout.readline()) for _ in range(2)]
        assert [line["action"] for line in followed] == ["disabled", "revoked_all"]
    finally:
        process.kill()
        process.communicate()


class _Store:
    """A trail with gaps, which counts how often it is read."""

    def __init__(self, numbers: Sequence[int]) -> None:
        self.lines = [AuditLine(n, AuditRecord(at_ms=n, action="x")) for n in numbers]
        self.reads = 0

    async def read_audit(
        self, *, after: int, limit: int, subject: str | None, sid: str | None
    ) -> Sequence[AuditLine]:
        self.reads += 1
        assert subject is None
        return [line for line in self.lines if line.number > after][:limit]


@pytest.mark.parametrize(
    "numbers",
    [
        [],
        [1],
        [7],
        list(range(1, 6)),
        list(range(1, 4097)),
        list(range(3, 9000, 7)),
        [*range(1, 50), *range(100_000, 100_003)],
    ],
    ids=["none", "one", "seventh", "five", "many", "gaps", "a leap"],
)
@pytest.mark.parametrize("count", [0, 1, 5, 2500])
async def test_last_lines_of_any_trail(numbers: list[int], count: int) -> None:
    """Whatever gaps the trail has, the last lines are found, with few reads."""
    store = _Store(numbers)
    trail = Trail(cast("AsyncStore", store))
    found = [line.number for line in await trail.last(count)]
    assert found == numbers[max(0, len(numbers) - count) :]
    assert store.reads <= 60
    assert await trail.end() == max(numbers, default=0)


async def test_a_line_that_comes_late_is_not_missed() -> None:
    """A line of another process, visible after one with a higher number, is shown, and once."""
    store = _Store([1, 5])
    tail = Tail(Trail(cast("AsyncStore", store)), [1, 5])
    assert [] == await tail.more()
    store.lines = _Store([1, 4, 5, 6]).lines
    assert [4, 6] == [line.number for line in await tail.more()]
    assert [] == await tail.more()
