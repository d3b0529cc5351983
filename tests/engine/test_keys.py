"""Signing keys at work: rotation with overlap, emergencies, unknown kids, other processes' rings."""

import msgspec
import pytest
from engine.harness import DAY, HOUR, OTHER_SECRET, HungFeed, claims_of, eventually, refusal_of

from sojourn import ConfigurationError, Need
from sojourn.engine.keys import RELOAD_INTERVAL_MS
from sojourn.jose import SigningKey, issue, unverified
from sojourn.jose.claims import AccessClaims
from sojourn.keyring import Ring
from sojourn.model import Kind


def kid_of(token):
    """Read which key a token says it is signed with."""
    return unverified.inspect(token).unverified_header["kid"]


async def published(bench):
    """Give the kids that verifiers are told of."""
    return [key["kid"] for key in (await bench.auth.jwks())["keys"]]


# --- rotation -------------------------------------------------------------------------------------


async def test_planned_rotation_publishes_before_it_signs(make):
    """A new key is published `jwks_ttl_seconds` before it signs; the old one stays for its tokens."""
    bench = make("jwt", jwks_ttl_seconds=600)
    client = bench.client()
    await client.login()
    old = kid_of(client.access)
    await bench.auth.rotate_keys(by="root")
    kids = await published(bench)
    assert 2 == len(kids)
    await bench.client().login()
    before, after = bench.client(), bench.client()
    await bench.advance(599)
    await before.login()
    await bench.advance(1)
    await after.login()
    new = kid_of(after.access)
    assert (old, {old, new}) == (kid_of(before.access), set(kids))
    assert ["", "", ""] == [await c.code() for c in (client, before, after)]


async def test_keys_rotate_by_themselves_without_a_false_refusal(make):
    """Over three key lives no live token is refused, and dead keys leave the ring."""
    bench = make("jwt", key_ttl_seconds=DAY, jwks_ttl_seconds=HOUR, absolute_ttl_seconds=6 * HOUR)
    kids, clients = set(), []
    for _ in range(3 * 24 + 2):
        clients = [*clients[-5:], bench.client()]
        await clients[-1].login()
        kids.add(kid_of(clients[-1].access))
        assert {""} == {await client.code() for client in clients}
        known = await published(bench)
        assert kid_of(clients[-1].access) in known
        assert len(known) <= 3
        await bench.advance(HOUR)
    assert len(kids) in {4, 5}


async def test_next_key_is_known_before_it_signs(make):
    """A ring that is read while a successor is due publishes it, though nobody signs."""
    bench = make("jwt", key_ttl_seconds=DAY, jwks_ttl_seconds=HOUR)
    first = await published(bench)
    await bench.advance(23 * HOUR)
    bench.core.keys.mark_outdated()
    kids = await published(bench)
    assert first == kids[:1]
    assert 2 == len(kids)


async def test_hmac_keys_are_not_published(make):
    """An HS256 key is a secret: verifiers are told of none, and tokens verify here all the same."""
    bench = make("jwt", signing_algorithm="HS256")
    client = bench.client()
    await client.login()
    assert [] == await published(bench)
    assert "" == await client.code()


async def test_other_algorithm_begins_a_key_of_its_own(make, another):
    """After the algorithm changed, new tokens have the new one and the old are still good."""
    bench = make("jwt")
    client = bench.client()
    await client.login()
    newer = another(bench, signing_algorithm="EdDSA")
    moved, fresh = client.copy(newer), newer.client()
    await fresh.login()
    assert "EdDSA" == unverified.inspect(fresh.access).unverified_header["alg"]
    assert ["", ""] == [await moved.code(), await fresh.code()]


# --- emergency ------------------------------------------------------------------------------------


async def test_emergency_refuses_remembered_tokens_at_once(make, transport):
    """After an emergency rotation a token of the stolen key is refused, remembered or not."""
    bench = make("jwt")
    client = bench.client(transport)
    await client.login()
    assert "" == await client.code()
    await bench.auth.rotate_keys(is_emergency=True, by="root")
    assert "invalid_token" == await client.code()
    await bench.settle()
    assert "invalid_token" == await client.code()
    await client.login()
    assert "" == await client.code()
    assert [kid_of(client.access)] == await published(bench)


async def test_emergency_costs_hybrid_browsers_nothing(make):
    """A hybrid browser whose token's key was revoked is renewed in passing."""
    bench = make("hybrid")
    client = bench.client()
    await client.login()
    await bench.auth.rotate_keys(is_emergency=True)
    assert "" == await client.code()


async def test_revoked_key_is_never_believed_again(make, another):
    """A revocation of a key outlives every token, a purge, and a ring that still holds the key."""
    bench = make("jwt")
    client = bench.client()
    await client.login()
    stolen = bench.core.keys._signing[kid_of(client.access)]
    await bench.auth.rotate_keys(is_emergency=True)
    await bench.advance(365 * DAY)
    await bench.auth.purge()
    now = bench.clock() // 1000
    claims = AccessClaims(
        **{**claims_of(client.access), "exp": now + 9999, "iat": now, "pos": 2**52}
    )
    client.cookies[client.names.access] = issue(claims, stolen)
    assert "invalid_token" == await client.code()
    assert "invalid_token" == await client.copy(another(bench)).code()


async def test_crash_after_the_revocation_leaves_it_in_force_and_heals(make_memory, another):
    """Killed between the feed and the ring, the revocation holds and signing goes on with a new key."""
    bench = make_memory("jwt")
    client = bench.client()
    await client.login()

    def crash(*_, **__):
        raise KeyboardInterrupt

    bench.spy.answers["put_document"] = crash
    with pytest.raises(KeyboardInterrupt):
        await bench.auth.rotate_keys(is_emergency=True)
    del bench.spy.answers["put_document"]
    for engine in (bench, another(bench)):
        survivor = client.copy(engine)
        assert "invalid_token" == await survivor.code()
        await survivor.login()
        assert "" == await survivor.code()
        assert kid_of(client.access) not in await published(engine)


async def test_emergency_overtaken_by_another_change_is_done_again(make_memory, another):
    """An emergency rotation that another process overtook still revokes, and still signs at once."""
    bench = make_memory("jwt")
    client = bench.client()
    await client.login()
    rival = another(bench, face="sync").auth.sojourn
    rival.jwks()
    bench.spy.before["put_document"] = lambda *_, **__: rival.rotate_keys(by="rival")
    await bench.auth.rotate_keys(is_emergency=True, by="root")
    assert "invalid_token" == await client.code()
    await client.login()
    assert "" == await client.code()
    assert [kid_of(client.access)] == await published(bench)


async def test_rotation_overtaken_is_done_again(make_memory, another):
    """A planned rotation that another overtook adds its key all the same: nothing is swallowed."""
    bench = make_memory("jwt")
    rival = another(bench, face="sync").auth.sojourn
    rival.jwks()
    await bench.settle()
    bench.spy.before["put_document"] = lambda *_, **__: rival.rotate_keys(by="rival")
    await bench.auth.rotate_keys(by="root")
    assert 3 == len(await published(bench))
    assert ["schedule", "rival", "root"] == [r.by for r in await bench.trail()]


async def test_rotation_overtaken_five_times_is_a_conflict(make_memory):
    """After five lost attempts a rotation answers "try again"."""
    bench = make_memory("jwt")
    await bench.settle()
    bench.spy.answers["put_document"] = lambda *_, **__: False
    assert "conflict" == await refusal_of(bench.auth.rotate_keys())
    assert 5 == bench.spy.calls["put_document"]


async def test_ring_that_never_holds_still_is_a_conflict(make_memory):
    """Where no key can be put into service, signing answers "try again"."""
    bench = make_memory("jwt")
    await bench.settle()
    bench.clock.advance(seconds=365 * DAY)
    bench.spy.answers["put_document"] = lambda *_, **__: False
    assert "conflict" == await refusal_of(bench.client().login())


async def test_key_that_another_thread_is_just_reading_is_waited_for(make_memory):
    """A ring whose keys another thread has not opened yet is read again before signing."""
    bench = make_memory("jwt")
    await bench.settle()
    bench.core.keys._signing = {}
    client = bench.client()
    await client.login()
    assert "" == await client.code()


async def test_ring_is_changed_by_the_version_it_was_read_at(make_memory, another, monkeypatch):
    """A thread that reads a newer ring meanwhile does not make an older one overwrite it."""
    bench = make_memory("jwt")
    await bench.settle()
    rival = another(bench, face="sync").auth.sojourn
    keys, with_key = bench.core.keys, Ring.with_key
    raced = []

    def racing(ring, key, *, now_ms):
        monkeypatch.setattr(Ring, "with_key", with_key)
        rival.rotate_keys(by="rival")
        stored = bench.spy.inner.get_document("keyring")
        raced.append(stored.version)
        keys._stored = (msgspec.msgpack.decode(stored.payload, type=Ring), stored.version)
        return ring.with_key(key, now_ms=now_ms)

    monkeypatch.setattr(Ring, "with_key", racing)
    await bench.auth.rotate_keys(by="root")
    assert [2] == raced
    assert 3 == len(await published(bench))


# --- unknown kids ---------------------------------------------------------------------------------


async def test_unknown_kids_reload_the_ring_at_most_once_a_second(make, transport):
    """A flood of tokens with unknown kids costs one read a second, and the good stay good."""
    bench = make("jwt")
    client, flood = bench.client(transport), bench.client("bearer")
    await client.login()
    claims = AccessClaims(**claims_of(client.access))
    tokens = [issue(claims, SigningKey.generate("ES256")) for _ in range(20)]
    await client.check()
    await bench.settle()
    bench.clock.advance(seconds=RELOAD_INTERVAL_MS / 1000)
    for count in (1, 2, 3):
        for token in tokens:
            flood.access_token = token
            assert "invalid_token" == await flood.code()
        assert {"get_document": count} == dict(bench.spy.calls)
        assert "" == await client.code()
        bench.clock.advance(seconds=RELOAD_INTERVAL_MS / 1000)


async def test_flood_of_unknown_kids_forgets_no_verified_token(make):
    """A reload that finds the same keys keeps what was verified under them."""
    bench = make("jwt")
    client, flood = bench.client(), bench.client("bearer")
    await client.login()
    await client.check()
    flood.access_token = issue(
        AccessClaims(**claims_of(client.access)), SigningKey.generate("ES256")
    )
    await bench.settle()
    await client.check()
    bench.clock.advance(seconds=2)
    await flood.check()
    assert {"get_document": 1} == dict(bench.spy.calls)
    assert [client.access] == list(bench.core.keys.remembered.entries)


async def test_token_of_another_processes_new_key_is_good(make_memory, another):
    """A kid that the ring lacks is looked up before it is refused: the feed may be late."""
    bench = make_memory("jwt")
    bench.spy.open_feed = HungFeed
    await bench.settle()
    rival = another(bench)
    await rival.auth.rotate_keys(is_emergency=True)
    client = rival.client()
    await client.login()
    bench.clock.advance(seconds=1)
    assert "" == await client.copy(bench).code()


async def test_logout_knows_another_processes_new_key(make_memory, another):
    """A logout that a process with an older ring receives is not lost."""
    bench = make_memory("jwt")
    bench.spy.open_feed = HungFeed
    await bench.settle()
    rival = another(bench)
    await rival.auth.rotate_keys(is_emergency=True)
    client = rival.client()
    await client.login()
    bench.clock.advance(seconds=1)
    await client.copy(bench).logout()
    assert "revoked" == await client.code(need=Need(max_lag_seconds=0))


async def test_key_change_while_asking_is_taken_in(make_memory, another):
    """A key event met on the way to the head has the ring read before the token is judged."""
    bench = make_memory("jwt")
    bench.spy.open_feed = HungFeed
    client = bench.client()
    await client.login()
    await client.check()
    rival = another(bench)
    await rival.auth.rotate_keys(is_emergency=True)
    bench.clock.advance(seconds=60)
    assert "invalid_token" == await client.code()


async def test_keys_that_keep_changing_end_the_question(make_memory, monkeypatch):
    """A ring that changes at every look ends in a refusal, not in a loop."""
    bench = make_memory("jwt")
    client = bench.client()
    await client.login()
    keys, load = bench.core.keys, bench.core.keys.load

    async def changing(core):
        await load(core)
        keys.mark_outdated()

    monkeypatch.setattr(keys, "load", changing)
    keys.mark_outdated()
    assert "invalid_token" == await client.code()


async def test_token_of_a_shard_that_is_not_here(make):
    """A sid whose shard this store has not is not caught up with; the signature still decides."""
    bench = make("jwt")
    client = bench.client()
    await client.login()
    key = bench.core.keys._signing[kid_of(client.access)]
    claims = AccessClaims(**{**claims_of(client.access), "sid": "_" + "A" * 21})
    client.cookies[client.names.access] = issue(claims, key)
    await bench.settle()
    assert "" == await client.code(need=Need(max_lag_seconds=0))
    assert {} == dict(bench.spy.calls)


async def test_before_any_key_is_known_nothing_verifies(make_memory):
    """An engine that has not read its ring believes no token."""
    bench = make_memory("jwt")
    with pytest.raises(Exception, match="no key is known"):
        bench.core.keys.verify("x.y.z", now_ms=0)


async def test_ring_of_another_secret_is_refused_with_the_remedy(make, another):
    """A server secret that never sealed the ring is refused at the first use, saying what to set."""
    bench = make("session")
    await bench.client().login()
    stranger = another(bench, secret=OTHER_SECRET)
    with pytest.raises(ConfigurationError, match="SOJOURN_SECRET"):
        await stranger.client().login()


async def test_key_events_are_in_the_feed_before_the_ring(make_memory):
    """The revocation of a key is acknowledged by the feed first, and never expires."""
    bench = make_memory("jwt")
    await bench.auth.rotate_keys(is_emergency=True)
    kinds = [entry.event.kind for entry in bench.spy.inner.read(0, after=0).entries]
    assert [Kind.RING, Kind.KEY, Kind.RING] == kinds


async def test_follower_hears_of_a_rotation(make, another):
    """A rotation in one process is heard of in another, without a request."""
    bench = make("jwt")
    await bench.settle()
    rival = another(bench)
    await rival.settle()
    await rival.auth.rotate_keys()
    await eventually(lambda: bench.core.keys.is_outdated, "the other process hears of the key")
    assert set(await published(rival)) == set(await published(bench))
