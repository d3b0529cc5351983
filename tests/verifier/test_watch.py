"""What `AsyncVerifier.watch` promises: an open connection ends with what its principal was known by."""

import asyncio

import pytest
from verifier.scripted import Authority

from sojourn import Issuer
from sojourn.errors import Expired, RefreshRequired, Revoked, Stale
from sojourn.verifier.core import Rules

pytestmark = pytest.mark.filterwarnings("ignore:when_stale='trust'")


@pytest.fixture
def verifier(authority):
    return authority.verifier("async")


async def hear(verifier, authority, clocks):
    """Have the verifier hear of what has happened, as it does within the bound, and end what ends."""
    clocks.advance(6)
    await verifier.verify(authority.token(sub="somebody", sid="else"))
    for _ in range(3):
        await asyncio.sleep(0)


HAPPENED = {
    "ended": ({"kind": "ended", "sid": "sid-of-ann"}, "revoked"),
    "cutoff": ({"kind": "cutoff", "subject": "ann"}, "revoked"),
    "changed": ({"kind": "changed", "sid": "sid-of-ann", "version": 2}, "refresh_required"),
    "ended of another": ({"kind": "ended", "sid": "sid-of-bob"}, ""),
    "a key": ({"kind": "key", "kid": "second"}, "refresh_required"),
    "the ring": ({"kind": "ring"}, ""),
}


@pytest.mark.parametrize("what", HAPPENED)
async def test_what_the_feed_says_ends_it(what, verifier, authority, clocks):
    """What would refuse the next request ends what is open, without a look."""
    event, code = HAPPENED[what]
    principal = await verifier.verify(authority.token())
    async with verifier.watching.ended(principal) as ended:
        clocks.advance(0.001)
        authority.append(**event)
        await hear(verifier, authority, clocks)
        assert code == (ended.result().code if ended.done() else "")


async def test_a_block_is_cancelled(verifier, authority, clocks):
    """`watch` is the explicit form; without a principal's news it disturbs nobody."""
    principal = await verifier.verify(authority.token())
    async with verifier.watch(principal):
        await hear(verifier, authority, clocks)
    authority.append("ended", sid="sid-of-ann")
    with pytest.raises(Revoked):
        async with verifier.watch(principal):
            await hear(verifier, authority, clocks)
            await asyncio.Event().wait()


@pytest.mark.parametrize(("version", "error"), [(1, RefreshRequired), (None, Expired)])
async def test_it_lives_no_longer_than_its_token(version, error, verifier, authority, clocks):
    """A verifier sees no session: the client refreshes and connects again, or signs in again."""
    principal = await verifier.verify(authority.token(ver=version))
    async with verifier.watching.ended(principal) as ended:
        clocks.advance(599)
        await verifier.watching.look()
        assert not ended.done()
        clocks.advance(1)
        await verifier.watching.look()
        assert isinstance(ended.result(), error)


async def test_an_issuer_without_a_feed(authority, clocks):
    """Nothing is known of its revocations, so its connections end with their token alone."""
    issuer = Issuer.sojourn(authority.url)
    verifier = authority.verifier("async", issuers=[issuer])
    principal = await verifier.verify(authority.token())
    async with verifier.watching.ended(principal) as ended:
        await verifier.watching.look()
        assert not ended.done()
        clocks.advance(600)
        await verifier.watching.look()
        assert "refresh_required" == ended.result().code


async def test_a_principal_of_nobody_that_is_known(verifier, authority, clocks):
    """A principal of another verifier's issuer is not refused by what is said of ours."""
    other = Authority(clocks, url="https://other.example.com")
    principal = await other.verifier("async").verify(other.token())
    authority.append("ended", sid="sid-of-ann")
    async with verifier.watching.ended(principal) as ended:
        await hear(verifier, authority, clocks)
        await verifier.watching.look()
        assert not ended.done()


@pytest.mark.parametrize(
    ("when_stale", "is_following", "seconds", "code"),
    [
        ("ask", True, 4, ""),
        ("ask", True, 6, "stale"),
        ("refuse", True, 6, "stale"),
        ("trust", True, 6, ""),
        ("ask", False, 6, ""),
    ],
)
async def test_a_picture_that_is_too_old(
    authority, clocks, *, when_stale, is_following, seconds, code
):
    """Beyond the bound connections end, to be checked anew; they go on where that is the policy."""
    verifier = authority.verifier("async", when_stale=when_stale)
    principal = await verifier.verify(authority.token())
    core = verifier._core
    core.rules = Rules(
        max_lag_seconds=5, when_stale=when_stale, leeway_seconds=1, is_following=is_following
    )
    async with verifier.watching.ended(principal) as ended:
        clocks.advance(seconds)
        await verifier.watching.look()
        assert code == (ended.result().code if ended.done() else "")
        if ended.done():
            assert isinstance(ended.result(), Stale)
            assert authority.url in str(ended.result())


async def test_after_a_fork_the_new_pictures_count(verifier, authority, clocks):
    """What is known starts over in a child; a connection there hears of it from the new picture."""
    principal = await verifier.verify(authority.token())
    async with verifier.watching.ended(principal) as ended:
        verifier._core._start_over()
        await verifier.watching.look()
        assert not ended.done()
        await verifier.verify(authority.token())
        authority.append("ended", sid="sid-of-ann")
        await hear(verifier, authority, clocks)
        assert "revoked" == ended.result().code
