"""What is promised of Django's sessions, simplejwt and passwords; run by test_django.py.

Django is configured once in a process, by `django_site.py`, so this has a process of its own.
"""

import time
from datetime import UTC, datetime, timedelta

import pytest
from django.contrib.auth.hashers import make_password
from django.contrib.auth.models import User
from django.core.management import call_command
from django.db import OperationalError
from django.test import Client, override_settings
from doors.asking import COOKIE_TEXTS, DAY_MS, now_ms, variants, with_cookie
from doors.django_site import SECRET
from hypothesis import HealthCheck, given, settings as tries
from rest_framework_simplejwt.tokens import AccessToken, RefreshToken

from sojourn import Incoming, Sojourn
from sojourn.doors.django import DjangoSessions
from sojourn.doors.passwords import verify_password
from sojourn.doors.tokens import Tokens
from sojourn.errors import StoreError
from sojourn.stores.memory import MemoryStore
from sojourn.testing import ManualClock

ENGINES = ["db", "cached_db", "cache", "file", "signed_cookies"]


@pytest.fixture(scope="module", autouse=True)
def _tables():
    call_command("migrate", verbosity=0)


@pytest.fixture
def user():
    """An account of Django, new for each test."""
    User.objects.all().delete()
    return User.objects.create_user("ann", password="seven unrelated words")


@pytest.fixture(params=ENGINES)
def engine(request):
    """Each of Django's own session engines."""
    name = f"django.contrib.sessions.backends.{request.param}"
    with override_settings(SESSION_ENGINE=name):
        yield name


def old_cookie(where="login/ann"):
    """Have the old application set its cookie in a new browser."""
    browser = Client()
    assert browser.get(f"/{where}").status_code == 200
    return browser.cookies["sessionid"].value


def name_of(cookie):
    """Ask the old application whose a cookie is."""
    browser = Client()
    browser.cookies["sessionid"] = cookie
    return browser.get("/me").json()["name"]


def test_a_session_of_django_arrives_and_is_closed(engine, user):
    """The user arrives from every engine; closed behind, Django knows nobody any more."""
    door = DjangoSessions(engine=engine, carry=["basket"])
    cookie = old_cookie()
    now = now_ms()
    arrival = door.knock(with_cookie("sessionid", cookie), now_ms=now)
    assert (user.pk, {"basket": ["tea"]}) == (arrival.subject, arrival.data)
    assert arrival.expires_at == now // 1000 + 14 * DAY_MS // 1000
    assert door.longest_seconds == 14 * DAY_MS // 1000
    assert ("sessionid=; Path=/; Max-Age=0; HttpOnly; SameSite=Lax",) == arrival.remove_cookies
    assert "ann" == name_of(cookie), "knocking changes nothing"
    door.close_behind(arrival, after_seconds=0)
    door.close_behind(arrival, after_seconds=0)  # once more changes nothing
    if "signed" not in engine:  # nothing is stored of those
        assert "" == name_of(cookie)
        assert door.knock(with_cookie("sessionid", cookie), now_ms=now) is None


def test_what_is_closed_stays_recognisable_for_a_moment(engine, user, monkeypatch):
    """What a page asked at the same time is still let in; after that Django knows nobody any more."""
    door, request = DjangoSessions(engine=engine), with_cookie("sessionid", old_cookie())
    arrival = door.knock(request, now_ms=now_ms())
    door.close_behind(arrival, after_seconds=10)
    beside = door.knock(request, now_ms=now_ms())
    assert arrival.proof == beside.proof
    if "signed" in engine:  # nothing is stored of those
        return
    assert 8 <= beside.expires_at - now_ms() // 1000 <= 10
    later = datetime.now(UTC) + timedelta(seconds=11)
    monkeypatch.setattr("django.utils.timezone.now", lambda: later)
    real = time.time
    monkeypatch.setattr(time, "time", lambda: real() + 11)  # the cache's
    assert door.knock(request, now_ms=now_ms()) is None


def test_a_session_of_a_changed_password_is_not_carried(engine, user):
    """The session hash is verified as Django does."""
    door, request = DjangoSessions(engine=engine), with_cookie("sessionid", old_cookie())
    user.set_password("eight other words")
    user.save()
    assert door.knock(request, now_ms=now_ms()) is None


def test_who_may_not_sign_in_any_more_is_not_carried(engine, user):
    """Neither a disabled user arrives nor one that is gone, nor a guest."""
    door, request = DjangoSessions(engine=engine), with_cookie("sessionid", old_cookie())
    assert door.knock(with_cookie("sessionid", old_cookie("visit")), now_ms=now_ms()) is None
    user.is_active = False
    user.save()
    assert door.knock(request, now_ms=now_ms()) is None
    user.delete()
    assert door.knock(request, now_ms=now_ms()) is None


def test_fallback_secrets_count(user):
    """A session of before a change of SECRET_KEY arrives, and is left as it is until it is taken."""
    cookie = old_cookie()
    request = with_cookie("sessionid", cookie)
    with override_settings(SECRET_KEY="newer"):
        assert DjangoSessions().knock(request, now_ms=now_ms()) is None
    with override_settings(SECRET_KEY="newer", SECRET_KEY_FALLBACKS=[SECRET]):
        for _ in range(2):
            assert cookie == DjangoSessions().knock(request, now_ms=now_ms()).proof
    assert "ann" == name_of(cookie)


def test_sessions_of_their_own_length(user, caplog):
    """`set_expiry` beyond SESSION_COOKIE_AGE has to be told, else it is not taken."""
    request = with_cookie("sessionid", old_cookie("login/ann?days=90"))
    assert DjangoSessions().knock(request, now_ms=now_ms()) is None
    assert "longest_seconds" in caplog.text
    arrival = DjangoSessions(longest_seconds=90 * 86_400).knock(request, now_ms=now_ms())
    assert abs(arrival.expires_at - now_ms() // 1000 - 90 * 86_400) < 5


@override_settings(
    SESSION_COOKIE_NAME="sid", SESSION_COOKIE_DOMAIN="example.com", SESSION_COOKIE_SECURE=True
)
def test_the_cookies_settings_count(user):
    """The old cookie is taken back as it was set; another name can be given."""
    browser = Client()
    browser.get("/login/ann")
    value = browser.cookies["sid"].value
    arrival = DjangoSessions().knock(with_cookie("sid", value), now_ms=now_ms())
    assert arrival.remove_cookies[0].endswith("; Domain=example.com; Secure")
    other = DjangoSessions(cookie_name="older").knock(with_cookie("older", value), now_ms=now_ms())
    assert other.remove_cookies[0].startswith("older=;")


def test_tampered_and_unknown_cookies(engine, user):
    """Every single change of the cookie is nobody's."""
    door, cookie = DjangoSessions(engine=engine), old_cookie()
    for changed in variants(cookie):
        assert door.knock(with_cookie("sessionid", changed), now_ms=now_ms()) is None
    assert door.knock(Incoming(), now_ms=now_ms()) is None


@tries(suppress_health_check=[HealthCheck.function_scoped_fixture], max_examples=40, deadline=None)
@given(text=COOKIE_TEXTS)
def test_hostile_cookies_never_raise(engine, user, text):
    """Whatever a browser sends, the answer is nobody."""
    door = DjangoSessions(engine=engine)
    assert door.knock(with_cookie("sessionid", text), now_ms=now_ms()) is None


def test_a_database_that_is_gone_is_a_failure(user, monkeypatch):
    """Where the old sessions cannot be read nobody is signed out: that is for later."""
    door, request = DjangoSessions(), with_cookie("sessionid", old_cookie())
    arrival = door.knock(request, now_ms=now_ms())

    def gone(*args, **kwargs):
        raise OperationalError("the database is gone")

    monkeypatch.setattr("django.db.models.query.QuerySet.get", gone)
    for failing in (
        lambda: door.knock(request, now_ms=now_ms()),
        lambda: door.close_behind(arrival, after_seconds=0),
    ):
        with pytest.raises(StoreError):
            failing()


# --- simplejwt ------------------------------------------------------------------------------------


def test_simplejwt(user):
    """A pair of simplejwt is told apart; what is no part of its mechanics is a claim."""
    refresh = RefreshToken.for_user(user)
    refresh["plan"] = "pro"
    tokens = Tokens.simplejwt(SECRET)
    arrival = tokens.read_access(str(refresh.access_token), now_ms=now_ms())
    assert (str(user.pk), {"plan": "pro"}) == (str(arrival.subject), arrival.claims)
    assert tokens.read_access(str(refresh), now_ms=now_ms()) is None
    assert tokens.read_refresh(str(refresh.access_token), now_ms=now_ms()) is None
    assert str(user.pk) == str(tokens.read_refresh(str(refresh), now_ms=now_ms()).subject)


def test_the_blacklist_of_simplejwt(user):
    """What was put on the old blacklist is not exchanged."""
    from rest_framework_simplejwt.token_blacklist.models import BlacklistedToken

    def is_revoked(jti):
        return BlacklistedToken.objects.filter(token__jti=jti).exists()

    tokens, refresh = Tokens.simplejwt(SECRET, is_revoked=is_revoked), RefreshToken.for_user(user)
    assert tokens.read_refresh(str(refresh), now_ms=now_ms()) is not None
    refresh.blacklist()
    assert tokens.read_refresh(str(refresh), now_ms=now_ms()) is None


def test_another_claim_names_the_user():
    """USER_ID_CLAIM and TOKEN_TYPE_CLAIM are settings."""
    token = AccessToken()
    token["uid"] = 7
    assert Tokens.simplejwt(SECRET).read_access(str(token), now_ms=now_ms()) is None
    named = Tokens.simplejwt(SECRET, user_id_claim="uid")
    assert 7 == named.read_access(str(token), now_ms=now_ms()).subject
    typed = Tokens.simplejwt(SECRET, user_id_claim="uid", token_type_claim="kind")
    assert typed.read_access(str(token), now_ms=now_ms()) is None


# --- passwords ------------------------------------------------------------------------------------


def test_a_password_of_the_user_table(user):
    """What stands in the password column is verified; an unusable one fits nothing."""
    user.password = make_password("seven unrelated words", hasher="pbkdf2_sha256")
    assert verify_password("seven unrelated words", user.password)
    user.set_unusable_password()
    assert not verify_password("seven unrelated words", user.password)


# --- with the engine ------------------------------------------------------------------------------


def test_carried_over_once(engine, user):
    """A live session of Django becomes one of ours, once, whatever engine kept it."""
    store, clock = MemoryStore(), ManualClock(now_ms=now_ms())
    request = with_cookie("sessionid", old_cookie())
    with Sojourn(
        store,
        mode="session",
        url="http://127.0.0.1:8000",
        secret="a secret of this test, 48 characters or more of it",
        doors=[DjangoSessions(engine=engine)],
        clock=clock,
    ) as auth:
        checked = auth.check(request)
        assert str(user.pk) == checked.principal.subject
        sent = [value for name, value in checked.outgoing.headers if name == "Set-Cookie"]
        assert any(value.startswith("sessionid=; ") for value in sent)
        clock.advance(seconds=60)
        assert auth.check(request).principal is None
        trail = [line.record for line in store.read_audit(subject=str(user.pk))]
        assert [("arrived", "django")] == [(line.action, line.reason) for line in trail]
