"""What is watched in one event loop: whom news concerns, and how a block ends."""

import asyncio
import dataclasses
import gc
import weakref
from collections import Counter
from contextlib import suppress

import pytest

from sojourn.errors import Expired, RefreshRequired, Revoked, Stale
from sojourn.model import Entry, Event, Kind, Principal
from sojourn.testing import ManualClock
from sojourn.watching import Watching, Watchings, news_for


def principal(subject="ann", sid="", *, mode="session"):
    return Principal(
        subject=subject,
        issuer="",
        sid=sid or f"sid-of-{subject}",
        mode=mode,
        transport="cookie",
        auth_time=0,
        expires_at=0,
        roles=frozenset(),
        scopes=frozenset(),
        amr=(),
        claims={},
        position=0,
    )


@dataclasses.dataclass
class Scripted:
    """A picture that says what a test lets it, and counts what it is asked."""

    over: dict = dataclasses.field(default_factory=dict)
    listeners: list = dataclasses.field(default_factory=list)
    calls: Counter = dataclasses.field(default_factory=Counter)
    due: int = 10**15
    next_due: object = 10**15
    stale: Exception | None = None
    is_this_one: bool = True

    def listen(self, callback):
        self.calls["listen"] += 1
        self.listeners.append(callback)
        return lambda: self.listeners.remove(callback)

    def is_same(self):
        return self.is_this_one

    def refusal(self, principal):
        self.calls["refusal"] += 1
        return self.over.get(principal.sid)

    def due_ms(self, principal):
        return self.due

    async def look_again(self, principal):
        self.calls["look_again"] += 1
        if isinstance(self.next_due, Exception):
            raise self.next_due
        return self.next_due

    async def freshen(self):
        if self.stale is not None:
            raise self.stale

    def tell(self, *events):
        for listener in tuple(self.listeners):
            listener(events)

    def revoke(self, sid, *, subject=None):
        """End a session, and say so."""
        self.over[sid] = Revoked("ended")
        self.tell(Event(kind=Kind.ENDED, sid=None if subject else sid, subject=subject))


@pytest.fixture
def scripted():
    return Scripted()


@pytest.fixture
def clock():
    return ManualClock()


@pytest.fixture
async def watching(scripted, clock):
    return Watching(scripted, clock)


async def turns():
    """Let the loop come round: what was called from a thread, and what that wakes."""
    for _ in range(3):
        await asyncio.sleep(0)


# --- whom news concerns ---------------------------------------------------------------------------


@pytest.mark.parametrize("names", ["sid", "subject"])
async def test_of_many_only_those_concerned_are_looked_at(watching, scripted, names):
    """With 10,000 connections open, one revocation looks at the two of that session, and ends them."""
    people = [principal(f"p{n // 2}", f"s{n // 2}") for n in range(10_000)]
    managers = [watching.ended(one) for one in people]
    ends = [await manager.__aenter__() for manager in managers]
    assert 10_000 == watching.count
    assert 1 == scripted.calls["listen"], "one listener for all of them"
    scripted.calls.clear()
    scripted.revoke("s1234", subject="p1234" if names == "subject" else None)
    await turns()
    assert 2 == scripted.calls["refusal"]
    assert [2468, 2469] == [n for n, ended in enumerate(ends) if ended.done()]
    for manager in managers:
        await manager.__aexit__(None, None, None)
    assert 0 == watching.count
    assert [] == scripted.listeners, "nothing is watched, so nothing is listened to"


async def test_news_that_refuses_nobody_ends_nobody(watching, scripted):
    """An event is a wake-up; what is known of the session decides. Of strangers nothing is asked."""
    async with watching.ended(principal()) as ended:
        scripted.tell(Event(kind=Kind.CUTOFF, subject="ann", keep="sid-of-ann"))
        scripted.tell(Event(kind=Kind.ENDED, sid="another"), Event(kind=Kind.RING))
        await turns()
        assert not ended.done()


async def test_what_came_between_the_check_and_the_watch_counts(watching, scripted):
    """A revocation that was taken in after the check, and before anybody listened, is not lost."""
    scripted.over["sid-of-ann"] = Revoked("ended")
    async with watching.ended(principal()) as ended:
        assert "revoked" == ended.result().code
    with pytest.raises(Revoked):
        async with watching.watch(principal()):
            raise AssertionError("the block is not entered")


async def test_the_first_reason_counts(watching, scripted):
    """A connection that has ended is not ended once more."""
    async with watching.ended(principal()) as ended:
        scripted.revoke("sid-of-ann")
        scripted.revoke("sid-of-ann")
        scripted.tell(Event(kind=Kind.KEY, kid="k"))
        await turns()
        assert "revoked" == ended.result().code


async def test_a_stolen_key_ends_what_came_by_tokens(watching, scripted):
    """After an emergency rotation whoever came by a token connects again; opaque handles go on."""
    modes = ("session", "jwt", "hybrid")
    managers = {mode: watching.ended(principal(mode, mode=mode)) for mode in modes}
    ends = {mode: await manager.__aenter__() for mode, manager in managers.items()}
    scripted.tell(Event(kind=Kind.KEY, kid="stolen"))
    await turns()
    assert {"jwt", "hybrid"} == {mode for mode, ended in ends.items() if ended.done()}
    assert "refresh_required" == ends["jwt"].result().code
    for manager in managers.values():
        await manager.__aexit__(None, None, None)


def test_a_key_is_told_once():
    """What a snapshot says again of keys is told nobody; what is new is."""
    told = []

    def entry(**said):
        return Entry(1, 1, 0, Event(**said), 0)

    tell = news_for(told.append, {"before"})
    again = (entry(kind=Kind.KEY, kid="before"), entry(kind=Kind.KEY, kid="now"))
    tell((*again, entry(kind=Kind.ENDED, sid="s")))
    tell(again)
    assert [[("key", "now"), ("ended", None)], []] == [
        [(event.kind, event.kid) for event in events] for events in told
    ]


# --- looking, once a second ----------------------------------------------------------------------


async def test_looking_ends_what_is_refused_and_lets_the_rest_go_on(watching, scripted, clock):
    """A look judges everyone by what is known, whether or not an event was heard."""
    async with watching.ended(principal("ann")) as ann, watching.ended(principal("bob")) as bob:
        scripted.over["sid-of-ann"] = RefreshRequired("roles have changed")
        await watching.look()
        assert (True, False) == (ann.done(), bob.done())
        assert 0 == scripted.calls["look_again"], "nobody's proof is over"


async def test_a_proof_that_is_over_is_looked_at_again_when_it_is_due(watching, scripted, clock):
    """Only then is the store asked; a session that goes on has a later end, one that does not ends."""
    scripted.due = clock() + 900_000
    scripted.next_due = clock() + 3_600_000
    async with watching.ended(principal()) as ended:
        await watching.look()
        assert 0 == scripted.calls["look_again"]
        clock.advance(seconds=900)
        await watching.look()
        await watching.look()
        assert (1, False) == (scripted.calls["look_again"], ended.done())
        clock.advance(seconds=3600)
        scripted.next_due = Expired("it is over")
        await watching.look()
        assert "expired" == ended.result().code


async def test_one_that_cannot_be_looked_at_does_not_hold_up_the_others(
    watching, scripted, clock, caplog
):
    """A failure of one look is logged and tried again; whoever is over beside it ends."""
    scripted.due = clock()
    scripted.next_due = RuntimeError("a mistake")
    async with watching.ended(principal("ann")) as ann, watching.ended(principal("bob")) as bob:
        scripted.over["sid-of-bob"] = Revoked("ended")
        await watching.look()
        assert (False, "revoked") == (ann.done(), bob.result().code)
        assert "looking after an open connection failed" in caplog.text
        scripted.next_due = Expired("it is over")
        await watching.look()
        assert "expired" == ann.result().code


async def test_nothing_goes_on_by_a_picture_that_is_too_old(watching, scripted):
    """Where the policy does not let checks go by it, every connection ends with that reason."""
    async with watching.ended(principal("ann")) as ann, watching.ended(principal("bob")) as bob:
        scripted.stale = Stale("too old")
        await watching.look()
        assert ["stale", "stale"] == [ann.result().code, bob.result().code]


async def test_another_picture_is_listened_to(watching, scripted):
    """After the engine was closed and opened again, news comes from the new picture."""
    async with watching.ended(principal()):
        await watching.look()
        assert 1 == scripted.calls["listen"]
        scripted.is_this_one = False
        await watching.look()
        assert (2, 1) == (scripted.calls["listen"], len(scripted.listeners))


async def test_looking_goes_on_after_a_failure(watching, scripted, monkeypatch, caplog):
    """A mistake while looking is logged, and the next look is made."""
    monkeypatch.setattr("sojourn.watching.LOOK_SECONDS", 0)
    looks = asyncio.Semaphore(0)

    async def look():
        looks.release()
        raise RuntimeError("a mistake")

    monkeypatch.setattr(watching, "look", look)
    async with watching.ended(principal()):
        await looks.acquire()
        await looks.acquire()
    assert "looking after open connections failed" in caplog.text


# --- a block that ends ----------------------------------------------------------------------------


@pytest.fixture
def revoke_soon(scripted):
    """End ann's session in the next turn of the loop."""
    loop = asyncio.get_running_loop
    return lambda: loop().call_soon(scripted.revoke, "sid-of-ann")


async def test_a_block_ends_with_the_reason(watching, scripted, revoke_soon):
    """Whatever it waits for; the task itself goes on, uncancelled."""
    with pytest.raises(Revoked):
        async with watching.watch(principal()):
            revoke_soon()
            await asyncio.Event().wait()
    assert 0 == asyncio.current_task().cancelling()
    await turns()


async def test_a_block_that_ends_by_itself_disturbs_nobody(watching, scripted):
    """After it, nothing cancels the task: not its own end, and not a revocation of the same turn."""
    async with watching.watch(principal()):
        await asyncio.sleep(0)
    await turns()
    async with watching.watch(principal()):
        scripted.revoke("sid-of-ann")
    await turns()
    assert 0 == asyncio.current_task().cancelling()


async def test_a_revocation_in_the_turn_in_which_the_block_ends(watching, scripted):
    """The future is done and the block is over before its callback runs: nobody is cancelled."""
    manager = watching.watch(principal())
    await manager.__aenter__()
    watching._on_events([])  # nothing yet
    scripted.over["sid-of-ann"] = Revoked("ended")
    watching._on_events([Event(kind=Kind.ENDED, sid="sid-of-ann")])
    await manager.__aexit__(None, None, None)
    await turns()
    assert 0 == asyncio.current_task().cancelling()


async def test_within_a_timeout_that_is_not_reached(watching, revoke_soon):
    """The reason of the watch comes out of `asyncio.timeout`, not a TimeoutError."""
    with pytest.raises(Revoked):
        async with asyncio.timeout(60), watching.watch(principal()):
            revoke_soon()
            await asyncio.Event().wait()


@pytest.mark.parametrize("inside", [True, False])
async def test_a_timeout_that_is_reached(watching, scripted, inside):
    """A timeout around the watch, or in it, is a TimeoutError, and ends no session."""
    async with asyncio.timeout(60) as outer:
        with pytest.raises(TimeoutError):
            if inside:
                async with watching.watch(principal()), asyncio.timeout(0):
                    await asyncio.Event().wait()
            else:
                async with asyncio.timeout(0), watching.watch(principal()):
                    await asyncio.Event().wait()
    assert not outer.expired()
    assert 0 == asyncio.current_task().cancelling()


@pytest.mark.parametrize("first", ["session", "caller"])
async def test_a_cancellation_from_outside_wins(watching, scripted, first):
    """Whoever cancels the task is heard, also where the session ends in the same moment."""
    is_waiting = asyncio.Event()

    async def serve():
        async with watching.watch(principal()):
            is_waiting.set()
            await asyncio.Event().wait()

    task = asyncio.create_task(serve())
    await is_waiting.wait()
    if first == "session":
        scripted.over["sid-of-ann"] = Revoked("ended")
        watching._on_events([Event(kind=Kind.ENDED, sid="sid-of-ann")])
        asyncio.get_running_loop().call_soon(task.cancel)  # after the watch's own
    else:
        task.cancel()
        scripted.revoke("sid-of-ann")
    with pytest.raises(asyncio.CancelledError):
        await task
    assert task.cancelled()
    assert 0 == watching.count


async def test_a_block_that_fails_while_it_is_cancelled(watching, revoke_soon):
    """What its cleaning up raises comes out, and the task is not left cancelled."""
    with pytest.raises(OSError, match="cleaning"):
        async with watching.watch(principal()):
            revoke_soon()
            try:
                await asyncio.Event().wait()
            finally:
                raise OSError("cleaning up failed")
    assert 0 == asyncio.current_task().cancelling()


async def test_a_block_that_fails_by_itself(watching):
    """Its own failure comes out as it is."""
    with pytest.raises(OSError, match="its own"):
        async with watching.watch(principal()):
            raise OSError("its own")


async def test_a_block_that_keeps_the_cancellation_to_itself(watching, revoke_soon):
    """The reason is raised all the same: what follows must not take the session for alive."""
    with pytest.raises(Revoked):
        async with watching.watch(principal()):
            revoke_soon()
            with suppress(asyncio.CancelledError):
                await asyncio.Event().wait()
    assert 0 == asyncio.current_task().cancelling()


# --- loops ------------------------------------------------------------------------------------------


def test_each_loop_has_its_own_and_leaves_nothing(scripted, clock):
    """Two loops do not wake each other's tasks; a loop that is gone is not kept."""
    watchings = Watchings(scripted, clock)
    seen = []

    async def use():
        assert watchings.here is watchings.here
        async with watchings.here.ended(principal()):
            seen.append(weakref.ref(asyncio.get_running_loop()))

    asyncio.run(use())
    asyncio.run(use())
    gc.collect()
    assert [None, None] == [reference() for reference in seen]
    assert [] == scripted.listeners


def test_news_for_a_loop_that_has_closed(scripted, clock):
    """The follower's thread is not disturbed by a connection whose loop died under it."""

    async def abandon():
        await Watching(scripted, clock).ended(principal()).__aenter__()

    asyncio.run(abandon())
    scripted.revoke("sid-of-ann")
