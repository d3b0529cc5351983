"""Tokens of keys that a process does not know: a flood, another process's key, another secret."""

import pytest
from engine.harness import OTHER_SECRET, HungFeed, claims_of, eventually

from sojourn import ConfigurationError, Need
from sojourn.engine.keys import RELOAD_INTERVAL_MS
from sojourn.jose import SigningKey, issue, unverified
from sojourn.jose.claims import AccessClaims
from sojourn.model import Kind


def kid_of(token):
    """Read which key a token says it is signed with."""
    return unverified.inspect(token).unverified_header["kid"]


async def published(bench):
    """Give the kids that verifiers are told of."""
    return [key["kid"] for key in (await bench.auth.jwks())["keys"]]


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
