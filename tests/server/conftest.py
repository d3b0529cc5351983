"""What the server's tests share: a real server, accounts on it, and clients."""

import secrets
import sqlite3
from collections.abc import Iterator
from dataclasses import dataclass, field
from pathlib import Path

import httpx2
import pytest
from servers import RunningServer, running_server

PASSWORD = "four unrelated calm words"


@pytest.fixture(scope="module")
def server(tmp_path_factory) -> Iterator[RunningServer]:
    """One server for a module of tests."""
    with running_server(tmp_path_factory.mktemp("server")) as running:
        yield running


@pytest.fixture
def http(server) -> Iterator[httpx2.Client]:
    """A client with a cookie jar."""
    with httpx2.Client(base_url=server.url, timeout=20) as client:
        yield client


@dataclass
class Person:
    """An account, and how to sign in to it."""

    url: str
    email: str = field(default_factory=lambda: f"{secrets.token_hex(6)}@example.com")
    password: str = PASSWORD
    subject: str = ""

    def register(self) -> "Person":
        body = {"email": self.email, "password": self.password}
        answer = httpx2.post(f"{self.url}/auth/register", json=body)
        assert answer.status_code == 201, answer.text
        self.subject = answer.json()["subject"]
        return self

    def login(self, client: httpx2.Client, **more) -> dict:
        body = {"email": self.email, "password": self.password, **more}
        answer = client.post("/auth/login", json=body)
        assert answer.status_code == 200, answer.text
        told = answer.json()
        if "access_token" in told:
            client.headers["Authorization"] = f"Bearer {told['access_token']}"
        return told


@pytest.fixture
def person(server) -> Person:
    """A new account."""
    return Person(server.url).register()


def row_counts(data: Path) -> dict[str, int]:
    """Count the rows of every table of a server's database."""
    with sqlite3.connect(f"file:{data / 'sojourn.db'}?mode=ro", uri=True) as db:
        tables = [
            name
            for (name,) in db.execute("SELECT name FROM sqlite_master WHERE type = 'table'")
            if not name.startswith("sqlite_")
        ]
        counts = {t: db.execute(f"SELECT count(*) FROM {t}").fetchone()[0] for t in tables}  # noqa: S608
    db.close()
    return counts
