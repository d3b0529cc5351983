"""The words of the pages, and which error becomes which page."""

from __future__ import annotations

import pytest
from starlette.requests import Request

from sojourn.errors import (
    FreshLoginRequired,
    InvalidToken,
    NotFound,
    RefreshReuse,
    StoreError,
    Unauthenticated,
)
from sojourn.server.agents import describe_agent
from sojourn.server.app import plain_error
from sojourn.server.pages import error_page, is_page
from sojourn.server.throttle import RateLimited
from sojourn.server.words import instant, sentence

WEBKIT = "AppleWebKit/537.36 (KHTML, like Gecko)"


@pytest.mark.parametrize(
    ("header", "words"),
    [
        (f"Mozilla/5.0 (X11; Linux x86_64) {WEBKIT} Chrome/140.0 Safari/537.36", "Chrome on Linux"),
        (
            f"Mozilla/5.0 (Windows NT 10.0) {WEBKIT} Chrome/140.0 Safari/537.36 Edg/140.0",
            "Edge on Windows",
        ),
        ("Mozilla/5.0 (Windows NT 10.0; rv:141.0) Gecko/20100101 Firefox/141.0", "Firefox on Windows"),
        (f"Mozilla/5.0 (Macintosh) {WEBKIT} Version/18.0 Safari/605.1", "Safari on macOS"),
        (f"Mozilla/5.0 (iPhone; CPU iPhone OS 18_0 like Mac OS X) {WEBKIT} CriOS/140.0 Mobile Safari/604.1", "Chrome on iPhone"),
        (f"Mozilla/5.0 (iPad; CPU OS 18_0 like Mac OS X) {WEBKIT} Version/18.0 Safari/604.1", "Safari on iPad"),
        (f"Mozilla/5.0 (Linux; Android 15) {WEBKIT} SamsungBrowser/28.0 Chrome/130.0 Safari/537.36", "Samsung Internet on Android"),
        (f"Mozilla/5.0 (X11; CrOS x86_64) {WEBKIT} Chrome/140.0 Safari/537.36", "Chrome on ChromeOS"),
        ("Mozilla/5.0 (X11; Linux x86_64) Something/1.0", "A browser on Linux"),
        ("Mozilla/5.0", "An unknown browser"),
        ("curl/8.5.0", "curl"),
        ("python-httpx2/2.0 (Linux)", "python-httpx2"),
        ("", "An unknown program"),
        ("\x00\udcff<b>", "An unknown program"),
    ],
)  # fmt: skip
def test_agents_in_plain_words(header, words):
    """A device is named by its browser and system, anything else by its own name."""
    assert describe_agent(header) == words


@pytest.mark.parametrize(
    ("seconds_ago", "words"),
    [
        (-30, "just now"), (0, "just now"), (59, "just now"), (60, "1 minute ago"),
        (7_199, "1 hour ago"), (7_200, "2 hours ago"), (86_400, "1 day ago"),
        (6 * 86_400, "6 days ago"), (7 * 86_400, "25 Nov 2025"), (-7_200, "2 Dec 2025"),
    ],
)  # fmt: skip
def test_instants_in_words(seconds_ago, words):
    """What is near is said as a distance, the rest as a date; the exact instant is always there."""
    now = 1_764_676_800  # 2 December 2025, 12:00 UTC
    shown = instant(now - seconds_ago, now=now)
    assert shown.words == words
    assert shown.exact.endswith(" UTC")


def test_sentences_speak_to_people():
    """Waiting is said in minutes, and no developer's word reaches a person."""
    assert sentence(RateLimited(61)) == "Too many failed attempts. Try again in 2 minutes."
    assert sentence(RateLimited(1)) == "Too many failed attempts. Try again in 1 second."
    assert "handle" not in sentence(RefreshReuse("an old refresh handle of this session"))
    assert sentence(InvalidToken(reason="bad_mac")).endswith("Sign in again.")
    assert sentence(NotFound("a cause; a remedy")) == "A cause; a remedy."


def _request(path: str, *, method: str = "GET", accept: str = "text/html") -> Request:
    headers = [(b"accept", accept.encode()), (b"host", b"[")]
    scope = {
        "type": "http",
        "method": method,
        "path": path,
        "query_string": b"a=1",
        "headers": headers,
    }
    return Request(scope)


def test_who_must_confirm_is_led_there_and_back():
    """A page that wants a fresh sign-in leads to the confirmation; a form is told to go there."""
    error = FreshLoginRequired("confirm first")
    asked = error_page(_request("/password"), error)
    assert (asked.status_code, asked.headers["location"]) == (
        303,
        "/confirm?next=%2Fpassword%3Fa%3D1",
    )
    sent = error_page(_request("/password", method="POST"), error)
    assert sent.status_code == 401
    assert b'href="/confirm?next=%2Fpassword"' in sent.body


def test_an_unreachable_store_is_a_503_page():
    """It says that nothing was changed and when to come back."""
    answer = error_page(_request("/devices"), StoreError("connection refused by 10.0.0.1"))
    assert (answer.status_code, answer.headers["retry-after"]) == (503, "1")
    assert b"Nothing was changed" in answer.body
    assert b"10.0.0.1" not in answer.body


def test_a_failure_says_nothing_of_the_inside():
    """A 500 page has no detail of what failed."""
    answer = error_page(_request("/"), plain_error("internal", 500, "KeyError: secret"))
    assert answer.status_code == 500
    assert b"KeyError" not in answer.body


def test_a_refusal_outside_the_pages_still_is_one():
    """A code and status without words of their own get a plain title."""
    answer = error_page(_request("/x"), plain_error("teapot", 418, "short and stout"))
    assert answer.status_code == 418
    assert b"Short and stout." in answer.body
    assert (
        error_page(_request("//evil.example"), Unauthenticated("x")).headers["location"] == "/login"
    )


@pytest.mark.parametrize(
    ("path", "accept", "expected"),
    [
        ("/", "*/*", True), ("/login", "application/json", True), ("/nothing", "text/html", True),
        ("/nothing", "*/*", False), ("/auth", "text/html", False), ("/auth/x", "text/html", False),
        ("/authors", "text/html", True), ("/admin/users", "text/html", False),
        ("/.well-known/x", "text/html", False), ("/livez", "text/html", False),
        ("/metrics", "text/html", False), ("/static/x", "text/html", False),
    ],
)  # fmt: skip
def test_what_counts_as_a_page(path, accept, expected):
    """The API, the administration, the metadata and the operations answer programs."""
    assert is_page(_request(path, accept=accept)) is expected
