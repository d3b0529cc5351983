"""The revocation feed over HTTP: for verifiers only, a snapshot, then a stream that goes on."""

import asyncio
import json
import secrets
import time

import httpx2
import pytest
from servers import running_server

from sojourn.server.app import Server
from sojourn.server.config import load_config


def add_verifier(server) -> str:
    """Add a verifier from a second process's view, as the command line does."""

    async def add() -> str:
        config = load_config(environ={"SOJOURN_DATA": str(server.data), "SOJOURN_URL": server.url})
        beside = Server(config)
        await beside.open()
        try:
            return await beside.verifiers.add(f"billing-{secrets.token_hex(4)}")
        finally:
            await beside.close()

    return asyncio.run(add())


def events(answer: httpx2.Response):
    """Read server-sent events: (name, data, id)."""
    name = data = identity = ""
    for line in answer.iter_lines():
        key, _, value = line.partition(": ")
        match key:
            case "event":
                name = value
            case "data":
                data = value
            case "id":
                identity = value
            case "":
                yield name, json.loads(data), identity
                name = data = identity = ""


def following(client: httpx2.Client, cursor: str):
    headers = {"Accept": "text/event-stream", "Last-Event-ID": cursor}
    return client.stream("GET", "/auth/revocations", headers=headers)


@pytest.fixture(scope="module")
def verifier(server):
    with httpx2.Client(base_url=server.url, timeout=20) as client:
        client.headers["Authorization"] = f"Bearer {add_verifier(server)}"
        yield client


@pytest.mark.parametrize("authorization", ["", "Bearer sjv_wrong", "Bearer x", "Basic sjv_x"])
def test_only_verifiers_read_the_feed(authorization, server):
    """Nobody else learns who was signed out."""
    headers = {"Authorization": authorization} if authorization else {}
    answer = httpx2.get(f"{server.url}/auth/revocations", headers=headers)
    assert (401, "invalid_token") == (answer.status_code, answer.json()["code"])


def test_snapshot_then_stream(server, verifier, person, http):
    """What happened stands in the snapshot, what happens comes by the stream, resumable."""
    person.login(http, mode="session")
    http.post("/auth/logout-others")
    snapshot = verifier.get("/auth/revocations").json()
    cutoffs = [e for e in snapshot["entries"] if e["kind"] == "cutoff"]
    assert person.subject in {entry["subject"] for entry in cutoffs}
    assert snapshot["lag_ms"] < 5000

    sid = http.get("/auth/session").json()["sid"]
    with following(verifier, snapshot["cursor"]) as answer:
        stream = events(answer)
        assert ("open", {"cursor": snapshot["cursor"]}, "") == next(stream)
        http.post("/auth/logout")
        ended = next(event for event in stream if event[0] == "entry")
        assert ("ended", sid) == (ended[1]["kind"], ended[1]["sid"])
        beat = next(event for event in stream if event[0] == "heartbeat")
        assert {"open_ms", "lag_ms"} == set(beat[1])

    person.login(http, mode="session")
    http.post("/auth/logout")
    with following(verifier, ended[2]) as answer:
        again = next(event for event in events(answer) if event[0] == "entry")
    assert ended[1]["id"] < again[1]["id"], "the stream went on after the cursor"


def test_a_cursor_that_the_feed_does_not_continue(server, verifier, person, http):
    """A gap is said, and the stream ends: the verifier takes a snapshot."""
    from sojourn.model import Head
    from sojourn.server.feed import encode_cursor

    person.login(http)
    http.post("/auth/logout")
    with following(verifier, encode_cursor((Head(1, 2),))) as answer:
        assert ["open", "gap"] == [name for name, _, _ in events(answer)]


@pytest.mark.parametrize("cursor", ["", "x", "W10", "bnVsbA"])
def test_a_cursor_of_no_feed(cursor, verifier):
    """Garbage instead of a cursor is a bad request."""
    headers = {"Accept": "text/event-stream", "Last-Event-ID": cursor}
    answer = verifier.get("/auth/revocations", headers=headers)
    assert (400, "invalid_request") == (answer.status_code, answer.json()["code"])


def test_an_open_stream_does_not_keep_the_server_from_stopping(tmp_path):
    """A signal ends the streams, and the server with them."""
    with running_server(tmp_path) as server:
        token = add_verifier(server)
        with httpx2.Client(base_url=server.url, timeout=20) as client:
            client.headers["Authorization"] = f"Bearer {token}"
            cursor = client.get("/auth/revocations").json()["cursor"]
            with following(client, cursor) as answer:
                stream = events(answer)
                next(stream)
                started = time.monotonic()
                assert 0 == server.stop()
                print(f"stopped after {time.monotonic() - started:.2f} s")
