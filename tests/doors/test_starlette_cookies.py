"""Sessions of Starlette's SessionMiddleware, made by the middleware itself."""

import pytest
from doors.asking import COOKIE_TEXTS, DAY_MS, now_ms, variants, with_cookie
from doors.old_starlette import SECRET, old_cookie
from hypothesis import given

from sojourn.doors.starlette import StarletteCookies
from sojourn.messages import Incoming


def test_who_was_signed_in_arrives():
    """The subject, the named data and the end of the old cookie are taken over."""
    door = StarletteCookies(SECRET, carry=["basket", "missing"])
    now = now_ms()
    arrival = door.knock(with_cookie("session", old_cookie()), now_ms=now)
    assert (7, {"basket": ["tea"]}) == (arrival.subject, arrival.data)
    assert abs(arrival.expires_at * 1000 - now - 14 * DAY_MS) < 5_000
    assert arrival.auth_time is None
    (removal,) = arrival.remove_cookies
    assert "session=; Path=/; Max-Age=0; HttpOnly; SameSite=Lax" == removal
    assert door.close_behind(arrival, after_seconds=0) is None


def test_the_middlewares_own_settings_count():
    """Name, path, domain and Secure are as the middleware had them; without a max_age ours counts."""
    options = {"session_cookie": "sid", "path": "/app", "domain": "example.com"}
    door = StarletteCookies(SECRET, longest_seconds=3_600, https_only=True, **options)
    request = with_cookie("sid", old_cookie(session_cookie="sid", max_age=None))
    now = now_ms()
    arrival = door.knock(request, now_ms=now)
    assert 3_595 <= arrival.expires_at - now // 1000 <= 3_600
    assert door.knock(request, now_ms=now + 3_602_000) is None
    (removal,) = arrival.remove_cookies
    attributes = "Path=/app; Max-Age=0; HttpOnly; SameSite=Lax; Domain=example.com; Secure"
    assert removal == f"sid=; {attributes}"


@pytest.mark.parametrize("days", [15, -1])
def test_what_is_over_is_refused(days):
    """Neither a cookie after its end is taken, nor one of a time that has not come."""
    value = old_cookie()
    door = StarletteCookies(SECRET)
    assert door.knock(with_cookie("session", value), now_ms=now_ms() + days * DAY_MS) is None


def test_tampered_cookies_are_refused():
    """Every single change of the cookie, and the cookie of another secret, is nobody's."""
    door = StarletteCookies(SECRET)
    value = old_cookie()
    genuine = door.knock(with_cookie("session", value), now_ms=now_ms())
    for changed in variants(value):
        arrival = door.knock(with_cookie("session", changed), now_ms=now_ms())
        # The last character of base64 has spellings of the same; they are the same proof.
        assert arrival is None or arrival.proof == genuine.proof
    other = StarletteCookies("another secret")
    assert other.knock(with_cookie("session", value), now_ms=now_ms()) is None


@pytest.mark.parametrize(
    "session",
    [{"basket": []}, {"user_id": None}, {"user_id": True}, {"user_id": ""}, {"user_id": [1]}],
)
def test_a_guest_stays_a_guest(session):
    """A session that names no user carries nobody over."""
    door = StarletteCookies(SECRET)
    assert door.knock(with_cookie("session", old_cookie(session)), now_ms=now_ms()) is None


def test_a_cookie_sent_twice_is_nobodys():
    """Who could plant a second cookie could choose the session."""
    value = old_cookie()
    both = Incoming(cookies=f"session={value}; session={value}")
    assert StarletteCookies(SECRET).knock(both, now_ms=now_ms()) is None
    assert StarletteCookies(SECRET).knock(Incoming(), now_ms=now_ms()) is None


@given(COOKIE_TEXTS)
def test_hostile_cookies_never_raise(text):
    """Whatever a browser sends, the answer is nobody."""
    assert StarletteCookies(SECRET).knock(with_cookie("session", text), now_ms=now_ms()) is None
