import pytest
from hypothesis import given, strategies as st

from sojourn.messages import NOTHING_TO_SEND, Incoming, Outgoing


def test_a_request_is_reduced_to_what_decides():
    """Exactly the six headers that decide are read, whatever else is sent."""
    incoming = Incoming.of(
        "POST",
        [
            (b"host", b"app.example.com"),
            (b"cookie", b"a=1"),
            (b"authorization", b"Bearer x"),
            (b"origin", b"https://app.example.com"),
            (b"sec-fetch-site", b"same-origin"),
            (b"user-agent", b"Firefox"),
            (b"x-forwarded-for", b"192.0.2.1"),
            (b"x-forwarded-host", b"evil.example"),
            (b"forwarded", b"for=192.0.2.9"),
        ],
        peer="10.0.0.1",
    )
    assert incoming == Incoming(
        method="POST",
        cookies="a=1",
        authorization="Bearer x",
        origin="https://app.example.com",
        sec_fetch_site="same-origin",
        user_agent="Firefox",
        forwarded_for="192.0.2.1",
        peer="10.0.0.1",
    )


def test_a_request_without_headers():
    """What is absent is empty."""
    assert Incoming.of("GET", []) == Incoming()


@pytest.mark.parametrize(
    ("name", "field", "expected"),
    [
        (b"cookie", "cookies", "one; two"),  # RFC 9113 section 8.2.3
        (b"authorization", "authorization", "one, two"),
        (b"origin", "origin", "one, two"),
        (b"sec-fetch-site", "sec_fetch_site", "one, two"),
        (b"user-agent", "user_agent", "one, two"),
        (b"x-forwarded-for", "forwarded_for", "one, two"),
    ],
)
def test_a_repeated_header_is_joined_and_never_chosen_from(name, field, expected):
    """Neither the first nor the last of two wins: what may occur once no longer matches."""
    incoming = Incoming.of("GET", [(name, b"one"), (b"x", b"-"), (name, b"two")])
    assert getattr(incoming, field) == expected


def test_names_are_exact():
    """ASGI names are lower-case bytes; look-alikes with underscores are other headers."""
    headers = [(b"Cookie", b"a=1"), (b"x_forwarded_for", b"192.0.2.1"), (b"cookie ", b"b=2")]
    assert Incoming.of("GET", headers) == Incoming()


@given(st.lists(st.tuples(st.sampled_from([b"cookie", b"authorization", b"x"]), st.binary())))
def test_any_bytes_are_read(headers):
    """No header value raises: bytes are read as Latin-1, so that none is lost."""
    incoming = Incoming.of("GET", headers)
    expected = b"; ".join(value for name, value in headers if name == b"cookie")
    assert incoming.cookies.encode("latin-1") == expected


def test_outgoing_is_added_in_order():
    """Several Set-Cookie headers stay several, in order."""
    one = Outgoing(headers=(("Set-Cookie", "a=1"), ("Vary", "Cookie")))
    other = Outgoing(headers=(("Set-Cookie", "b=2"), ("Vary", "Origin")))
    assert (one + other).headers == (
        ("Set-Cookie", "a=1"),
        ("Vary", "Cookie"),
        ("Set-Cookie", "b=2"),
        ("Vary", "Origin"),
    )


def test_what_both_carry_the_same_way_is_sent_once():
    """Joining two answers repeats no header."""
    each = Outgoing(headers=(("Cache-Control", "no-store"), ("Vary", "Cookie")))
    assert each + each == each
    assert each + NOTHING_TO_SEND == NOTHING_TO_SEND + each == each


def test_later_cookies_overtake_those_of_the_same_name():
    """A renewal in passing is overtaken by a login in the same request; other cookies stay."""
    earlier = Outgoing(
        headers=(
            ("Set-Cookie", "a=old; Path=/"),
            ("Set-Cookie", "b=kept; Path=/"),
            ("Set-Cookie", "a-refresh=kept; Path=/"),
            ("Cache-Control", "no-store"),
        )
    )
    later = Outgoing(
        headers=(("Set-Cookie", "a=; Path=/; Max-Age=0"), ("Cache-Control", "no-store"))
    )
    assert earlier.overtaken_by(later).headers == (
        ("Set-Cookie", "b=kept; Path=/"),
        ("Set-Cookie", "a-refresh=kept; Path=/"),
        ("Cache-Control", "no-store"),
        ("Set-Cookie", "a=; Path=/; Max-Age=0"),
    )


def test_what_sets_no_cookie_overtakes_none():
    """A bearer login within a browser's request takes none of the browser's new cookies away."""
    earlier = Outgoing(headers=(("Set-Cookie", "a=1"), ("Vary", "Cookie")))
    later = Outgoing(headers=(("Cache-Control", "no-store"), ("Vary", "Cookie")))
    assert earlier.overtaken_by(later) == earlier + later
    assert earlier.overtaken_by(NOTHING_TO_SEND) == earlier
    assert NOTHING_TO_SEND.overtaken_by(earlier) == earlier


def test_a_shown_answer_names_its_headers_only():
    """A Set-Cookie value is a secret; its name helps whoever debugs."""
    outgoing = Outgoing(headers=(("Set-Cookie", "a=secret"), ("Vary", "Cookie")))
    assert repr(outgoing) == "Outgoing(Set-Cookie, Vary)"
