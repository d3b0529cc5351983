"""The mode table of DESIGN.md, cell by cell: what each mode hands out, stores, costs and refuses."""

import pytest
from engine.harness import DAY, HOUR, claims_of, refusal_of

from sojourn import Need, UnsupportedInMode
from sojourn.handles import parse
from sojourn.model import Purpose, Session

# --- the client holds -----------------------------------------------------------------------------


async def test_session_client_holds_an_opaque_handle_only(make, transport):
    """In `session` a client holds one opaque handle, in a cookie or as bearer; no token."""
    client = make("session").client(transport)
    signed_in = await client.login()
    assert Purpose.SESSION == parse(client.handle).purpose
    if transport == "cookie":
        assert [client.names.handle] == list(client.cookies)
        assert ("", "") == (signed_in.access_token, signed_in.refresh_token)
    else:
        assert ({}, "") == (client.cookies, signed_in.refresh_token)


async def test_jwt_client_holds_an_access_token_only(make, transport):
    """In `jwt` a client holds a signed access token and nothing else."""
    client = make("jwt").client(transport)
    signed_in = await client.login()
    assert 3 == len(client.access.split("."))
    assert "" == signed_in.refresh_token
    if transport == "cookie":
        assert [client.names.access] == list(client.cookies)
        assert "" == signed_in.access_token


async def test_hybrid_client_holds_a_token_and_a_refresh_handle(make, transport):
    """In `hybrid` a client holds an access token and an opaque refresh handle."""
    client = make("hybrid").client(transport)
    signed_in = await client.login()
    assert 3 == len(client.access.split("."))
    assert Purpose.REFRESH == parse(client.handle).purpose
    if transport == "cookie":
        assert {client.names.access, client.names.refresh} == set(client.cookies)
        assert ("", "") == (signed_in.access_token, signed_in.refresh_token)


@pytest.mark.parametrize(
    ("mode", "keys"),
    [
        ("session", {"access_token", "token_type", "expires_in"}),
        ("jwt", {"access_token", "token_type", "expires_in"}),
        ("hybrid", {"access_token", "token_type", "expires_in", "refresh_token"}),
    ],
)
async def test_public_body_has_tokens_for_bearer_clients_only(make, mode, keys):
    """The body to answer with carries secrets for bearer clients, and none beside cookies."""
    bench = make(mode)
    facts = {"subject", "sid", "mode", "expires_at"}
    assert facts == (await bench.client("cookie").login()).public().keys()
    assert facts | keys == (await bench.client("bearer").login()).public().keys()


# --- stored at login ------------------------------------------------------------------------------


async def test_session_login_stores_one_session(make, transport):
    """A login in `session` is one write: the session, with its audit record."""
    bench = make("session")
    await bench.settle()
    signed_in = await bench.client(transport).login()
    assert {"create": 1} == bench.spy.writes
    assert isinstance(await bench.record(signed_in.principal.sid), Session)


async def test_jwt_login_stores_nothing(make, transport):
    """A login in `jwt` stores nothing but its line on the audit trail."""
    bench = make("jwt")
    await bench.settle()
    head = await bench.head()
    signed_in = await bench.client(transport).login()
    assert {"append": 1} == bench.spy.writes
    assert await bench.record(signed_in.principal.sid) is None
    assert head == await bench.head()
    assert ["login"] == await bench.actions(sid=signed_in.principal.sid)


async def test_hybrid_login_stores_one_session(make, transport):
    """A login in `hybrid` is one write: the session, with its audit record."""
    bench = make("hybrid")
    await bench.settle()
    signed_in = await bench.client(transport).login()
    assert {"create": 1} == bench.spy.writes
    assert isinstance(await bench.record(signed_in.principal.sid), Session)


# --- a check costs --------------------------------------------------------------------------------


async def test_session_check_costs_one_read_and_then_none(make, transport):
    """In `session` the first check reads the record; every later one is answered locally."""
    bench = make("session")
    client = bench.client(transport)
    await client.login()
    await bench.settle()
    assert "" == await client.code()
    assert {"get": 1} == dict(bench.spy.calls)
    for _ in range(20):
        assert "" == await client.code()
    assert {"get": 1} == dict(bench.spy.calls)


@pytest.mark.parametrize("mode", ["jwt", "hybrid"])
async def test_token_check_costs_no_read_ever(make, mode, transport):
    """In `jwt` and `hybrid` a check costs a signature and no store operation, from the first on."""
    bench = make(mode)
    client = bench.client(transport)
    await client.login()
    await bench.settle()
    for _ in range(20):
        assert "" == await client.code()
    assert {} == dict(bench.spy.calls)


async def test_check_costs_nothing_again_after_an_unrelated_revocation(make, mode, transport):
    """Steady state stays free of look-ups while other subjects come and go."""
    bench = make(mode)
    client = bench.client(transport)
    await client.login()
    await client.check()
    await bench.auth.revoke_all("somebody else")
    await bench.settle()
    assert "" == await client.code()
    assert {} == dict(bench.spy.calls)


@pytest.mark.parametrize(
    ("mode", "read"), [("session", "get"), ("jwt", "read"), ("hybrid", "read")]
)
async def test_max_lag_zero_costs_exactly_one_read(make, mode, read, transport):
    """`max_lag=0` asks the store once: the record for a handle, the feed for an access token."""
    bench = make(mode)
    client = bench.client(transport)
    await client.login()
    await client.check()
    await bench.settle()
    for count in (1, 2):
        assert "" == await client.code(need=Need(max_lag_seconds=0))
        assert {read: count} == dict(bench.spy.calls)


# --- refresh --------------------------------------------------------------------------------------


@pytest.mark.parametrize("mode", ["session", "jwt"])
async def test_refresh_is_unsupported_without_a_refresh_handle(make, mode, transport):
    """`session` and `jwt` have no refresh; asking for one says so and changes nothing."""
    client = make(mode).client(transport)
    await client.login()
    assert "unsupported_in_mode" == await refusal_of(client.auth.refresh(client.incoming()))
    assert "" == await client.code()


async def test_hybrid_refresh_rotates(make, transport):
    """In `hybrid` a refresh hands out a new handle and a new access token of the same session."""
    client = make("hybrid").client(transport)
    sid = (await client.login()).principal.sid
    before = (client.handle, client.access)
    signed_in = await client.refresh()
    assert sid == signed_in.principal.sid
    assert before[0] != client.handle
    assert before[1] != client.access
    assert "" == await client.code()


# --- default lives --------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("mode", "absolute", "idle"),
    [("session", 30 * DAY, 14 * DAY), ("hybrid", 30 * DAY, 14 * DAY)],
)
async def test_default_lives_of_stored_modes(make, mode, absolute, idle):
    """A stored session lives 30 days, 14 days without use."""
    bench = make(mode)
    signed_in = await bench.client().login()
    record = await bench.record(signed_in.principal.sid)
    assert absolute * 1000 == record.expires_at_ms - record.created_at_ms
    assert idle * 1000 == record.idle_ms
    assert absolute == signed_in.expires_at - bench.clock() // 1000


async def test_default_life_of_a_jwt(make, transport):
    """A JWT lives 12 hours and is not renewed."""
    bench = make("jwt")
    client = bench.client(transport)
    signed_in = await client.login()
    now = bench.clock() // 1000
    claims = claims_of(client.access)
    assert (12 * HOUR, 12 * HOUR) == (signed_in.expires_at - now, claims["exp"] - now)


async def test_default_life_of_a_hybrid_access_token(make, transport):
    """A hybrid's access token lives 15 minutes less a random part of at most 20 %."""
    bench = make("hybrid")
    client = bench.client(transport)
    lives = set()
    for _ in range(12):
        await client.login()
        lives.add(claims_of(client.access)["exp"] - bench.clock() // 1000)
    assert 720 <= min(lives) < max(lives) <= 900


# --- list, limit, idle, data ----------------------------------------------------------------------


async def test_stored_modes_list_sessions(make, stored_mode):
    """`session` and `hybrid` can say which sessions a subject has, and nothing secret of them."""
    bench = make(stored_mode)
    sids = {(await bench.client(t).login()).principal.sid for t in ("cookie", "bearer")}
    listed = await bench.auth.sessions("alice")
    assert sids == {info.sid for info in listed}
    assert {stored_mode} == {info.mode for info in listed}
    assert {("Tester/1", "192.0.2.7")} == {(info.user_agent, info.address) for info in listed}


async def test_jwt_lists_no_sessions(make):
    """`jwt` stores nothing to list, and says so."""
    assert "unsupported_in_mode" == await refusal_of(make("jwt").auth.sessions("alice"))


@pytest.mark.parametrize(
    "setting", [{"max_sessions": 3}, {"idle_ttl_seconds": 600}, {"preset": "aal2"}]
)
def test_jwt_refuses_limit_and_idle_at_start(make, setting):
    """A limit or an idle life in `jwt` is refused when the application starts, not when it matters."""
    with pytest.raises(UnsupportedInMode):
        make("jwt", **setting)


async def test_stored_modes_hold_data(make, stored_mode, transport):
    """`session` and `hybrid` hold an application's data."""
    bench = make(stored_mode)
    client = bench.client(transport)
    principal = (await client.login()).principal
    values = await bench.auth.data(client.incoming(), principal)
    values["cart"] = [1]
    await bench.auth.save(client.incoming(), values)
    assert {"cart": [1]} == dict(await bench.auth.data(client.incoming(), principal))


async def test_jwt_holds_no_data(make, transport):
    """`jwt` has nowhere to keep data, and says so."""
    client = make("jwt").client(transport)
    principal = (await client.login()).principal
    asked = client.auth.data(client.incoming(), principal)
    assert "unsupported_in_mode" == await refusal_of(asked)


# --- revoke one, revoke all -----------------------------------------------------------------------


async def test_revoke_one_ends_that_one(make, mode, transport):
    """Each mode can take back one sign-in by its sid, at the very next check."""
    bench = make(mode)
    mine, other = bench.client(transport), bench.client(transport)
    sid = (await mine.login()).principal.sid
    await other.login()
    assert ["", ""] == [await mine.code(), await other.code()]
    await bench.auth.revoke(sid, subject="alice")
    assert ["revoked", ""] == [await mine.code(), await other.code()]


async def test_revoke_all_ends_all_of_the_subject(make, mode, transport):
    """Each mode can take back everything of a subject, and nothing of another."""
    bench = make(mode)
    clients = [bench.client(transport) for _ in range(3)]
    stranger = bench.client(transport)
    for client in clients:
        await client.login()
        assert "" == await client.code()
    await stranger.login("bob")
    ended = await bench.auth.revoke_all("alice")
    assert (0 if mode == "jwt" else 3) == ended
    assert ["revoked"] * 3 == [await client.code() for client in clients]
    assert "" == await stranger.code()


# --- roles change ---------------------------------------------------------------------------------


async def test_session_roles_change_at_once(make, transport):
    """In `session` new roles hold at the next check."""
    bench = make("session")
    client = bench.client(transport)
    await client.login(roles={"reader"})
    await client.check()
    assert 1 == await bench.auth.update("alice", roles={"admin"})
    assert {"admin"} == (await client.check()).principal.roles


async def test_jwt_roles_change_asks_to_sign_in_again(make, transport):
    """In `jwt` a token with old roles is refused: sign in again."""
    bench = make("jwt")
    client = bench.client(transport)
    await client.login(roles={"reader"})
    await client.check()
    assert 0 == await bench.auth.update("alice", roles={"admin"})
    assert "revoked" == await client.code()
    await client.login(roles={"admin"})
    assert {"admin"} == (await client.check()).principal.roles


async def test_hybrid_roles_change_asks_to_refresh_now(make, transport):
    """In `hybrid` a token with old roles is answered "refresh now", and the refresh brings the new."""
    bench = make("hybrid")
    client = bench.client(transport)
    await client.login(roles={"reader"})
    await client.check()
    assert 1 == await bench.auth.update("alice", roles={"admin"})
    assert "refresh_required" == await client.code(renew=False)
    await client.refresh()
    assert {"admin"} == (await client.check()).principal.roles


# --- claims and roles: where they are -------------------------------------------------------------

FACTS = {"roles": {"admin"}, "scopes": {"notes"}, "claims": {"plan": "pro"}, "amr": ["pwd"]}


async def test_session_facts_are_in_the_session(make, transport):
    """In `session` roles, scopes and claims are stored; the handle says nothing."""
    bench = make("session")
    client = bench.client(transport)
    record = await bench.record((await client.login(**FACTS)).principal.sid)
    assert (("admin",), ("notes",), {"plan": "pro"}) == (record.roles, record.scopes, record.claims)
    assert FACTS == facts_of((await client.check()).principal)


async def test_jwt_facts_are_in_the_token(make, transport):
    """In `jwt` roles, scopes and claims are in the token."""
    client = make("jwt").client(transport)
    await client.login(**FACTS)
    claims = claims_of(client.access)
    assert (["admin"], "notes", {"plan": "pro"}) == (
        claims["roles"],
        claims["scope"],
        claims["claims"],
    )
    assert FACTS == facts_of((await client.check()).principal)


async def test_hybrid_facts_are_in_both(make, transport):
    """In `hybrid` roles, scopes and claims are in the session and in the token."""
    bench = make("hybrid")
    client = bench.client(transport)
    record = await bench.record((await client.login(**FACTS)).principal.sid)
    claims = claims_of(client.access)
    assert (("admin",), {"plan": "pro"}) == (record.roles, record.claims)
    assert (["admin"], {"plan": "pro"}) == (claims["roles"], claims["claims"])
    assert FACTS == facts_of((await client.check()).principal)


def facts_of(principal):
    """Reduce a principal to what the login was given."""
    return {
        "roles": set(principal.roles),
        "scopes": set(principal.scopes),
        "claims": principal.claims,
        "amr": list(principal.amr),
    }
