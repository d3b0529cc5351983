"""Signing keys at work: rotation with overlap, emergencies, and changes that meet."""

import msgspec
import pytest
from engine.harness import DAY, HOUR, claims_of, refusal_of

from sojourn.jose import issue, unverified
from sojourn.jose.claims import AccessClaims
from sojourn.keyring import Ring
from sojourn.sync import drive


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


async def test_token_verified_while_its_key_is_revoked_is_not_remembered(
    make_memory, another, monkeypatch
):
    """A thread in the middle of verifying when the key goes leaves nothing behind for later."""
    bench = make_memory("jwt")
    client = bench.client()
    await client.login()
    await bench.settle()
    rival = another(bench, face="sync").auth.sojourn
    keys, verify = bench.core.keys, bench.core.keys.verify
    verified = []

    def verify_slowly(token, *, now_ms):
        monkeypatch.setattr(keys, "verify", verify)
        claims = verify(token, now_ms=now_ms)
        rival.rotate_keys(is_emergency=True)
        drive(bench.core.catch_up(0))
        drive(keys.load(bench.core))
        verified.append(claims.sid)
        return claims

    monkeypatch.setattr(keys, "verify", verify_slowly)
    await client.check()  # it was verified before the key went, so this one may be good
    assert 1 == len(verified)
    assert "invalid_token" == await client.code()


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
