from __future__ import annotations

import os
import pty
import subprocess

import pytest
from cli.programs import PROGRAM, Cli, environment, signed_in

from sojourn.cli.output import Output, instant, printable


def in_terminal(*args: str, stdin: bytes = b"", **env: str) -> str:
    """Run a command on a terminal of its own, and give what that shows."""
    ours, theirs = pty.openpty()
    environ = environment(TERM="xterm", **env)
    environ = {k: v for k, v in environ.items() if k != "NO_COLOR" or k in env}
    process = subprocess.Popen(
        [*PROGRAM, *args], stdin=theirs, stdout=theirs, stderr=theirs, env=environ,
        start_new_session=True,
    )  # fmt: skip
    os.close(theirs)
    for line in stdin.splitlines(keepends=True):
        shown = b""
        while b": " not in shown:  # a question
            shown += os.read(ours, 4096)
        os.write(ours, line)
    shown = b""
    while True:
        try:
            read = os.read(ours, 4096)
        except OSError:  # Linux: the other end is closed
            break
        if not read:
            break
        shown += read
    process.wait(30)
    os.close(ours)
    return shown.decode()


def test_pipes_get_tabs_and_no_boxes(cli: Cli, account: dict[str, str]) -> None:
    """Elsewhere than on a terminal a table is lines of cells with tabs between."""
    shown = cli("users", "list").stdout.splitlines()
    assert shown[0].split("\t") == ["email", "subject", "roles", "state", "created"]
    assert shown[1].split("\t")[:2] == ["ada@example.com", account["subject"]]
    assert shown[1].split("\t")[3] == "enabled"


def test_quiet_leaves_the_titles_out(cli: Cli, account: object) -> None:
    """With --quiet there are rows alone, for the next program."""
    assert len(cli("users", "list", "--quiet").stdout.splitlines()) == 1


def test_terminal_gets_aligned_columns() -> None:
    """On a terminal columns are aligned, without boxes, and wrap rather than lose anything."""
    sid = signed_in()
    shown = in_terminal("sessions", "list", "ada@example.com", COLUMNS="200")
    assert sid in shown
    assert "Agent [red]" in shown  # what looks like markup is shown as it is
    assert "\t" not in shown
    assert not any("─" <= c <= "╿" for c in shown)


def test_no_color() -> None:
    """With NO_COLOR no escape sequence sets a colour."""
    signed_in()
    assert "\x1b[3" not in in_terminal("users", "list", NO_COLOR="1")


def test_password_is_asked_for_twice_on_a_terminal() -> None:
    """On a terminal the password is typed twice and never shown."""
    typed = b"correct horse battery staple\n"
    shown = in_terminal("users", "add", "eve@example.com", stdin=typed + typed)
    assert "eve@example.com can sign in" in shown
    assert "correct horse" not in shown


def test_emergency_is_asked_about_on_a_terminal(account: object) -> None:
    """On a terminal an emergency is confirmed; "no" changes nothing."""
    before = in_terminal("keys", "list", "--json")
    in_terminal("keys", "rotate", "--emergency", stdin=b"n\n")
    assert in_terminal("keys", "list", "--json") == before


@pytest.mark.parametrize(
    ("text", "shown"),
    [
        ("plain", "plain"),
        ("a\tb\nc", "a?b?c"),
        ("\x1b[31mred", "?[31mred"),
        ("\u202egnp.exe", "?gnp.exe"),
        ("\x9bH", "?H"),
    ],
)
def test_nothing_steers_the_terminal(text: str, shown: str) -> None:
    """Control and direction characters of a stranger's text are replaced."""
    assert printable(text) == shown


def test_json_is_ascii(capsys: pytest.CaptureFixture[str]) -> None:
    """JSON holds no raw character that a terminal could act on."""
    Output(is_json=True).document({"x": "\x9b\u202e"})
    assert capsys.readouterr().out == '{"x": "\\u009b\\u202e"}\n'


def test_instants() -> None:
    """Instants are in UTC; one that no calendar has is shown as a number."""
    assert instant(0) == "1970-01-01 00:00:00Z"
    assert instant(10**15) == "1000000000000000"
