"""Revocation without the store: within the bound, by policy beyond it, at once where a route asks."""

from datetime import timedelta
from math import inf

import pytest
from verifier.scripted import settled

from sojourn import Incoming, Need, Stale
from sojourn.jose import SigningKey

pytestmark = pytest.mark.filterwarnings("ignore:when_stale='trust'")
AT_ONCE = Need.of(max_lag=timedelta(0))
FEED = "/auth/revocations"


async def code_of(verifier, token, **more):
    """Give "good", or the code of the refusal."""
    checked = await settled(verifier.check(Incoming(authorization=f"Bearer {token}"), **more))
    return "good" if checked.principal else checked.refusal.code


@pytest.fixture(params=["ask", "refuse", "trust"])
def when_stale(request):
    return request.param


HAPPENED = {
    "ended": ({"kind": "ended", "sid": "sid-of-ann"}, "revoked", "revoked"),
    "ended of": ({"kind": "ended", "sid": "sid-of-ann", "subject": "ann"}, "revoked", "revoked"),
    "ended of another": ({"kind": "ended", "sid": "sid-of-ann", "subject": "bob"}, "good", "good"),
    "cutoff": ({"kind": "cutoff", "subject": "ann"}, "revoked", "revoked"),
    "cutoff but one": ({"kind": "cutoff", "subject": "ann", "keep": "sid-of-ann"}, "good", "good"),
    "cutoff with a floor": (
        {"kind": "cutoff", "subject": "ann", "keep": "sid-of-ann", "floor": 2**50},
        "revoked",
        "revoked",
    ),
    "changed": ({"kind": "changed", "sid": "sid-of-ann", "version": 2}, "refresh_required", "good"),
    "outdated": ({"kind": "outdated", "subject": "ann"}, "good", "revoked"),
    "ring": ({"kind": "ring", "kid": "first"}, "good", "good"),
    "key": ({"kind": "key", "kid": "first"}, "invalid_token", "invalid_token"),
    "another key": ({"kind": "key", "kid": "other"}, "good", "good"),
}


@pytest.mark.parametrize("what", HAPPENED)
async def test_what_the_feed_says(what, face, authority, clocks):
    """Every kind of event has its answer, for tokens with and without a stored session."""
    event, stored, stateless = HAPPENED[what]
    verifier = authority.verifier(face)
    tokens = [authority.token(), authority.token(ver=None)]
    for token in tokens:
        assert "good" == await code_of(verifier, token)
    clocks.advance(0.001)
    authority.append(**event)
    clocks.advance(6)
    assert [stored, stateless] == [await code_of(verifier, token) for token in tokens]


async def test_what_was_in_the_snapshot_counts(face, authority, clocks):
    """A verifier that starts later refuses as one that was there."""
    token = authority.token()
    clocks.advance(1)
    authority.append("cutoff", subject="ann")
    assert "revoked" == await code_of(authority.verifier(face), token)
    assert "good" == await code_of(authority.verifier(face), authority.token(pos=2**51))


async def test_a_revoked_key_stays_revoked(face, authority, clocks, caplog):
    """Whatever the issuer publishes afterwards: whoever stole it mints any expiry."""
    verifier = authority.verifier(face)
    token = authority.token()
    assert "good" == await code_of(verifier, token)
    second = SigningKey.generate("ES256", kid="second")
    authority.published = [authority.key, second]
    authority.append("key", kid="first")
    authority.append("key", kid="first")
    authority.append("ring", kid="second")
    clocks.advance(6)
    assert "invalid_token" == await code_of(verifier, token)
    assert "good" == await code_of(verifier, authority.token(key=second))
    clocks.advance(301)
    assert "invalid_token" == await code_of(verifier, authority.token())
    assert "good" == await code_of(verifier, authority.token(key=second))


async def test_within_the_bound_nothing_is_asked(face, authority, clocks, when_stale):
    """A hundred checks cost one snapshot and one fetch of the keys."""
    verifier = authority.verifier(face, when_stale=when_stale)
    token = authority.token()
    for _ in range(100):
        assert "good" == await code_of(verifier, token)
    clocks.advance(4.9)
    assert "good" == await code_of(verifier, token)
    assert (1, 1) == (authority.asked[FEED], authority.asked["/.well-known/jwks.json"])
    assert 4.9 == pytest.approx(verifier.lag_seconds)


async def test_serverless_polls_in_passing(face, authority, clocks, when_stale):
    """Where nobody follows, a check beyond the bound polls first, under every policy."""
    verifier = authority.verifier(face, when_stale=when_stale)
    token = authority.token()
    assert (inf, "good") == (verifier.lag_seconds, await code_of(verifier, token))
    authority.append("ended", sid="sid-of-ann")
    clocks.advance(5.1)
    assert "revoked" == await code_of(verifier, token)
    assert 2 == authority.asked[FEED]
    assert (0, 1) == (verifier.gaps, verifier.issuers[0].entries)


async def test_a_frozen_function(face, authority, clocks):
    """Either clock is enough: a frozen process sees no monotonic time pass, a corrected one no wall."""
    verifier = authority.verifier(face)
    token = authority.token(exp=2**33)
    assert "good" == await code_of(verifier, token)
    clocks.wall.advance(seconds=60)
    assert "good" == await code_of(verifier, token)
    clocks.monotonic += 60_000
    assert "good" == await code_of(verifier, token)
    assert 3 == authority.asked[FEED]
    assert 0 == verifier.lag_seconds


async def test_serverless_without_its_server(face, authority, clocks, when_stale):
    """Beyond the bound and unanswered: 503, or what was known, where the policy trusts."""
    verifier = authority.verifier(face, when_stale=when_stale)
    token, ended = authority.token(), authority.token(sid="gone")
    authority.append("ended", sid="gone")
    assert "good" == await code_of(verifier, token)
    authority.down()
    clocks.advance(6)
    for _ in range(3):
        assert "revoked" == await code_of(verifier, ended), "what is known is known"
        if when_stale == "trust":
            assert "good" == await code_of(verifier, token)
            continue
        with pytest.raises(Stale, match="asking did not help") as raised:
            await code_of(verifier, token)
        assert (503, "stale") == (raised.value.status, raised.value.code)
    assert 2 == authority.asked[FEED], "not again within a second"
    clocks.advance(1.1)
    authority.answers.clear()
    assert "good" == await code_of(verifier, token)


async def test_never_fresh(face, authority, when_stale):
    """Where no snapshot ever came, only trust accepts; its warning is in the docs."""
    verifier = authority.verifier(face, when_stale=when_stale)
    authority.down(FEED)
    if when_stale == "trust":
        assert "good" == await code_of(verifier, authority.token())
    else:
        with pytest.raises(Stale):
            await code_of(verifier, authority.token())
    assert (inf, False) == (verifier.lag_seconds, verifier.is_fresh)


async def test_max_lag_zero_always_asks(face, authority, clocks, when_stale):
    """One poll per check, however fresh the picture; and never an answer without it."""
    verifier = authority.verifier(face, when_stale=when_stale)
    token = authority.token()
    assert "good" == await code_of(verifier, token)
    for polls in (2, 3):
        assert "good" == await code_of(verifier, token, need=AT_ONCE)
        assert polls == authority.asked[FEED]
    authority.append("ended", sid="sid-of-ann")
    assert "good" == await code_of(verifier, token)
    assert "revoked" == await code_of(verifier, token, need=AT_ONCE)
    assert 4 == authority.asked[FEED]
    authority.down()
    with pytest.raises(Stale):
        await code_of(verifier, authority.token(sid="other"), need=AT_ONCE)


async def test_a_verifier_that_always_asks(face, authority):
    """`max_lag_seconds=0` is the same for every route."""
    verifier = authority.verifier(face, max_lag_seconds=0)
    for polls in (1, 2, 3):
        assert "good" == await code_of(verifier, authority.token())
        assert polls == authority.asked[FEED]


async def test_a_server_that_is_behind_itself(face, authority, clocks):
    """Its own lag counts: an answer from a stale server is no proof."""
    verifier = authority.verifier(face)
    token = authority.token()
    authority.lag_ms = 4000
    assert "good" == await code_of(verifier, token)
    assert 4 == pytest.approx(verifier.lag_seconds)
    clocks.advance(1.5)
    authority.lag_ms = 60_000
    for need in (Need(), AT_ONCE):
        with pytest.raises(Stale, match="behind"):
            await code_of(verifier, token, need=need)
    authority.lag_ms = None
    with pytest.raises(Stale, match="behind"):
        await code_of(verifier, token)
    authority.lag_ms = 0
    assert "good" == await code_of(verifier, token, need=AT_ONCE)


async def test_a_gap(face, authority, clocks, caplog):
    """The feed does not go on from the cursor: a snapshot, and what was known stays known."""
    verifier = authority.verifier(face)
    gone, token = authority.token(sid="gone"), authority.token()
    authority.append("ended", sid="gone")
    assert "revoked" == await code_of(verifier, gone)
    authority.entries.clear()  # restored from a backup
    authority.append("ended", sid="sid-of-ann")
    authority.has_gap = True
    clocks.advance(6)
    assert "revoked" == await code_of(verifier, token)
    assert "revoked" == await code_of(verifier, gone)
    assert (1, 1) == (verifier.gaps, verifier.issuers[0].gaps)
    assert "taking a snapshot" in caplog.text


async def test_a_gap_and_no_snapshot(face, authority, clocks):
    """Between gap and snapshot nothing is certain: lag is infinite."""
    verifier = authority.verifier(face)
    assert "good" == await code_of(verifier, authority.token())
    from sojourn.verifier import Answer, FetchError

    answers = iter([Answer(410, b"{}"), FetchError("reset")])
    authority.answers[FEED] = lambda: next(answers)
    with pytest.raises(Stale):
        await code_of(verifier, authority.token(), need=AT_ONCE)
    assert (inf, 1) == (verifier.lag_seconds, verifier.gaps)


async def test_memory_follows_lives(face, authority, clocks):
    """What nothing alive can be concerned by is forgotten."""
    verifier = authority.verifier(face)
    authority.append("ended", sid="gone")
    await settled(verifier.warm())
    assert 1 == verifier.issuers[0].entries
    clocks.advance(3601)
    authority.entries.clear()
    assert "good" == await code_of(verifier, authority.token())
    assert 0 == verifier.issuers[0].entries


async def test_following_and_stale(face, authority, clocks, when_stale):
    """A stale picture where a thread follows: ask polls, refuse is 503, trust goes on."""
    verifier = authority.verifier(face, when_stale=when_stale, is_following=True)
    verifier._core.is_started = True  # the thread is not what is tested here
    token = authority.token()
    assert "good" == await code_of(verifier, token), "the first snapshot is taken in passing"
    authority.append("ended", sid="sid-of-ann")
    clocks.advance(5.1)
    match when_stale:
        case "ask":
            assert "revoked" == await code_of(verifier, token)
        case "refuse":
            with pytest.raises(Stale, match="'refuse'"):
                await code_of(verifier, token)
        case "trust":
            assert "good" == await code_of(verifier, token)
    assert (2 if when_stale == "ask" else 1) == authority.asked[FEED]
    assert "revoked" == await code_of(verifier, token, need=AT_ONCE)


@pytest.mark.parametrize(
    "body",
    [
        b"",
        b"[]",
        b"<html>sign in to the wifi</html>",
        b'{"cursor": "at-1", "lag_ms": -1, "entries": []}',
        b'{"cursor": "at-1", "lag_ms": 0, "entries": [{"id": 1}]}',
        b'{"cursor": "at-1", "lag_ms": 0, "entries": [{"id": 1, "expires_at_ms": 1, "kind": "new"}]}',
        b'{"cursor": "\xff", "lag_ms": 0, "entries": []}',
    ],
)
async def test_what_is_not_understood_is_not_passed_over(body, face, authority, clocks):
    """An answer that is none, or an event of a kind that is not known here, makes nothing fresh."""
    from sojourn.verifier import Answer

    verifier = authority.verifier(face)
    assert "good" == await code_of(verifier, authority.token())
    authority.answers[FEED] = Answer(200, body)
    clocks.advance(6)
    with pytest.raises(Stale, match="not newer than this"):
        await code_of(verifier, authority.token())
    assert 6 == pytest.approx(verifier.lag_seconds)


async def test_a_feed_token_that_is_not_known(face, authority, clocks):
    """The message says where to get one, and not what was sent."""
    verifier = authority.verifier(face, issuers=[authority.issuer(feed_token="sjv_other")])
    with pytest.raises(Stale, match="sojourn verifiers add NAME") as raised:
        await code_of(verifier, authority.token())
    assert "sjv_other" not in str(raised.value)


async def test_a_cursor_of_another_store(face, authority, clocks):
    """A cursor that the server cannot read is given up, and a snapshot taken at the next poll."""
    from sojourn.verifier import Answer

    verifier = authority.verifier(face)
    assert "good" == await code_of(verifier, authority.token())
    authority.answers[FEED] = Answer(400, b"{}")
    clocks.advance(6)
    with pytest.raises(Stale):
        await code_of(verifier, authority.token())
    authority.answers.clear()
    clocks.advance(2)
    assert "good" == await code_of(verifier, authority.token())
    assert "" != verifier._core.states[0].picture.cursor
