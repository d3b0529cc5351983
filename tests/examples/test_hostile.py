"""Whatever is sent to an application, the answer is a 4xx and nobody is signed in by it."""

from __future__ import annotations

import httpx2
import pytest
from examples.applications import PASSWORD
from examples.clients import code_of

HOSTILE_BODIES = [
    (b"", "application/json"), (b"{", "application/json"), (b"[]", "application/json"),
    (b"null", "application/json"), (b"7", "application/json"), (b"\xff\xfe", "application/json"),
    (b"[" * 100_000, "application/json"), (b'{"text": 7}', "application/json"),
    (b'{"text": ["a"]}', "application/json"), (b'{"text": "\\u0000"}', "application/json"),
    (b'{"text": "\\ud800"}', "application/json"), (b'{"text": " "}', "application/json"),
    (b'{"text": "' + b"a" * 5000 + b'"}', "application/json"), (b"text=%00", "application/x-www-form-urlencoded"),
    (b"text=%ff%fe", "application/x-www-form-urlencoded"), (b"a=1&" * 1000, "application/x-www-form-urlencoded"),
    (b"text", "text/plain"), (b"--x\r\n", "multipart/form-data; boundary=x"), (b"text=a", "multipart/form-data"),
    (b"text", "\xff".encode("latin-1")),
]  # fmt: skip


def test_hostile_bodies_are_the_senders_fault(person):
    """Whatever is sent, the answer is a 4xx, and the person is still signed in."""
    for path in ("/notes", "/login", "/password", "/confirm"):
        for body, kind in HOSTILE_BODIES:
            answer = person.http.post(path, content=body, headers={"Content-Type": kind})
            assert 400 <= answer.status_code < 500, (path, body[:50], kind, answer.text)
    assert person.get("/me").status_code == 200


def test_hostile_addresses_and_values(person):
    """Notes that are none, transports that are none, names that are none: 4xx."""
    for note in ("x", "-1", "9" * 30, "9" * 5000, "%00", "%ff", "1%2F2", "../1", "\u202e"):
        assert person.post(f"/notes/{note}/delete").status_code in {400, 404, 405, 414, 422}, note
    values = {"name": person.name, "password": PASSWORD}
    for transport in ("pigeon", 7, None, [], {}):
        refused = person.post("/login", values | {"transport": transport})
        assert (400, "bad_input") == code_of(refused)
    for name in ("a" * 999, "\u202e", "ann\r\nSet-Cookie: a=b", "' OR 1=1 --", "\x01"):
        refused = person.post("/login", values | {"name": name})
        assert refused.status_code in {400, 401}, (name, refused.text)
    for token in ("x", "sj_" * 100, 7, ["a"], "a.b.c"):
        assert 400 <= person.post("/refresh", {"refresh_token": token}).status_code < 500
    assert person.http.delete("/").status_code == 405
    assert person.get("/nowhere").status_code == 404


@pytest.mark.parametrize(
    "credential",
    ["Bearer", "Bearer x", "Bearer a.b.c", "Bearer sj_", "Basic YTpi", "Bearer " + "a" * 5000],
)
def test_hostile_credentials(application, credential):
    """A credential that is none signs nobody in, and is never an error of ours."""
    answer = httpx2.get(f"{application.url}/me", headers={"Authorization": credential})
    assert code_of(answer) in {(401, "invalid_token"), (401, "unauthenticated")}
