"""The command line where the sessions are elsewhere than in a file."""

import json

import httpx2
import pytest
from cli.programs import run, serving
from services import new_namespace
from services_valkey import shared_valkey

from sojourn import Incoming, Sojourn
from sojourn.server.config import shown_url

SECRET = "a-secret-for-tests-alone-of-forty-eight-letters."
URL = "http://127.0.0.1:8100"


@pytest.fixture
def library():
    """An application that keeps its sessions in Valkey, and has no server."""
    store = f"{shared_valkey().url}?prefix={new_namespace()}"
    with Sojourn(store, mode="session", url=URL, secret=SECRET) as auth:
        yield auth, {"SOJOURN_STORE": store, "SOJOURN_URL": URL, "SOJOURN_SECRET": SECRET}


def test_sessions_and_trail_of_a_library(library, tmp_path):
    """Sessions are listed and ended by subject, and the trail is read where the library keeps it."""
    auth, environ = library
    environ["SOJOURN_DATA"] = str(tmp_path / "none")
    signed_in = auth.login(Incoming(), "ann", transport="bearer")
    listed = run("sessions", "list", "ann", "--json", **environ)
    assert (0, "") == (listed.returncode, listed.stderr)
    assert [signed_in.principal.sid] == [s["sid"] for s in json.loads(listed.stdout)["sessions"]]
    ended = run("sessions", "revoke", "--all", "ann", **environ)
    assert 0 == ended.returncode, ended.stderr
    for _ in range(2):  # reading it does not take it away
        told = run("audit", "tail", "--json", **environ)
        actions = [line["action"] for line in json.loads(told.stdout)["lines"]]
        assert ["key_added", "login", "revoked_all"] == actions
    assert not (tmp_path / "none" / "accounts.db").exists()


def test_metrics_of_several_workers(tmp_path):
    """`sojourn serve --workers 2` counts as one, whichever worker is asked."""
    with serving("--workers", 2, SOJOURN_DATA=str(tmp_path)) as server:
        for _ in range(10):
            httpx2.get(f"{server.url}/livez")
        shown = httpx2.get(f"{server.url}/metrics").text
    (line,) = (n for n in shown.splitlines() if n.startswith('sojourn_requests_total{status="2xx"'))
    assert float(line.split()[-1]) >= 10


@pytest.mark.parametrize(
    ("url", "shown"),
    [
        ("sqlite:////tmp/a@b.db", "sqlite:////tmp/a@b.db"),
        ("postgresql://app:hunter2@db/app", "postgresql://app:…@db/app"),
        ("postgresql://app:hun/t@er2@db/app", "postgresql://app:…@db/app"),
        ("postgresql://app@db/app?password=hunter2&x=1", "postgresql://app@db/app?password=…&x=1"),
        ("redis://:hunter2@h:1,h:2/0", "redis://:…@h:1,h:2/0"),
    ],
)
def test_a_url_is_shown_without_its_password(url, shown):
    """However the password is written."""
    assert shown == shown_url(url)
