"""The server as a process: files, restart, graceful stop, operations."""

import json
import os
import signal
import stat
import threading

import httpx2
import pytest
from server.conftest import PASSWORD, Person
from servers import running_server

from sojourn.server import openapi


def test_files_are_for_their_owner_only(server):
    """Database, its companions and the secret are 0600 in a folder of 0700."""
    assert 0o700 == stat.S_IMODE(server.data.stat().st_mode)
    files = {path.name: stat.S_IMODE(path.stat().st_mode) for path in server.data.iterdir()}
    assert {"sojourn.db", "secret"} <= set(files)
    assert {0o600} == set(files.values()), files


@pytest.mark.parametrize("mode", ["session", "jwt", "hybrid"])
def test_a_restart_signs_nobody_out(mode, tmp_path):
    """Sessions, keys and revocations outlive the process, in each mode."""
    with httpx2.Client(timeout=20) as stays, httpx2.Client(timeout=20) as goes:
        with running_server(tmp_path) as first:
            person = Person(first.url).register()
            for client in (stays, goes):
                client.base_url = first.url
                person.login(client, mode=mode)
            dead = dict(goes.cookies)
            assert 204 == goes.post("/auth/logout").status_code
        port = first.url.rpartition(":")[2]
        with running_server(tmp_path, SOJOURN_PORT=port) as second:
            assert person.subject == stays.get("/auth/session").json()["subject"]
            refused = httpx2.get(f"{second.url}/auth/session", cookies=dead)
            assert "revoked" == refused.json()["code"]


def test_a_signal_lets_requests_in_flight_finish(tmp_path):
    """Whoever was acknowledged while the server stopped is there when it starts again."""
    answers: list[tuple[str, int]] = []
    with running_server(tmp_path) as first:
        started = threading.Barrier(9)

        def register(number: int) -> None:
            body = {"email": f"p{number}@example.com", "password": PASSWORD}
            started.wait()
            try:
                answer = httpx2.post(f"{first.url}/auth/register", json=body, timeout=20)
            except httpx2.TransportError:
                return  # came after the door was shut
            answers.append((body["email"], answer.status_code))

        threads = [threading.Thread(target=register, args=(n,)) for n in range(8)]
        for thread in threads:
            thread.start()
        started.wait()
        first.process.send_signal(signal.SIGTERM)
        for thread in threads:
            thread.join()
        assert 0 == first.process.wait(20)
    port = first.url.rpartition(":")[2]
    with running_server(tmp_path, SOJOURN_PORT=port) as second:
        for email, status in answers:
            assert 201 == status
            login = {"email": email, "password": PASSWORD}
            assert 200 == httpx2.post(f"{second.url}/auth/login", json=login).status_code


def test_kill_loses_nothing_that_was_acknowledged(tmp_path):
    """After kill -9 every acknowledged session and revocation holds."""
    with httpx2.Client(timeout=20) as kept, httpx2.Client(timeout=20) as ended:
        with (
            pytest.raises(AssertionError, match="ended with -9"),
            running_server(tmp_path) as first,
        ):
            person = Person(first.url).register()
            for client in (kept, ended):
                client.base_url = first.url
                person.login(client, mode="session")
            dead = dict(ended.cookies)
            assert 204 == ended.post("/auth/logout").status_code
            for pid in [*children_of(first.process.pid), first.process.pid]:
                os.kill(pid, signal.SIGKILL)
        port = first.url.rpartition(":")[2]
        with running_server(tmp_path, SOJOURN_PORT=port) as second:
            assert 200 == kept.get("/auth/session").status_code
            refused = httpx2.get(f"{second.url}/auth/session", cookies=dead)
            assert "revoked" == refused.json()["code"]


def children_of(pid: int) -> list[int]:
    """List the processes a process started."""
    import subprocess

    found = subprocess.run(["pgrep", "-P", str(pid)], capture_output=True, text=True, check=False)
    return [int(line) for line in found.stdout.split()]


def test_operations(server, http):
    """Liveness, readiness with the lag, and metrics answer without signing in."""
    assert 200 == http.get("/livez").status_code
    ready = http.get("/readyz").json()
    assert ready["ready"] is True
    assert ready["lag_seconds"] < 5
    metrics = http.get("/metrics").text
    for name in ("sojourn_store_operations_total", "sojourn_feed_lag_seconds"):
        assert name in metrics


def test_openapi_describes_every_call(server, http):
    """Every route of the API stands in the description, and nothing else."""
    described = http.get("/openapi.json").json()
    calls = {(method.upper(), path) for path, item in described["paths"].items() for method in item}
    assert {(call.method, call.path) for call in openapi.CALLS} == calls
    json.dumps(described)
    for method, path in calls:
        url = path.replace("{sid}", "x").replace("{subject}", "x")
        answer = http.request(method, url)
        assert answer.status_code not in {404, 405} or "{" in path, (method, path)


def test_keys_and_metadata_for_verifiers(server, http):
    """The metadata leads to the public keys, and no private part is among them."""
    metadata = http.get("/.well-known/openid-configuration").json()
    assert server.url == metadata["issuer"]
    keys = httpx2.get(metadata["jwks_uri"]).json()["keys"]
    assert keys
    for key in keys:
        assert {"kty", "crv", "x", "y", "kid", "alg", "use"} >= set(key) >= {"kty", "kid", "alg"}
