from __future__ import annotations

import json
import os
import signal
import socket
import subprocess
import time
from pathlib import Path
from urllib.parse import urlsplit

import httpx2
import pytest
from cli.programs import PASSWORD, PROGRAM, Cli, environment, problem, run, serving

from sojourn.cli.files import is_private, read_or_make


def free_port() -> int:
    """Find a port that nobody listens on."""
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        return int(probe.getsockname()[1])


def test_serve_with_the_ready_account(tmp_path: Path) -> None:
    """A first start needs no preparation: sign in at once, as administrator; SIGTERM ends with 0."""
    with serving() as server:
        assert server.said["is_development"] is True
        account = server.said["account"]
        assert account["email"] == "demo@example.com"
        kept = tmp_path / "data" / "demo-account"
        assert kept.read_text() == account["password"] + "\n"
        assert kept.stat().st_mode & 0o777 == 0o600
        answer = server.log_in(transport="bearer")
        assert answer.status_code == 200
        bearer = {"Authorization": f"Bearer {answer.json()['access_token']}"}
        session = httpx2.get(f"{server.url}/auth/session", headers=bearer)
        assert session.json()["roles"] == ["admin"]
        assert httpx2.get(f"{server.url}/admin/users", headers=bearer).status_code == 200
        assert server.stop(signal.SIGTERM) == 0


def test_a_second_start_keeps_the_account() -> None:
    """Account and password stay; sessions of the first run go on."""
    with serving() as first:
        account = first.said["account"]
        token = first.log_in(transport="bearer", mode="session").json()["access_token"]
    with serving() as second:
        assert second.said["account"] == account
        assert second.log_in().status_code == 200
        bearer = {"Authorization": f"Bearer {token}"}
        assert httpx2.get(f"{second.url}/auth/session", headers=bearer).status_code == 200


def test_ctrl_c_ends_with_0() -> None:
    """Ctrl-C, which the whole process group gets, ends with 0 and without a traceback."""
    with serving() as server:
        os.killpg(server.process.pid, signal.SIGINT)
        _, told = server.process.communicate(timeout=20)
        assert server.process.returncode == 0
        assert "Traceback" not in told


def test_requests_in_flight_finish() -> None:
    """A request that was begun before SIGTERM is answered."""
    with serving() as server:
        parts = urlsplit(server.url)
        body = json.dumps({"email": "demo@example.com", "password": "wrong wrong wrong"}).encode()
        with socket.create_connection((str(parts.hostname), parts.port or 0), 20) as connection:
            connection.sendall(
                b"POST /auth/login HTTP/1.1\r\nHost: x\r\nConnection: close\r\n"
                b"Content-Type: application/json\r\n"
                b"Content-Length: " + str(len(body)).encode() + b"\r\n\r\n" + body[:10]
            )
            time.sleep(0.3)
            server.process.send_signal(signal.SIGTERM)
            time.sleep(0.5)
            connection.sendall(body[10:])
            assert connection.recv(4096).startswith(b"HTTP/1.1 401")
        assert server.process.wait(20) == 0


def test_what_a_person_is_told() -> None:
    """As text all is on stderr: the URL, the account, and that cookies are not Secure."""
    port = free_port()
    process = subprocess.Popen(
        [*PROGRAM, "serve", "--port", str(port)],
        env=environment(),
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
        text=True,
    )
    deadline = time.monotonic() + 30
    while time.monotonic() < deadline:
        try:
            httpx2.get(f"http://127.0.0.1:{port}/livez", timeout=5)
            break
        except httpx2.TransportError:
            time.sleep(0.05)
    process.send_signal(signal.SIGTERM)
    out, told = process.communicate(timeout=20)
    assert (process.returncode, out) == (0, "")
    assert f"http://127.0.0.1:{port}" in told
    assert "demo@example.com" in told
    assert "cookies are not Secure" in told
    assert told.endswith("stopped\n")
    assert (Path("data") / "secret").read_text().strip() not in told


def test_a_taken_port_is_told() -> None:
    """Where something listens on the port, that is told with a free one, and exit 3."""
    with socket.socket() as taken:
        taken.bind(("127.0.0.1", 0))
        taken.listen()
        port = taken.getsockname()[1]
        ended = run("serve", "--port", port)
        assert ended.returncode == 3
        assert f"port {port} of 127.0.0.1 cannot be used" in ended.stderr
        assert "is free: sojourn serve --port " in ended.stderr
        assert "Traceback" not in ended.stderr
        assert problem(run("serve", "--port", port, "--json").stderr)["code"] == "port_taken"


def test_the_port_of_a_running_server_is_taken() -> None:
    """A second server on the port of a first one is refused; they never share it."""
    with serving() as server:
        assert run("serve", "--port", server.said["port"]).returncode == 3
        assert server.log_in().status_code == 200


@pytest.mark.parametrize(
    ("args", "cause"),
    [
        (("--host", "0.0.0.0"), "SOJOURN_URL"),  # noqa: S104 - refused
        (("--url", "http://example.com"), "use https"),
        (("--url", "https://example.com"), "no server secret"),
        (("--host", "192.0.2.1", "--url", "http://localhost"), "cannot be listened on"),
    ],
)
def test_what_is_unsafe_or_impossible_is_refused(args: tuple[str, ...], cause: str) -> None:
    """The server does not start where it could not be safe or reached; exit 3 and the remedy."""
    ended = run("serve", *args)
    assert ended.returncode == 3
    assert cause in ended.stderr


def test_production_has_no_ready_account(tmp_path: Path) -> None:
    """With an https url no account is made, and --mode reaches the process that serves."""
    port = free_port()
    env = {"SOJOURN_SECRET": "a-secret-of-the-test-and-long-enough-for-one"}
    url = "https://auth.example.com"
    process = subprocess.Popen(
        [*PROGRAM, "serve", "--json", "--port", str(port), "--url", url, "--mode", "session"],
        env=environment(**env),
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
        text=True,
    )
    try:
        assert process.stdout is not None
        said = json.loads(process.stdout.readline())
        assert said["account"] is None
        assert said["url"] == url
        assert not (tmp_path / "data" / "demo-account").exists()
        added = run("users", "add", "ada@example.com", stdin=PASSWORD, **env)
        assert added.returncode == 0
        body = {"email": "ada@example.com", "password": PASSWORD}
        deadline = time.monotonic() + 30
        while True:
            try:
                answer = httpx2.post(f"http://127.0.0.1:{port}/auth/login", json=body, timeout=20)
                break
            except httpx2.TransportError:
                assert time.monotonic() < deadline
                time.sleep(0.05)
        assert answer.json()["mode"] == "session"
        assert "__Host-" in answer.headers["set-cookie"]
        process.send_signal(signal.SIGTERM)
        assert process.wait(20) == 0
    finally:
        process.kill()
        process.communicate()


@pytest.mark.parametrize("mode", ["session", "hybrid", "jwt"])
def test_a_revocation_from_another_process(mode: str) -> None:
    """`sojourn sessions revoke` of a second process is in force in the running server at once."""
    with serving() as server:
        signed = server.log_in(transport="bearer", mode=mode).json()
        bearer = {"Authorization": f"Bearer {signed['access_token']}"}
        with httpx2.Client(headers=bearer, base_url=server.url) as client:
            assert client.get("/auth/session").status_code == 200
            revoked = run("sessions", "revoke", signed["sid"], "--json")
            assert revoked.returncode == 0, revoked.stderr
            deadline = time.monotonic() + 2
            while (answer := client.get("/auth/session")).status_code == 200:
                assert time.monotonic() < deadline, "still accepted"
            assert answer.status_code == 401
            assert answer.json()["code"] == "revoked"


def test_disabling_from_another_process() -> None:
    """`sojourn users disable` signs out everywhere at once, and in again nobody gets."""
    with serving() as server:
        token = server.log_in(transport="bearer").json()["access_token"]
        assert run("users", "disable", "demo@example.com").returncode == 0
        bearer = {"Authorization": f"Bearer {token}"}
        deadline = time.monotonic() + 2
        while httpx2.get(f"{server.url}/auth/session", headers=bearer).status_code == 200:
            assert time.monotonic() < deadline, "still accepted"
        assert server.log_in().status_code == 401
    with serving() as again:
        assert again.said["account"]["password"] is None


def test_the_ready_account_as_somebody_changed_it(cli: Cli, tmp_path: Path) -> None:
    """An account that is there already is left alone; a lost file is not made up."""
    assert cli("users", "add", "demo@example.com", stdin=PASSWORD).exit_code == 0
    with serving() as server:
        assert server.said["account"] == {
            "email": "demo@example.com",
            "password": None,
            "file": None,
        }
        assert not (tmp_path / "data" / "demo-account").exists()


def test_no_secret_in_the_arguments_of_any_process() -> None:
    """Neither server secret nor password is among the arguments of the server's processes."""
    proc = Path("/proc")
    if not proc.exists():
        pytest.skip("this system shows no processes as files")
    with serving() as server:
        secrets = (
            (Path("data") / "secret").read_text().strip(),
            server.said["account"]["password"],
        )
        group = os.getpgid(server.process.pid)
        shown = 0
        for entry in proc.iterdir():
            if entry.name.isdigit():
                try:
                    if os.getpgid(int(entry.name)) != group:
                        continue
                    arguments = (entry / "cmdline").read_text()
                except OSError:
                    continue
                shown += 1
                assert not any(secret in arguments for secret in secrets)
        assert shown >= 2


def test_a_kept_secret_is_made_once(tmp_path: Path) -> None:
    """The first of several makers wins, and the file is its owner's alone."""
    path = tmp_path / "kept"
    assert is_private(path)
    assert read_or_make(path, "first") == "first"
    assert read_or_make(path, "second") == "first"
    assert is_private(path)
    assert [entry.name for entry in tmp_path.iterdir()] == ["kept"]
    path.chmod(0o644)
    assert not is_private(path)
