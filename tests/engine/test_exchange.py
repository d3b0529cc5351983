"""Exchange: a short access token for another service, and a move to another mode."""

import itertools

import pytest
from engine.harness import DAY, HOUR, MODES, STORED_MODES, HungFeed, claims_of, refusal_of
from msgspec.structs import replace

from sojourn import InvalidToken, Need, handles
from sojourn.model import Purpose, Session, Tombstone

ASKING = Need(max_lag_seconds=0)
PAIRS = [pair for pair in itertools.product(STORED_MODES, MODES) if pair[0] != pair[1]]


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
    """A stored session moves to any mode without a new sign-in; old proofs are refused."""
    bench = make(old, modes=MODES)
    client = bench.client(transport)
    facts = {"roles": {"admin"}, "scopes": {"s"}, "claims": {"c": 1}, "amr": ["pwd"]}
    before = (await client.login(**facts)).principal
    thief = client.copy()
    assert "" == await thief.code()
    await bench.advance(10)
    signed_in = await client.move(new)
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


@pytest.mark.parametrize("there", STORED_MODES)
async def test_proofs_from_before_a_round_trip_are_refused(make, stored_mode, there, transport):
    """There and back again, or to the same mode: no earlier proof becomes good again."""
    bench = make(stored_mode, modes=MODES)
    client = bench.client(transport)
    await client.login()
    thieves = [client.copy()]
    for target in dict.fromkeys((there, stored_mode)):
        await client.move(target)
        thieves.append(client.copy())
    for thief in thieves[:-1]:
        assert "" != await thief.code(need=ASKING, renew=False)
        assert await refusal_of(thief.move(stored_mode)) in {"invalid_token", "refresh_required"}
        if thief.handle != thief.access:
            refused = bench.auth.refresh(thief.incoming(), refresh_token=thief.handle)
            assert await refusal_of(refused) in {"invalid_token", "revoked"}
    assert "" == await client.code(need=ASKING)


@pytest.mark.parametrize(
    ("old", "new", "life"),
    [
        ("session", "jwt", 12 * HOUR),
        ("hybrid", "jwt", 12 * HOUR),
        ("session", "hybrid", 30 * DAY),
        ("hybrid", "session", 30 * DAY),
    ],
)
async def test_move_never_extends_the_absolute_life(make, old, new, life):
    """The end that the sign-in had stays; a shorter mode shortens it."""
    bench = make(old, modes=MODES)
    client = bench.client()
    end = (await client.login()).expires_at
    await bench.advance(HOUR)
    moved = await client.move(new)
    assert min(end, bench.clock() // 1000 + life) == moved.expires_at


async def test_unremembered_session_moves_to_an_unremembered_jwt(make, stored_mode):
    """A sign-in that should end with the browser still does after its move, and as soon as any."""
    bench = make(stored_mode, modes=MODES, browser_ttl_seconds=6 * HOUR)
    client = bench.client()
    await client.login(remember=False)
    await bench.advance(HOUR)
    moved = await client.move("jwt")
    assert 5 * HOUR == moved.expires_at - bench.clock() // 1000
    cookies = [value for name, value in moved.outgoing.headers if name == "Set-Cookie"]
    assert [] == [c for c in cookies if "Max-Age" in c and "Max-Age=0" not in c]


async def test_unremembered_session_moves_within_the_life_that_is_set_now(
    make, another, stored_mode
):
    """Where a sign-in that ends with the browser was made shorter since, its move is as short."""
    bench = make(stored_mode, modes=MODES)
    client = bench.client()
    await client.login(remember=False)
    shorter = client.copy(another(bench, browser_ttl_seconds=2 * HOUR))
    moved = await shorter.move("jwt")
    assert 2 * HOUR == moved.expires_at - bench.clock() // 1000


async def test_move_takes_the_other_modes_cookies_back(make):
    """After a move a browser holds cookies of the new mode only."""
    bench = make("session", modes=MODES)
    client = bench.client()
    await client.login()
    for mode, held in (
        ("hybrid", {client.names.access, client.names.refresh}),
        ("session", {client.names.handle}),
        ("hybrid", {client.names.access, client.names.refresh}),
        ("jwt", {client.names.access}),
    ):
        await client.move(mode)
        assert held == set(client.cookies)
        assert mode == (await client.check()).principal.mode


async def test_browser_renewed_in_passing_moves(make):
    """A move whose request was renewed in passing goes on with the new handle, not the old one."""
    bench = make("hybrid", modes=MODES)
    client = bench.client()
    await client.login()
    await bench.advance(1000)
    assert "session" == (await client.move("session")).mode
    assert {client.names.handle} == set(client.cookies)
    assert "" == await client.code(need=ASKING)


# --- what proves a session that moves -------------------------------------------------------------


@pytest.mark.parametrize("target", MODES)
async def test_access_token_alone_moves_nothing(make, stored_mode, transport, target):
    """Whoever holds a token of 15 minutes gets no session of 30 days by it, and disturbs nobody."""
    bench = make(stored_mode, modes=MODES)
    client, thief = bench.client(transport), bench.client("bearer")
    sid = (await client.login()).principal.sid
    thief.access_token = (await bench.auth.access_token(client.incoming())).access_token
    record, before = await bench.record(sid), await bench.trail()
    assert "unauthenticated" == await refusal_of(thief.move(target))
    browser = bench.client()
    browser.cookies = {browser.names.access: thief.access_token}
    assert "unauthenticated" == await refusal_of(browser.move(target))
    assert (record, before) == (await bench.record(sid), await bench.trail())
    assert "" == await client.code(need=ASKING)


@pytest.mark.parametrize("target", MODES)
async def test_jwt_moves_to_nothing(make, transport, target):
    """A JWT has nothing stored behind it: within or beyond its mode, it is not exchanged."""
    bench = make("jwt", modes=MODES)
    client = bench.client(transport)
    await client.login()
    head = await bench.head()
    assert "unsupported_in_mode" == await refusal_of(client.move(target))
    assert (head, []) == (await bench.head(), list(await bench.auth.sessions("alice")))
    assert "" == await client.code(need=ASKING)


async def moving(client, refresh_token):
    """Give why the handle that is presented beside the access token moves nothing."""
    with pytest.raises(InvalidToken) as caught:
        await client.auth.move(client.incoming(), mode="session", refresh_token=refresh_token)
    return caught.value.reason


async def test_only_the_present_handle_of_the_same_session_moves_it(make):
    """A replaced handle, another session's, or one of another kind moves nothing and ends nothing."""
    bench = make("hybrid", modes=MODES)
    client, other = bench.client("bearer"), bench.client("bearer")
    sid = (await client.login()).principal.sid
    await other.login()
    replaced = client.refresh_token
    await client.refresh()
    record = await bench.record(sid)
    assert "old_handle" == await moving(client, replaced)
    assert "old_handle" == await moving(client, other.refresh_token)
    assert "malformed_handle" == await moving(client, client.access_token)
    forged = handles.mint(
        bench.core.secrets.current,
        purpose=Purpose.REFRESH,
        sid=sid,
        generation=record.chains[Purpose.REFRESH].generation,
        seed=b"?" * handles.SEED_BYTES,
    )
    assert "bad_mac" == await moving(client, forged)
    assert record == await bench.record(sid)
    await client.move("session")
    assert ["", ""] == [await each.code(need=ASKING) for each in (client, other)]


async def test_cookie_of_another_session_moves_nothing(make):
    """The refresh cookie of one session beside the access cookie of another moves neither."""
    bench = make("hybrid", modes=MODES)
    client, other = bench.client(), bench.client()
    await client.login()
    await other.login("mallory")
    mixed = client.copy()
    mixed.cookies[mixed.names.refresh] = other.handle
    assert "invalid_token" == await refusal_of(mixed.move("session"))
    assert ["", ""] == [await each.code(need=ASKING) for each in (client, other)]


@pytest.mark.parametrize("target", MODES)
async def test_one_handle_moves_once(make, stored_mode, transport, target):
    """A handle that moved its session moves nothing more: one session does not become many."""
    bench = make(stored_mode, modes=MODES)
    client = bench.client(transport)
    await client.login()
    again = client.copy()
    await client.move(target)
    for mode in MODES:
        assert "" != await refusal_of(again.move(mode))
    assert (target != "jwt") == len(await bench.auth.sessions("alice"))
    assert "" == await client.code(need=ASKING)


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


async def test_revoke_racing_a_move_to_jwt_wins(make_memory, stored_mode, transport):
    """A session revoked between its check and its move does not live on as a JWT."""
    bench = make_memory(stored_mode, modes=MODES)
    client = bench.client(transport)
    sid = (await client.login()).principal.sid
    bench.spy.before["delete"] = lambda *_, **__: bench.spy.inner.delete(
        sid, subject="alice", reason="logout"
    )
    assert "revoked" == await refusal_of(client.move("jwt"))


@pytest.mark.parametrize("target", MODES)
async def test_what_was_revoked_does_not_move_within_the_lag(
    make_memory, another, stored_mode, transport, target
):
    """What another process revoked a moment ago does not move, although it is still believed."""
    bench = make_memory(stored_mode, modes=MODES)
    bench.spy.open_feed = HungFeed
    client = bench.client(transport)
    sid = (await client.login()).principal.sid
    assert "" == await client.code()
    await another(bench).auth.revoke(sid, subject="alice")
    assert "" == await client.code()
    assert "revoked" == await refusal_of(client.move(target))


async def test_roles_taken_during_a_move_to_jwt_stay_taken(make_memory, another, transport):
    """A token made of the roles from before an update is refused: its subject signs in again."""
    bench = make_memory("session", modes=MODES)
    client = bench.client(transport)
    await client.login(roles={"admin"})
    rival = another(bench, face="sync").auth.sojourn
    bench.spy.before["delete"] = lambda *_, **__: rival.update("alice", roles=())
    assert "jwt" == (await client.move("jwt")).mode
    assert "revoked" == await client.code(need=ASKING)


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
    moved = await client.move("hybrid")
    assert {"admin"} == moved.principal.roles
    bench.spy.answers["replace"] = lambda *_, **__: None
    assert "conflict" == await refusal_of(client.move("session"))


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


# --- the OAuth client -----------------------------------------------------------------------------


async def test_client_id_stays_with_the_session(make, mode, transport):
    """The OAuth client named at the sign-in is in every token of it, however it came about."""
    bench = make(mode, modes=MODES)
    client = bench.client(transport)
    await client.login(client_id="app-7")

    async def named():
        answer = await bench.auth.access_token(client.incoming())
        tokens = [answer.access_token]
        if client.access.count(".") == 2:
            tokens.append(client.access)
        return {claims_of(token)["client_id"] for token in tokens}

    assert {"app-7"} == await named()
    if mode == "hybrid":
        await client.refresh()
        assert {"app-7"} == await named()
    await client.reauthenticate()
    assert {"app-7"} == await named()
    for target in () if mode == "jwt" else ("hybrid", "session", "jwt"):
        await client.move(target)
        assert {"app-7"} == await named()


async def test_without_an_oauth_client_the_issuer_is_named(make, mode, transport):
    """Where no client was named, a token names the issuer (RFC 9068 requires one)."""
    bench = make(mode)
    client = bench.client(transport)
    await client.login()
    for _ in range(2):
        answer = await bench.auth.access_token(client.incoming())
        assert "http://127.0.0.1:8000" == claims_of(answer.access_token)["client_id"]
        await client.reauthenticate()
