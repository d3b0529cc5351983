"""With the engine: a live session of before becomes one of ours, once, and nobody is signed out."""

import asyncio
import json
import time
from contextlib import contextmanager
from dataclasses import dataclass
from typing import Any

import jwt as pyjwt
import pytest
from doors.asking import cookie_in, now_ms, variants
from doors.node_app import serving
from doors.old_flask import new_app, signed_in as flask_cookie
from doors.old_starlette import SECRET as STARLETTE_SECRET, old_cookie as starlette_cookie
from engine.harness import MODES, SECRET, URL, Awaited
from redis import Redis

from sojourn import AsyncSojourn, Incoming, Sojourn
from sojourn.doors.express import ExpressSessions
from sojourn.doors.flask import FlaskCookies, FlaskSessions
from sojourn.doors.starlette import StarletteCookies
from sojourn.doors.token_cookie import TokenCookie
from sojourn.doors.tokens import Tokens
from sojourn.engine.facts import Facts
from sojourn.errors import SojournError, StoreError
from sojourn.stores.memory import MemoryStore
from sojourn.testing import ManualClock

GRACE_SECONDS = 10
DAY = 86_400
OLD = "the old secret of the tokens, long enough to be one"


@dataclass
class Old:
    """An old application: its door, and a browser's live cookie of it."""

    door: Any
    cookie_name: str
    new_cookie: Any
    subject: str = "ann"
    data: dict = None


@contextmanager
def flask_session_app(redis_url, namespace, node_home):
    client = Redis.from_url(redis_url)
    app = new_app(SESSION_TYPE="redis", SESSION_REDIS=client, SESSION_KEY_PREFIX=f"{namespace}:")
    yield Old(
        FlaskSessions(app, carry=["basket"]), "session", lambda: flask_cookie(app),
        data={"basket": ["tea"]},
    )  # fmt: skip


@contextmanager
def flask_app(redis_url, namespace, node_home):
    app = new_app()
    door = FlaskCookies(app, carry=["basket"])
    yield Old(door, "session", lambda: flask_cookie(app), data={"basket": ["tea"]})


@contextmanager
def starlette_app(redis_url, namespace, node_home):
    door = StarletteCookies(STARLETTE_SECRET)
    yield Old(door, "session", starlette_cookie, subject="7", data={})


@contextmanager
def express_app(redis_url, namespace, node_home):
    client = Redis.from_url(redis_url)
    door = ExpressSessions(client, secrets=[SECRET], prefix=f"{namespace}:", carry=["basket"])
    options = {"redisUrl": redis_url, "prefix": f"{namespace}:", "secrets": [SECRET]}
    with serving(node_home, **options) as http:

        def new_cookie():
            http.cookies.clear()
            return cookie_in(http.get("/login/ann").headers.get_list("set-cookie"), "connect.sid")

        yield Old(door, "connect.sid", new_cookie, data={"basket": ["tea"]})


@contextmanager
def token_app(redis_url, namespace, node_home):
    door = TokenCookie(old_tokens(), "refresh", beside=["access"])
    yield Old(door, "refresh", lambda: old_token(type="refresh"), data={})


@pytest.fixture(
    params=[
        flask_session_app,
        flask_app,
        starlette_app,
        token_app,
        pytest.param(express_app, marks=pytest.mark.node),
    ],
    ids=lambda make: make.__name__,
)
def old(request, shared_valkey, namespace):
    """Each old application that keeps a cookie."""
    needs_node = request.param is express_app
    home = request.getfixturevalue("node_home") if needs_node else None
    with request.param(shared_valkey.url, namespace, home) as app:
        yield app


def old_token(subject="ann", **claims):
    """Make a token as the old application did."""
    return pyjwt.encode({"sub": subject, "exp": int(time.time()) + 600, **claims}, OLD)


def old_tokens(**options):
    """Make the door for them."""
    return Tokens.plain(OLD, algorithm="HS256", longest_seconds=DAY, kind_claim="type", **options)


class New:
    """The new application, with doors."""

    def __init__(self, face, doors, **settings):
        self.clock = ManualClock(now_ms=now_ms())
        self.store = MemoryStore(clock=self.clock)
        options = {"url": URL, "secret": SECRET, "clock": self.clock, "doors": doors, **settings}
        if face == "sync":
            self.auth = Awaited(Sojourn(self.store, **options))
        else:
            self.auth = AsyncSojourn(self.store, **options)

    def trail(self, subject):
        return [
            (r.action, r.reason) for r in (x.record for x in self.store.read_audit(subject=subject))
        ]


@pytest.fixture
async def start():
    """Start new applications, which are closed at the end."""
    begun = []

    def begin(*args, **options):
        begun.append(New(*args, **options))
        return begun[-1]

    yield begin
    for each in begun:
        await each.auth.close()


@pytest.fixture(params=["async", "sync"])
def face(request):
    """Both faces of the engine."""
    return request.param


def from_browser(**cookies):
    """Make a request of a browser."""
    header = "; ".join(f"{name}={value}" for name, value in cookies.items())
    return Incoming(cookies=header, sec_fetch_site="same-origin")


def kept(checked, name, value):
    """Keep what a browser has after an answer, the old cookie unless it was taken back."""
    cookies = {name: value}
    for header, text in checked.outgoing.headers:
        if header == "Set-Cookie":
            cookie, _, content = text.partition(";")[0].partition("=")
            cookies[cookie] = content
            if "Max-Age=0" in text:
                del cookies[cookie]
    return cookies


@pytest.mark.parametrize("mode", MODES)
async def test_carried_over_once(old, start, face, mode):
    """The old cookie signs in with the first request and is taken back; a copy of it never again."""
    new, value = start(face, [old.door], mode=mode), old.new_cookie()
    checked = await new.auth.check(from_browser(**{old.cookie_name: value}))
    assert (old.subject, mode) == (checked.principal.subject, checked.principal.mode)
    assert 0 == checked.principal.auth_time, "it proves nothing that a fresh sign-in would"
    cookies = kept(checked, old.cookie_name, value)
    assert old.cookie_name not in cookies
    known = await new.auth.check(from_browser(**cookies))
    assert checked.principal.sid == known.principal.sid
    assert [("arrived", old.door.name)] == new.trail(old.subject)
    new.clock.advance(seconds=GRACE_SECONDS + 1)
    copied = await new.auth.check(from_browser(**{old.cookie_name: value}))
    assert copied.principal is None
    assert copied.refusal.code in {"revoked", "unauthenticated"}
    assert await signed_in_still(new, cookies)
    assert ["arrived"] == [action for action, _ in new.trail(old.subject)]


async def signed_in_still(new, cookies):
    """Tell whether a browser is known."""
    return (await new.auth.check(from_browser(**cookies))).principal is not None


@pytest.mark.parametrize("mode", MODES)
async def test_what_a_page_asks_at_once_is_let_in(old, start, face, mode):
    """Requests sent beside the first one bring the old cookie too: all get the same session."""
    new, value = start(face, [old.door], mode=mode), old.new_cookie()
    request = from_browser(**{old.cookie_name: value})
    if face == "sync":
        answers = await asyncio.gather(
            *(asyncio.to_thread(new.auth.sojourn.check, request) for _ in range(4))
        )
    else:
        answers = await asyncio.gather(*(new.auth.check(request) for _ in range(4)))
    new.clock.advance(seconds=GRACE_SECONDS - 1)
    answers.append(await new.auth.check(request))
    assert {old.subject} == {answer.principal.subject for answer in answers}
    assert 1 == len({answer.principal.sid for answer in answers})
    for answer in answers:
        assert await signed_in_still(new, kept(answer, old.cookie_name, value))
    if mode != "jwt":
        assert 1 == len(await new.auth.sessions(old.subject))


@pytest.mark.parametrize("mode", MODES)
async def test_what_was_ended_within_the_window_stays_ended(old, start, face, mode):
    """Who was carried over and signed out at once is not signed in again by what comes beside."""
    new, value = start(face, [old.door], mode=mode), old.new_cookie()
    request = from_browser(**{old.cookie_name: value})
    sid = (await new.auth.check(request)).principal.sid
    await new.auth.revoke(sid, subject=old.subject, by="support")
    beside = await new.auth.check(request)
    assert (None, "revoked") == (beside.principal, beside.refusal.code)


async def test_a_door_that_cannot_be_closed_lets_in_all_the_same(old, start, monkeypatch, caplog):
    """Where ending the old session fails its holder is signed in; it is logged, and still taken."""

    def fail(*args, **kwargs):
        raise StoreError("the old sessions are read-only")

    monkeypatch.setattr(type(old.door), "close_behind", fail)
    new, value = start("async", [old.door], mode="session"), old.new_cookie()
    request = from_browser(**{old.cookie_name: value})
    assert old.subject == (await new.auth.check(request)).principal.subject
    assert old.door.name in caplog.text
    new.clock.advance(seconds=GRACE_SECONDS + 1)
    assert (await new.auth.check(request)).principal is None


async def test_the_data_is_carried_over(old, start):
    """What the application named goes on in the session's data."""
    new, value = start("async", [old.door], mode="session"), old.new_cookie()
    checked = await new.auth.check(from_browser(**{old.cookie_name: value}))
    stored = new.store.get_data(checked.principal.sid)
    assert (old.data or {}) == json.loads(stored.payload if stored else b"{}")


async def test_tampered_cookies_sign_nobody_in(old, start):
    """A cookie that was changed, or is over, is as good as none."""
    new, value = start("async", [old.door], mode="session"), old.new_cookie()
    for changed in variants(value)[:: len(value) // 8]:
        checked = await new.auth.check(from_browser(**{old.cookie_name: changed}))
        assert checked.principal is None
    new.clock.advance(seconds=40 * DAY)
    if isinstance(old.door, FlaskCookies | StarletteCookies | TokenCookie):
        assert not await signed_in_still(new, {old.cookie_name: value})


async def test_who_was_signed_out_everywhere_does_not_come_in(old, start, face):
    """Signing out everywhere reaches those who have not been carried over yet."""
    new, value = start(face, [old.door], mode="hybrid"), old.new_cookie()
    await new.auth.revoke_all(old.subject, by="support")
    new.clock.advance(seconds=1)
    checked = await new.auth.check(from_browser(**{old.cookie_name: value}))
    assert (None, "revoked") == (checked.principal, checked.refusal.code)


async def test_a_foreign_page_cannot_use_an_old_cookie(old, start):
    """An unsafe request from elsewhere is refused, and the old cookie is not taken by it."""
    new, value = start("async", [old.door], mode="session"), old.new_cookie()
    foreign = Incoming(
        method="POST", cookies=f"{old.cookie_name}={value}", origin="https://evil.example"
    )
    assert "cross_site" == (await new.auth.check(foreign)).refusal.code
    assert await signed_in_still(new, {old.cookie_name: value})


# --- tokens ------------------------------------------------------------------------------------------


def bearing(token):
    """Make a request with a token."""
    return Incoming(method="POST", authorization=f"Bearer {token}")


@pytest.mark.parametrize("mode", MODES)
async def test_an_old_access_token_works_until_it_expires(start, face, mode):
    """With its roles and facts, and not a second longer."""
    door = old_tokens(roles_claim="roles")
    new = start(face, [door], mode=mode, transport="bearer")
    token = old_token(type="access", roles=["admin"], plan="pro")
    principal = (await new.auth.check(bearing(token))).require()
    assert ("ann", {"admin"}, "pro") == (
        principal.subject, principal.roles, principal.claims["plan"],
    )  # fmt: skip
    new.clock.advance(seconds=590)
    assert "ann" == (await new.auth.check(bearing(token))).principal.subject
    new.clock.advance(seconds=11)
    assert (await new.auth.check(bearing(token))).principal is None


async def test_an_old_access_token_is_revoked_like_ours(start, face):
    """Its own sid ends it, and so does signing out everywhere."""
    new = start(face, [old_tokens()], mode="hybrid", transport="bearer")
    first, second = old_token(type="access", n=1), old_token(type="access", n=2)
    principal = (await new.auth.check(bearing(first))).principal
    await new.auth.revoke(principal.sid, subject="ann", by="support")
    assert "revoked" == (await new.auth.check(bearing(first))).refusal.code
    assert (await new.auth.check(bearing(second))).principal is not None
    await new.auth.revoke_all("ann", by="support")
    assert "revoked" == (await new.auth.check(bearing(second))).refusal.code


async def test_an_old_refresh_token_is_exchanged_once(start, face):
    """It gives a pair of ours; within the grace window the same; after it, never again."""
    new = start(face, [old_tokens()], mode="hybrid", transport="bearer")
    token = old_token(type="refresh")
    signed_in = await new.auth.refresh(Incoming(method="POST"), refresh_token=token)
    assert "ann" == (await new.auth.check(bearing(signed_in.access_token))).principal.subject
    beside = await new.auth.refresh(Incoming(method="POST"), refresh_token=token)
    assert signed_in.principal.sid == beside.principal.sid
    new.clock.advance(seconds=GRACE_SECONDS + 1)
    with pytest.raises(SojournError) as caught:
        await new.auth.refresh(Incoming(method="POST"), refresh_token=token)
    assert "revoked" == caught.value.code
    rotated = await new.auth.refresh(Incoming(method="POST"), refresh_token=signed_in.refresh_token)
    assert signed_in.principal.sid == rotated.principal.sid


async def test_neither_kind_stands_for_the_other(start, face):
    """An access token is not exchanged, and a refresh token checks nothing."""
    new = start(face, [old_tokens()], mode="hybrid", transport="bearer")
    assert (await new.auth.check(bearing(old_token(type="refresh")))).principal is None
    with pytest.raises(SojournError):
        await new.auth.refresh(Incoming(), refresh_token=old_token(type="access"))


async def test_facts_come_from_the_application(old, start, face):
    """Whom the application refuses stays out, and is not taken; roles are loaded as at a sign-in."""
    people = {}
    new = start(face, [old.door], mode="session", facts=people.get)
    request = from_browser(**{old.cookie_name: old.new_cookie()})
    assert "forbidden" == (await new.auth.check(request)).refusal.code
    people[old.subject] = Facts(roles={"editor"})
    assert {"editor"} == (await new.auth.check(request)).principal.roles
