"""Exchange: a short access token for another service, and a move to another mode."""

import itertools

import pytest
from engine.harness import DAY, HOUR, MODES, HungFeed, claims_of, refusal_of
from msgspec.structs import replace

from sojourn import Need
from sojourn.model import Session, Tombstone

ASKING = Need(max_lag_seconds=0)
PAIRS = [pair for pair in itertools.product(MODES, MODES) if pair[0] != pair[1]]


# --- access tokens --------------------------------------------------------------------------------


async def test_live_session_gives_a_short_access_token(make, mode, transport):
    """Who is signed in gets an access token of at most 15 minutes, in the body and out of caches."""
    bench = make(mode)
    client = bench.client(transport)
    signed_in = await client.login(roles={"admin"}, claims={"plan": "pro"})
    answer = await bench.auth.access_token(client.incoming())
    claims = claims_of(answer.access_token)
    assert ("bearer", "") == (answer.transport, answer.refresh_token)
    assert ("alice", signed_in.principal.sid, ["admin"], {"plan": "pro"}) == (
        claims["sub"],
        claims["sid"],
        claims["roles"],
        claims["claims"],
    )
    assert 0 < claims["exp"] - bench.clock() // 1000 <= 900
    assert answer.expires_in <= claims["exp"] - bench.clock() // 1000 + 1
    assert ("Cache-Control", "no-store") in answer.outgoing.headers
    assert not [1 for name, _ in answer.outgoing.headers if name == "Set-Cookie"]


async def test_token_is_for_one_audience(make, mode):
    """A token for another service names that service alone, and is refused here."""
    bench = make(mode, audience="shop", audiences=("billing",))
    client, other = bench.client(), bench.client("bearer")
    await client.login()
    own = await bench.auth.access_token(client.incoming())
    billing = await bench.auth.access_token(client.incoming(), audience="billing")
    tokens = [answer.access_token for answer in (own, billing)]
    assert ["shop", "billing"] == [claims_of(token)["aud"] for token in tokens]
    codes = []
    for other.access_token in tokens:
        codes.append(await other.code())
    assert ["", "invalid_token"] == codes


async def test_default_audience_is_the_url(make, mode):
    """Without a configured audience a token is for this application."""
    bench = make(mode)
    client = bench.client()
    await client.login()
    answer = await bench.auth.access_token(client.incoming())
    assert "http://127.0.0.1:8000" == claims_of(answer.access_token)["aud"]


async def test_unknown_audience_is_refused(make, mode):
    """No token is issued for an audience that is not configured, nor for a part of its name."""
    bench = make(mode, audiences=("billing",))
    client = bench.client()
    await client.login()
    for audience in ("bill", "billing ", "BILLING", "*", "other"):
        asked = bench.auth.access_token(client.incoming(), audience=audience)
        assert "invalid_input" == await refusal_of(asked)


async def test_exchanged_token_ends_with_the_session(make, mode, transport):
    """A token that was exchanged is refused when its session ends, and has its roles updated."""
    bench = make(mode)
    client, service = bench.client(transport), bench.client("bearer")
    await client.login()
    service.access_token = (await bench.auth.access_token(client.incoming())).access_token
    assert "" == await service.code()
    await bench.auth.update("alice", roles={"x"})
    code = await service.code()
    assert ("revoked" if mode == "jwt" else "refresh_required") == code
    await bench.auth.revoke_all("alice")
    assert "revoked" == await service.code()


async def test_stolen_token_does_not_renew_itself(make, mode):
    """An access token cannot be exchanged for one that lives longer than itself."""
    bench = make(mode)
    client, thief = bench.client(), bench.client("bearer")
    await client.login()
    thief.access_token = (await bench.auth.access_token(client.incoming())).access_token
    end = claims_of(thief.access_token)["exp"]
    while bench.clock() // 1000 < end - 60:
        await bench.advance(60)
        thief.access_token = (await bench.auth.access_token(thief.incoming())).access_token
        assert claims_of(thief.access_token)["exp"] <= end
        end = claims_of(thief.access_token)["exp"]
    await bench.advance(62)
    assert "" != await refusal_of(bench.auth.access_token(thief.incoming()))


async def test_idle_session_gives_no_token(make, transport):
    """A token that outlives its idle session gives no further one."""
    bench = make("hybrid", idle_ttl_seconds=60)
    client = bench.client(transport)
    await client.login()
    await bench.advance(61)
    assert "" == await client.code(renew=False)
    assert "expired" == await refusal_of(bench.auth.access_token(client.incoming()))


async def test_nobody_gets_no_token(make, mode, transport):
    """Nobody signed in, nothing given; a page of another origin gets nothing either."""
    bench = make(mode)
    client = bench.client(transport)
    assert "unauthenticated" == await refusal_of(bench.auth.access_token(client.incoming()))
    await client.login()
    if transport == "cookie":
        foreign = client.incoming(origin="https://evil.example", sec_fetch_site="cross-site")
        assert "cross_site" == await refusal_of(bench.auth.access_token(foreign))


async def test_session_ended_meanwhile_gives_no_token(make_memory, stored_mode, transport):
    """A session that ends between its check and the exchange gives nothing."""
    bench = make_memory(stored_mode)
    client = bench.client(transport)
    sid = (await client.login()).principal.sid
    await client.check()
    bench.spy.before["get"] = lambda *_, **__: bench.spy.inner.delete(
        sid, subject="alice", reason="logout"
    )
    assert "revoked" == await refusal_of(bench.auth.access_token(client.incoming()))


# --- moves ----------------------------------------------------------------------------------------


@pytest.mark.parametrize(("old", "new"), PAIRS)
async def test_session_moves_to_the_other_mode(make, old, new, transport):
    """Between any two modes a live session moves without a new sign-in; old proofs are refused."""
    bench = make(old, modes=MODES)
    client = bench.client(transport)
    facts = {"roles": {"admin"}, "scopes": {"s"}, "claims": {"c": 1}, "amr": ["pwd"]}
    before = (await client.login(**facts)).principal
    thief = client.copy()
    assert "" == await thief.code()
    await bench.advance(10)
    signed_in = client.took(await bench.auth.move(client.incoming(), mode=new))
    assert (new, transport) == (signed_in.mode, signed_in.transport)
    after = (await client.check(need=ASKING)).principal
    assert (before.subject, before.auth_time, before.position) == (
        after.subject,
        after.auth_time,
        after.position,
    )
    assert ({"admin"}, {"s"}, {"c": 1}, ("pwd",)) == (
        after.roles,
        after.scopes,
        after.claims,
        after.amr,
    )
    for need in (Need(), ASKING):
        assert "" != await thief.code(need=need, renew=False)
    if old == "hybrid":
        assert await refusal_of(thief.refresh()) in {"invalid_token", "revoked"}
    if new == "hybrid":
        await client.refresh()
    moved = [record for record in await bench.trail() if record.action == "moved"]
    assert [f"from {old}, {before.sid}"] == [record.reason for record in moved]


@pytest.mark.parametrize("there", MODES)
async def test_proofs_from_before_a_round_trip_are_refused(make, mode, there, transport):
    """There and back again, or to the same mode: no earlier proof becomes good again."""
    bench = make(mode, modes=MODES)
    client = bench.client(transport)
    await client.login()
    thieves = [client.copy()]
    for target in dict.fromkeys((there, mode)):
        client.took(await bench.auth.move(client.incoming(), mode=target))
        thieves.append(client.copy())
    for thief in thieves[:-1]:
        assert "" != await thief.code(need=ASKING, renew=False)
        if thief.handle != thief.access:
            refused = bench.auth.refresh(thief.incoming(), refresh_token=thief.handle)
            assert await refusal_of(refused) in {"invalid_token", "revoked"}
    assert "" == await client.code(need=ASKING)


@pytest.mark.parametrize(
    ("old", "new", "life"),
    [
        ("session", "jwt", 12 * HOUR),
        ("hybrid", "session", 30 * DAY),
        ("jwt", "hybrid", 12 * HOUR),
        ("jwt", "session", 12 * HOUR),
        ("jwt", "jwt", 12 * HOUR),
    ],
)
async def test_move_never_extends_the_absolute_life(make, old, new, life):
    """The end that the sign-in had stays; a shorter mode shortens it."""
    bench = make(old, modes=MODES)
    client = bench.client()
    end = (await client.login()).expires_at
    await bench.advance(HOUR)
    moved = await bench.auth.move(client.incoming(), mode=new)
    assert min(end, bench.clock() // 1000 + life) == moved.expires_at


async def test_move_takes_the_other_modes_cookies_back(make):
    """After a move a browser holds cookies of the new mode only."""
    bench = make("session", modes=MODES)
    client = bench.client()
    await client.login()
    for mode, held in (
        ("hybrid", {client.names.access, client.names.refresh}),
        ("jwt", {client.names.access}),
        ("session", {client.names.handle}),
    ):
        client.took(await bench.auth.move(client.incoming(), mode=mode))
        assert held == set(client.cookies)
        assert mode == (await client.check()).principal.mode


async def test_move_to_a_mode_that_is_not_allowed_is_refused(make, mode):
    """Only the configured modes are moved to."""
    bench = make(mode)
    client = bench.client()
    await client.login()
    other = next(each for each in MODES if each != mode)
    assert "unsupported_in_mode" == await refusal_of(bench.auth.move(client.incoming(), mode=other))
    assert "unsupported_in_mode" == await refusal_of(client.login(mode=other))


async def test_move_by_nobody_is_refused(make, mode):
    """Nobody signed in moves nothing."""
    bench = make(mode)
    asked = bench.auth.move(bench.client().incoming(), mode=mode)
    assert "unauthenticated" == await refusal_of(asked)


@pytest.mark.parametrize("mode", ["session", "hybrid"])
async def test_revoke_racing_a_move_to_jwt_wins(make_memory, mode, transport):
    """A session revoked between its check and its move does not live on as a JWT."""
    bench = make_memory(mode, modes=MODES)
    client = bench.client(transport)
    sid = (await client.login()).principal.sid
    bench.spy.before["delete"] = lambda *_, **__: bench.spy.inner.delete(
        sid, subject="alice", reason="logout"
    )
    assert "revoked" == await refusal_of(bench.auth.move(client.incoming(), mode="jwt"))


async def test_revoked_jwt_does_not_move_within_the_lag(make_memory, another, transport):
    """A JWT that another process revoked a moment ago does not become a session of thirty days."""
    bench = make_memory("jwt", modes=MODES)
    bench.spy.open_feed = HungFeed
    client = bench.client(transport)
    sid = (await client.login()).principal.sid
    assert "" == await client.code()
    await another(bench).auth.revoke(sid, subject="alice")
    assert "" == await client.code()
    assert "revoked" == await refusal_of(bench.auth.move(client.incoming(), mode="session"))


async def test_revoke_all_racing_a_move_from_jwt_wins(make_memory, transport):
    """A cutoff stored while a JWT moves refuses the new session."""
    bench = make_memory("jwt", modes=MODES)
    client = bench.client(transport)
    await client.login()
    bench.spy.before["create"] = lambda *_, **__: bench.spy.inner.delete_subject(
        "alice", keep=None, reason="logout_all"
    )
    assert "superseded" == await refusal_of(bench.auth.move(client.incoming(), mode="hybrid"))
    assert [] == await bench.auth.sessions("alice")


async def test_move_from_jwt_keeps_the_limit(make, transport):
    """A JWT does not become one session too many."""
    bench = make("hybrid", modes=MODES, max_sessions=1, on_excess="refuse")
    stored, client = bench.client(transport), bench.client(transport)
    await stored.login(mode="session")
    await client.login(mode="jwt")
    asked = bench.auth.move(client.incoming(), mode="session")
    assert "session_limit" == await refusal_of(asked)
    assert "" == await client.code(need=ASKING)


async def test_move_overtaken_is_done_again(make_memory, transport):
    """A move that another writer overtook is applied to the newer record; in the end it gives up."""
    bench = make_memory("session", modes=MODES)
    client = bench.client(transport)
    await client.login(roles={"reader"})
    inner = bench.spy.inner

    def overtake(session, **_):
        record = inner.get(session.sid).record
        newer = replace(record, revision=record.revision + 1, roles=("admin",))
        inner.replace(newer, expected_revision=record.revision)

    bench.spy.before["replace"] = overtake
    moved = client.took(await bench.auth.move(client.incoming(), mode="hybrid"))
    assert {"admin"} == moved.principal.roles
    bench.spy.answers["replace"] = lambda *_, **__: None
    assert "conflict" == await refusal_of(bench.auth.move(client.incoming(), mode="session"))


async def test_move_of_an_ended_session_is_refused(make_memory, transport):
    """A session that ends during its move stays ended."""
    bench = make_memory("session", modes=MODES)
    client = bench.client(transport)
    sid = (await client.login()).principal.sid
    bench.spy.before["replace"] = lambda *_, **__: bench.spy.inner.delete(
        sid, subject="alice", reason="logout"
    )
    assert "revoked" == await refusal_of(bench.auth.move(client.incoming(), mode="hybrid"))
    assert isinstance(await bench.record(sid), Tombstone)


async def test_moved_record_is_one_session(make):
    """Between stored modes the sid stays, with its data and its place in the list."""
    bench = make("session", modes=("hybrid",))
    client = bench.client()
    sid = (await client.login()).principal.sid
    moved = await bench.auth.move(client.incoming(), mode="hybrid")
    assert sid == moved.principal.sid
    record = await bench.record(sid)
    assert isinstance(record, Session)
    assert ("hybrid", 2) == (record.mode, record.version)
    assert [("hybrid", sid)] == [(i.mode, i.sid) for i in await bench.auth.sessions("alice")]
