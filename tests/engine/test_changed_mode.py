"""Changing the setting `mode` keeps everybody signed in, in whichever mode they once signed in."""

import itertools

import pytest
from engine.harness import DAY, HOUR, MODES, STORED_MODES, refusal_of

PAIRS = [pair for pair in itertools.product(MODES, MODES) if pair[0] != pair[1]]


@pytest.fixture(params=PAIRS, ids=lambda pair: f"{pair[0]}-to-{pair[1]}")
def changed(request, make, another):
    """An engine of one mode, and the next version of the application, in another."""
    before, after = request.param
    bench = make(before)
    return bench, another(bench, mode=after)


async def signed_in(changed, transport):
    """Sign in before the change, and come back after it."""
    bench, after = changed
    client = bench.client(transport)
    await client.login(roles={"editor"}, claims={"plan": "pro"})
    return client.copy(after)


async def test_everybody_stays_signed_in(changed, transport):
    """What was handed out before is good after, and says the same."""
    client = await signed_in(changed, transport)
    principal = (await client.check()).principal
    assert ("alice", {"editor"}, {"plan": "pro"}) == (
        principal.subject,
        principal.roles,
        principal.claims,
    )


async def test_whoever_renews_goes_on_renewing(make, another, transport):
    """A pair of tokens is refreshed for its whole life, whatever new sign-ins are given."""
    for mode in ("session", "jwt"):
        bench = make("hybrid")
        client = bench.client(transport)
        await client.login()
        after = another(bench, mode=mode)
        client = client.copy(after)
        for _ in range(3):
            await after.advance(seconds=HOUR)
            if transport == "bearer":
                assert "refresh_required" == await client.code()
                await client.refresh()
            assert "" == await client.code()
        await bench.close()


async def test_session_cookie_outlives_the_change(make, another, transport):
    """A handle is touched and lives on as before, beside new sign-ins of the other mode."""
    bench = make("session")
    client = bench.client(transport)
    await client.login()
    after = another(bench, mode="hybrid")
    client = client.copy(after)
    for _ in range(3):
        await after.advance(seconds=10 * DAY - HOUR)
        assert "" == await client.code()


async def test_everything_can_be_taken_back(changed, transport):
    """Signing out here or everywhere works on what was signed in before."""
    client = await signed_in(changed, transport)
    copy = client.copy()
    await client.check()
    await client.logout()
    assert "revoked" == await copy.code(renew=False)
    again = await signed_in(changed, transport)
    await again.bench.auth.revoke_all("alice")
    assert "revoked" == await again.code(renew=False)


async def test_roles_that_change_reach_what_was_signed_in_before(changed, transport):
    """An old JWT is asked to sign in again, an old pair to refresh, an old session has them at once."""
    client = await signed_in(changed, transport)
    await client.bench.auth.update("alice", roles={"reader"})
    checked = await client.check(renew=False)
    before = changed[0].settings["mode"]
    code = "" if checked.refusal is None else checked.refusal.code
    assert {"session": "", "jwt": "revoked", "hybrid": "refresh_required"}[before] == code
    if before == "session":
        assert {"reader"} == checked.principal.roles


async def test_change_can_be_taken_back(changed, another, transport):
    """Who signed in under the new setting is signed in under the old one again."""
    bench, after = changed
    client = after.client(transport)
    await client.login()
    back = client.copy(bench)
    await bench.settle()
    assert "" == await back.code()


async def test_live_session_moves_to_the_new_mode(make, another, transport):
    """Who is still here moves on without a sign-in: cookie to pair of tokens, and back."""
    for before, after_mode in itertools.permutations(STORED_MODES, 2):
        bench = make(before)
        client = bench.client(transport)
        first = await client.login(claims={"plan": "pro"})
        client = client.copy(another(bench, mode=after_mode))
        moved = await client.move(after_mode)
        assert (after_mode, first.principal.sid) == (moved.mode, moved.principal.sid)
        assert first.expires_at == moved.expires_at
        assert after_mode == (await client.check()).principal.mode
        await bench.close()


async def test_old_mode_is_not_handed_out(changed, transport):
    """New sign-ins are of the configured mode; the old one is to be allowed by name."""
    bench, after = changed
    client = after.client(transport)
    assert after.settings["mode"] == (await client.login()).mode
    asked = client.login(mode=bench.settings["mode"])
    assert "unsupported_in_mode" == await refusal_of(asked)
