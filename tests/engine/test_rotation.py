"""Rotation: every row of the table in protocol.md, through `refresh`."""

import pytest
from engine.harness import OTHER_SECRET, SECRET, claims_of, refusal_of
from msgspec.structs import replace

from sojourn import Conflict, handles
from sojourn.engine.grant import mint_current
from sojourn.model import Purpose, Tombstone
from sojourn.server_secret import ServerSecret


@pytest.fixture
def hybrid(make):
    """An engine in `hybrid`."""
    return make("hybrid")


async def chain_of(bench, sid):
    """Read how far a session has rotated."""
    return (await bench.record(sid)).chains[Purpose.REFRESH]


def minted(record, *, generation=1, purpose=Purpose.REFRESH, secret=SECRET):
    """Mint what only who knows secret and seed can: a handle of any generation."""
    return handles.mint(
        ServerSecret(secret),
        purpose=purpose,
        sid=record.sid,
        generation=generation,
        seed=record.seed,
    )


async def test_current_generation_rotates(hybrid, transport):
    """The current generation is exchanged for the next, one at a time."""
    client = hybrid.client(transport)
    sid = (await client.login()).principal.sid
    for generation in (2, 3, 4):
        await client.refresh()
        assert generation == (await chain_of(hybrid, sid)).generation
        assert generation == handles.parse(client.handle).generation


async def test_two_tabs_get_the_same_successor(hybrid, transport):
    """Two that refresh at once get one successor, and no access token outlives the first one's."""
    tab = hybrid.client(transport)
    await tab.login()
    other = tab.copy()
    await tab.refresh()
    first = claims_of(tab.access)["exp"]
    await hybrid.advance(5)
    await other.refresh()
    assert tab.handle == other.handle
    assert claims_of(other.access)["exp"] <= first
    assert ["", ""] == [await tab.code(), await other.code()]


async def test_grace_ends_after_ten_seconds_and_does_not_slide(hybrid):
    """The one before is answered for ten seconds from the rotation, however often it is asked."""
    client = hybrid.client("bearer")
    sid = (await client.login()).principal.sid
    old = client.copy()
    await client.refresh()
    for _ in range(2):
        await hybrid.advance(5)
        await old.copy().refresh()
    hybrid.clock.advance(seconds=0.001)
    assert "refresh_late" == await refusal_of(old.refresh())
    assert "refresh_late" == (await hybrid.record(sid)).reason


async def test_grace_zero_is_strict(make, transport):
    """With `grace_seconds=0` a handle is good once: its second use ends the session."""
    bench = make("hybrid", grace_seconds=0)
    client = bench.client(transport)
    await client.login()
    thief = client.copy()
    await thief.refresh()
    assert "refresh_late" == await refusal_of(client.refresh())
    assert "revoked" == await thief.code(renew=False)


async def test_theft_ends_the_session_and_the_winners_token(hybrid, transport):
    """A handle two generations old ends the session: whoever holds the newer proofs loses them."""
    victim = hybrid.client(transport)
    sid = (await victim.login()).principal.sid
    thief = victim.copy()
    await thief.refresh()
    await thief.refresh()
    assert "" == await thief.code()
    assert "refresh_reuse" == await refusal_of(victim.refresh())
    assert "revoked" == await thief.code(renew=False)
    assert "refresh_reuse" == await refusal_of(thief.refresh())
    assert isinstance(await hybrid.record(sid), Tombstone)
    assert ["login", "revoked", "refresh_refused"] == await hybrid.actions(sid=sid)
    assert "refresh_reuse" == (await hybrid.trail(sid=sid))[1].reason


async def test_late_ends_the_session_and_says_so(hybrid, transport):
    """The one before, after the grace window, ends the session: a lost reply, or theft."""
    client = hybrid.client(transport)
    sid = (await client.login()).principal.sid
    old = client.copy()
    await client.refresh()
    await hybrid.advance(10.001)
    assert "refresh_late" == await refusal_of(old.refresh())
    assert "revoked" == await client.code(renew=False)
    assert "refresh_late" == await refusal_of(client.refresh())
    assert "refresh_late" == (await hybrid.trail(sid=sid))[1].reason


async def test_handle_ahead_of_the_record_rolls_forward(hybrid, transport):
    """Where the store lost a rotation, the client's newer handle is taken, and the trail says so."""
    client = hybrid.client(transport)
    sid = (await client.login()).principal.sid
    lost = await hybrid.record(sid)
    stray = minted(lost, generation=4)
    signed_in = await hybrid.auth.refresh(client.incoming(), refresh_token=stray)
    assert 5 == handles.parse(signed_in.refresh_token).generation
    assert 5 == (await chain_of(hybrid, sid)).generation
    assert ["login", "rolled_forward"] == await hybrid.actions(sid=sid)
    assert "generation 1 to 4" == (await hybrid.trail(sid=sid))[1].reason


async def test_wrong_mac_changes_nothing(hybrid):
    """A sid is public: a handle with a good checksum and a bad MAC is refused and touches nothing."""
    client = hybrid.client("bearer")
    sid = (await client.login()).principal.sid
    await client.refresh()
    await client.refresh()
    record = await hybrid.record(sid)
    for generation in (1, 2, 3, 9):
        forged = minted(record, generation=generation, secret=OTHER_SECRET)
        named = handles.parse(forged)
        honest = handles.parse(client.handle).secret_id
        assert named.secret_id != honest
        refused = hybrid.auth.refresh(client.incoming(), refresh_token=forged)
        assert "invalid_token" == await refusal_of(refused)
    wrong_seed = handles.mint(
        ServerSecret(SECRET), purpose=Purpose.REFRESH, sid=sid, generation=1, seed=bytes(32)
    )
    refused = hybrid.auth.refresh(client.incoming(), refresh_token=wrong_seed)
    assert "invalid_token" == await refusal_of(refused)
    assert record == await hybrid.record(sid)
    assert "" == await client.code()
    assert ["login"] == await hybrid.actions(sid=sid)


async def test_garbage_is_refused_before_any_look_up(hybrid):
    """What is no handle costs no store operation."""
    client = hybrid.client("bearer")
    await client.login()
    await hybrid.settle()
    flipped = client.handle[:-1] + ("A" if client.handle[-1] != "A" else "B")
    for garbage in ("", "x", "sj_r1_", "sj_r1_" + "A" * 80, flipped, client.handle + "A"):
        refused = hybrid.auth.refresh(client.incoming(), refresh_token=garbage)
        assert "invalid_token" == await refusal_of(refused)
    assert {} == dict(hybrid.spy.calls)


async def test_handle_of_another_purpose_is_refused(make):
    """A session handle refreshes nothing, and a refresh handle signs nobody in."""
    bench = make("hybrid", modes=("session",))
    client, other = bench.client("bearer"), bench.client("bearer")
    await client.login(mode="hybrid")
    await other.login(mode="session")
    client.access_token = client.refresh_token
    assert "invalid_token" == await client.code()
    refused = bench.auth.refresh(other.incoming(), refresh_token=other.access_token)
    assert "invalid_token" == await refusal_of(refused)


async def test_handle_of_an_unknown_session_or_shard_is_refused(hybrid):
    """A handle whose session was never here is invalid, whatever its MAC."""
    client = hybrid.client("bearer")
    record = await hybrid.record((await client.login()).principal.sid)
    for sid in ("A" + "B" * 20 + "Q", "_" + "B" * 20 + "Q"):
        handle = handles.mint(
            ServerSecret(SECRET), purpose=Purpose.REFRESH, sid=sid, generation=1, seed=record.seed
        )
        refused = hybrid.auth.refresh(client.incoming(), refresh_token=handle)
        assert "invalid_token" == await refusal_of(refused)


async def test_handle_of_a_chain_the_session_has_not_is_refused(hybrid):
    """Even who knows secret and seed cannot make a handle of a purpose the session lacks."""
    client = hybrid.client("bearer")
    record = await hybrid.record((await client.login()).principal.sid)
    client.access_token = minted(record, purpose=Purpose.SESSION)
    assert "invalid_token" == await client.code()


async def test_old_secret_is_still_accepted_and_rotates_to_the_new(make, another):
    """After a secret was added in front, handles of the old one are exchanged for the new one's."""
    bench = make("hybrid")
    client = bench.client("bearer")
    await client.login()
    newer = another(bench, secret=(OTHER_SECRET, SECRET))
    moved = client.copy(newer)
    await moved.refresh()
    assert ServerSecret(OTHER_SECRET).id == handles.parse(moved.handle).secret_id
    assert "" == await moved.code()


async def test_grace_answers_under_the_records_secret(make, another):
    """Within the grace window the successor is the same, under the secret the record names."""
    bench = make("hybrid")
    client = bench.client("bearer")
    await client.login()
    late = client.copy(another(bench, secret=(OTHER_SECRET, SECRET)))
    await client.refresh()
    await late.refresh()
    assert client.handle == late.handle


async def test_removed_secret_ends_its_handles(make, another):
    """A secret that is no longer configured proves nothing."""
    bench = make("hybrid")
    client = bench.client("bearer")
    await client.login()
    newer = another(bench, secret=(OTHER_SECRET, SECRET))
    await newer.settle()
    del newer.core.secrets._by_id[ServerSecret(SECRET).id]
    assert "invalid_token" == await refusal_of(client.copy(newer).refresh())
    assert "" == await refusal_of(client.refresh())


async def test_successor_of_a_removed_secret_is_made_under_the_current(hybrid):
    """Within the grace window, a record that names a secret no longer there gets the current one."""
    record = await hybrid.record((await hybrid.client().login()).principal.sid)
    chain = replace(record.chains[Purpose.REFRESH], secret_id="00000000")
    orphan = replace(record, chains={Purpose.REFRESH: chain})
    assert minted(record) == mint_current(hybrid.core, orphan, Purpose.REFRESH)


async def test_lost_race_is_decided_again(make_memory, transport):
    """A refresh that another writer overtook is decided again, and gets the same successor."""
    bench = make_memory("hybrid")
    client = bench.client(transport)
    await client.login()
    tab = client.copy()
    rival = bench.another(face="sync")
    handle = client.handle
    answers = []

    def overtake(*_, **__):
        answers.append(rival.auth.sojourn.refresh(client.incoming(), refresh_token=handle))

    bench.spy.before["replace"] = overtake
    await tab.refresh()
    assert answers[0].refresh_token == tab.handle
    assert 2 == bench.spy.calls["get"]
    await rival.close()


async def test_race_lost_five_times_is_a_conflict(make_memory, transport):
    """After five lost attempts a refresh answers "try again" (503), and nothing was decided."""
    bench = make_memory("hybrid")
    client = bench.client(transport)
    sid = (await client.login()).principal.sid
    record = await bench.record(sid)
    await bench.settle()
    bench.spy.answers["replace"] = lambda *_, **__: None
    with pytest.raises(Conflict, match="5 times") as caught:
        await client.refresh()
    assert ("conflict", 503) == (caught.value.code, caught.value.status)
    assert 5 == bench.spy.calls["replace"]
    assert record == await bench.record(sid)
    del bench.spy.answers["replace"]
    await client.refresh()


async def test_grace_answer_to_another_client_is_a_suspicion(hybrid):
    """A replaced handle that comes back from another client is noted; from the same one it is not."""
    client = hybrid.client("bearer")
    sid = (await client.login()).principal.sid
    same, other = client.copy(), client.copy()
    await client.refresh()
    await same.refresh()
    assert ["login"] == await hybrid.actions(sid=sid)
    other.headers = {"user_agent": "Thief/1", "peer": "198.51.100.9"}
    await other.refresh()
    suspicion = (await hybrid.trail(sid=sid))[-1]
    assert ("suspicion", "alice", "198.51.100.9", "Thief/1") == (
        suspicion.action,
        suspicion.subject,
        suspicion.address,
        suspicion.user_agent,
    )


async def test_suspicion_is_noted_once_a_minute(make):
    """Another client that repeats a replaced handle within the grace is one line a minute."""
    bench = make("hybrid", grace_seconds=60)
    client = bench.client("bearer")
    sid = (await client.login()).principal.sid
    other = client.copy()
    other.headers = {"user_agent": "Thief/1", "peer": "198.51.100.9"}
    await client.refresh()
    for elapsed, expected in ((0, 1), (59, 1), (1, 2)):
        await bench.advance(elapsed)
        for _ in range(3):
            await other.copy().refresh()
        assert expected == (await bench.actions(sid=sid)).count("suspicion")


async def test_refresh_without_anything_asks_to_sign_in(hybrid):
    """Nothing presented, or a cookie that came twice, is "sign in", not an error of the server."""
    client = hybrid.client()
    assert "unauthenticated" == await refusal_of(hybrid.auth.refresh(client.incoming()))
    await client.login()
    twice = client.incoming().cookies
    doubled = client.incoming(cookies=f"{twice}; {twice}")
    assert "unauthenticated" == await refusal_of(hybrid.auth.refresh(doubled))


async def test_refresh_from_another_site_is_refused(hybrid):
    """A page of another origin cannot have a browser refresh."""
    client = hybrid.client()
    await client.login()
    foreign = client.incoming(origin="https://evil.example", sec_fetch_site="cross-site")
    assert "cross_site" == await refusal_of(hybrid.auth.refresh(foreign))


async def test_refresh_answers_over_the_transport_it_came_by(hybrid):
    """A handle in the body is answered in the body, one in a cookie by cookies."""
    browser = hybrid.client("cookie")
    await browser.login()
    token = browser.handle
    in_body = await hybrid.auth.refresh(browser.incoming(), refresh_token=token)
    assert "bearer" == in_body.principal.transport
    assert [("Cache-Control", "no-store")] == list(in_body.outgoing.headers)
    signed_in = await browser.refresh()
    assert in_body.refresh_token == browser.handle
    assert "" == signed_in.refresh_token


async def test_refresh_that_cannot_be_handed_out_rotates_nothing(hybrid):
    """A token too large to hand out leaves the session as it was: the error can be mended."""
    client = hybrid.client("cookie")
    sid = (await client.login()).principal.sid
    record = await hybrid.record(sid)
    fat = next_revision(record, roles=tuple(f"role-{n:03}-" + "x" * 90 for n in range(60)))
    await replace_in_store(hybrid, record, fat)
    assert "invalid_input" == await refusal_of(client.refresh())
    assert 1 == (await chain_of(hybrid, sid)).generation


def next_revision(record, **changes):
    """Give the next revision of a record."""
    return replace(record, revision=record.revision + 1, **changes)


async def replace_in_store(bench, old, new):
    """Write a record past the engine."""
    assert await bench._inner("replace", new, expected_revision=old.revision) is not None
