"""New notes appear on open pages, which are closed when the session ends; where the framework has that."""

from __future__ import annotations

import json
import re
from collections.abc import Iterator
from contextlib import contextmanager
from typing import Any, Protocol

import httpx2
import pytest
from examples.clients import BROWSER, Client
from websockets.exceptions import ConnectionClosed, InvalidStatus
from websockets.sync.client import connect

BOUND_SECONDS = 1.0
PATIENCE_SECONDS = 10.0
LIVE = {"starlette": "websocket", "fastapi": "websocket", "litestar": "websocket", "asgi": "events"}


class Stream(Protocol):
    """An open connection of either kind."""

    def next(self, *, seconds: float) -> Any:
        """Give what comes next; None where the application ended it."""


class OverWebSocket:
    def __init__(self, socket: Any) -> None:
        self.socket = socket

    def next(self, *, seconds: float) -> Any:
        try:
            return json.loads(self.socket.recv(timeout=seconds))
        except ConnectionClosed:
            return None


class OverEvents:
    def __init__(self, answer: httpx2.Response) -> None:
        self.lines = answer.iter_lines()
        self.timeouts = answer.request.extensions["timeout"]

    def next(self, *, seconds: float) -> Any:
        self.timeouts["read"] = seconds
        for line in self.lines:
            if line.startswith("data:"):
                return json.loads(line.removeprefix("data:"))
        return None


@contextmanager
def listening(client: Client, kind: str, **headers: str) -> Iterator[Stream]:
    """Open /live."""
    url = f"{client.application.url}/live"
    headers = client.live_headers() | headers
    if kind == "websocket":
        address = url.replace("http", "ws", 1)
        with connect(address, additional_headers=headers, proxy=None) as socket:
            yield OverWebSocket(socket)
        return
    with (
        httpx2.Client(timeout=PATIENCE_SECONDS) as http,
        http.stream("GET", url, headers=headers) as answer,
    ):
        assert answer.status_code == 200, answer.read()
        assert answer.headers["content-type"].startswith("text/event-stream")
        yield OverEvents(answer)


@pytest.fixture
def kind(application, client_of) -> str:
    """How the page of this application listens; where it does not, there is nothing to prove."""
    with Client(application, "cookie", application.new_person()) as visitor:
        visitor.sign_in()
        (kind,) = re.findall(r'data-live="(\w*)"', visitor.get("/", headers=BROWSER).text)
    assert kind == LIVE.get(application.name, "")
    return kind


def test_new_notes_appear_and_the_end_of_the_session_ends_it(client_of, person, kind):
    """What one writes elsewhere appears; when this session ends, the connection ends within a second."""
    if not kind:
        return
    elsewhere = client_of(person.name)
    with listening(person, kind) as here:
        written = elsewhere.post("/notes", {"text": "from the other device"}).json()
        assert written == here.next(seconds=PATIENCE_SECONDS)
        assert elsewhere.post("/devices/end-others").status_code == 200
        assert here.next(seconds=BOUND_SECONDS) is None


def test_only_ones_own_notes_appear(application, client_of, person, kind):
    """Nobody hears of another's notes; and a connection of another session goes on."""
    if not kind:
        return
    other = client_of(application.new_person())
    with listening(person, kind) as here:
        other.post("/notes", {"text": "private"})
        other.post("/devices/end-others")
        written = person.post("/notes", {"text": "mine"}).json()
        assert written == here.next(seconds=PATIENCE_SECONDS)


def refusal_of(client: Client, kind: str, **headers: str) -> int:
    """Give the status with which opening /live is refused."""
    if kind == "events":
        return client.get("/live", headers=headers).status_code
    with pytest.raises(InvalidStatus) as refused, listening(client, kind, **headers):
        pass
    return refused.value.response.status_code


def test_nobody_listens_and_nobody_listens_from_elsewhere(client_of, person, kind, transport):
    """Without a sign-in, and (over cookies) from a page of another origin, none is opened."""
    if not kind:
        return
    assert refusal_of(client_of("nobody", signed_in=False), kind) in {401, 403}
    if kind == "websocket" and transport == "cookie":
        assert refusal_of(person, kind, Origin="https://elsewhere.example") == 403
