"""What a browser holds through a visit, and what another site or a planted cookie cannot do."""

import pytest
from engine.harness import Bench, refusal_of

from sojourn import Need

ASKING = Need(max_lag_seconds=0)
FOREIGN = {"origin": "https://evil.example", "sec_fetch_site": "cross-site"}


# --- fixation -------------------------------------------------------------------------------------


async def test_presented_handle_never_survives_a_login(make, mode):
    """Who planted a handle before a sign-in holds nothing after it: not the new, and not the old."""
    bench = make(mode)
    attacker, victim = bench.client(), bench.client()
    await attacker.login("mallory")
    victim.cookies = dict(attacker.cookies)
    await victim.login("alice")
    assert not set(attacker.cookies.values()) & set(victim.cookies.values())
    assert "alice" == (await victim.check()).principal.subject
    assert "revoked" == await attacker.code(need=ASKING, renew=False)


async def test_each_login_has_a_sid_and_handle_of_its_own(make, mode, transport):
    """Nothing of one sign-in comes back in another."""
    bench = make(mode)
    seen = set()
    for _ in range(5):
        client = bench.client(transport)
        sid = (await client.login()).principal.sid
        seen |= {sid, client.handle or client.access, client.access or client.handle}
    assert (5 * (3 if mode == "hybrid" else 2)) == len(seen)


async def test_session_before_is_ended_at_login(make, mode):
    """The sign-in that this browser held before is over, and the trail says what replaced it."""
    bench = make(mode)
    client = bench.client()
    sid = (await client.login()).principal.sid
    before = client.copy()
    await client.login()
    assert "revoked" == await before.code(need=ASKING, renew=False)
    assert ["login", "revoked"] == await bench.actions(sid=sid)
    assert "replaced" == (await bench.trail(sid=sid))[1].reason


async def test_bearer_login_leaves_other_sessions_alone(make, mode):
    """A bearer client that signs in again has two sign-ins: nothing was overwritten."""
    bench = make(mode)
    client = bench.client("bearer")
    await client.login()
    before = client.copy()
    await client.login()
    assert ["", ""] == [await before.code(need=ASKING), await client.code(need=ASKING)]


async def test_login_with_a_bearer_credential_keeps_that_session(make, mode):
    """A browser login whose request carries a bearer credential replaces no cookie session."""
    bench = make(mode)
    client = bench.client("bearer")
    await client.login()
    signed_in = await bench.auth.login(client.incoming(), "alice", transport="cookie")
    assert "cookie" == signed_in.principal.transport
    assert "" == await client.code(need=ASKING)


# --- another site ---------------------------------------------------------------------------------


async def test_login_from_another_site_is_refused(make, mode):
    """A page of another origin cannot sign a browser in as somebody (login CSRF)."""
    bench = make(mode)
    client = bench.client()
    for origin in ("https://evil.example", "null", ""):
        headers = {"origin": origin, "sec_fetch_site": "cross-site"}
        asked = bench.auth.login(client.incoming(**headers), "mallory")
        assert "cross_site" == await refusal_of(asked)
    assert [] == await bench.actions(subject="mallory")


async def test_login_from_a_trusted_origin_is_good(make, mode):
    """A page of an origin named in `trusted_origins` may sign in."""
    bench = make(mode, trusted_origins=("https://app.example.com",))
    client = bench.client()
    incoming = client.incoming(origin="https://app.example.com", sec_fetch_site="cross-site")
    await bench.auth.login(incoming, "alice")


async def test_unknown_transport_is_refused(make, mode):
    """A transport that is neither of the two cannot slip past the cookie rules."""
    bench = make(mode)
    client = bench.client()
    for transport in ("Cookie", "header", "x"):
        asked = bench.auth.login(client.incoming(**FOREIGN), "mallory", transport=transport)
        assert "invalid_input" == await refusal_of(asked)


async def test_unsafe_request_from_another_site_is_refused(make, mode):
    """A cookie is not believed in an unsafe request of another origin; a bearer credential is."""
    bench = make(mode)
    client, bearer = bench.client(), bench.client("bearer")
    await client.login()
    await bearer.login()
    checked = await bench.auth.check(client.incoming("POST", **FOREIGN))
    assert ("cross_site", 403) == (checked.refusal.code, checked.refusal.status)
    assert (await bench.auth.check(client.incoming("GET", **FOREIGN))).principal is not None
    assert (await bench.auth.check(bearer.incoming("POST", **FOREIGN))).principal is not None


# --- cookies --------------------------------------------------------------------------------------


async def test_cookies_have_every_protection(face, tmp_path, keep_open, mode):
    """Over https: __Host-, Secure, HttpOnly, SameSite=Lax, Path=/, no Domain, out of caches."""
    bench = Bench(face, "memory", tmp_path, mode=mode, url="https://app.example.com")
    keep_open(bench)
    client = bench.client(origin="https://app.example.com")
    signed_in = await bench.auth.login(client.incoming("GET"), "alice")
    headers = signed_in.outgoing.headers
    cookies = [value for name, value in headers if name == "Set-Cookie"]
    assert {"session": 1, "jwt": 1, "hybrid": 2}[mode] == len(cookies)
    for cookie in cookies:
        assert cookie.startswith("__Host-sojourn")
        assert {"Secure", "HttpOnly", "SameSite=Lax", "Path=/"} <= set(cookie.split("; "))
        assert "Domain" not in cookie
    assert {("Cache-Control", "no-store"), ("Vary", "Cookie")} <= set(headers)


async def test_cookies_of_other_modes_are_taken_back(make):
    """After a login in one mode no cookie of another is left to be believed."""
    bench = make("session", modes=("jwt", "hybrid"))
    client = bench.client()
    names = client.names
    held = {
        "session": {names.handle},
        "jwt": {names.access},
        "hybrid": {names.access, names.refresh},
    }
    for mode in ("session", "hybrid", "jwt", "hybrid", "session", "jwt", "session"):
        await client.login(mode=mode)
        assert held[mode] == set(client.cookies)
        assert mode == (await client.check()).principal.mode
    assert 1 == len(await bench.auth.sessions("alice"))


async def test_duplicated_cookie_is_unauthenticated(make, mode):
    """A cookie of ours that came twice is not believed: who planted one chose the session."""
    bench = make(mode)
    client, attacker = bench.client(), bench.client()
    await client.login()
    await attacker.login("mallory")
    mine, theirs = client.incoming("GET").cookies, attacker.incoming("GET").cookies
    for cookies in (f"{mine}; {theirs}", f"{theirs}; {mine}"):
        checked = await bench.auth.check(client.incoming("GET", cookies=cookies))
        assert (None, "unauthenticated") == (checked.principal, checked.refusal.code)
        assert () == checked.outgoing.headers


async def test_duplicated_guest_cookie_signs_nobody_out(make, mode):
    """Who can plant a visitor's cookie twice cannot keep anybody from being signed in, or out."""
    bench = make(mode)
    client = bench.client()
    await client.login()
    planted = f"{client.names.guest}=a; {client.names.guest}=b"
    for cookies in (
        f"{client.incoming().cookies}; {planted}",
        f"{planted}; {client.incoming().cookies}",
    ):
        checked = await bench.auth.check(client.incoming("POST", cookies=cookies))
        assert "alice" == checked.principal.subject
    copy = client.copy()
    both = client.incoming(cookies=f"{client.incoming().cookies}; {planted}")
    client.take(await bench.auth.logout(both))
    assert "revoked" == await copy.code(need=ASKING, renew=False)


async def test_logout_with_duplicated_cookies_ends_every_session_of_them(make, mode):
    """A planted second cookie keeps nobody signed in: whatever a copy proves is ended."""
    for order in (1, -1):
        bench = make(mode)
        client, attacker, bystander = (bench.client() for _ in range(3))
        await client.login()
        await attacker.login("mallory")
        await bystander.login()
        each = [client.incoming().cookies, attacker.incoming().cookies][::order]
        outgoing = await bench.auth.logout(client.incoming(cookies="; ".join(each)))
        assert 4 == sum("Max-Age=0" in value for _, value in outgoing.headers)
        for ended in (client, attacker):
            assert "revoked" == await ended.code(need=ASKING, renew=False)
        assert "" == await bystander.code(need=ASKING)


async def test_logout_with_a_planted_copy_of_nothing_ends_the_session(make, mode):
    """Rubbish, an empty value, or what is over beside the real cookies changes nothing of a logout."""
    bench = make(mode)
    over = bench.client()
    await over.login()
    stale = over.incoming().cookies
    await over.logout()
    client = bench.client()
    for planted in ("x", "", "sj_s1_x", "a.b.c"):
        await client.login()
        copy = client.copy()
        cookies = client.incoming().cookies
        names = [pair.partition("=")[0] for pair in cookies.split("; ")]
        twice = "; ".join([cookies, stale, *(f"{name}={planted}" for name in names)])
        await bench.auth.logout(client.incoming(cookies=twice))
        assert "revoked" == await copy.code(need=ASKING, renew=False)


async def test_login_over_duplicated_cookies_ends_what_they_prove(make, mode):
    """A sign-in in a browser with planted cookies leaves no session of any copy behind."""
    bench = make(mode)
    client, attacker = bench.client(), bench.client()
    await client.login()
    await attacker.login("mallory")
    cookies = f"{client.incoming().cookies}; {attacker.incoming().cookies}"
    await bench.auth.login(client.incoming(cookies=cookies), "alice")
    for ended in (client, attacker):
        assert "revoked" == await ended.code(need=ASKING, renew=False)


async def test_bearer_beats_cookie(make, mode):
    """A bearer credential counts beside a cookie, also where it is a bad one."""
    bench = make(mode)
    browser, bearer = bench.client(), bench.client("bearer")
    await browser.login("alice")
    await bearer.login("bob")
    both = bearer.incoming("GET", cookies=browser.incoming("GET").cookies)
    principal = (await bench.auth.check(both)).principal
    assert ("bob", "bearer") == (principal.subject, principal.transport)
    bad = browser.incoming("GET", authorization="Bearer nonsense")
    assert "invalid_token" == (await bench.auth.check(bad)).refusal.code


async def test_failed_check_clears_no_cookie(make, mode):
    """No failed check takes a cookie back: it may be good in a moment, or at another server."""
    bench = make(mode)
    client = bench.client()
    await client.login()
    await bench.auth.revoke_all("alice")
    for cookies in (client.incoming().cookies, f"{client.names.handle}=x", "a=b"):
        for method in ("GET", "POST"):
            checked = await bench.auth.check(client.incoming(method, cookies=cookies))
            assert (None, ()) == (checked.principal, checked.outgoing.headers)


async def test_anonymous_requests_store_nothing(make, mode):
    """Requests with nothing, or with rubbish, create no row and cost no look-up."""
    bench = make(mode)
    await bench.settle()
    client = bench.client()
    names = client.names
    rubbish = ["", "a=b", f"{names.handle}=", f"{names.handle}=sj_s1_x", f"{names.refresh}=x"]
    for cookies in rubbish:
        await bench.auth.check(client.incoming("GET", cookies=cookies))
    for authorization in ("", "Basic eDp5", "Bearer", "Bearer sj_s1_x", "Bearer a.b.c"):
        await bench.auth.check(client.incoming("GET", authorization=authorization))
    assert {} == bench.spy.writes
    assert {} == dict(bench.spy.calls)


# --- renewed in passing ---------------------------------------------------------------------------


async def test_hybrid_browser_is_renewed_in_passing(make):
    """Hybrid works without JavaScript: an access token that is over is renewed within a request."""
    bench = make("hybrid")
    client = bench.client()
    sid = (await client.login()).principal.sid
    for _ in range(4):
        before = dict(client.cookies)
        await bench.advance(1000)
        checked = await client.check()
        assert sid == checked.principal.sid
        assert not set(before.values()) & set(client.cookies.values())
        assert () == (await client.check()).outgoing.headers


async def test_requests_at_once_are_renewed_alike(make):
    """A page's requests that arrive together, with the old cookies, all get the same successor."""
    bench = make("hybrid")
    client = bench.client()
    await client.login()
    await bench.advance(1000)
    tabs = [client.copy() for _ in range(5)]
    for tab in tabs:
        assert "" == await tab.code()
    assert 1 == len({tab.handle for tab in tabs})


async def test_renewal_is_handed_out_though_the_route_needs_more(make):
    """Who is renewed but lacks a role gets the new cookies with the refusal."""
    bench = make("hybrid")
    client = bench.client()
    await client.login()
    await bench.advance(1000)
    old = client.handle
    assert "forbidden" == await client.code(need=Need(roles=frozenset({"admin"})))
    assert old != client.handle
    assert "" == await client.code()


async def test_renewal_can_be_left_out(make):
    """Where no cookie can be handed out (a WebSocket), nothing is renewed: refresh first."""
    bench = make("hybrid")
    client = bench.client()
    await client.login()
    await bench.advance(1000)
    old = client.handle
    assert "refresh_required" == await client.code(renew=False)
    assert old == client.handle
    del client.cookies[client.names.access]
    assert "refresh_required" == await client.code(renew=False)
    assert "" == await client.code()


async def test_theft_is_told_in_passing(make):
    """A browser whose handle was used by a thief is told so by any request, and the trail once."""
    bench = make("hybrid")
    client = bench.client()
    sid = (await client.login()).principal.sid
    thief = client.copy()
    await thief.refresh()
    await thief.refresh()
    await bench.advance(1000)
    for _ in range(3):
        assert "refresh_reuse" == await client.code()
    assert ["login", "revoked"] == await bench.actions(sid=sid)
    assert "refresh_reuse" == await thief.code()


async def test_token_endpoint_hands_out_what_was_renewed(make):
    """A page that asks for an access token when its own is over keeps its session."""
    bench = make("hybrid")
    client = bench.client()
    await client.login()
    await bench.advance(1000)
    old = client.handle
    client.take((await bench.auth.access_token(client.incoming())).outgoing)
    assert old != client.handle
    await bench.advance(60)
    assert "" == await client.code()
    await client.refresh()


@pytest.mark.parametrize("agent", ["x" * 1000, "a\x00b\x1b[31m\u202e"])
async def test_user_agent_is_kept_bounded_and_printable(make, stored_mode, agent):
    """What a stranger writes into a header is kept short, and cannot act on a terminal."""
    bench = make(stored_mode)
    client = bench.client(user_agent=agent)
    await client.login()
    kept = (await bench.auth.sessions("alice"))[0].user_agent
    assert len(kept) <= 256
    assert kept.isprintable()
