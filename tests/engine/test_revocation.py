"""Signing out: by the client, by the subject from elsewhere, by an administrator; limits."""

import pytest
from engine.harness import refusal_of

from sojourn import ANY, Need
from sojourn.model import Tombstone

ASKING = Need(max_lag_seconds=0)


# --- logout ---------------------------------------------------------------------------------------


async def test_logout_ends_the_session_for_every_copy(make, mode, transport):
    """After a logout no copy of what the client held is good, and the cookies are gone."""
    bench = make(mode)
    client = bench.client(transport)
    await client.login()
    thief = client.copy()
    assert "" == await thief.code()
    await client.logout()
    assert {} == client.cookies
    assert "revoked" == await thief.code(renew=False)
    assert "revoked" == await thief.code(need=ASKING, renew=False)


async def test_logout_works_with_an_expired_access_token(make, transport):
    """Somebody who comes back late can still sign out: the session behind the token ends."""
    bench = make("hybrid")
    client = bench.client(transport)
    sid = (await client.login()).principal.sid
    await bench.advance(1000)
    if transport == "cookie":
        del client.cookies[client.names.refresh]
    client.refresh_token, kept = "", client.refresh_token
    await client.logout()
    assert "logout" == (await bench.record(sid)).reason
    client.refresh_token = kept
    if transport == "bearer":
        assert "revoked" == await refusal_of(client.refresh())


async def test_logout_with_an_expired_jwt_is_good(make, transport):
    """Where the token is over, logging out is no error."""
    bench = make("jwt", absolute_ttl_seconds=60)
    client = bench.client(transport)
    await client.login()
    await bench.advance(62)
    before = (await bench.head(), await bench.trail())
    assert "" == await refusal_of(client.logout())
    assert {} == client.cookies
    assert before == (await bench.head(), await bench.trail())


async def test_logout_with_what_is_over_appends_nothing(make, mode, transport):
    """A sign-out that is repeated a thousand times fills neither the feed nor the trail."""
    bench = make(mode)
    client = bench.client(transport)
    await client.login()
    again = client.copy()
    await client.logout()
    before = (await bench.head(), await bench.trail())
    for _ in range(3):
        await again.copy().logout()
    assert before == (await bench.head(), await bench.trail())


async def test_logout_of_a_token_made_before_its_roles_changed_ends_the_session(make, transport):
    """A token that is only out of date still says whose session is to end."""
    bench = make("hybrid")
    client = bench.client(transport)
    sid = (await client.login()).principal.sid
    await bench.auth.update("alice", roles={"x"})
    if transport == "cookie":
        del client.cookies[client.names.refresh]
    await client.logout()
    assert "logout" == (await bench.record(sid)).reason


async def test_logout_is_idempotent(make, mode, transport):
    """Logging out twice, or with nothing, or with rubbish, is no error and ends nothing else."""
    bench = make(mode)
    client, other = bench.client(transport), bench.client(transport)
    await client.login()
    await other.login()
    again = client.copy()
    await client.logout()
    await again.logout()
    await bench.client(transport).logout()
    for rubbish in ("Bearer x.y.z", "Bearer sj_s1_x", "Bearer", "Basic eDp5"):
        await bench.auth.logout(client.incoming(authorization=rubbish, cookies=""))
    assert "" == await other.code(need=ASKING)


async def test_logout_takes_cookies_back_only_from_browsers(make, mode):
    """A bearer client has no cookies to take back; its answer is kept out of caches."""
    bench = make(mode)
    client = bench.client("bearer")
    await client.login()
    outgoing = await bench.auth.logout(client.incoming())
    assert (("Cache-Control", "no-store"),) == outgoing.headers


async def test_logout_from_another_site_is_refused(make, mode):
    """A page of another origin can sign nobody out: neither at the store nor in the browser.

    SameSite keeps the cookies from its request, but the answer could still take them back.
    """
    bench = make(mode)
    client = bench.client()
    await client.login()
    foreign = {"origin": "https://evil.example", "sec_fetch_site": "cross-site"}
    for cookies in (client.incoming().cookies, ""):
        asked = bench.auth.logout(client.incoming(cookies=cookies, **foreign))
        assert "cross_site" == await refusal_of(asked)
    assert "" == await client.code(need=ASKING)


async def test_logout_tells_why(make, stored_mode):
    """The holder of an ended session is told why it ended; who only knows the sid is told nothing."""
    bench = make(stored_mode)
    client = bench.client("bearer")
    await client.login()
    thief = client.copy()
    await client.logout()
    if stored_mode == "session":
        refusal = (await thief.check(need=ASKING)).refusal
        assert "the session was ended: you signed out" == str(refusal)
    else:
        assert "revoked" == await refusal_of(thief.refresh())


# --- revoke by sid --------------------------------------------------------------------------------


async def test_owner_and_administrator_may_revoke_a_sid(make, mode, transport):
    """A sid is revoked for its subject and for `ANY`; the answer says whether one was alive."""
    bench = make(mode)
    for subject in ("alice", ANY):
        client = bench.client(transport)
        sid = (await client.login()).principal.sid
        ended = await bench.auth.revoke(sid, subject=subject, by="root", reason="administrator")
        assert (mode != "jwt") is ended
        assert "revoked" == await client.code(need=ASKING, renew=False)
        assert (await bench.auth.revoke(sid, subject=subject)) is False


async def test_sid_is_not_a_permission(make, mode, transport):
    """Who knows another's sid ends nothing by it."""
    bench = make(mode)
    client = bench.client(transport)
    sid = (await client.login()).principal.sid
    assert (await bench.auth.revoke(sid, subject="mallory")) is False
    assert "" == await client.code()
    assert "" == await client.code(need=ASKING)


@pytest.mark.parametrize("sid", ["", "x", "A" * 22, "../../../etc/passwd000", "_" + "A" * 21])
async def test_what_is_no_sid_is_refused(make, sid):
    """A text that is no sid of this store is the caller's mistake, not a success."""
    bench = make("hybrid")
    expected = "" if sid == "A" * 22 else "invalid_input"
    assert expected == await refusal_of(bench.auth.revoke(sid, subject=ANY))


async def test_unknown_sid_is_revoked_all_the_same(make, mode):
    """Nothing stored is no reason to believe a token of that sid: the feed has it."""
    bench = make(mode)
    before = await bench.head()
    assert (await bench.auth.revoke("A" * 22, subject=ANY)) is False
    assert before.id < (await bench.head()).id


# --- revoke all -----------------------------------------------------------------------------------


async def test_revoke_all_keeps_one(make, mode, transport):
    """To sign out the others leaves the one, and says how many stored sessions ended."""
    bench = make(mode)
    clients = [bench.client(transport) for _ in range(3)]
    sids = [(await client.login()).principal.sid for client in clients]
    ended = await bench.auth.revoke_all("alice", keep=sids[1], reason="logout_others")
    assert (0 if mode == "jwt" else 2) == ended
    codes = [await client.code(need=ASKING, renew=False) for client in clients]
    assert ["revoked", "", "revoked"] == codes


async def test_revoke_all_refuses_to_keep_what_is_no_sid(make, mode):
    """A mistyped `keep` would sign everybody out; it is refused instead."""
    asked = make(mode).auth.revoke_all("alice", keep="mine")
    assert "invalid_input" == await refusal_of(asked)


async def test_revoke_all_ends_refreshing_too(make, transport):
    """No refresh handle of before survives a revoke-all."""
    bench = make("hybrid")
    client = bench.client(transport)
    sid = (await client.login()).principal.sid
    await bench.auth.revoke_all("alice", reason="password_changed")
    with pytest.raises(Exception, match="the password was changed"):
        await client.refresh()
    assert isinstance(await bench.record(sid), Tombstone)


async def test_unknown_reason_is_told_without_words(make):
    """A reason of the application's own ends a session as any other, and is not shown."""
    bench = make("session")
    client = bench.client()
    sid = (await client.login()).principal.sid
    await bench.auth.revoke(sid, subject=ANY, reason="ticket-4711")
    assert "the session was ended" == str((await client.check()).refusal)


# --- update ---------------------------------------------------------------------------------------


async def test_update_changes_what_is_given_only(make, stored_mode, transport):
    """None leaves a fact as it is; each of the three can change alone."""
    bench = make(stored_mode)
    client = bench.client(transport)
    await client.login(roles={"a"}, scopes={"b"}, claims={"c": 1})
    for change in ({"roles": {"x"}}, {"scopes": ["y"]}, {"claims": {"z": 2}}):
        assert 1 == await bench.auth.update("alice", **change, by="root")
        if stored_mode == "hybrid":
            await client.refresh()
    principal = (await client.check()).principal
    assert ({"x"}, {"y"}, {"z": 2}) == (principal.roles, principal.scopes, principal.claims)


async def test_update_of_nothing_is_refused(make, mode):
    """An update that says nothing is a mistake."""
    assert "invalid_input" == await refusal_of(make(mode).auth.update("alice"))


async def test_update_of_nobody_changes_nothing(make, mode):
    """A subject without sessions has none changed."""
    assert 0 == await make(mode).auth.update("nobody", roles={"x"})


async def test_update_too_large_changes_no_session(make, stored_mode):
    """Facts that no token could carry are refused before any session has them."""
    bench = make(stored_mode)
    client = bench.client()
    await client.login(roles={"reader"})
    fat = {f"role-{n}-{'x' * 100}" for n in range(40)}
    assert "invalid_input" == await refusal_of(bench.auth.update("alice", roles=fat))
    assert {"reader"} == (await client.check(need=ASKING)).principal.roles


async def test_update_overtaken_is_applied_to_what_the_other_wrote(make_memory, transport):
    """An update that another writer overtook is applied to the newer record."""
    bench = make_memory("hybrid")
    client = bench.client(transport)
    await client.login(roles={"reader"})
    rival = bench.another(face="sync")
    handle = client.handle
    bench.spy.before["replace"] = lambda *_, **__: rival.auth.sojourn.refresh(
        client.incoming(), refresh_token=handle
    )
    assert 1 == await bench.auth.update("alice", roles={"admin"})
    await client.refresh()
    assert {"admin"} == (await client.check()).principal.roles
    await rival.close()


async def test_update_does_not_bring_a_session_back(make_memory, stored_mode):
    """A session that ended during the update stays ended, and is not counted."""
    bench = make_memory(stored_mode)
    client = bench.client()
    await client.login()
    bench.spy.before["replace"] = lambda *_, **__: bench.spy.inner.delete_subject(
        "alice", keep=None, reason="logout_all"
    )
    assert 0 == await bench.auth.update("alice", roles={"admin"})
    assert [] == await bench.auth.sessions("alice")


async def test_update_overtaken_five_times_is_a_conflict(make_memory):
    """After five lost attempts an update answers "try again"."""
    bench = make_memory("session")
    await bench.client().login()
    bench.spy.answers["replace"] = lambda *_, **__: None
    assert "conflict" == await refusal_of(bench.auth.update("alice", roles={"x"}))
    assert 5 == bench.spy.calls["replace"]


# --- limits ---------------------------------------------------------------------------------------


async def test_limit_refuses_the_next_sign_in(make, stored_mode, transport):
    """With `on_excess="refuse"` the N+1th sign-in is refused, and ends nobody."""
    bench = make(stored_mode, max_sessions=2, on_excess="refuse")
    clients = [bench.client(transport) for _ in range(2)]
    for client in clients:
        await client.login()
    third = bench.client(transport)
    assert "session_limit" == await refusal_of(third.login())
    assert {} == third.cookies
    assert ["", ""] == [await client.code(need=ASKING) for client in clients]
    await clients[0].logout()
    await third.login()


async def test_same_browser_signs_in_again_within_the_limit(make, stored_mode):
    """Where one session is allowed, the browser that holds it may sign in anew: it makes room."""
    bench = make(stored_mode, max_sessions=1, on_excess="refuse")
    client = bench.client()
    first = (await client.login()).principal.sid
    before = client.copy()
    second = (await client.login()).principal.sid
    assert [second] == [info.sid for info in await bench.auth.sessions("alice")]
    assert "replaced" == (await bench.record(first)).reason
    assert "revoked" == await before.code(need=ASKING, renew=False)
    assert "session_limit" == await refusal_of(bench.client().login())
    assert "" == await client.code(need=ASKING)


async def test_same_browser_signing_in_again_ends_no_other_session(make, stored_mode):
    """With `end_oldest` a browser's new sign-in takes its own place, not that of another device."""
    bench = make(stored_mode, max_sessions=2, on_excess="end_oldest")
    phone, laptop = bench.client(), bench.client()
    await phone.login()
    await bench.advance(1)
    for _ in range(3):
        await laptop.login()
        await bench.advance(1)
    assert ["", ""] == [await each.code(need=ASKING) for each in (phone, laptop)]


async def test_refused_sign_in_leaves_the_other_subject_signed_in(make, stored_mode):
    """Who is one too many does not sign out whoever uses this browser."""
    bench = make(stored_mode, max_sessions=1, on_excess="refuse")
    browser = bench.client()
    await browser.login("alice")
    await bench.client().login("bob")
    assert "session_limit" == await refusal_of(browser.login("bob"))
    assert "alice" == (await browser.check(need=ASKING)).principal.subject


async def test_limit_ends_the_oldest(make, stored_mode, transport):
    """With `on_excess="end_oldest"` the oldest goes, at once and with a reason."""
    bench = make(stored_mode, max_sessions=2, on_excess="end_oldest")
    clients = [bench.client(transport) for _ in range(3)]
    sids = []
    for client in clients:
        sids.append((await client.login()).principal.sid)
        assert "" == await client.code()
        await bench.advance(1)
    codes = [await client.code(renew=False) for client in clients]
    assert ["revoked", "", ""] == codes
    assert "session_limit" == (await bench.record(sids[0])).reason
    assert sids[1:] == [info.sid for info in await bench.auth.sessions("alice")]


async def test_limit_is_of_each_subject(make, stored_mode):
    """One subject's sessions are not counted for another."""
    bench = make(stored_mode, max_sessions=1, on_excess="refuse")
    await bench.client().login("alice")
    await bench.client().login("bob")
    assert "session_limit" == await refusal_of(bench.client().login("alice"))


async def test_expired_sessions_do_not_count(make, stored_mode):
    """Who let sessions lapse can sign in."""
    bench = make(stored_mode, max_sessions=1, on_excess="refuse", idle_ttl_seconds=60)
    await bench.client().login()
    await bench.advance(61)
    await bench.client().login()
    assert 1 == len(await bench.auth.sessions("alice"))
