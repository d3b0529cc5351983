"""Several servers on one store: any of them answers, and what one ends, all refuse."""

import os
import subprocess
import sys
import time
from contextlib import contextmanager

import httpx2
import pytest
from server.conftest import PASSWORD, Person
from servers import free_port, running_server
from services import new_namespace
from services_postgres import shared_postgres
from services_valkey import shared_valkey, shared_valkey_cluster

SECRET = "a-secret-for-tests-alone-of-forty-eight-letters."
PATIENCE_SECONDS = 10


def _sqlite(folder):
    return {"SOJOURN_STORE": f"sqlite:///{folder / 'shared.db'}"}


def _postgres(folder):
    return {"SOJOURN_STORE": shared_postgres().new_database()}


def _mixed(folder):
    """Sessions in Valkey, accounts and the trail in PostgreSQL."""
    store = f"{shared_valkey().url}?prefix={new_namespace()}"
    return {"SOJOURN_STORE": store, "SOJOURN_DATABASE": shared_postgres().new_database()}


def _cluster(folder):
    nodes = ",".join(url.split("//")[1].split("/")[0] for url in shared_valkey_cluster().urls)
    store = f"redis+cluster://{nodes}?prefix={new_namespace()}"
    return {"SOJOURN_STORE": store, "SOJOURN_DATABASE": f"sqlite:///{folder / 'accounts.db'}"}


@contextmanager
def two_servers(folder, environ):
    """Two servers of two workers each; both issue under the first one's url."""
    port = free_port()
    shared = {
        "SOJOURN_SECRET": SECRET,
        "SOJOURN_URL": f"http://127.0.0.1:{port}",
        "SOJOURN_WORKERS": "2",
        **environ,
    }
    for name in ("one", "two"):
        (folder / name).mkdir()
    with (
        running_server(folder / "one", **shared, SOJOURN_PORT=str(port)) as one,
        running_server(folder / "two", **shared) as two,
    ):
        yield one, two, shared


@pytest.fixture(scope="module", params=[_sqlite, _postgres, _mixed, _cluster])
def servers(request, tmp_path_factory):
    folder = tmp_path_factory.mktemp("servers")
    with two_servers(folder, request.param(folder)) as running:
        yield running


@pytest.fixture
def clients(servers):
    one, two, _ = servers
    with (
        httpx2.Client(base_url=one.url, timeout=20) as first,
        httpx2.Client(base_url=two.url, timeout=20) as second,
    ):
        yield first, second


def code(client, token):
    answer = client.get("/auth/session", headers={"Authorization": f"Bearer {token}"})
    return "" if answer.status_code == 200 else answer.json()["code"]


def every_worker(client, token):
    """Ask over so many new connections that each worker has answered, as likely as can be."""
    codes = set()
    for _ in range(24):
        with httpx2.Client(base_url=client.base_url, timeout=20) as fresh:
            codes.add(code(fresh, token))
    return codes


@pytest.mark.parametrize("mode", ["session", "jwt", "hybrid"])
def test_what_one_server_signs_in_the_other_knows(clients, mode):
    """Accounts, sessions and keys are shared: registered here, signed in there, checked anywhere."""
    first, second = clients
    person = Person(str(first.base_url).rstrip("/")).register()
    told = person.login(second, mode=mode, transport="bearer")
    assert {""} == every_worker(first, told["access_token"])
    assert {""} == every_worker(second, told["access_token"])
    assert first.get("/.well-known/jwks.json").json() == second.get("/.well-known/jwks.json").json()


@pytest.mark.parametrize("mode", ["session", "jwt", "hybrid"])
def test_what_one_server_ends_all_workers_refuse(clients, mode):
    """Signed out everywhere at one server, within the bound no worker of any accepts it."""
    first, second = clients
    person = Person(str(first.base_url).rstrip("/")).register()
    token = person.login(first, mode=mode, transport="bearer")["access_token"]
    assert {""} == every_worker(second, token)
    ended = first.post("/auth/logout-all", headers={"Authorization": f"Bearer {token}"})
    assert ended.status_code == 204, ended.text
    deadline = time.monotonic() + PATIENCE_SECONDS
    while code(second, token) == "" and time.monotonic() < deadline:
        pass
    for client in clients:
        assert "" not in every_worker(client, token)


def test_a_refresh_rotates_wherever_it_arrives(clients):
    """A handle is rotated at either server, and the one before answered alike within the grace."""
    first, second = clients
    person = Person(str(first.base_url).rstrip("/")).register()
    held = person.login(first, mode="hybrid", transport="bearer")["refresh_token"]
    for client in (second, first, second):
        answers = [
            c.post("/auth/refresh", json={"refresh_token": held}, headers={"Authorization": ""})
            for c in (client, first, second)
        ]
        assert {200} == {answer.status_code for answer in answers}
        assert 1 == len({answer.json()["refresh_token"] for answer in answers})
        held = answers[0].json()["refresh_token"]


def test_guessing_is_counted_over_all_servers(clients):
    """A password guessed at two servers in turn is slowed as at one."""
    first, second = clients
    person = Person(str(first.base_url).rstrip("/")).register()
    wrong = {"email": person.email, "password": "not the password"}
    statuses = [
        (first, second)[n % 2].post("/auth/login", json=wrong).status_code for n in range(11)
    ]
    assert [401] * 10 + [429] == statuses


def test_the_trail_is_one(clients, servers, tmp_path):
    """What happened at either server stands on one trail, read with the command line."""
    *_, environ = servers
    first, _ = clients
    person = Person(str(first.base_url).rstrip("/")).register()
    for client in clients:
        person.login(client, mode="session", transport="bearer")
    command = [sys.executable, "-m", "sojourn.cli", "audit", "tail", "--subject", person.email]
    inherited = {k: v for k, v in os.environ.items() if not k.startswith("SOJOURN_")}
    environ = {**inherited, "SOJOURN_DATA": str(tmp_path), **environ}
    told = subprocess.run(
        command, env=environ, capture_output=True, text=True, timeout=60, check=False
    )
    assert (0, "") == (told.returncode, told.stderr)
    actions = [line.split("\t")[2] for line in told.stdout.splitlines()[1:]]
    assert ["registered", "login", "login"] == actions
    assert PASSWORD not in told.stdout


def test_metrics_are_those_of_all_workers(clients):
    """Whichever worker is asked, it counts for all of them."""
    first, _ = clients
    before = _requests(first)
    for _ in range(20):
        with httpx2.Client(base_url=first.base_url, timeout=20) as fresh:
            fresh.get("/livez")
    assert _requests(first) - before >= 20
    assert "sojourn_feed_lag_seconds" in first.get("/metrics").text


def _requests(client):
    lines = client.get("/metrics").text.splitlines()
    return sum(float(n.split()[-1]) for n in lines if n.startswith("sojourn_requests_total"))
