"""Positions decide order, not clocks: what a cutoff covers, and what it does not."""

from engine.harness import refusal_of

from sojourn import Need
from sojourn.ports import ATTEMPT_MS

ASKING = Need(max_lag_seconds=0)


async def test_sign_in_that_straddles_a_revoke_all_is_superseded(make, stored_mode, transport):
    """A login begun before "sign out everywhere" and finished after it is refused."""
    bench = make(stored_mode)
    client = bench.client(transport)
    attempt = await bench.auth.begin("alice")
    await bench.auth.revoke_all("alice")
    assert "superseded" == await refusal_of(client.login(attempt=attempt))
    assert [] == await bench.auth.sessions("alice")
    assert {} == client.cookies


async def test_jwt_that_straddles_a_revoke_all_is_refused_at_the_check(make, transport):
    """In `jwt`, which stores no cutoff at login, the token is dead when it is first used."""
    bench = make("jwt")
    client = bench.client(transport)
    attempt = await bench.auth.begin("alice")
    await bench.auth.revoke_all("alice")
    await client.login(attempt=attempt)
    assert "revoked" == await client.code()


async def test_login_in_the_same_millisecond_after_a_revoke_all_works(make, mode, transport):
    """No clock is compared: a login in the very millisecond after a revoke-all is good."""
    bench = make(mode)
    client = bench.client(transport)
    for _ in range(3):
        await client.login()
        await bench.auth.revoke_all("alice")
        assert "revoked" == await client.code(need=ASKING)
        await client.login()
        assert "" == await client.code(need=ASKING)


async def test_login_works_after_the_clock_went_back(make, mode, transport):
    """A server whose clock was corrected by five minutes refuses no fresh login."""
    bench = make(mode)
    client = bench.client(transport)
    await bench.auth.revoke_all("alice")
    bench.clock.advance(seconds=-300)
    await client.login()
    await bench.settle()
    assert "" == await client.code(need=ASKING)
    await bench.auth.revoke_all("alice")
    assert "revoked" == await client.code(need=ASKING)


async def test_attempt_is_good_for_ten_minutes(make, mode):
    """An attempt may be used for ten minutes to the millisecond, and not longer."""
    bench = make(mode)
    attempt = await bench.auth.begin("alice")
    await bench.advance(ATTEMPT_MS / 1000)
    assert "" == await refusal_of(bench.client().login(attempt=attempt))
    bench.clock.advance(seconds=0.001)
    assert "superseded" == await refusal_of(bench.client().login(attempt=attempt))


async def test_attempt_is_of_one_subject(make, mode):
    """An attempt begun for one subject signs no other in, and an int is the same subject as its text."""
    bench = make(mode)
    attempt = await bench.auth.begin(7)
    assert "invalid_input" == await refusal_of(bench.client().login("8", attempt=attempt))
    assert "7" == (await bench.client().login("7", attempt=attempt)).principal.subject


async def test_two_concurrent_sign_outs_of_the_others_revive_nobody(make, mode, transport):
    """Two devices that sign out "the others" at once end each other; neither comes back."""
    bench = make(mode)
    one, two = bench.client(transport), bench.client(transport)
    sids = [(await client.login()).principal.sid for client in (one, two)]
    for sid in sids:
        await bench.auth.revoke_all("alice", keep=sid)
    assert ["revoked", "revoked"] == [await c.code(need=ASKING) for c in (one, two)]


async def test_sign_out_of_the_others_keeps_one_however_often(make, mode, transport):
    """The kept session survives one "sign out the others" after another; every other one ends."""
    bench = make(mode)
    kept = bench.client(transport)
    sid = (await kept.login()).principal.sid
    for _ in range(3):
        other = bench.client(transport)
        await other.login()
        await bench.auth.revoke_all("alice", keep=sid)
        assert ["", "revoked"] == [await c.code(need=ASKING) for c in (kept, other)]
    await bench.auth.revoke_all("alice")
    assert "revoked" == await kept.code(need=ASKING)


async def test_refresh_copies_the_position(make, transport):
    """A refresh does not move a session past a cutoff that its sign-in is before."""
    bench = make("hybrid")
    client = bench.client(transport)
    position = (await client.login()).principal.position
    await bench.auth.revoke_all("somebody else")
    assert position == (await client.refresh()).principal.position
    assert position == (await client.check()).principal.position


async def test_reauthentication_renews_the_position(make, mode, transport):
    """Proving who one is again counts from now on: the position is a new one."""
    bench = make(mode)
    client = bench.client(transport)
    before = (await client.login()).principal.position
    await bench.auth.revoke_all("somebody else")
    after = (await client.reauthenticate()).principal.position
    assert before < after
    assert after == (await client.check()).principal.position


async def test_reauthentication_takes_an_attempt(make, mode, transport):
    """`begin` before the password check of a re-authentication gives its position."""
    bench = make(mode)
    client = bench.client(transport)
    await client.login()
    attempt = await bench.auth.begin("alice")
    signed_in = await client.reauthenticate(attempt=attempt)
    assert attempt.position == signed_in.principal.position
    assert "" == await client.code(need=ASKING)


async def test_reauthentication_refuses_another_subjects_attempt(make, mode):
    """The attempt of a re-authentication is for who is signed in, and is good for ten minutes."""
    bench = make(mode)
    client = bench.client()
    await client.login()
    strange, late = await bench.auth.begin("bob"), await bench.auth.begin("alice")
    assert "invalid_input" == await refusal_of(client.reauthenticate(attempt=strange))
    await bench.advance(601)
    assert "superseded" == await refusal_of(client.reauthenticate(attempt=late))


async def test_attempt_from_before_the_sign_in_confirms_nothing(make, mode, transport):
    """A password check begun before this sign-in cannot confirm it.

    The old password, checked before "change it and sign out everywhere", would otherwise renew a
    session that was made with the new one.
    """
    bench = make(mode)
    client = bench.client(transport)
    attempt = await bench.auth.begin("alice")
    await bench.auth.revoke_all("alice")
    await client.login()
    assert "superseded" == await refusal_of(client.reauthenticate(attempt=attempt))
    assert "" == await client.code(need=ASKING)
