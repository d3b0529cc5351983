"""Sessions of express-session + connect-redis, made by a real express application on a real Valkey."""

import json
from urllib.parse import quote, unquote

import pytest
from doors.asking import (
    COOKIE_TEXTS,
    cookie_in,
    now_ms,
    redis_that_is_gone,
    variants,
    with_cookie,
)
from doors.node_app import serving
from hypothesis import given
from redis import Redis

from sojourn.arrivals import Arrival
from sojourn.doors.express import ExpressSessions
from sojourn.errors import ConfigurationError, StoreError

pytestmark = pytest.mark.node

SECRET = "the old secret of express"
HOUR_MS = 3_600_000
NAME = "connect.sid"


@pytest.fixture
def redis(shared_valkey):
    """A client of the database of both."""
    with Redis.from_url(shared_valkey.url) as client:
        yield client


@pytest.fixture
def serve(node_home, shared_valkey, namespace):
    """Start the old application on keys of this test alone."""

    def start(**options):
        given = {"redisUrl": shared_valkey.url, "prefix": f"{namespace}:", "secrets": [SECRET]}
        return serving(node_home, **{**given, **options})

    return start


def cookie_of(client, path="/login/ann", name=NAME):
    """Have a new browser get a cookie of the old application."""
    client.cookies.clear()
    return cookie_in(client.get(path).headers.get_list("set-cookie"), name)


def me(client, cookie, name=NAME):
    """Ask the old application who a cookie stands for."""
    return client.get("/me", headers={"Cookie": f"{name}={cookie}"}).json()["user"]


def test_a_session_of_express_arrives_and_is_closed(serve, redis, namespace):
    """Passport's user arrives with the named data; closed behind, express knows nobody any more."""
    door = ExpressSessions(redis, secrets=[SECRET], prefix=f"{namespace}:", carry=["basket"])
    with serve(maxAge=HOUR_MS) as client:
        cookie = cookie_of(client)
        now = now_ms()
        arrival = door.knock(with_cookie(NAME, cookie), now_ms=now)
        assert ("ann", {"basket": ["tea"]}) == (arrival.subject, arrival.data)
        assert abs(arrival.expires_at * 1000 - now - HOUR_MS) < 5_000
        assert (
            "connect.sid=; Path=/; Max-Age=0; HttpOnly; SameSite=Lax",
        ) == arrival.remove_cookies
        assert "ann" == me(client, cookie), "knocking changes nothing"
        door.close_behind(arrival, after_seconds=0)
        assert me(client, cookie) is None
        assert door.knock(with_cookie(NAME, cookie), now_ms=now) is None
        door.close_behind(arrival, after_seconds=0)  # once more changes nothing


def test_what_is_closed_stays_recognisable_for_a_moment(serve, redis, namespace):
    """What a page asked at the same time is still let in, and Redis then forgets it by itself."""
    door = ExpressSessions(redis, secrets=[SECRET], prefix=f"{namespace}:")
    with serve(maxAge=HOUR_MS) as client:
        request = with_cookie(NAME, cookie_of(client))
        arrival = door.knock(request, now_ms=now_ms())
        door.close_behind(arrival, after_seconds=10)
        beside = door.knock(request, now_ms=now_ms())
        assert arrival.proof == beside.proof
        assert 8 <= beside.expires_at - now_ms() // 1000 <= 10


def test_who_is_active_has_the_expiry_of_the_key(serve, redis, namespace):
    """Express renews the key with each request, not the date in it: the key's expiry counts."""
    door = ExpressSessions(redis, secrets=[SECRET], prefix=f"{namespace}:")
    with serve(maxAge=HOUR_MS) as client:
        cookie = cookie_of(client)
        (key,) = redis.keys(f"{namespace}:*")
        session = json.loads(redis.get(key))
        session["cookie"]["expires"] = "2020-01-01T00:00:00.000Z"  # as if begun long ago
        redis.set(key, json.dumps(session), keepttl=True)
        assert "ann" == me(client, cookie), "express itself goes by the key"
        arrival = door.knock(with_cookie(NAME, cookie), now_ms=now_ms())
        assert arrival.expires_at * 1000 > now_ms()


def test_a_session_without_ttl_ends_by_its_date(serve, redis, namespace, caplog):
    """With disableTTL only the session itself says when it ends; one that never ends is not taken."""
    door = ExpressSessions(redis, secrets=[SECRET], prefix=f"{namespace}:")
    with serve(maxAge=HOUR_MS, disableTTL=True) as client:
        request = with_cookie(NAME, cookie_of(client))
        assert door.knock(request, now_ms=now_ms()).expires_at * 1000 > now_ms()
        assert door.knock(request, now_ms=now_ms() + HOUR_MS) is None
    assert not [record for record in caplog.records if record.name.startswith("sojourn")]
    with serve(disableTTL=True) as client:
        assert door.knock(with_cookie(NAME, cookie_of(client)), now_ms=now_ms()) is None
    assert "longest_seconds" in caplog.text


def test_a_session_lives_no_longer_than_was_said(serve, redis, namespace, caplog):
    """That somebody was signed out would be forgotten before such a session ends: it is not taken."""
    with serve(maxAge=48 * HOUR_MS) as client:
        request = with_cookie(NAME, cookie_of(client))
        door = ExpressSessions(redis, secrets=[SECRET], prefix=f"{namespace}:")
        assert door.knock(request, now_ms=now_ms()) is None
        assert "longest_seconds" in caplog.text
        door = ExpressSessions(
            redis, secrets=[SECRET], prefix=f"{namespace}:", longest_seconds=48 * 3_600
        )
        assert "ann" == door.knock(request, now_ms=now_ms()).subject


def test_rotated_secrets_and_another_name(serve, redis, namespace):
    """Each of several secrets verifies; one that is not among them does not."""
    with serve(secrets=["newer", SECRET], name="sid") as new, serve(name="sid") as old:
        cookies = [cookie_of(new, name="sid"), cookie_of(old, name="sid")]
        for secrets, known in ((["newer", SECRET], [True, True]), (["newer"], [True, False])):
            door = ExpressSessions(
                redis, secrets=secrets, prefix=f"{namespace}:", cookie_name="sid"
            )
            arrivals = [door.knock(with_cookie("sid", each), now_ms=now_ms()) for each in cookies]
            assert known == [arrival is not None for arrival in arrivals]


def test_a_guest_of_express_stays_a_guest(serve, redis, namespace):
    """A session in which nobody signed in carries nobody over; another place is told by a function."""
    door = ExpressSessions(redis, secrets=[SECRET], prefix=f"{namespace}:")
    basket = ExpressSessions(
        redis,
        secrets=[SECRET],
        prefix=f"{namespace}:",
        subject=lambda session: session["basket"][0],
    )
    with serve() as client:
        guest = with_cookie(NAME, cookie_of(client, "/guest"))
        assert door.knock(guest, now_ms=now_ms()) is None
        assert basket.knock(guest, now_ms=now_ms()) is None
        user = with_cookie(NAME, cookie_of(client))
        assert "tea" == basket.knock(user, now_ms=now_ms()).subject


def test_tampered_express_cookies_are_refused(serve, redis, namespace):
    """Every single change of the signed text is refused; its other spellings are the same session."""
    door = ExpressSessions(redis, secrets=[SECRET], prefix=f"{namespace}:")
    with serve() as client:
        cookie = unquote(cookie_of(client))
        genuine = door.knock(with_cookie(NAME, quote(cookie, safe="")), now_ms=now_ms())
        respelled = "".join(f"%{ord(c):02x}" for c in cookie)
        assert genuine == door.knock(with_cookie(NAME, respelled), now_ms=now_ms())
        for changed in variants(cookie):
            request = with_cookie(NAME, quote(changed, safe=""))
            assert door.knock(request, now_ms=now_ms()) is None, changed


def test_what_redis_holds_may_be_no_session(redis, namespace):
    """Under the key may be anything, or nothing: that is nobody."""
    door = ExpressSessions(redis, secrets=[SECRET], prefix=f"{namespace}:")
    signed = f"s:abc.{_signed('abc')}"
    request = with_cookie(NAME, quote(signed, safe=""))
    for stored in (
        None,
        "",
        "[]",
        "{",
        "[" * 100_000,
        '{"passport": null}',
        '{"passport": {"user": 1.5}}',
    ):
        redis.delete(f"{namespace}:abc")
        if stored is not None:
            redis.set(f"{namespace}:abc", stored)
        assert door.knock(request, now_ms=now_ms()) is None, stored


def _signed(sid):
    import hashlib
    import hmac
    from base64 import b64encode

    mac = hmac.digest(SECRET.encode(), sid.encode(), hashlib.sha256)
    return b64encode(mac).rstrip(b"=").decode()


@given(COOKIE_TEXTS)
def test_hostile_express_cookies_never_raise(text):
    """Whatever a browser sends, the answer is nobody, and Redis is not even asked."""
    door = ExpressSessions(redis_that_is_gone(), secrets=[SECRET])
    for sent in (text, f"s%3A{text}", f"s:{text}.{text}"):
        assert door.knock(with_cookie(NAME, sent), now_ms=now_ms()) is None


def test_a_redis_that_is_gone_is_a_failure():
    """Where the old sessions cannot be read nobody is signed out: that is for later."""
    door = ExpressSessions(redis_that_is_gone(), secrets=[SECRET])
    request = with_cookie(NAME, quote(f"s:abc.{_signed('abc')}", safe=""))
    with pytest.raises(StoreError):
        door.knock(request, now_ms=now_ms())
    with pytest.raises(StoreError):
        door.close_behind(Arrival(subject="ann", proof="abc"), after_seconds=0)


@pytest.mark.parametrize("secrets", [[], [""], ["good", ""], "a bare text"])
def test_secrets_are_a_list(secrets):
    """Without a secret anybody could make a cookie."""
    with pytest.raises(ConfigurationError):
        ExpressSessions(redis_that_is_gone(), secrets=secrets)
