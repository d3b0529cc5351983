"""Near copies and remembered tokens: nothing is cached that the feed cannot take back."""

import pytest
from engine.harness import HungFeed, eventually, refusal_of

from sojourn import Need
from sojourn.engine.picture import NEAR_LIFE_MS, Bounded
from sojourn.model import Event, Head, Kind
from sojourn.testing.clock import ManualClock

ASKING = Need(max_lag_seconds=0)


@pytest.fixture
async def bench(make_memory):
    """An engine in `session` whose store a test steps into."""
    return make_memory("session")


@pytest.fixture
async def rival(bench, another):
    """Another process on the same store, on the blocking face: it can be called from anywhere."""
    return another(bench, face="sync").auth.sojourn


def near(bench):
    """Give what is kept near."""
    return bench.picture.near.entries


# --- an invalidation that overtakes a read --------------------------------------------------------


async def test_invalidation_that_overtakes_a_read_is_not_inserted(bench, rival, transport):
    """A record read before its own revocation, and arriving after it, is not kept."""
    client = bench.client(transport)
    principal = (await client.login()).principal

    def revoked_meanwhile(found):
        rival.revoke(principal.sid, subject="alice")
        bench.picture.note(tuple(bench.spy.inner.read(0, after=0).entries))
        return found

    bench.spy.after["get"] = revoked_meanwhile
    await client.check()  # the read was first, so this one may be good
    assert {} == near(bench)
    assert "revoked" == await client.code()


async def test_change_that_overtakes_a_read_is_not_undone(bench, rival, transport):
    """An old version that arrives after the news of a newer one is not kept."""
    client = bench.client(transport)
    await client.login(roles={"reader"})

    def changed_meanwhile(found):
        rival.update("alice", roles={"admin"})
        bench.picture.note(tuple(bench.spy.inner.read(0, after=0).entries))
        return found

    bench.spy.after["get"] = changed_meanwhile
    assert "" == await client.code()  # the read was first
    assert {} == near(bench)
    assert {"admin"} == (await client.check()).principal.roles


async def test_changes_at_every_read_sign_nobody_out(bench, rival, transport):
    """However often a session is announced as changed while it is read, its holder stays signed in."""
    client = bench.client(transport)
    await client.login(roles={"reader"})
    for name in ("one", "two", "three"):

        def changed_meanwhile(found, name=name):
            rival.update("alice", roles={name})
            bench.picture.note(tuple(bench.spy.inner.read(0, after=0).entries))
            return found

        bench.spy.after["get"] = changed_meanwhile
        assert "" == await client.code(need=ASKING)


async def test_gap_during_a_read_drops_the_reply(bench, transport):
    """A record read before a gap was noticed is not kept: what the gap hid may concern it."""
    client = bench.client(transport)
    await client.login()
    await bench.settle()

    def gap(found):
        # What a reader sees of a feed that lost its last entries in a failover.
        page = bench.spy.inner.read(0, after=0)
        start = bench.picture.cursor(0)
        lost = type(page)((), Head(start.id - 1, 7))
        bench.picture.take(0, start=start, page=lost, sent=bench.picture.stamp())
        return found

    bench.spy.after["get"] = gap
    assert "" == await client.code()
    assert {} == near(bench)
    assert 1 == bench.picture.gaps


async def test_touch_overtaken_by_a_revocation_keeps_nothing(bench, rival, transport):
    """A touch written just before a revocation leaves no copy behind the revocation's news."""
    client = bench.client(transport)
    principal = (await client.login()).principal
    await client.check()
    await bench.advance(61)

    def revoked_meanwhile(written):
        rival.revoke(principal.sid, subject="alice")
        bench.picture.note(tuple(bench.spy.inner.read(0, after=0).entries))
        return written

    bench.spy.after["replace"] = revoked_meanwhile
    await client.check()
    assert "revoked" == await client.code()


async def test_near_copy_is_of_one_exact_handle(bench, transport):
    """A near copy answers for the very handle whose MAC was verified, and for no look-alike."""
    client = bench.client("bearer")
    await client.login()
    await client.check()
    text = client.access_token
    assert [text] == list(near(bench))
    for index in range(5, len(text), 7):
        other = text[:index] + ("B" if text[index] == "A" else "A") + text[index + 1 :]
        client.access_token = other
        assert "invalid_token" == await client.code()


async def test_transport_is_judged_as_presented(bench):
    """A handle first seen as bearer is a cookie credential when it comes in a cookie."""
    client = bench.client("bearer")
    await client.login()
    assert "bearer" == (await client.check()).principal.transport
    browser = bench.client("cookie")
    browser.cookies = {browser.names.handle: client.access_token}
    for need in (Need(), ASKING):
        assert "cookie" == (await browser.check(need=need)).principal.transport
    only_bearer = Need(accept=frozenset({"bearer"}))
    assert "credential_not_accepted" == await browser.code(need=only_bearer)
    assert "" == await client.code(need=only_bearer)


async def test_token_transport_is_judged_as_presented(make):
    """A token first seen as bearer is a cookie credential when it comes in a cookie."""
    bench = make("jwt")
    client, browser = bench.client("bearer"), bench.client("cookie")
    await client.login()
    assert "bearer" == (await client.check()).principal.transport
    browser.cookies = {browser.names.access: client.access_token}
    assert "cookie" == (await browser.check()).principal.transport


# --- how long, how many ---------------------------------------------------------------------------


async def test_near_copy_is_read_again_after_ten_minutes(bench, transport):
    """A near copy lives ten minutes, so that it never outlives the entry that would end it."""
    client = bench.client(transport)
    await client.login()
    await client.check()
    # Idle shows at the minute; what is judged here is a copy that nobody touched.
    held = client.bench.picture.near.entries[client.handle]
    assert held.read_at.wall_ms == bench.clock()
    await bench.advance(NEAR_LIFE_MS / 1000 - 0.001)
    await client.check()
    assert 0 == bench.spy.calls["get"]
    await bench.advance(0.001)
    near(bench)[client.handle] = held
    await client.check()
    assert 1 == bench.spy.calls["get"]


async def test_clock_that_steps_back_prolongs_no_near_copy(make_memory, transport):
    """Ten minutes are ten minutes on either clock: a corrected wall clock does not add to them."""
    monotonic = ManualClock()
    bench = make_memory("session", monotonic_ms=monotonic)
    bench.spy.open_feed = HungFeed
    client = bench.client(transport)
    await client.login()
    await client.check()
    held = near(bench)[client.handle]
    bench.clock.advance(seconds=-300)
    for elapsed, gets in ((NEAR_LIFE_MS / 1000 - 0.001, 0), (0.001, 1)):
        bench.clock.advance(seconds=elapsed)
        monotonic.advance(seconds=elapsed)
        near(bench)[client.handle] = held
        await bench.settle()
        assert "" == await client.code()
        assert gets == bench.spy.calls["get"]


def test_bounded_forgets_the_oldest():
    """A bounded map never exceeds its size, and forgets what came first."""
    bounded = Bounded(2)
    for key in ("a", "b", "b", "c", "d"):
        bounded.put(key, key.upper())
    assert {"c": "C", "d": "D"} == bounded.entries


@pytest.mark.parametrize("is_emptied", [False, True])
def test_bounded_survives_another_thread(is_emptied):
    """A map that another thread empties or changes at the worst moment still takes the new entry."""

    class Racing(dict):
        def __iter__(self):
            if is_emptied:
                self.clear()
                return super().__iter__()
            iterator = super().__iter__()
            self["from another thread"] = 1
            return iterator

    bounded = Bounded(1)
    bounded.entries = Racing(old=1)
    bounded.put("new", 2)
    assert 2 == bounded.entries["new"]


# --- gaps and a feed that goes backwards ----------------------------------------------------------


class FailedOver:
    """What is left of a memory store's feed after a failover that lost its end."""

    def __init__(self, store, entries):
        self.store, self.entries = store, entries

    def __enter__(self):
        """Lose the end."""
        self.before = (self.store._entries, self.store._head)
        self.store._entries = list(self.entries)
        last = self.entries[-1]
        self.store._head = Head(last.id, last.tag)

    def __exit__(self, *_):
        """Find it again."""
        self.store._entries, self.store._head = self.before


async def test_gap_empties_near_copies_and_keeps_revocations(bench, transport):
    """After a gap every near copy is read anew, a snapshot is taken, and what was revoked stays so."""
    bench.spy.open_feed = HungFeed
    revoked, alive = bench.client(transport), bench.client(transport)
    await revoked.login()
    await alive.login("bob")
    await revoked.check()
    await alive.check()
    before = tuple(bench.spy.inner.read(0, after=0).entries)
    await bench.auth.revoke_all("alice")
    await bench.settle()
    assert 1 == len(bench.picture.view.cutoffs)
    with FailedOver(bench.spy.inner, before):
        await bench.settle()
        assert 1 == bench.picture.gaps
        assert {} == near(bench)
        assert 0 == bench.picture.lag_ms()
        assert 1 == len(bench.picture.view.cutoffs)
        assert bench.spy.inner.head(0) == bench.picture.cursor(0)
        assert "" == await alive.code()
        assert {"get": 1} == dict(bench.spy.calls)


async def test_feed_that_goes_backwards_is_noticed(bench):
    """A feed whose head is behind the reader is never "nothing new"."""
    bench.spy.open_feed = HungFeed
    await bench.auth.revoke_all("alice")
    await bench.settle()
    earlier = tuple(bench.spy.inner.read(0, after=0).entries)
    await bench.auth.revoke_all("bob")
    await bench.settle()
    assert 0 == bench.picture.gaps
    with FailedOver(bench.spy.inner, earlier):
        await bench.settle()
        assert 1 == bench.picture.gaps
        # An entry that lands where the lost one was is another one, by its tag.
        bench.spy.inner.append(0, [Event(kind=Kind.ENDED, sid="A" * 22)])
        await bench.settle()
        assert 1 == bench.picture.gaps
        assert "A" * 22 in bench.picture.view.ended


async def test_other_entry_at_the_same_id_is_a_gap(bench):
    """Ids that agree prove nothing: the chain of tags shows that the history is another one."""
    bench.spy.open_feed = HungFeed
    store = bench.spy.inner
    await bench.settle()
    earlier = tuple(store.read(0, after=0).entries)
    await bench.auth.revoke_all("alice")
    await bench.settle()
    with FailedOver(store, earlier):
        store.append(0, [Event(kind=Kind.ENDED, sid="A" * 22)])
        assert store.head(0).id == bench.picture.cursor(0).id
        await bench.settle()
        assert 1 == bench.picture.gaps
        store.append(0, [Event(kind=Kind.ENDED, sid="B" * 21 + "A")])
        await bench.settle()
        assert {"A" * 22, "B" * 21 + "A"} <= set(bench.picture.view.ended)


async def test_broken_chain_is_a_gap(bench, another):
    """An entry that does not follow what was read last means that one between was missed."""
    bench.spy.open_feed = HungFeed
    store = bench.spy.inner
    await bench.settle()
    store.append(0, [Event(kind=Kind.ENDED, sid="A" * 22)])
    store.append(0, [Event(kind=Kind.ENDED, sid="B" * 21 + "A")])
    first = store._entries.pop(-2)
    await bench.settle()
    assert 1 == bench.picture.gaps
    assert first.event.sid not in bench.picture.view.ended
    assert "B" * 21 + "A" in bench.picture.view.ended


async def test_purge_is_no_gap_for_a_reader_in_step(bench):
    """Removing what is dead leaves the head known: who has read to the end misses nothing."""
    bench.spy.open_feed = HungFeed
    await bench.auth.revoke_all("alice")
    await bench.settle()
    await bench.advance(40 * 86_400)
    assert 0 < await bench.auth.purge()
    await bench.settle()
    assert 0 == bench.picture.gaps
    fresh = bench.another()
    await fresh.settle()
    assert (0, 0) == (fresh.picture.gaps, fresh.picture.lag_ms())
    await fresh.close()


async def test_snapshot_longer_than_a_page_is_whole(bench):
    """A snapshot of many pages, and a backlog of many, are read to the head."""
    store = bench.spy.inner
    store.open(longest_token_ms=1000)
    store.append(0, [Event(kind=Kind.ENDED, sid=f"{n:022}") for n in range(2500)])
    bench.spy.open_feed = HungFeed
    await bench.settle()
    assert (2500, 0) == (len(bench.picture.view.ended), bench.picture.gaps)
    store.append(0, [Event(kind=Kind.ENDED, sid=f"{n:022}") for n in range(2500, 5000)])
    await bench.settle()
    assert (5000, 0) == (len(bench.picture.view.ended), bench.picture.gaps)


async def test_exactly_one_page_is_whole_too(bench):
    """A backlog of exactly a page is not mistaken for a gap."""
    store = bench.spy.inner
    bench.spy.open_feed = HungFeed
    await bench.settle()
    for _ in range(2):
        store.append(0, [Event(kind=Kind.ENDED, sid=f"{n:022}") for n in range(1000)])
        await bench.settle()
        assert (0, 0) == (bench.picture.gaps, bench.picture.lag_ms())


async def test_memory_follows_events_within_one_token_life(bench, transport):
    """What nothing alive can be concerned by any more is forgotten by the follower."""
    client = bench.client(transport)
    await client.login()
    await bench.auth.revoke_all("alice")
    await bench.settle()
    assert 1 == len(bench.picture.view.cutoffs)
    bench.clock.advance(seconds=86_400)
    await eventually(lambda: not bench.picture.view.cutoffs, "the follower forgets")
    assert "revoked" == await client.code()


async def test_revocation_holds_although_forgotten(make, mode, transport):
    """A cutoff leaves the picture only when no token it concerns can be alive."""
    bench = make(mode, absolute_ttl_seconds=3600)
    client = bench.client(transport)
    await client.login()
    await client.check()
    await bench.auth.revoke_all("alice")
    for _ in range(30):
        await bench.advance(300)
        bench.picture.forget()
        await bench.auth.purge()
        assert await client.code(renew=False) != ""
    if mode == "hybrid":
        assert "revoked" == await refusal_of(client.refresh())
