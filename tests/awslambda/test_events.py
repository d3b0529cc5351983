"""Requests as events: what decides is read of each shape alike."""

import pytest
from awslambda.shapes import (
    balancer_event,
    http_authorizer_event,
    http_event,
    request_event,
    rest_event,
    token_event,
    websocket_event,
)

from sojourn import Incoming, Sojourn
from sojourn.awslambda import incoming_of_event

HEADERS = {
    "Authorization": "Bearer abc",
    "Origin": "https://app.example.com",
    "Sec-Fetch-Site": "same-origin",
    "User-Agent": "Tester/1",
    "X-Forwarded-For": "198.51.100.1, 192.0.2.7",
}
EXPECTED = {
    "authorization": "Bearer abc",
    "origin": "https://app.example.com",
    "sec_fetch_site": "same-origin",
    "user_agent": "Tester/1",
    "forwarded_for": "198.51.100.1, 192.0.2.7",
}


@pytest.mark.parametrize(
    ("event", "peer"),
    [
        (rest_event(method="POST", **HEADERS, Cookie="a=1; b=2"), "192.0.2.7"),
        (request_event(method="POST", **HEADERS, Cookie=["a=1", "b=2"]), "192.0.2.7"),
        (http_event(method="POST", **HEADERS, cookies=["a=1", "b=2"]), "192.0.2.7"),
        (http_authorizer_event(method="POST", **HEADERS, cookies=["a=1; b=2"]), "192.0.2.7"),
        (balancer_event(method="POST", **HEADERS, Cookie="a=1; b=2"), ""),
    ],
    ids=["rest", "rest authorizer", "http", "http authorizer", "balancer"],
)
def test_every_shape_reads_alike(event, peer):
    """Names in any case, cookies in one header, in several, or apart: one request."""
    expected = Incoming(method="POST", cookies="a=1; b=2", peer=peer, **EXPECTED)
    assert expected == incoming_of_event(event)


def test_a_header_that_came_twice():
    """All its values are seen, not the last alone: two Authorization headers are refused."""
    event = rest_event(Authorization=["Bearer a", "Bearer b"])
    assert "Bearer a, Bearer b" == incoming_of_event(event).authorization
    event["multiValueHeaders"] = None
    assert "Bearer b" == incoming_of_event(event).authorization


def test_cookies_are_not_read_twice():
    """Where cookies stand apart and in a header as well, they are there once."""
    event = http_event(cookies=["a=1"], Cookie="a=1")
    assert "a=1" == incoming_of_event(event).cookies


def test_a_token_event():
    """The method is that of the ARN; where there is none, it counts as unsafe."""
    expected = Incoming(method="DELETE", authorization="Bearer abc")
    assert expected == incoming_of_event(token_event("Bearer abc", method="DELETE"))
    assert "POST" == incoming_of_event({"type": "TOKEN", "authorizationToken": None}).method


def test_a_header_without_a_value():
    """Null counts as absent."""
    for event in (
        {"headers": {"authorization": None}},
        {"multiValueHeaders": {"authorization": [None]}},
        {"headers": None, "multiValueHeaders": {"authorization": None}, "cookies": None},
    ):
        assert "" == incoming_of_event(event).authorization
    both = {"headers": {"Cookie": "a=1"}, "multiValueHeaders": {"cookie": None}}
    assert "a=1" == incoming_of_event(both).cookies


def test_a_handshake_counts_as_unsafe():
    """A page of another origin cannot open a WebSocket with a visitor's cookies."""
    event = websocket_event(Origin="https://evil.example", Cookie="a=1")
    assert "WEBSOCKET" == incoming_of_event(event).method


def test_what_is_no_latin_1():
    """A header no server would pass on does not end the function."""
    assert "?" == incoming_of_event(balancer_event(Authorization="\u2713")).authorization


def test_a_function_signs_in_and_knows_who_comes_back():
    """In a function of its own, cookies go out by the array of payload 2.0 and come in by it."""
    with Sojourn("memory://", url="http://127.0.0.1:8000") as auth:
        signed_in = auth.login(incoming_of_event(http_event(method="POST")), "ann")
        headers = signed_in.outgoing.headers
        cookies = [value.partition(";")[0] for name, value in headers if name == "Set-Cookie"]
        for event in (http_event(cookies=cookies), rest_event(Cookie="; ".join(cookies))):
            assert "ann" == auth.check(incoming_of_event(event)).require().subject
