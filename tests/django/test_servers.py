"""Two real servers of one project, Gunicorn and Uvicorn, and a command beside them."""

from __future__ import annotations

import asyncio
import subprocess
import sys
import time
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import httpx
import pytest
import websockets
from django_databases import postgres_settings, wal_settings
from django_project import PROJECT, environment, run
from servers import free_port

PATIENCE_SECONDS = 30
PASSWORD = "seven unrelated words"
SERVERS = {
    "gunicorn": ("-m", "gunicorn", "served:wsgi", "--workers", "2", "--threads", "2", "--bind"),
    "uvicorn": ("-m", "uvicorn", "served:application", "--host", "127.0.0.1", "--port"),
}
MAKE_ANN = (
    "from django.contrib.auth.models import User; User.objects.create_user('ann', password='{}')"
)


@contextmanager
def serving(kind: str, folder: Path, **env) -> Iterator[str]:
    """Run a server of the project as long as the block does."""
    port = free_port()
    where = f"127.0.0.1:{port}" if kind == "gunicorn" else str(port)
    with (folder / f"{kind}.log").open("wb") as log:
        process = subprocess.Popen(
            [sys.executable, *SERVERS[kind], where],
            cwd=PROJECT,
            env=environment(**env),
            stdout=log,
            stderr=log,
        )
    url = f"http://127.0.0.1:{port}"
    try:
        until(lambda: is_up(url, process), f"{kind} answers")
        yield url
    finally:
        process.terminate()
        process.wait(PATIENCE_SECONDS)


def is_up(url: str, process: subprocess.Popen) -> bool:
    assert process.poll() is None, "the server ended; see its log"
    try:
        return httpx.get(f"{url}/me", timeout=5).status_code == 200
    except httpx.TransportError:
        return False


def until(condition, what: str) -> None:
    """Wait for what happens soon in another process."""
    deadline = time.monotonic() + PATIENCE_SECONDS
    while not condition():
        assert time.monotonic() < deadline, f"never: {what}"
        time.sleep(0.01)


@pytest.mark.parametrize("kind", ["sqlite", "postgres"])
def test_ended_in_one_process_and_refused_in_all(kind, tmp_path):
    """Both ways: signed in at one server, known at the other, ended by a command, refused by both.

    An open WebSocket is closed.
    """
    database = wal_settings(tmp_path) if kind == "sqlite" else postgres_settings(tmp_path)
    run("manage.py", "migrate", "--verbosity=0", database=database)
    run("manage.py", "shell", "-v", "0", "-c", MAKE_ANN.format(PASSWORD), database=database)
    env = {"database": database, "url": "http://127.0.0.1:8000"}
    with (
        serving("gunicorn", tmp_path, **env) as first,
        serving("uvicorn", tmp_path, **env) as second,
        httpx.Client() as cookies,
        httpx.Client() as bearer,
    ):
        sign_in_by_djangos_form(cookies, first)
        sign_in_by_bearer(bearer, second)
        clients = [(client, url) for client in (cookies, bearer) for url in (first, second)]
        assert [who(*client) for client in clients] == ["ann"] * 4
        asyncio.run(closed_socket(second, cookies, ending=lambda: end_all(database)))
        for client, url in clients:
            until(lambda c=client, u=url: who(c, u) is None, "the other process refuses")
        assert "revoked" in bearer.get(f"{first}/guarded").text


def sign_in_by_djangos_form(client: httpx.Client, url: str) -> None:
    client.get(f"{url}/login")
    form = {
        "username": "ann",
        "password": PASSWORD,
        "csrfmiddlewaretoken": client.cookies["csrftoken"],
    }
    assert client.post(f"{url}/login", data=form).status_code == 302


def sign_in_by_bearer(client: httpx.Client, url: str) -> None:
    body = {"username": "ann", "password": PASSWORD, "mode": "hybrid", "transport": "bearer"}
    token = client.post(f"{url}/auth/login", json=body).json()["access_token"]
    client.headers["Authorization"] = f"Bearer {token}"


def who(client: httpx.Client, url: str) -> str | None:
    return client.get(f"{url}/me").json()["user"]


def end_all(database: dict) -> None:
    assert "ended: 2" in run("manage.py", "sojourn_revoke", "--user", "ann", database=database)


async def closed_socket(url: str, client: httpx.Client, *, ending) -> None:
    """Open a WebSocket with the browser's cookies, and see it closed."""
    header = "; ".join(f"{name}={value}" for name, value in client.cookies.items())
    address = url.replace("http", "ws") + "/echo"
    async with websockets.connect(address, additional_headers={"Cookie": header}) as socket:
        assert (await socket.recv()) == "1"
        await socket.send("hello")
        assert (await socket.recv()) == "ann: hello"
        await asyncio.to_thread(ending)
        with pytest.raises(websockets.ConnectionClosed) as closed:
            await asyncio.wait_for(socket.recv(), PATIENCE_SECONDS)
        assert (closed.value.rcvd.code, closed.value.rcvd.reason) == (4401, "revoked")
