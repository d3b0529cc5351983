"""Fetching once for all who wait: who joins what, and that nobody waits for ever."""

import asyncio
import threading
import time

import pytest
from verifier.scripted import settled

from sojourn import Incoming
from sojourn.verifier import FetchError, driving, flights as flights_module
from sojourn.verifier.checking import Boarded
from sojourn.verifier.driving import run, run_awaited
from sojourn.verifier.flights import Flights


class Gate:
    """Work that waits to be let through, and counts."""

    def __init__(self, error=None):
        self.count = 0
        self.entered = threading.Semaphore(0)
        self.through = threading.Semaphore(0)
        self.error = error

    def __call__(self):
        self.count += 1
        self.entered.release()
        assert self.through.acquire(timeout=10)
        if self.error is not None:
            raise self.error


def test_whoever_comes_later_joins():
    """Where an answer under way will do, one request serves all."""
    gate = Gate()
    flights = Flights(gate)
    first, is_mine = flights.board(joins_sent=True)
    thread = threading.Thread(target=first.run)
    thread.start()
    gate.entered.acquire(timeout=10)
    second, is_mine_too = flights.board(joins_sent=True)
    assert (is_mine, is_mine_too, first) == (True, False, second)
    gate.through.release()
    second.await_blocking()
    thread.join()
    assert (1, False) == (gate.count, flights.is_under_way)


def test_whoever_must_know_now_joins_only_what_was_not_sent():
    """A poll in flight may have been answered before the question; the next one is shared."""
    gate = Gate()
    flights = Flights(gate)
    first, _ = flights.board(joins_sent=False)
    threading.Thread(target=first.run).start()
    gate.entered.acquire(timeout=10)
    second, is_second_mine = flights.board(joins_sent=False)
    third, is_third_mine = flights.board(joins_sent=False)
    assert (second, True, False) == (third, is_second_mine, is_third_mine)
    assert second is not first
    threading.Thread(target=second.run).start()
    assert 1 == gate.count, "the second departs when the first is back"
    gate.through.release()
    gate.entered.acquire(timeout=10)
    fourth, is_fourth_mine = flights.board(joins_sent=False)
    assert (True, True) == (fourth is not third, is_fourth_mine)
    gate.through.release(2)
    third.await_blocking()
    fourth.run()
    fourth.await_blocking()
    assert (3, False) == (gate.count, flights.is_under_way)


def test_a_failure_is_everybodys():
    """All on board are told, and the next one asks again."""
    flights = Flights(Gate(FetchError("no")))
    flights.work.through.release(2)
    flight, _ = flights.board(joins_sent=True)
    flight.run()
    for _ in range(2):
        with pytest.raises(FetchError, match="no"):
            flight.await_blocking()
    assert flights.board(joins_sent=True)[1]


def test_an_interrupt_goes_on_and_leaves_nobody_waiting():
    """Ctrl-C while fetching ends the program, and others on board are told."""
    flights = Flights(Gate(KeyboardInterrupt()))
    flights.work.through.release()
    flight, _ = flights.board(joins_sent=True)
    with pytest.raises(KeyboardInterrupt):
        flight.run()
    with pytest.raises(FetchError, match="interrupted"):
        flight.await_blocking()


async def test_a_flight_that_never_departs_is_given_up(monkeypatch):
    """Whoever should have run it is gone; those on board fail, and the next is another."""
    monkeypatch.setattr(flights_module, "PATIENCE_SECONDS", 0.01)
    monkeypatch.setattr(driving, "PATIENCE_SECONDS", 0.01)
    flights = Flights(lambda: None)

    def waiting():
        flight, _ = flights.board(joins_sent=True)
        yield Boarded(flight, is_mine=False)

    lost, _ = flights.board(joins_sent=True)
    with pytest.raises(FetchError, match="never came back"):
        run(waiting())
    assert not flights.is_under_way
    lost.run()
    lost, _ = flights.board(joins_sent=True)
    with pytest.raises(FetchError, match="never came back"):
        await run_awaited(waiting())
    after, is_mine = flights.board(joins_sent=True)
    assert is_mine
    after.run()
    after.await_blocking()


async def test_a_cancelled_request_takes_nothing_from_others(authority, clocks):
    """The first to come goes away; whoever waits with it is answered."""
    gate = Gate()

    def slowly():
        gate()

    authority.answers["/.well-known/jwks.json"] = slowly
    verifier = authority.verifier("async")
    incoming = Incoming(authorization=f"Bearer {authority.token()}")
    first = asyncio.create_task(verifier.check(incoming))
    await asyncio.to_thread(gate.entered.acquire, timeout=10)
    others = [asyncio.create_task(verifier.check(incoming)) for _ in range(10)]
    await asyncio.sleep(0)
    first.cancel()
    with pytest.raises(asyncio.CancelledError):
        await first
    gate.through.release()
    assert all(checked.principal for checked in await asyncio.gather(*others))
    assert 1 == gate.count


async def test_a_burst_of_asks(face, authority, clocks):
    """Fifty checks that all demand an answer of now cost two polls: one sent, one for those after."""
    verifier = authority.verifier(face, max_lag_seconds=0)
    token = authority.token()
    await settled(verifier.warm())
    gate = Gate()
    authority.answers["/auth/revocations"] = gate
    before = authority.asked["/auth/revocations"]
    results = []

    def check():
        checked = verifier.check(Incoming(authorization=f"Bearer {token}"))
        results.append(asyncio.run(checked) if asyncio.iscoroutine(checked) else checked)

    threads = [threading.Thread(target=check) for _ in range(50)]
    threads[0].start()
    gate.entered.acquire(timeout=10)
    for thread in threads[1:]:
        thread.start()
    state = verifier._core.states[0]
    deadline = time.monotonic() + 10
    while state.feed_flights._boarding is None:
        assert time.monotonic() < deadline
        await asyncio.sleep(0.001)
    authority.append("ended", sid="sid-of-ann")
    gate.through.release(50)
    for thread in threads:
        thread.join(10)
    assert {"revoked"} == {checked.refusal.code for checked in results}
    assert authority.asked["/auth/revocations"] - before <= 6, "threads board as they come"


async def test_a_system_without_threads(monkeypatch):
    """Where no thread can be started, a fetch fails at once, and the next one begins anew."""

    def refuse(*_, **__):
        raise RuntimeError("can't start new thread")

    done = []
    flights = Flights(lambda: done.append(1))
    flight, _ = flights.board(joins_sent=True)
    with monkeypatch.context() as patched:
        patched.setattr(driving.threading.Thread, "start", refuse)
        driving._start(flight)
    with pytest.raises(FetchError):
        flight.future.result(timeout=0)
    assert not flights.is_under_way
    other, is_mine = flights.board(joins_sent=True)
    assert is_mine
    other.run()
    assert [1] == done
