"""Sessions of Flask-Session (on a real Valkey and in files) and Flask's own, made by themselves."""

import time
import warnings

import pytest
from cachelib.file import FileSystemCache
from doors.asking import (
    COOKIE_TEXTS,
    DAY_MS,
    now_ms,
    redis_that_is_gone,
    variants,
    with_cookie,
)
from doors.old_flask import SECRET, new_app, signed_in
from flask import Flask
from hypothesis import HealthCheck, given, settings
from redis import Redis

from sojourn.doors.flask import FlaskCookies, FlaskSessions
from sojourn.errors import ConfigurationError, StoreError


def basket_of(app, cookie):
    """Ask the old application what it knows of a cookie."""
    client = app.test_client()
    client.set_cookie("session", cookie)
    return client.get("/basket").json["basket"]


@pytest.fixture(params=["redis", "cachelib", "filesystem", "signed"])
def app(request, tmp_path, shared_valkey, namespace, recwarn):
    """An application with Flask-Session, on each of its back ends."""
    signed = {"SESSION_USE_SIGNER": True} if request.param == "signed" else {}
    kind = "redis" if request.param == "signed" else request.param
    with pytest.MonkeyPatch.context() as patch:
        patch.chdir(tmp_path)
        with_client = (
            {"SESSION_REDIS": Redis.from_url(shared_valkey.url)} if kind == "redis" else {}
        )
        if kind == "cachelib":
            with_client = {"SESSION_CACHELIB": FileSystemCache(str(tmp_path / "kept"))}
        if kind == "filesystem":
            with_client = {"SESSION_FILE_DIR": str(tmp_path / "kept")}
        with warnings.catch_warnings():
            warnings.simplefilter("ignore", DeprecationWarning)  # Flask-Session of its own options
            yield new_app(
                SESSION_TYPE=kind, SESSION_KEY_PREFIX=f"{namespace}:", **with_client, **signed
            )


def test_a_session_on_a_server_arrives_and_is_closed(app):
    """Who was signed in arrives; after the door is closed behind, the old session is gone."""
    door = FlaskSessions(app, carry=["basket"])
    cookie = signed_in(app)
    now = now_ms()
    arrival = door.knock(with_cookie("session", cookie), now_ms=now)
    assert ("ann", {"basket": ["tea"]}) == (arrival.subject, arrival.data)
    assert arrival.expires_at == now // 1000 + 31 * DAY_MS // 1000
    assert ("session=; Path=/; Max-Age=0; HttpOnly; SameSite=Lax",) == arrival.remove_cookies
    assert ["tea"] == basket_of(app, cookie), "knocking changes nothing"
    door.close_behind(arrival, after_seconds=0)
    assert basket_of(app, cookie) is None
    assert door.knock(with_cookie("session", cookie), now_ms=now_ms()) is None
    door.close_behind(arrival, after_seconds=0)  # once more changes nothing


def test_what_is_closed_stays_recognisable_for_a_moment(app, monkeypatch):
    """What a page asked at the same time is still let in, and the store then forgets it by itself."""
    door, cookie = FlaskSessions(app), signed_in(app)
    arrival = door.knock(with_cookie("session", cookie), now_ms=now_ms())
    door.close_behind(arrival, after_seconds=10)
    assert arrival.proof == door.knock(with_cookie("session", cookie), now_ms=now_ms()).proof
    if hasattr(app.session_interface, "client"):
        (key,) = app.session_interface.client.keys(app.session_interface.key_prefix + "*")
        assert 8_000 < app.session_interface.client.pttl(key) <= 10_000
    else:
        monkeypatch.setattr("cachelib.file.time", lambda: time.time() + 11)
        assert door.knock(with_cookie("session", cookie), now_ms=now_ms()) is None


def test_a_session_of_a_users_own_key_arrives(app):
    """Without Flask-Login the key is the application's own; a number is a subject too."""
    door = FlaskSessions(app, subject_key="user_id")
    cookie = signed_in(app, "/plain/7")
    assert 7 == door.knock(with_cookie("session", cookie), now_ms=now_ms()).subject
    login = FlaskSessions(app)
    assert login.knock(with_cookie("session", cookie), now_ms=now_ms()) is None


def test_an_unknown_session_is_nobodys(app):
    """A name that the server never gave, or another's letters, stands for nobody."""
    door = FlaskSessions(app)
    assert door.knock(with_cookie("session", "x" * 43), now_ms=now_ms()) is None
    assert door.knock(with_cookie("other", "x" * 43), now_ms=now_ms()) is None


@settings(suppress_health_check=[HealthCheck.function_scoped_fixture], max_examples=30)
@given(text=COOKIE_TEXTS)
def test_hostile_cookies_never_raise(app, text):
    """Whatever a browser sends, the answer is nobody."""
    assert FlaskSessions(app).knock(with_cookie("session", text), now_ms=now_ms()) is None


def test_a_server_that_is_gone_is_a_failure():
    """Where the old sessions cannot be read nobody is signed out: that is for later."""
    app = new_app(SESSION_TYPE="redis", SESSION_REDIS=redis_that_is_gone())
    door = FlaskSessions(app)
    with pytest.raises(StoreError):
        door.knock(with_cookie("session", "x" * 43), now_ms=now_ms())
    cookies = FlaskCookies(new_app())
    arrival = cookies.knock(with_cookie("session", signed_in(new_app())), now_ms=now_ms())
    with pytest.raises(StoreError):
        door.close_behind(arrival, after_seconds=0)


def test_the_interface_may_have_been_replaced(shared_valkey, namespace):
    """An application that has another interface by now gives the old one."""
    client = Redis.from_url(shared_valkey.url)
    app = new_app(SESSION_TYPE="redis", SESSION_REDIS=client, SESSION_KEY_PREFIX=namespace)
    cookie, old = signed_in(app), app.session_interface
    app.session_interface = Flask("new").session_interface
    with pytest.raises(ConfigurationError, match="FlaskCookies"):
        FlaskSessions(app)
    door = FlaskSessions(app, interface=old)
    assert "ann" == door.knock(with_cookie("session", cookie), now_ms=now_ms()).subject


# --- Flask's own ----------------------------------------------------------------------------------


def test_a_session_in_a_cookie_arrives():
    """Flask's own session is read from the cookie; what is no JSON in it stays behind."""
    app = new_app(SESSION_COOKIE_DOMAIN="example.com", SESSION_COOKIE_SECURE=True)
    door = FlaskCookies(app, carry=["basket", "since"])
    now = now_ms()
    cookie = signed_in(new_app())
    arrival = door.knock(with_cookie("session", cookie), now_ms=now)
    assert ("ann", {"basket": ["tea"]}) == (arrival.subject, arrival.data)
    assert abs(arrival.expires_at * 1000 - now - 31 * DAY_MS) < 5_000
    (removal,) = arrival.remove_cookies
    assert removal.endswith("; Domain=example.com; Secure")
    assert door.close_behind(arrival, after_seconds=0) is None


def test_older_secrets_of_flask_count():
    """SECRET_KEY_FALLBACKS verify, as they do in Flask."""
    cookie = signed_in(new_app())
    rotated = Flask("rotated")
    rotated.config.update(SECRET_KEY="a new one", SECRET_KEY_FALLBACKS=[SECRET])
    assert (
        "ann"
        == FlaskCookies(rotated).knock(with_cookie("session", cookie), now_ms=now_ms()).subject
    )
    rotated.config.update(SECRET_KEY_FALLBACKS=[])
    assert FlaskCookies(rotated).knock(with_cookie("session", cookie), now_ms=now_ms()) is None


@pytest.mark.parametrize("days", [32, -1])
def test_a_cookie_that_is_over_is_refused(days):
    """Neither a cookie after its end is taken, nor one of a time that has not come."""
    door, cookie = FlaskCookies(new_app()), signed_in(new_app())
    assert door.knock(with_cookie("session", cookie), now_ms=now_ms() + days * DAY_MS) is None


def test_tampered_flask_cookies_are_refused():
    """Every single change of the cookie is nobody's, or the same proof in another spelling."""
    door, cookie = FlaskCookies(new_app()), signed_in(new_app())
    genuine = door.knock(with_cookie("session", cookie), now_ms=now_ms())
    for changed in variants(cookie):
        arrival = door.knock(with_cookie("session", changed), now_ms=now_ms())
        assert arrival is None or arrival.proof == genuine.proof


@settings(suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(text=COOKIE_TEXTS)
def test_hostile_flask_cookies_never_raise(text):
    """Whatever a browser sends, the answer is nobody."""
    app = Flask("old")
    app.config.update(SECRET_KEY=SECRET)
    assert FlaskCookies(app).knock(with_cookie("session", text), now_ms=now_ms()) is None


def test_an_application_without_a_secret_is_refused():
    """Without the old secret no cookie could be verified."""
    with pytest.raises(ConfigurationError, match="SECRET_KEY"):
        FlaskCookies(Flask("old"))
