"""What a second look found: lag, copies of proofs, and who a principal is."""

from engine.harness import MODES, HungFeed, refusal_of
from msgspec.structs import replace

from sojourn import Need

ASKING = Need(max_lag_seconds=0)


async def test_attempt_begun_after_revoke_within_lag(make_memory, another, mode):
    """An attempt begun after a revocation that this process has not heard of revives nothing."""
    bench = make_memory(mode)
    bench.spy.open_feed = HungFeed
    client = bench.client("bearer")
    await client.login(roles={"admin"})
    assert "" == await client.code()
    await another(bench).auth.revoke_all("alice")
    attempt = await bench.auth.begin("alice")
    assert "revoked" == await refusal_of(client.reauthenticate(attempt=attempt))


async def test_single_cookies_beside_duplicated_others_are_ended_at_logout(make):
    """A planted duplicate does not keep a logout from ending what stands beside it."""
    bench = make("hybrid")
    client = bench.client()
    await client.login()
    copy = client.copy()
    n = client.names.handle
    both = f"{client.incoming().cookies}; {n}=x; {n}=y"
    await bench.auth.logout(client.incoming(cookies=both))
    assert "revoked" == await copy.code(need=ASKING, renew=False)


async def test_guest_copies_crowd_out(make, mode):
    """Copies of a guest cookie do not crowd out the proofs that a logout has to end."""
    bench = make(mode)
    client = bench.client()
    await client.login()
    copy = client.copy()
    g = "; ".join(f"{client.names.guest}={i}" for i in range(9))
    c = client.incoming().cookies
    await bench.auth.logout(client.incoming(cookies=f"{g}; {c}; {c}"))
    assert "revoked" == await copy.code(need=ASKING, renew=False)


async def test_thief_move_overtaken_by_reauthentication(make_memory):
    """A copy's move that the owner's re-authentication overtook must not go on with the fresh record."""
    bench = make_memory("session", modes=MODES)
    client = bench.client("bearer")
    await client.login()
    thief = client.copy()
    inner = bench.spy.inner

    def overtake(session, **_):
        record = inner.get(session.sid).record
        inner.replace(
            replace(
                record,
                revision=record.revision + 1,
                seed=b"y" * len(record.seed),
                version=record.version + 1,
            ),
            expected_revision=record.revision,
        )

    bench.spy.before["replace"] = overtake
    assert "" != await refusal_of(thief.move("hybrid"))


async def test_principal_client_id(make, mode):
    """The OAuth client of a sign-in is the principal's, however it is recognised."""
    bench = make(mode)
    client = bench.client()
    signed_in = await client.login(client_id="app-7")
    assert ["app-7", "app-7"] == [
        signed_in.principal.client_id,
        (await client.check()).principal.client_id,
    ]


async def test_superseded_login_leaves_kept_session(make, stored_mode):
    """A login that comes to nothing ends no session that was to be kept."""
    bench = make(stored_mode)
    client = bench.client()
    attempt = await bench.auth.begin("alice")
    sid = (await client.login()).principal.sid
    await bench.auth.revoke_all("alice", keep=sid)
    assert "" == await client.code(need=ASKING)
    assert "superseded" == await refusal_of(client.login(attempt=attempt))
    assert "" == await client.code(need=ASKING)
