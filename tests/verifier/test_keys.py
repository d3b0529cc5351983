"""An issuer's keys: found where they may be, kept through outages, asked for within budgets."""

import asyncio
import json
import threading
import time
from concurrent.futures import ThreadPoolExecutor

import pytest
from verifier.scripted import URL, settled
from verifier.served import Reply, served
from verifier.shapes import jwk_of, token_of

from sojourn import Incoming, InvalidToken, Issuer, IssuerUnavailable, Verifier
from sojourn.jose import KeySet, SigningKey
from sojourn.verifier import Answer, FetchError
from sojourn.verifier.keys import kept_ms

DISCOVERY, JWKS = "/.well-known/openid-configuration", "/.well-known/jwks.json"


async def code_of(verifier, token):
    """Give "good", or the code of the refusal."""
    checked = await settled(verifier.check(Incoming(authorization=f"Bearer {token}")))
    return "good" if checked.principal else checked.refusal.code


def eventually(condition):
    """Wait for what a background thread does soon."""
    deadline = time.monotonic() + 10
    while not condition():
        assert time.monotonic() < deadline
        time.sleep(0.001)


# --- a flood --------------------------------------------------------------------------------------


@pytest.fixture
def foreign():
    """Give a real issuer on loopback, its key and whose tokens it issues."""
    key = SigningKey.generate("ES256", kid="the-key")
    with served({JWKS: Reply({"keys": [jwk_of(key)]})}) as server:
        server.routes[DISCOVERY] = Reply({"issuer": server.url, "jwks_uri": server.url + JWKS})
        server.key = key
        server.said = {"iss": server.url, "sub": "ann", "aud": "billing", "exp": 2**33}
        server.issuer = Issuer.oidc(server.url, typ="JWT", algorithms={"ES256"})
        yield server


def test_a_flood_of_unknown_kids(foreign):
    """A thousand made-up kids, from many threads, cost one request to the issuer."""
    verifier = Verifier(audience="billing", issuers=[foreign.issuer])
    good = token_of(foreign.key, foreign.said)
    assert verifier.verify(good).subject == "ann"
    assert 1 == foreign.counts[JWKS]
    bad = [token_of(SigningKey.generate("ES256"), foreign.said) for _ in range(1000)]

    def refused(token):
        with pytest.raises(InvalidToken) as raised:
            verifier.verify(token)
        return raised.value.reason

    with ThreadPoolExecutor(16) as pool:
        assert {"unknown_kid"} == set(pool.map(refused, bad))
    assert 2 == foreign.counts[JWKS]
    assert verifier.verify(good).subject == "ann"


async def test_a_flood_on_the_loop(foreign):
    """The same with a thousand tasks; the first to come shares its request with the others."""
    from sojourn import AsyncVerifier

    verifier = AsyncVerifier(audience="billing", issuers=[foreign.issuer])
    good = token_of(foreign.key, foreign.said)
    first = await asyncio.gather(*(verifier.verify(good) for _ in range(100)))
    assert ({"ann"}, 1) == ({one.subject for one in first}, foreign.counts[JWKS])
    bad = [token_of(SigningKey.generate("ES256"), foreign.said) for _ in range(1000)]
    said = await asyncio.gather(*(verifier.verify(token) for token in bad), return_exceptions=True)
    assert {"unknown_kid"} == {error.reason for error in said}
    assert 2 == foreign.counts[JWKS]


async def test_an_unknown_kid_finds_the_new_key(face, authority, clocks):
    """A key that was published meanwhile is found at once, and others within the interval."""
    verifier = authority.verifier(face)
    assert "good" == await code_of(verifier, authority.token())
    keys = [SigningKey.generate("ES256", kid=f"key-{n}") for n in range(3)]
    authority.published.append(keys[0])
    assert "good" == await code_of(verifier, authority.token(key=keys[0]))
    authority.published.append(keys[1])
    assert "invalid_token" == await code_of(verifier, authority.token(key=keys[1]))
    clocks.advance(30)
    assert "good" == await code_of(verifier, authority.token(key=keys[1]))
    assert 3 == authority.asked[JWKS]


async def test_the_feed_says_that_keys_changed(face, authority, clocks):
    """An emergency rotation is known by the feed, whatever was asked a moment ago."""
    verifier = authority.verifier(face)
    assert "good" == await code_of(verifier, authority.token())
    bad = SigningKey.generate("ES256", kid="made-up")
    assert "invalid_token" == await code_of(verifier, authority.token(key=bad))
    new = SigningKey.generate("ES256", kid="new")
    authority.published = [new]
    authority.append("key", kid="first")
    authority.append("ring", kid="new")
    clocks.advance(6)
    assert "invalid_token" == await code_of(verifier, authority.token())
    assert "good" == await code_of(verifier, authority.token(key=new))


# --- refreshing -----------------------------------------------------------------------------------


@pytest.mark.parametrize("is_following", [False, True])
async def test_keys_are_asked_for_again(is_following, face, authority, clocks):
    """After five minutes, in passing or by a thread; a key that is gone goes with its tokens."""
    verifier = authority.verifier(face, is_following=is_following, max_lag_seconds=60)
    verifier._core.is_started = True
    keys = verifier._core.states[0].keys
    token = authority.token(exp=2**33)
    assert "good" == await code_of(verifier, token)
    clocks.advance(299)
    assert "good" == await code_of(verifier, token)
    assert 1 == authority.asked[JWKS]
    before = keys.loaded
    clocks.advance(2)
    assert "good" == await code_of(verifier, token)
    eventually(lambda: keys.age_seconds == 0)
    assert 2 == authority.asked[JWKS]
    assert keys.loaded is before, "the same keys empty no memory"
    authority.published = [SigningKey.generate("ES256", kid="next")]
    clocks.advance(301)
    assert "good" == await code_of(verifier, token), "nobody waits for a refresh"
    eventually(lambda: keys.age_seconds == 0)
    assert "invalid_token" == await code_of(verifier, token)


async def test_keys_have_an_age_of_their_own(face, authority, clocks):
    """How long they are kept follows Cache-Control, within bounds."""
    authority.cache_control = "public, max-age=60"
    verifier = authority.verifier(face, issuers=[authority.issuer(feed_token="")])
    token = authority.token(exp=2**33)
    for seconds, asked in ((0, 1), (59, 1), (2, 2), (59, 2), (2, 3)):
        clocks.advance(seconds)
        assert "good" == await code_of(verifier, token)
        assert asked == authority.asked[JWKS]


@pytest.mark.parametrize(
    ("header", "seconds"),
    [
        ("", 300),
        ("no-store", 300),
        ("public, max-age=21600, must-revalidate", 300),
        ("max-age=0", 30),
        ("Max-Age=45", 45),
        ("max-age=x", 300),
        ("max-age=99999999999999999999", 300),
        ("s-maxage=40", 300),
    ],
)
def test_cache_control(header, seconds):
    """max-age counts between 30 s and 5 minutes."""
    assert seconds * 1000 == kept_ms(header)


async def test_an_outage(face, authority, clocks, caplog):
    """The last good keys are kept as long as it lasts; it is logged, and their age shown."""
    verifier = authority.verifier(face, issuers=[authority.issuer(feed_token="")])
    token = authority.token(exp=2**33)
    assert "good" == await code_of(verifier, token)
    authority.down()
    for _ in range(5):
        clocks.advance(400)
        assert "good" == await code_of(verifier, token)
    assert "the last good ones are kept" in caplog.text
    assert 2000 == pytest.approx(verifier.issuers[0].key_age_seconds)
    asked = authority.asked.total()
    clocks.advance(29)
    assert "good" == await code_of(verifier, token)
    assert asked == authority.asked.total(), "not again within 30 seconds"
    with pytest.raises(IssuerUnavailable):
        await code_of(verifier, authority.token(key=SigningKey.generate("ES256", kid="new")))
    with pytest.raises(IssuerUnavailable):
        await code_of(verifier, authority.token(key=SigningKey.generate("ES256", kid="new")))
    authority.answers.clear()
    clocks.advance(31)
    assert "good" == await code_of(verifier, token)
    assert verifier.issuers[0].key_age_seconds == 0


async def test_no_keys_at_all(face, authority, clocks):
    """Before the first answer nothing can be decided: 503, asked once a second, never "invalid"."""
    verifier = authority.verifier(face)
    authority.down()
    assert (None, False) == (verifier.issuers[0].key_age_seconds, verifier.is_fresh)
    for _ in range(10):
        with pytest.raises(IssuerUnavailable) as raised:
            await code_of(verifier, authority.token())
        assert (503, "issuer_unavailable") == (raised.value.status, raised.value.code)
    assert 1 == authority.asked[DISCOVERY]
    with pytest.raises(IssuerUnavailable, match="connection refused"):
        await settled(verifier.warm())
    authority.answers.clear()
    clocks.advance(1.1)
    assert "good" == await code_of(verifier, authority.token())


async def test_keys_that_are_pinned(face, authority):
    """Keys in the configuration are asked for nowhere, and an unknown kid is unknown."""
    jwks = KeySet([authority.key.verifying]).to_jwks()
    issuer = Issuer.oidc(URL, typ="at+jwt", algorithms={"ES256"}, jwks=jwks)
    verifier = authority.verifier(face, issuers=[issuer])
    assert "good" == await code_of(verifier, authority.token())
    new = SigningKey.generate("ES256", kid="new")
    assert "invalid_token" == await code_of(verifier, authority.token(key=new))
    assert not authority.asked
    assert verifier.issuers[0].key_age_seconds is None


async def test_a_token_without_a_kid(face, authority):
    """The only key of its algorithm is taken, as some providers need; among several none is."""
    issuer = Issuer.oidc(URL, typ="JWT", algorithms={"ES256"})
    verifier = authority.verifier(face, issuers=[issuer])
    said = {"iss": URL, "sub": "ann", "aud": "billing", "exp": 2**33}
    bare = token_of(authority.key, said, kid=None).split(".")
    header = {"alg": "ES256", "typ": "JWT"}
    from sojourn.jose import base64url

    data = base64url.encode(json.dumps(header).encode()) + b"." + bare[1].encode()
    token = (data + b"." + base64url.encode(authority.key.sign(data))).decode()
    assert "good" == await code_of(verifier, token)
    authority.published.append(SigningKey.generate("ES256"))
    verifier = authority.verifier(face, issuers=[issuer])
    assert "invalid_token" == await code_of(verifier, token)


async def test_keys_that_keep_changing(face, authority, monkeypatch):
    """A check does not go round for ever."""
    verifier = authority.verifier(face)
    state = verifier._core.states[0]
    monkeypatch.setattr(state.keys, "may_fetch_unknown", lambda: True)
    new = SigningKey.generate("ES256", kid="new")
    with pytest.raises(IssuerUnavailable, match="keeps changing"):
        await code_of(verifier, authority.token(key=new))


async def test_keys_that_are_just_being_fetched(face, authority):
    """Where another thread is at it, one waits for it instead of asking again."""
    verifier = authority.verifier(face)
    state = verifier._core.states[0]
    flight, is_mine = state.key_flights.board(joins_sent=True)
    assert is_mine
    threading.Timer(0.05, flight.run).start()
    assert "good" == await code_of(verifier, authority.token())
    assert 1 == authority.asked[JWKS]


async def test_a_refresh_that_another_thread_makes(face, authority, clocks):
    """Where a refresh is under way, a check neither waits nor starts another."""
    verifier = authority.verifier(face, issuers=[authority.issuer(feed_token="")])
    token = authority.token(exp=2**33)
    assert "good" == await code_of(verifier, token)
    clocks.advance(301)
    flight, _ = verifier._core.states[0].key_flights.board(joins_sent=True)
    assert "good" == await code_of(verifier, token)
    assert 1 == authority.asked[JWKS]
    flight.run()
    assert 2 == authority.asked[JWKS]


# --- what is published ----------------------------------------------------------------------------

WRONG_METADATA = {
    "another issuer": {"issuer": "https://evil.example"},
    "a slash more": {"issuer": URL + "/"},
    "no issuer": {"issuer": None},
    "a file": {"jwks_uri": "file:///etc/passwd"},
    "plain http": {"jwks_uri": "http://auth.example.com/jwks"},
    "credentials": {"jwks_uri": "https://auth.example.com@evil.example/jwks"},
    "another host": {"jwks_uri": "https://evil.example/jwks"},
    "another port": {"jwks_uri": "https://auth.example.com:8443/jwks"},
    "the cloud's metadata": {"jwks_uri": "http://169.254.169.254/latest"},
    "no address": {"jwks_uri": None},
}


@pytest.mark.parametrize("what", WRONG_METADATA)
async def test_metadata_that_leads_astray(what, face, authority):
    """Another issuer's metadata, or an address for the keys that nobody allowed, is not followed."""
    authority.metadata |= WRONG_METADATA[what]
    verifier = authority.verifier(face)
    with pytest.raises(IssuerUnavailable):
        await code_of(verifier, authority.token())
    assert {DISCOVERY: 1} == authority.asked


async def test_a_host_that_is_allowed(face, authority):
    """Another host for the keys is named by whoever configures it."""
    authority.metadata["jwks_uri"] = "https://keys.example.net/.well-known/jwks.json"
    allowing = Issuer.oidc(URL, typ="at+jwt", algorithms={"ES256"}, jwks_hosts={"keys.example.net"})
    verifier = authority.verifier(face, issuers=[allowing])
    assert "good" == await code_of(verifier, authority.token())


WRONG_CONTENT = {
    "nothing": b"",
    "a page": b"<!doctype html><title>Sign in</title>",
    "a list": b"[]",
    "no keys": b"{}",
    "keys of another kind": b'{"keys": {}}',
    "an entry of another kind": b'{"keys": ["x"]}',
    "a duplicate name": b'{"keys": [], "keys": []}',
    "a secret": b'{"keys": [{"kty": "oct", "k": "AAAA"}]}',
    "not UTF-8": b'{"keys": ["\xff"]}',
    "too many": json.dumps({"keys": [{}] * 257}).encode(),
}


@pytest.mark.parametrize("status", [200, 302, 404, 500])
@pytest.mark.parametrize("what", WRONG_CONTENT)
async def test_content_that_is_no_key_set(what, status, face, authority, clocks):
    """It is refused whole, and the last good keys are kept."""
    verifier = authority.verifier(face, issuers=[authority.issuer(feed_token="")])
    token = authority.token(exp=2**33)
    assert "good" == await code_of(verifier, token)
    authority.answers[JWKS] = Answer(status, WRONG_CONTENT[what])
    clocks.advance(400)
    assert "good" == await code_of(verifier, token)
    assert verifier._core.states[0].keys.has_failed
    with pytest.raises(IssuerUnavailable):
        await code_of(authority.verifier(face), token)


async def test_a_key_set_without_a_key(face, authority, caplog):
    """A well-formed set that holds none is believed: nothing verifies, and that is logged."""
    verifier = authority.verifier(face)
    authority.published = []
    assert "invalid_token" == await code_of(verifier, authority.token())
    assert "publishes no key that can be used" in caplog.text


async def test_the_place_of_the_keys_moves(face, authority, clocks):
    """After a failure the metadata is asked again."""
    verifier = authority.verifier(face, issuers=[authority.issuer(feed_token="")])
    token = authority.token(exp=2**33)
    assert "good" == await code_of(verifier, token)
    clocks.advance(301)
    assert "good" == await code_of(verifier, token)
    assert 1 == authority.asked[DISCOVERY]
    authority.answers[JWKS] = FetchError("gone")
    clocks.advance(301)
    assert "good" == await code_of(verifier, token)
    authority.answers.clear()
    clocks.advance(31)
    assert "good" == await code_of(verifier, token)
    assert 2 == authority.asked[DISCOVERY]
    assert not verifier._core.states[0].keys.has_failed
