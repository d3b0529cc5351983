"""Lag: how old the picture is, what a check does beyond the bound, and who follows the feed."""

import logging
import multiprocessing
import threading
from math import inf

import pytest
from engine.harness import SECRET, URL, HungFeed, eventually, refusal_of

from sojourn import AsyncSojourn, Incoming, Need, SecurityWarning, Sojourn, StoreError
from sojourn.engine import core as core_module
from sojourn.engine.follower import Follower
from sojourn.engine.picture import Picture, Stamp, monotonic_ms
from sojourn.model import Head
from sojourn.ports import Page
from sojourn.stores.memory import MemoryStore
from sojourn.testing.clock import ManualClock


@pytest.fixture
def stale(make_memory, transport):
    """Make a signed-in client whose engine has heard nothing for a minute, and its feed hangs."""

    async def stale(mode, **settings):
        bench = make_memory(mode, **settings)
        bench.spy.open_feed = HungFeed
        client = bench.client(transport)
        await client.login()
        await client.check()
        await bench.settle()
        bench.clock.advance(seconds=60)
        assert 60_000 == bench.picture.lag_ms()
        return client

    return stale


# --- beyond the bound -----------------------------------------------------------------------------


async def test_stale_picture_asks_the_store(stale, mode):
    """Beyond the bound the store is asked by default: right answers, one read each."""
    client = await stale(mode)
    spy = client.bench.spy
    assert "" == await client.code()
    reads = {"get": 1, "replace": 1} if mode == "session" else {"read": 1}
    assert reads == dict(spy.calls)


async def test_stale_picture_finds_a_revocation_by_asking(stale, mode, another):
    """What another process revoked while the feed hung is found by asking."""
    client = await stale(mode)
    rival = another(client.bench, face="sync").auth.sojourn
    rival.revoke_all("alice")
    assert "revoked" == await client.code()


async def test_asking_makes_the_picture_fresh_for_tokens(stale):
    """A token's question reads the feed to its head, so that the next ones cost nothing."""
    client = await stale("jwt")
    assert ["", ""] == [await client.code(), await client.code()]
    assert {"read": 1} == dict(client.bench.spy.calls)


async def test_stale_picture_refuses_where_told_to(stale, mode):
    """`when_stale="refuse"` answers 503 and asks nobody."""
    client = await stale(mode, when_stale="refuse")
    assert "stale" == await refusal_of(client.check())
    assert {} == dict(client.bench.spy.calls)


async def test_asking_route_is_not_stale(stale, mode):
    """A route that always asks is answered by the store, whatever the picture and its policy."""
    client = await stale(mode, when_stale="refuse")
    assert "" == await client.code(need=Need(max_lag_seconds=0))


@pytest.mark.parametrize("mode", ["jwt", "hybrid"])
@pytest.mark.filterwarnings("ignore::sojourn.SecurityWarning")
async def test_stale_picture_is_trusted_where_told_to(stale, mode):
    """`when_stale="trust"` takes a token by what is known, without a question; with a warning."""
    client = await stale(mode, when_stale="trust")
    assert "" == await client.code(renew=False)
    assert {} == dict(client.bench.spy.calls)


@pytest.mark.filterwarnings("ignore::sojourn.SecurityWarning")
async def test_trust_reaches_as_far_as_near_copies(stale):
    """`trust` takes a session that was read before without a question; one that was not is asked for."""
    client = await stale("session", when_stale="trust")
    spy = client.bench.spy
    asked = [await client.code(), spy.calls["get"]]
    client.bench.picture.near.entries.clear()
    asked += [await client.code(), spy.calls["get"]]
    assert ["", 0, "", 1] == asked


@pytest.mark.filterwarnings("ignore::sojourn.SecurityWarning")
async def test_trusting_still_refuses_what_is_known_revoked(stale):
    """Trust concerns what is not known: a revocation that was heard of holds."""
    client = await stale("jwt", when_stale="trust")
    await client.auth.revoke_all("alice")
    assert "revoked" == await client.code()


def test_trust_warns(make_memory):
    """`trust` is legal but weak, and says so at start."""
    with pytest.warns(SecurityWarning, match="trust"):
        make_memory("jwt", when_stale="trust")


async def test_store_that_fails_fails_the_question(stale, mode):
    """A question that the store cannot answer is an error, not a yes and not a no."""
    client = await stale(mode)

    def fail(*_, **__):
        raise StoreError("the store is down")

    for name in ("get", "read"):
        client.bench.spy.answers[name] = fail
    assert "store_unavailable" == await refusal_of(client.check())


async def test_max_lag_of_a_route_may_be_longer_than_the_default(stale, mode):
    """A route that can live with an older picture is answered from it."""
    client = await stale(mode)
    assert "" == await client.code(need=Need(max_lag_seconds=60))
    assert "read" not in client.bench.spy.calls
    assert "get" not in client.bench.spy.calls


# --- lag ------------------------------------------------------------------------------------------


async def test_lag_is_infinite_before_the_first_read(make_memory):
    """A process that has read nothing is not fresh."""
    bench = make_memory("jwt")
    assert inf == bench.picture.lag_ms()
    await bench.core.ready()
    assert 0 == bench.picture.lag_ms()
    assert 0 == bench.picture.lag_ms(0)


async def test_follower_keeps_the_picture_fresh(make):
    """The follower reads the head by itself, well within the bound."""
    bench = make("jwt")
    await bench.core.ready()
    bench.clock.advance(seconds=100)
    await eventually(lambda: bench.picture.lag_ms() == 0, "the follower reads the head")


def test_age_is_the_larger_of_both_clocks():
    """A frozen function or a clock set back makes nothing look younger than it is."""
    stamp = Stamp(1000, 500.0)
    assert 70 == stamp.age_ms(Stamp(1010, 570.0))
    assert 80 == stamp.age_ms(Stamp(1080, 570.0))
    assert 70 == stamp.age_ms(Stamp(0, 570.0))
    assert 0 == stamp.age_ms(Stamp(900, 400.0))


def test_monotonic_clock_runs_in_milliseconds():
    """The monotonic clock by default never goes back."""
    assert monotonic_ms() <= monotonic_ms()


# --- the follower ---------------------------------------------------------------------------------


class Failing:
    """A reader that fails a few times, each in its way, and then works."""

    def __init__(self, store, failures):
        self.store, self.failures = store, failures
        self.opened = 0

    def __call__(self):
        self.opened += 1
        if self.failures and isinstance(self.failures[0], OSError):
            raise self.failures.pop(0)
        return self

    def read(self, after, *, limit=1000):
        if self.failures:
            raise self.failures.pop(0)
        return {n: self.store.read(n, after=id_, limit=limit) for n, id_ in after.items()}

    def wait(self, timeout_seconds):
        threading.Event().wait(0.005)

    def close(self):
        """Nothing to give up."""


async def test_follower_survives_every_failure(make_memory, monkeypatch, caplog):
    """The follower tries again until it succeeds; a bug is logged, a store that is away once a while."""
    monkeypatch.setattr("sojourn.engine.follower.RETRY_SECONDS", 0.001)
    bench = make_memory("jwt")
    failures = [OSError("no route"), StoreError("down"), StoreError("down"), ValueError("a bug")]
    bench.spy.open_feed = Failing(bench.spy.inner, failures)
    with caplog.at_level(logging.WARNING, logger="sojourn.feed"):
        await bench.core.ready()
        await eventually(lambda: bench.spy.open_feed.opened > 4, "the follower opens again")
        bench.clock.advance(seconds=1)
        await eventually(lambda: bench.picture.lag_ms() == 0, "the follower reads")
    assert 3 == sum("trying again" in line for line in caplog.messages)


async def test_close_ends_the_follower(make):
    """After `close` no thread is left, and the engine opens again at its next use."""
    bench = make("jwt")
    client = bench.client()
    await client.login()
    thread = bench.core._follower._thread
    await bench.close()
    await bench.close()
    assert not thread.is_alive()
    assert not bench.core.is_open
    if bench.kind == "memory":
        assert "" == await client.code()


def test_follower_that_never_began_can_be_stopped():
    """Stopping before starting is no error."""
    clock = ManualClock()
    picture = Picture(shards=1, clock=clock, monotonic_ms=clock, on_keys=lambda: None)
    Follower(picture, 1, lambda: None).stop()


def test_stopping_ends_a_backlog_under_way():
    """A follower that is told to stop while it reads on towards the head reads no further."""
    clock = ManualClock()
    picture = Picture(shards=1, clock=clock, monotonic_ms=clock, on_keys=lambda: None)
    heads, is_reading, closed = [], threading.Event(), threading.Event()

    class Endless:
        def read(self, after, *, limit=1000):
            heads.append(Head(len(heads) + 1, 7))
            if len(heads) > 1:  # the first is the snapshot; after it every head is another one
                is_reading.set()
                closed.wait(5)
            return {0: Page((), heads[-1])}

        def wait(self, timeout_seconds):
            """There is something new at once."""

        def close(self):
            closed.set()

    follower = Follower(picture, 1, Endless)
    follower.start()
    assert is_reading.wait(5)
    follower.stop()
    assert not follower._thread.is_alive()
    assert 2 == len(heads)


def test_answer_for_another_cursor_is_not_taken_in():
    """A page read after a place where the reader no longer is changes nothing."""
    clock = ManualClock()
    store = MemoryStore(clock=clock)
    picture = Picture(shards=1, clock=clock, monotonic_ms=clock, on_keys=lambda: None)
    page = store.read(0, after=0)
    assert picture.take(0, start=None, page=page, sent=picture.stamp()) is True
    assert picture.take(0, start=None, page=page, sent=picture.stamp()) is False


# --- fork -----------------------------------------------------------------------------------------


def _in_child(sojourn, cookies, answers):
    lag = sojourn.core.picture.lag_ms()
    try:
        sojourn.check(Incoming(cookies=cookies))
    except StoreError as error:
        answers.put((lag, str(error)))
    else:
        answers.put((lag, "no error"))


def test_forked_child_starts_stale_and_memory_refuses():
    """Nothing is inherited: a child's lag is infinite, and a memory store says what to use instead."""
    context = multiprocessing.get_context("fork")
    with Sojourn(MemoryStore(), mode="jwt", url=URL, secret=SECRET) as sojourn:
        signed_in = sojourn.login(Incoming(), "alice")
        cookies = signed_in.outgoing.headers[0][1].split(";")[0]
        assert sojourn.check(Incoming(cookies=cookies)).principal is not None
        answers = context.SimpleQueue()
        child = context.Process(target=_in_child, args=(sojourn, cookies, answers))
        child.start()
        lag, message = answers.get()
        child.join(10)
        assert sojourn.check(Incoming(cookies=cookies)).principal is not None
    assert inf == lag
    assert "does not cross a fork" in message
    assert "sqlite:///" in message


def test_forget_after_fork_drops_everything(monkeypatch):
    """What the fork hook does, in this process: picture, keys, follower and open store are gone."""
    with Sojourn(MemoryStore(), mode="jwt", url=URL, secret=SECRET) as sojourn:
        core = sojourn.core
        follower = core._follower
        monkeypatch.setattr(core_module, "_cores", {core})
        core_module._forget_after_fork()
        assert (inf, None, None) == (core.picture.lag_ms(), core.info, core._follower)
        assert core.keys.is_outdated
        follower.stop()


def test_blocking_face_leaves_no_coroutine_behind():
    """A store that cannot be opened is one clear error, with no warning of a forgotten coroutine."""

    class Closed(MemoryStore):
        def open(self, *, longest_token_ms):
            raise StoreError("the store is down")

    sojourn = Sojourn(Closed(), mode="jwt", url=URL, secret=SECRET)
    with pytest.raises(StoreError, match="down"):
        sojourn.login(Incoming(), "alice")


async def test_failing_to_begin_leaves_nothing_running():
    """An engine whose first read fails stops its follower, and begins anew at the next use."""

    class Shaky(MemoryStore):
        fails = True

        def get_document(self, name):
            if self.fails:
                raise StoreError("the store is down")
            return super().get_document(name)

    store = Shaky()
    sojourn = AsyncSojourn(store, mode="jwt", url=URL, secret=SECRET)
    with pytest.raises(StoreError):
        await sojourn.login(Incoming(), "alice")
    assert (None, False) == (sojourn.core._follower, sojourn.core.is_open)
    store.fails = False
    async with sojourn:
        assert (await sojourn.login(Incoming(), "alice")).principal.subject == "alice"
