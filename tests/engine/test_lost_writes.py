"""A store that fails over can lose what it acknowledged: who still knows refuses, and gives it back."""

import copy

import pytest
from engine.harness import Bench, eventually, refusal_of

from sojourn.engine.picture import Lost, Picture, Stamp
from sojourn.model import ANY, Entry, Event, Head, Kind, Tombstone
from sojourn.ports import Page
from sojourn.revocations import Verdict, View
from sojourn.stores.memory import MemoryStore
from sojourn.testing.clock import ManualClock

STATE = (
    "_sessions", "_by_subject", "_tombstones", "_cutoffs", "_data", "_documents", "_entries", "_head",
)  # fmt: skip


class Failover(MemoryStore):
    """A store whose replica is as old as `remember` made it."""

    def remember(self):
        with self._lock:
            self._replica = {name: copy.deepcopy(getattr(self, name)) for name in STATE}

    def fail_over(self):
        """Go on from the replica; the clock of the new primary may be slow."""
        with self._lock:
            for name, value in self._replica.items():
                setattr(self, name, value)
            self._appended.notify_all()


@pytest.fixture
async def bench(face, mode):
    clock = ManualClock()
    bench = Bench(face, "memory", None, inner=Failover(clock=clock), clock=clock, mode=mode)
    yield bench
    await bench.close()


async def newcomer_code(bench, client):
    """What a process that never knew says of the client."""
    other = bench.another()
    try:
        return await client.copy(other).code(renew=False)
    finally:
        await other.close()


@pytest.mark.parametrize("mode", ["session", "jwt", "hybrid"])
@pytest.mark.parametrize("how", ["revoke", "revoke_all"])
async def test_a_lost_end_is_given_back(bench, mode, how):
    """The session stays over here, is over again in the store, and for who never knew."""
    client = bench.client("bearer")
    principal = (await client.login()).principal
    assert "" == await client.code()
    await bench.settle()
    bench.spy.inner.remember()
    bench.clock.advance(seconds=1)
    if how == "revoke":
        await bench.auth.revoke(principal.sid, subject=ANY)
    else:
        await bench.auth.revoke_all("alice")
    await bench.settle()
    bench.spy.inner.fail_over()
    assert await client.code(renew=False) in {"revoked", "refresh_required", "invalid_token"}
    trail = bench.spy.inner._audit
    await eventually(lambda: "restored" in [r.action for r in trail], "the store is told again")
    assert "revoked" == await newcomer_code(bench, client)
    await eventually(lambda: not bench.picture.lost(), "nothing is missing any more")
    if mode != "jwt":
        record = await bench.record(principal.sid)
        assert (Tombstone, "restored") == (type(record), record.reason)


@pytest.mark.parametrize("mode", ["session", "hybrid"])
async def test_a_lost_change_of_roles_ends_the_session(bench, mode):
    """Roles that were taken away do not come back: what the session had become is not known."""
    client = bench.client("bearer")
    await client.login(roles={"admin"})
    await bench.settle()
    bench.spy.inner.remember()
    bench.clock.advance(seconds=1)
    await bench.auth.update("alice", roles={"reader"})
    await bench.settle()
    bench.spy.inner.fail_over()
    code = await client.code(renew=False)
    assert code in {"revoked", "refresh_required"}
    if client.refresh_token:
        assert "revoked" == await refusal_of(client.refresh())
    await eventually(lambda: bench.spy.inner._tombstones, "the session is over")


@pytest.mark.parametrize("mode", ["hybrid"])
async def test_a_store_that_lost_nothing_is_told_nothing(bench):
    """A gap alone, as after a purge that went past a slow reader, restores nothing."""
    client = bench.client("bearer")
    await client.login()
    await bench.auth.revoke_all("bob")
    await bench.settle()
    before = list(bench.spy.inner._entries)
    picture = bench.picture
    start = picture.cursor(0)
    picture.take(0, start=start, page=Page((), Head(start.id + 1, 7)), sent=picture.stamp())
    await bench.settle()
    assert (1, {}) == (picture.gaps, picture.lost())
    assert before == bench.spy.inner._entries


def test_what_is_about_to_expire_is_not_missed():
    """What a purge may have taken by a clock a little ahead is not given back."""
    view = View()
    for sid, expires_at_ms in (("old", 1000), ("young", 5000)):
        view.apply(Entry(1, 1, 0, Event(kind=Kind.ENDED, sid=sid), expires_at_ms))
    assert ["young"] == [event.sid for event in view.missing_from(View(), after_ms=1000)]


def test_every_kind_is_missed():
    """Sessions, subjects' tokens, cutoffs, changes, outdated tokens and keys, each as an event."""
    events = [
        Event(kind=Kind.ENDED, sid="a"),
        Event(kind=Kind.ENDED, sid="b", subject="ann"),
        Event(kind=Kind.CUTOFF, subject="ann", keep="c"),
        Event(kind=Kind.CHANGED, sid="c", version=2),
        Event(kind=Kind.OUTDATED, subject="ann"),
        Event(kind=Kind.KEY, kid="k"),
    ]
    view, other = View(), View()
    for number, event in enumerate(events, start=1):
        view.apply(Entry(number, number, number - 1, event, 5000))
        other.apply(Entry(number, number, number - 1, event, 5000))
    assert [] == list(view.missing_from(other, after_ms=0))
    missing = list(view.missing_from(View(), after_ms=0))
    assert {(e.kind, e.sid, e.subject, e.keep, e.version, e.kid) for e in events} == {
        (e.kind, e.sid, e.subject, e.keep, e.version, e.kid) for e in missing
    }
    older = View()
    older.apply(Entry(1, 1, 0, Event(kind=Kind.CHANGED, sid="c", version=1), 5000))
    older.apply(Entry(2, 2, 1, Event(kind=Kind.CUTOFF, subject="ann"), 5000))
    assert {Kind.CHANGED, Kind.CUTOFF} <= {e.kind for e in view.missing_from(older, after_ms=0)}


# --- heartbeats -----------------------------------------------------------------------------------


class Replicated:
    """A picture of a replicated engine, read step by step."""

    def __init__(self):
        self.clock = ManualClock(now_ms=100_000)
        self.picture = Picture(
            shards=1, clock=self.clock, monotonic_ms=self.clock, on_keys=lambda: None
        )

    def read(self, beat, *, after_seconds=0.0):
        """Read a page whose newest heartbeat is `beat`, sent so long after the one before."""
        self.clock.advance(seconds=after_seconds)
        start = self.picture.cursor(0)
        page = Page((), Head(5, 7), beat)
        assert self.picture.take(0, start=start, page=page, sent=self.picture.stamp())
        return self.picture.lag_ms()


def test_a_heartbeat_dates_the_read_before_it():
    """A beat was written after the latest read that did not contain it, and proves no more."""
    engine = Replicated()
    assert float("inf") == engine.read(1000)  # when it was written, nobody knows
    assert float("inf") == engine.read(1000, after_seconds=0.5)
    assert 250 == engine.read(2000, after_seconds=0.25)
    assert 750 == engine.read(2000, after_seconds=0.5)


def test_an_isolated_primary_is_never_fresh():
    """Whoever reads the same head again and again from a primary that may not write grows stale."""
    engine = Replicated()
    engine.read(1000)
    engine.read(2000, after_seconds=0.5)
    lags = [engine.read(2000, after_seconds=1.0) for _ in range(6)]
    assert sorted(lags) == lags
    assert lags[-1] > 5000


def test_a_beat_that_goes_back_proves_nothing():
    """Between an isolated primary and its successor, neither's old beat counts as new."""
    engine = Replicated()
    engine.read(1000)
    engine.read(5000, after_seconds=0.5)
    before = engine.picture.lag_ms()
    assert before + 500 == engine.read(4000, after_seconds=0.5)
    assert before + 1000 == engine.read(5000, after_seconds=0.5)


def test_reads_of_several_threads_are_dated_by_the_later_sent():
    """A reply that comes late does not date the picture further back than it was."""
    engine = Replicated()
    engine.read(1000)
    picture = engine.picture
    early = Stamp(picture.stamp().wall_ms - 10, picture.stamp().monotonic_ms - 10)
    engine.read(1000, after_seconds=1)
    assert picture.take(0, start=picture.cursor(0), page=Page((), Head(5, 7), 1000), sent=early)
    assert 500 == engine.read(2000, after_seconds=0.5)


def test_listeners_are_told_until_they_go():
    """Who asked to be told of a change is, from whichever thread, and not after leaving."""
    engine = Replicated()
    told = []
    leave = engine.picture.on_change(lambda _: told.append(1))
    entry = Entry(6, 8, 7, Event(kind=Kind.RING), 10**12)
    engine.picture.note((entry,))
    engine.picture.note(())
    assert [1] == told
    engine.picture.take(
        0, start=None, page=Page((entry,), Head(6, 8), 1), sent=engine.picture.stamp()
    )
    leave()
    engine.picture.note((entry,))
    assert [1, 1] == told


def known_and_lost(*events):
    """A picture of a store that has lost these events."""
    engine = Replicated()
    picture = engine.picture
    entries = tuple(Entry(n, n, n - 1, e, 10**12) for n, e in enumerate(events, start=1))
    head = Head(entries[-1].id, entries[-1].tag)
    assert picture.take(0, start=None, page=Page(entries, head, 1), sent=picture.stamp())
    lower = Page((), Head(0, 0), 1)
    assert not picture.take(0, start=picture.cursor(0), page=lower, sent=picture.stamp())
    assert picture.take(0, start=None, page=lower, sent=picture.stamp())
    return picture


def test_what_another_process_restored_is_not_restored_again():
    """Read from the feed, a fact is struck off; one about somebody else's token is not the same fact."""
    ended, changed = (
        Event(kind=Kind.ENDED, sid="AAAA"),
        Event(kind=Kind.CHANGED, sid="AAAB", version=2),
    )
    cutoff = Event(kind=Kind.CUTOFF, subject="ann")
    picture = known_and_lost(ended, changed, cutoff)
    assert 3 == len(picture.lost()[0].events)
    said = (
        Event(kind=Kind.ENDED, sid="AAAA", subject="mallory"),
        Event(kind=Kind.ENDED, sid="AAAB", reason="restored"),
        Event(kind=Kind.CUTOFF, subject="ann", reason="restored"),
    )
    entries = tuple(Entry(n, n, n - 1 if n > 1 else 0, e, 10**12) for n, e in enumerate(said, 1))
    page = Page(entries, Head(3, 3), 1)
    assert picture.take(0, start=picture.cursor(0), page=page, sent=picture.stamp())
    assert [ended.sid] == [event.sid for event in picture.lost()[0].events]


def test_positions_that_were_handed_out_are_not_handed_out_again():
    """A primary whose clock is behind is told the highest id that was seen, once."""
    picture = known_and_lost(Event(kind=Kind.RING), Event(kind=Kind.ENDED, sid="AAAA"))
    lost = picture.lost()[0]
    assert 2 == lost.above
    picture.has_restored(0, Lost(lost.events, above=1))  # of an earlier gap
    assert Lost((), above=2) == picture.lost()[0]
    picture.has_restored(0, Lost((), above=2))
    assert {} == picture.lost()


async def test_a_cutoff_after_a_failover_is_above_earlier_sign_ins(make_memory):
    """With the new primary's clock five minutes behind, a revoke-all covers who was signed in before."""
    clock = ManualClock()
    store = Failover(clock=clock)
    bench = Bench("async", "memory", None, inner=store, clock=clock, mode="jwt")
    await bench.auth.begin("alice")
    await bench.settle()
    store.remember()
    await bench.auth.revoke_all("bob")
    client = bench.client("bearer")
    await client.login()  # at a position that the new primary does not know
    await bench.settle()
    clock.advance(seconds=-300)
    before = store._head.id
    store.fail_over()
    await eventually(lambda: store._head.id > before, "the store is told of the highest id")
    clock.advance(seconds=300)
    await bench.auth.revoke_all("alice")
    assert "revoked" == await client.code()
    await bench.close()


def test_a_lost_cutoff_is_not_replaced_by_keeping_a_thief():
    """A store that lost a revoke-all, asked to sign out the others, does not revive who asks for it."""
    view = View()
    view.apply(Entry(100, 1, 0, Event(kind=Kind.CUTOFF, subject="ann", floor=100), 10**12))
    thief = Event(kind=Kind.CUTOFF, subject="ann", floor=0, keep="AAAT")
    view.apply(Entry(200, 2, 1, thief, 10**12))
    assert Verdict.REVOKED is view.judge(subject="ann", sid="AAAT", position=50, version=1)
    after = View()
    after.apply(Entry(200, 2, 1, thief, 10**12))
    (missing,) = view.missing_from(after, after_ms=0)
    assert (Kind.CUTOFF, "ann", None) == (missing.kind, missing.subject, missing.keep)


def test_a_clock_that_leaps_forgets_nothing():
    """A wall clock that is 13 hours ahead for a moment does not have revocations forgotten."""
    wall, monotonic = ManualClock(now_ms=10**12), ManualClock(now_ms=5)
    picture = Picture(shards=1, clock=wall, monotonic_ms=monotonic, on_keys=lambda: None)
    picture.note((Entry(1, 1, 0, Event(kind=Kind.ENDED, sid="AAAA"), 10**12 + 3_600_000),))
    wall.advance(seconds=13 * 3600)
    picture.forget()
    assert 1 == len(picture.view)
    monotonic.advance(seconds=3601)
    picture.forget()
    assert 0 == len(picture.view)
