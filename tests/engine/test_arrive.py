"""Doors: who was signed in by what was used before comes in, once."""

import pytest
from engine.doors import OldSessions, OldTokens
from engine.harness import DAY, STORED_MODES, Bench, refusal_of

from sojourn import ANY, AsyncSojourn, ConfigurationError, Facts, Need, Sojourn, StoreError
from sojourn.model import Session

ASKING = Need(max_lag_seconds=0)


@pytest.fixture
def door():
    return OldSessions({"word": "alice", "other": "bob"})


@pytest.fixture
def bench(make, mode, door):
    return make(mode, doors=[door])


def arriving(bench, word="word"):
    """Give a browser with the old cookie."""
    browser = bench.client()
    browser.cookies["old"] = word
    return browser


async def test_old_cookie_becomes_a_session(bench, door, mode):
    """Nobody notices: the request is answered as its subject's, with our cookies for the old one."""
    browser = arriving(bench)
    checked = await browser.check()
    assert ("alice", mode) == (checked.principal.subject, checked.principal.mode)
    assert "old" not in browser.cookies
    assert [("word", 10)] == door.closed
    again = await browser.check()
    assert (checked.principal.sid, None) == (again.principal.sid, again.renewed)
    (arrived,) = [record for record in await bench.trail() if record.action == "arrived"]
    assert ("alice", "old", mode) == (arrived.subject, arrived.reason, arrived.mode)


async def test_old_cookie_is_good_once(bench):
    """After the grace window its copy signs nobody in, here and in another process."""
    thief = arriving(bench)
    await arriving(bench).check()
    bench.clock.advance(seconds=11)
    assert "revoked" == await thief.code()
    assert thief.cookies == {"old": "word"}


async def test_requests_beside_one_another_get_the_same_session(bench):
    """A page sends five requests at once with its old cookie: one session, and each is answered."""
    pages = [arriving(bench) for _ in range(5)]
    principals = [(await page.check()).principal for page in pages]
    assert 1 == len({principal.sid for principal in principals})
    assert 1 == len([a for a in await bench.actions() if a == "arrived"])
    await bench.advance(seconds=20)
    assert ["alice"] * 5 == [(await page.check()).principal.subject for page in pages]


async def test_loser_of_a_race_gets_the_winners_session(kind, mode, tmp_path, keep_open, door):
    """Two processes take the same cookie in the same moment: what the second made is gone."""
    bench = Bench("sync", kind, tmp_path, mode=mode, doors=[door])
    second = bench.another()
    for one in (bench, second):
        keep_open(one)
        await one.core.ready()
    browser, beside = arriving(bench), arriving(second)
    taken = []

    def between(*_, **__):
        taken.append(beside.bench.auth.sojourn.check(beside.incoming("GET")))

    bench.spy.before["put_document"] = between
    mine = await browser.check()
    assert taken[0].principal.sid == mine.principal.sid
    if mode in STORED_MODES:
        assert 1 == len(await bench.auth.sessions("alice"))
        assert "revoked" in await bench.actions()


@pytest.mark.parametrize("owner", [ANY, "alice"])
async def test_signed_out_at_once_is_signed_out(bench, owner):
    """A copy of the old cookie does not revive, within the grace window, what was ended."""
    browser, copy = arriving(bench), arriving(bench)
    sid = (await browser.check()).principal.sid
    await bench.auth.revoke(sid, subject=owner)
    assert "revoked" == await copy.code()


async def test_whoever_was_signed_out_everywhere_stays_out(bench):
    """A "sign out everywhere" concerns the sessions of before too, that no list shows."""
    await bench.auth.revoke_all("alice")
    assert "revoked" == await arriving(bench).code()
    assert "arrived" not in await bench.actions()


async def test_store_refuses_what_was_signed_out_in_that_very_moment(
    make_memory, stored_mode, door
):
    """A "sign out everywhere" between the judgement and the write is seen by the store."""
    bench = make_memory(stored_mode, doors=[door])
    await bench.core.ready()
    other = bench.another()

    def between(*_, **__):
        other.spy.inner.delete_subject("alice", keep=None, reason="administrator")

    bench.spy.before["create"] = between
    assert "revoked" == await arriving(bench).code()
    await other.close()


async def test_facts_that_were_changed_since_do_not_come_back(make, mode):
    """A role that was taken away is not brought in again by an old cookie that tells of it."""
    admin = OldSessions({"word": "alice"}, arrival={"roles": frozenset({"admin"})})
    bench = make(mode, doors=[admin])
    await bench.auth.update("alice", roles=())
    assert "revoked" == await arriving(bench).code()
    plain = make(mode, doors=[OldSessions({"word": "alice"})])
    await plain.auth.update("alice", roles=())
    assert "" == await arriving(plain).code()


async def test_application_knows_better_than_an_old_cookie(make, mode):
    """With a loader its facts hold, whatever the old session says of roles and claims."""
    arrival = {"roles": frozenset({"admin"}), "claims": {"plan": "pro"}}
    door = OldSessions({"word": "alice"}, arrival=arrival)
    bench = make(mode, doors=[door], facts=lambda _: Facts(roles={"reader"}))
    await bench.auth.update("alice", roles={"reader"})
    principal = (await arriving(bench).check()).principal
    assert ({"reader"}, {}) == (principal.roles, principal.claims)


async def test_too_much_data_is_left_behind(make, mode, caplog):
    """Old session data that has no room locks nobody out."""
    for data in ({"basket": "x" * 40_000}, {"basket": object()}):
        bench = make(mode, doors=[OldSessions({"word": "alice"}, arrival={"data": data})])
        assert "" == await arriving(bench).code()
        assert "left behind" in caplog.text


async def test_revocations_are_remembered_as_long_as_doors_are_open(bench):
    """A feed entry outlives every old sign-in that it could concern."""
    await bench.core.ready()
    info = bench.core.opened
    assert 30 * DAY * 1000 <= info.longest_token_ms


async def test_sign_in_of_before_is_not_a_recent_one(bench):
    """A route that asks for a fresh sign-in asks whoever was carried over."""
    browser = arriving(bench)
    checked = await browser.check(need=Need(max_age_seconds=3600))
    assert "insufficient_user_authentication" == checked.refusal.code
    assert checked.renewed is not None
    assert 0 == (await browser.check()).principal.auth_time


async def test_what_the_door_knows_is_kept(make, mode):
    """Roles, scopes, claims, the sign-in time and session data are carried over."""
    arrival = {
        "roles": frozenset({"editor"}),
        "scopes": frozenset({"notes"}),
        "claims": {"plan": "pro"},
        "auth_time": 1_700_000_000,
        "data": {"basket": ["tea"]},
    }
    bench = make(mode, doors=[OldSessions({"word": "alice"}, arrival=arrival)])
    browser = arriving(bench)
    principal = (await browser.check()).principal
    assert ({"editor"}, {"notes"}, {"plan": "pro"}, 1_700_000_000) == (
        principal.roles,
        principal.scopes,
        principal.claims,
        principal.auth_time,
    )
    if mode in STORED_MODES:
        data = await bench.auth.data(browser.incoming("GET"), principal)
        assert {"basket": ["tea"]} == dict(data)


async def test_page_of_another_site_carries_nobody_over(bench):
    """An unsafe request of a foreign page is refused, and leaves the old cookie good."""
    browser = arriving(bench)
    checked = await bench.auth.check(browser.incoming(origin="https://evil.example"))
    assert "cross_site" == checked.refusal.code
    assert (await browser.check()).principal is not None


async def test_what_cannot_set_cookies_carries_nobody_over(bench):
    """A WebSocket handshake has no place for cookies: the old one stays for the next request."""
    browser = arriving(bench)
    assert "unauthenticated" == await browser.code(renew=False)
    assert (await browser.check()).principal is not None


async def test_unknown_old_cookie_writes_nothing(bench):
    """Whoever sends any cookie at all adds no row."""
    browser = arriving(bench, "made-up")
    assert "unauthenticated" == await browser.code()
    await bench.settle()
    assert "unauthenticated" == await browser.code()
    assert {} == bench.spy.writes


async def test_old_store_that_fails_afterwards_loses_nobody(make, mode, caplog):
    """The session is carried over though the old one could not be ended; the log says so."""
    bench = make(mode, doors=[OldSessions({"word": "alice"}, fails_to_close=True)])
    assert (await arriving(bench).check()).principal.subject == "alice"
    assert "ending the old session behind door 'old' failed" in caplog.text


async def test_old_store_that_is_away_is_not_nobody(make, mode):
    """Where the old sessions cannot be read the answer is "later", not "sign in"."""

    class Away(OldSessions):
        def knock(self, incoming, *, now_ms):
            raise StoreError("the old store is away")

    bench = make(mode, doors=[Away()])
    with pytest.raises(StoreError):
        await arriving(bench).check()


async def test_full_house_refuses_newcomers(make, stored_mode, door):
    """With a limit that refuses, an old session that is one too many asks for a sign-in."""
    bench = make(stored_mode, doors=[door], max_sessions=1, on_excess="refuse")
    await bench.client().login("alice")
    assert "revoked" == await arriving(bench).code()


async def test_application_may_turn_somebody_away(make, mode, door):
    """A subject that the application no longer knows is not carried over."""
    bench = make(mode, doors=[door], facts={"bob": Facts(roles={"admin"})}.get)
    assert "forbidden" == await arriving(bench).code()
    checked = await arriving(bench, "other").check()
    assert {"admin"} == checked.principal.roles


async def test_strict_grace_takes_an_old_cookie_once(make, mode, door):
    """With no grace window, the second of two requests has to come back with our cookie."""
    bench = make(mode, doors=[door], grace_seconds=0)
    copy = arriving(bench)
    await arriving(bench).check()
    assert "revoked" == await copy.code()


def test_doors_have_names_of_their_own():
    """Two doors of one name would take the one's proofs for the other's."""
    with pytest.raises(ConfigurationError, match="one name"):
        Sojourn("memory://", url="http://127.0.0.1:8000", doors=[OldSessions(), OldSessions()])


async def test_one_proof_of_two_subjects_is_one_subjects(make, mode):
    """Within the grace window the same proof gives the same session to the same subject only."""
    door = OldSessions({"word": "alice"})
    bench = make(mode, doors=[door])
    await arriving(bench).check()
    door.sessions["word"] = "bob"
    checked = await arriving(bench).check()
    if mode in STORED_MODES:
        assert "revoked" == checked.refusal.code
    else:
        assert "bob" == checked.principal.subject


def test_what_is_no_door_is_refused():
    """A mistake in `doors` is told at once, with what a door is."""
    for face in (AsyncSojourn, Sojourn):
        with pytest.raises(ConfigurationError, match="no door"):
            face("memory://", url="http://127.0.0.1:8000", doors=[object()])


# --- tokens -----------------------------------------------------------------------------------------


def with_old_token(bench, text):
    client = bench.client("bearer")
    client.access_token = text
    return client


def old_access(bench, seconds=3600):
    return f"access.alice.{bench.clock() // 1000 + seconds}"


@pytest.fixture
def token_bench(make, mode):
    return make(mode, doors=[OldTokens()])


async def test_old_access_token_is_good_until_it_ends(token_bench):
    """A client that knows nothing of the change goes on; its token ends when it says."""
    bench = token_bench
    client = with_old_token(bench, old_access(bench))
    principal = (await client.check()).principal
    assert ("alice", "old-jwt", {"editor"}, {"notes"}, {"plan": "pro"}) == (
        principal.subject,
        principal.issuer,
        principal.roles,
        principal.scopes,
        principal.claims,
    )
    await bench.advance(seconds=3601)
    assert "invalid_token" == await client.code()


async def test_old_access_token_is_revoked_like_a_new_one(token_bench, another):
    """By its subject, by its sid, by its own logout: everywhere, at once."""
    bench = token_bench
    second = another(bench)
    for end in ("all", "sid", "logout"):
        client = with_old_token(bench, old_access(bench, seconds=3600 + len(end)))
        there = client.copy(second)
        principal = (await client.check()).principal
        assert "" == await there.code()
        match end:
            case "sid":
                await bench.auth.revoke(principal.sid, subject="alice")
            case "logout":
                await client.logout()
            case "all":
                continue
        assert "revoked" == await client.code()
        await second.settle()
        assert "revoked" == await there.code()
    client = with_old_token(bench, old_access(bench))
    await bench.auth.revoke_all("alice")
    assert "revoked" == await client.code()


async def test_stale_picture_is_not_believed(token_bench, make, mode):
    """An old token costs no look-up while the picture is fresh, and one when asked for."""
    bench = token_bench
    client = with_old_token(bench, old_access(bench))
    await client.check()
    await bench.settle()
    await client.check()
    assert 0 == bench.spy.calls["read"]
    await client.check(need=ASKING)
    assert 1 == bench.spy.calls["read"]


async def test_token_that_lives_too_long_is_refused(make, mode, caplog):
    """A token beyond what revocations are kept for could be revived; it is not taken."""
    bench = make(mode, doors=[OldTokens(longest_seconds=600)])
    assert "invalid_token" == await with_old_token(bench, old_access(bench)).code()
    assert "longest_seconds" in caplog.text
    assert "" == await with_old_token(bench, old_access(bench, seconds=660)).code()


async def test_token_that_no_door_knows_is_invalid(token_bench):
    """Doors make nothing else good."""
    assert "invalid_token" == await with_old_token(token_bench, "a.b.c").code()
    assert "" == await refusal_of(
        token_bench.auth.logout(with_old_token(token_bench, "a.b.c").incoming())
    )


async def test_old_refresh_token_is_exchanged_once(token_bench, mode):
    """At its first refresh a client gets proofs of ours; the old token is good for nothing more."""
    bench = token_bench
    client = bench.client("bearer")
    incoming = client.incoming()
    signed_in = client.took(await bench.auth.refresh(incoming, refresh_token="refresh.alice.1"))
    assert ("alice", mode, "bearer") == (
        signed_in.principal.subject,
        signed_in.mode,
        signed_in.transport,
    )
    assert "" == await client.code()
    bench.clock.advance(seconds=11)
    again = bench.auth.refresh(incoming, refresh_token="refresh.alice.1")
    assert "revoked" == await refusal_of(again)
    made_up = bench.auth.refresh(incoming, refresh_token="made.up")
    assert "invalid_token" == await refusal_of(made_up)


async def test_marker_holds_nothing_of_the_proof(bench):
    """What is kept of an old cookie signs nobody in."""
    await arriving(bench).check()
    record = await bench._inner("get_document", "door/old/word")
    assert record is None
    sessions = await bench._inner("list", "alice")
    assert all(isinstance(session, Session) for session in sessions)
