"""Anonymous and malformed requests: a 4xx problem document, no rows, no secret in the log."""

import json
import socket
from contextlib import closing
from urllib.parse import urlsplit

import httpx2
import pytest
from server.conftest import PASSWORD, row_counts

from sojourn import handles
from sojourn.model import Purpose
from sojourn.server_secret import ServerSecret

GARBAGE = "sj_s1_" + "A" * 80
FORGED = handles.mint(
    ServerSecret("a secret that is not the server's own, 48 characters"),
    purpose=Purpose.SESSION,
    sid="AAAAAAAAAAAAAAAAAAAAAA",
    generation=1,
    seed=b"s" * 32,
)
JSON = {"Content-Type": "application/json"}
LOGIN = json.dumps({"email": "ann@example.com", "password": PASSWORD})

# Each: method, path, headers, body; the expected status and code.
HOSTILE = {
    "no cookie": ("GET", "/auth/session", {}, b"", 401, "unauthenticated"),
    "garbage bearer": (
        "GET", "/auth/session", {"Authorization": "Bearer x.y.z"}, b"", 401, "invalid_token",
    ),
    "bearer without a token": (
        "GET", "/auth/session", {"Authorization": "Bearer"}, b"", 401, "invalid_token",
    ),
    "garbage handle": (
        "GET", "/auth/session", {"Authorization": f"Bearer {GARBAGE}"}, b"", 401, "invalid_token",
    ),
    "forged handle": (
        "GET", "/auth/session", {"Authorization": f"Bearer {FORGED}"}, b"", 401, "invalid_token",
    ),
    "two bearers in one": (
        "GET", "/auth/session", {"Authorization": "Bearer a, Bearer b"}, b"", 401, "invalid_token",
    ),
    "anonymous devices": ("GET", "/auth/sessions", {}, b"", 401, "unauthenticated"),
    "anonymous sign-out everywhere": ("POST", "/auth/logout-all", {}, b"", 401, "unauthenticated"),
    "anonymous refresh": ("POST", "/auth/refresh", {}, b"", 401, "unauthenticated"),
    "garbage refresh": (
        "POST", "/auth/refresh", JSON, b'{"refresh_token": "sj_r1_x"}', 401, "invalid_token",
    ),
    "anonymous administration": ("GET", "/admin/users", {}, b"", 401, "unauthenticated"),
    "truncated JSON": ("POST", "/auth/login", JSON, b'{"email": "a@b.c", ', 400, "invalid_request"),
    "no body": ("POST", "/auth/login", JSON, b"", 400, "invalid_request"),
    "JSON of another shape": ("POST", "/auth/login", JSON, b"[1, 2]", 400, "invalid_request"),
    "null for text": (
        "POST", "/auth/login", JSON, b'{"email": null, "password": "x"}', 400, "invalid_request",
    ),
    "unknown field": (
        "POST", "/auth/login", JSON, LOGIN[:-1].encode() + b', "admin": true}', 400, "invalid_request",
    ),
    "unknown mode": (
        "POST", "/auth/login", JSON, LOGIN[:-1].encode() + b', "mode": "none"}', 400, "invalid_request",
    ),
    "deep nesting": (
        "POST", "/auth/login", JSON, b'{"email":' + b"[" * 30_000, 400, "invalid_request",
    ),
    "invalid UTF-8": (
        "POST", "/auth/login", JSON, b'{"email": "\xff\xfe", "password": "x"}', 400, "invalid_request",
    ),
    "form instead of JSON": (
        "POST", "/auth/login", {"Content-Type": "application/x-www-form-urlencoded"}, b"email=a",
        415, "unsupported_media_type",
    ),
    "text instead of JSON": (
        "POST", "/auth/login", {"Content-Type": "text/plain"}, LOGIN.encode(),
        415, "unsupported_media_type",
    ),
    "no content type": ("POST", "/auth/login", {}, LOGIN.encode(), 415, "unsupported_media_type"),
    "10,000-character address": (
        "POST", "/auth/login", JSON,
        json.dumps({"email": "a" * 10_000 + "@example.com", "password": PASSWORD}).encode(),
        400, "invalid_input",
    ),
    "10,000-character password": (
        "POST", "/auth/login", JSON,
        json.dumps({"email": "ann@example.com", "password": "p" * 10_000}).encode(),
        400, "invalid_input",
    ),
    "NUL in the address": (
        "POST", "/auth/login", JSON,
        b'{"email": "a\\u0000@example.com", "password": "x"}', 400, "invalid_input",
    ),
    "NUL in the password": (
        "POST", "/auth/login", JSON,
        b'{"email": "ann@example.com", "password": "x\\u0000"}', 400, "invalid_input",
    ),
    "lone surrogate": (
        "POST", "/auth/login", JSON,
        b'{"email": "\\ud800@example.com", "password": "x"}', 400, "invalid_request",
    ),
    "no address at all": (
        "POST", "/auth/register", JSON,
        json.dumps({"email": "nobody", "password": PASSWORD}).encode(), 400, "invalid_input",
    ),
    "short password": (
        "POST", "/auth/register", JSON,
        b'{"email": "new@example.com", "password": "short"}', 400, "weak_password",
    ),
    "too large a body": (
        "POST", "/auth/login", JSON, b'{"email": "' + b"a" * 100_000, 413, "content_too_large",
    ),
    "unknown path": ("GET", "/auth/nothing", {}, b"", 404, "not_found"),
    "traversal": ("GET", "/auth/../../etc/passwd", {}, b"", 404, "not_found"),
    "wrong method": ("PUT", "/auth/login", JSON, b"{}", 405, "method_not_allowed"),
    "another site's page": (
        "POST", "/auth/login", {**JSON, "Origin": "https://evil.example"}, LOGIN.encode(),
        403, "cross_site",
    ),
    "another site's page, by fetch metadata": (
        "POST", "/auth/login", {**JSON, "Sec-Fetch-Site": "cross-site"}, LOGIN.encode(),
        403, "cross_site",
    ),
}  # fmt: skip


@pytest.mark.parametrize("name", HOSTILE)
def test_hostile_request(name, server, http):
    """It gets a 4xx problem document with a stable code and writes no row."""
    method, path, headers, body, status, code = HOSTILE[name]
    before = row_counts(server.data)
    answer = http.request(method, path, headers=headers, content=body)
    assert (status, code) == (answer.status_code, answer.json()["code"]), answer.text
    assert "application/problem+json" == answer.headers["content-type"]
    assert answer.json()["status"] == status
    assert not answer.headers.get_list("set-cookie")
    assert before == row_counts(server.data)


@pytest.mark.parametrize("count", [2, 50])
def test_duplicated_cookies_sign_nobody_in(count, server, person, http):
    """A session cookie that comes twice is believed neither time (who plants one chooses)."""
    person.login(http, mode="session")
    name, value = next(iter(http.cookies.items()))
    assert http.get("/auth/session").status_code == 200
    header = "; ".join([f"{name}={value}"] * count)
    before = row_counts(server.data)
    answer = httpx2.get(f"{server.url}/auth/session", headers={"Cookie": header})
    assert (401, "unauthenticated") == (answer.status_code, answer.json()["code"])
    assert before == row_counts(server.data)


@pytest.mark.parametrize("size", [40_000, 1_000_000])
def test_huge_headers_are_refused_with_a_word(size, server):
    """A megabyte of headers gets a problem document and not a closed connection."""
    headers = {f"X-Filler-{n}": "f" * (size // 20) for n in range(20)}
    answer = httpx2.get(f"{server.url}/auth/session", headers=headers)
    assert (431, "headers_too_large") == (answer.status_code, answer.json()["code"])


def test_a_megabyte_cookie_is_refused_with_a_word(server):
    """One cookie of a megabyte does not get further than the front door."""
    answer = httpx2.get(f"{server.url}/auth/session", headers={"Cookie": "a=" + "b" * 1_000_000})
    assert (431, "headers_too_large") == (answer.status_code, answer.json()["code"])


def raw(server, request: bytes) -> bytes:
    parts = urlsplit(server.url)
    with closing(socket.create_connection((parts.hostname, parts.port), timeout=10)) as connection:
        connection.sendall(request)
        received = b""
        while chunk := connection.recv(65_536):
            received += chunk
        return received


@pytest.mark.parametrize(
    "request_bytes",
    [
        b"GET /auth/session HTTP/1.1\r\nHost: x\r\nCookie: a\x00b\r\nConnection: close\r\n\r\n",
        b"GET /auth/session HTTP/1.1\r\nHost: x\r\nBad Header: 1\r\nConnection: close\r\n\r\n",
        b"GARBAGE\r\n\r\n",
        b"POST /auth/login HTTP/1.1\r\nHost: x\r\nContent-Length: -5\r\nConnection: close\r\n\r\n",
    ],
)
def test_what_is_not_http_is_refused_below_the_application(request_bytes, server):
    """The HTTP layer answers 400 by itself, and the server goes on."""
    assert raw(server, request_bytes).startswith(b"HTTP/1.1 400")
    assert 200 == httpx2.get(f"{server.url}/livez").status_code


def test_cookie_bytes_outside_ascii_sign_nobody_in(server):
    """Bytes that no browser sends are no cookie of ours, and no error either."""
    received = raw(
        server,
        b"GET /auth/session HTTP/1.1\r\nHost: x\r\nCookie: sojourn=\xff\xfe\r\n"
        b"Connection: close\r\n\r\n",
    )
    assert received.startswith(b"HTTP/1.1 401")
    assert b"unauthenticated" in received


def test_the_log_holds_no_secret(server, person, http):
    """Nothing that was sent or handed out in this module stands in the server's log."""
    told = person.login(http, mode="hybrid", transport="bearer")
    http.get("/auth/session")
    http.post("/auth/refresh", json={"refresh_token": "sj_r1_" + "B" * 80})
    log = server.log.read_text()
    for secret in (told["access_token"], told["refresh_token"], PASSWORD, FORGED, GARBAGE):
        assert secret not in log


def test_numbers_beyond_the_stores(server, http):
    """A place in the trail or the feed that no store could count to is a bad request."""
    from sojourn.model import Head
    from sojourn.server.feed import decode_cursor, encode_cursor
    from sojourn.server.requests import BadRequest

    for head in (Head(2**63, 1), Head(-1, 1)):
        with pytest.raises(BadRequest):
            decode_cursor(encode_cursor((head,)), shards=1)


@pytest.mark.parametrize("chunks", [[b'{"audience": "bill', b'ing"}'], [b'{"audience"']])
def test_a_chunked_body_is_read(chunks, server, person, http):
    """A body without a Content-Length counts like any other."""
    person.login(http, mode="session")
    answer = http.post("/auth/access-token", content=iter(chunks), headers=JSON)
    assert 400 == answer.status_code
    assert answer.json()["code"] in {"invalid_input", "invalid_request"}
    assert 200 == http.post("/auth/access-token").status_code
