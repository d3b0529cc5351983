"""`flask sojourn …`, as an operator types it."""

import json

import pytest
from flask import Flask

from sojourn import Incoming
from sojourn.flask import Auth

URL = "http://127.0.0.1:5000"


@pytest.fixture
def app():
    app = Flask(__name__)
    Auth(app, store="memory://", url=URL)
    return app


@pytest.fixture
def sojourn(app):
    return app.extensions["sojourn"].auth.sojourn


@pytest.fixture
def run(app):
    """Run a command; give its exit code and output, or its JSON."""
    runner = app.test_cli_runner()

    def run(*words):
        result = runner.invoke(args=["sojourn", *words])
        if "--json" in words and result.exit_code == 0:
            return json.loads(result.output)
        return result.exit_code, result.output

    return run


def test_sessions(run, sojourn):
    """They are listed, and ended one by one or all at once."""
    first, second, third = (
        sojourn.login(Incoming(user_agent="a\tbrowser"), "ann").principal.sid for _ in range(3)
    )
    listed = run("sessions", "ann", "--json")["sessions"]
    assert {first, second, third} == {one["sid"] for one in listed}
    code, table = run("sessions", "ann")
    assert (0, 4) == (code, len(table.splitlines()))
    assert table.splitlines()[1].endswith("a?browser")
    assert {"sid": first, "was_alive": True} == run("revoke", first, "--json")
    assert (0, f"{first} is over\n") == run("revoke", first)
    assert {"subject": "ann", "ended": 1, "kept": second} == run(
        "revoke-all", "ann", "--keep", second, "--json"
    )
    assert "1 stored session" in run("revoke-all", "ann")[1]
    assert [] == run("sessions", "ann", "--json")["sessions"]


def test_keys(run):
    """They are listed, and a new one is published."""
    assert 1 == len(run("keys", "--json")["keys"])
    assert "ES256" in run("keys")[1]
    assert "2 key(s)" in run("rotate-keys")[1]
    assert 1 == run("rotate-keys", "--emergency")[0], "nothing happens without a yes"
    assert 1 == len(run("rotate-keys", "--emergency", "--yes", "--json")["keys"])


def test_the_trail(run, sojourn):
    """It says who did what; a command is put down to whoever ran it."""
    sid = sojourn.login(Incoming(), "ann").principal.sid
    sojourn.login(Incoming(), "bob")
    run("revoke", sid)
    lines = run("audit", "--sid", sid, "--json")["lines"]
    assert ["login", "revoked"] == [line["action"] for line in lines]
    assert lines[1]["by"].startswith("cli:")
    (line,) = run("audit", "-n", "1", "--subject", "bob", "--json")["lines"]
    assert "bob" == line["subject"]
    assert "revoked" in run("audit")[1]


def test_purge(run):
    """It says how much went."""
    assert {"removed": 0} == run("purge", "--json")
    assert (0, "0 row(s) removed\n") == run("purge")


def test_what_goes_wrong_is_said(run):
    """An error is a sentence and an exit code, not a traceback."""
    code, said = run("revoke", "nonsense")
    assert (1, "sojourn: that is not a sid") == (code, said[:26])
