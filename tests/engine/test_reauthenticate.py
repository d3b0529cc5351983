"""Proving again who one is within a session: new handle, new sign-in time, and the old ones refused."""

from engine.harness import HOUR, HungFeed, refusal_of
from msgspec.structs import replace

from sojourn import ANY, Need

ASKING = Need(max_lag_seconds=0)


async def test_reauthentication_refuses_the_old_handle(make, mode, transport):
    """After proving who one is again, what was held before is refused at the next request."""
    bench = make(mode)
    client = bench.client(transport)
    await client.login(amr=["pwd"])
    thief = client.copy()
    assert "" == await thief.code()
    await bench.advance(5)
    signed_in = await client.reauthenticate(amr=["otp"])
    assert ("otp", "pwd") == signed_in.principal.amr
    assert bench.clock() // 1000 == signed_in.principal.auth_time
    assert "" == await client.code(need=Need(max_age_seconds=1))
    code = await thief.code(renew=False)
    assert {"session": "invalid_token", "jwt": "revoked", "hybrid": "refresh_required"}[
        mode
    ] == code
    if mode == "hybrid":
        assert "invalid_token" == await refusal_of(thief.refresh())
    assert "" == await client.code(need=ASKING)


async def test_fresh_sign_in_on_demand(make, mode, transport):
    """A route that needs a recent sign-in asks for one, and is satisfied by a re-authentication."""
    bench = make(mode)
    client = bench.client(transport)
    await client.login()
    recent = Need(max_age_seconds=300)
    await bench.advance(301)
    assert "insufficient_user_authentication" == await client.code(need=recent)
    await client.reauthenticate()
    assert "" == await client.code(need=recent)


async def test_reauthentication_begins_a_new_absolute_life(make, stored_mode):
    """Proving who one is again counts as a sign-in: the absolute end moves."""
    bench = make(stored_mode, absolute_ttl_seconds=HOUR)
    client = bench.client()
    end = (await client.login()).expires_at
    await bench.advance(600)
    assert end + 600 == (await client.reauthenticate()).expires_at


async def test_reauthentication_needs_a_live_session(make, mode, transport):
    """Nobody, or somebody signed out, confirms nothing."""
    bench = make(mode)
    client = bench.client(transport)
    assert "unauthenticated" == await refusal_of(client.reauthenticate())
    await client.login()
    await bench.auth.revoke_all("alice")
    assert await refusal_of(client.reauthenticate()) == "revoked"


async def test_reauthentication_does_not_revive(make_memory, transport):
    """A session that idled away, or was ended meanwhile, is not brought back by a token of it."""
    bench = make_memory("hybrid", idle_ttl_seconds=60)
    client = bench.client(transport)
    sid = (await client.login()).principal.sid
    await bench.advance(61)
    assert "" == await client.code()
    assert "expired" == await refusal_of(client.reauthenticate())
    ended = bench.client(transport)
    sid = (await ended.login()).principal.sid
    bench.spy.before["get"] = lambda *_, **__: bench.spy.inner.delete(
        sid, subject="alice", reason="logout"
    )
    assert "revoked" == await refusal_of(ended.reauthenticate())


async def test_reauthentication_overtaken_is_done_again(make_memory, stored_mode, transport):
    """A re-authentication that another writer overtook is done again, and in the end gives up."""
    bench = make_memory(stored_mode)
    client = bench.client(transport)
    await client.login()
    inner = bench.spy.inner

    def overtake(session, **_):
        record = inner.get(session.sid).record
        inner.replace(replace(record, revision=2), expected_revision=1)

    bench.spy.before["replace"] = overtake
    await client.reauthenticate()
    assert "" == await client.code(need=ASKING)
    bench.spy.answers["replace"] = lambda *_, **__: None
    assert "conflict" == await refusal_of(client.reauthenticate())


async def test_reauthentication_that_says_too_much_changes_nothing(make, mode):
    """Methods that no token could carry are refused before anything is renewed."""
    client = make(mode).client()
    await client.login()
    fat = [f"method-{n}-{'x' * 100}" for n in range(30)]
    assert "invalid_input" == await refusal_of(client.reauthenticate(amr=fat))
    assert "" == await client.code(need=ASKING)


async def test_what_was_revoked_is_not_renewed_within_the_lag(
    make_memory, another, mode, transport
):
    """What another process ended a moment ago gains no new life, although it is still believed."""
    for end in ("revoke_all", "revoke"):
        bench = make_memory(mode)
        bench.spy.open_feed = HungFeed
        client = bench.client(transport)
        sid = (await client.login()).principal.sid
        assert "" == await client.code()
        rival = another(bench).auth
        await (rival.revoke_all("alice") if end == "revoke_all" else rival.revoke(sid, subject=ANY))
        assert "" == await client.code()
        before = await bench.trail()
        assert "revoked" == await refusal_of(client.reauthenticate())
        assert before == await bench.trail()


async def test_roles_taken_a_moment_ago_are_not_renewed(make_memory, another, mode, transport):
    """A token that carries roles taken away within the lag is not made into a newer one with them."""
    bench = make_memory(mode)
    bench.spy.open_feed = HungFeed
    client = bench.client(transport)
    await client.login(roles={"admin"})
    assert "" == await client.code()
    await another(bench).auth.update("alice", roles=())
    asked = client.reauthenticate()
    if mode == "session":
        assert frozenset() == (await asked).principal.roles
    else:
        expected = "revoked" if mode == "jwt" else "refresh_required"
        assert expected == await refusal_of(asked)


async def test_browser_renewed_in_passing_reauthenticates(make):
    """A re-authentication whose request was renewed in passing goes on with the new handle."""
    bench = make("hybrid")
    client = bench.client()
    sid = (await client.login()).principal.sid
    await bench.advance(1000)
    assert sid == (await client.reauthenticate()).principal.sid
    assert "" == await client.code(need=ASKING)
