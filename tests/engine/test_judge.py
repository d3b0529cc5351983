"""Judging without I/O, and the corners of beginning, signing and sweeping."""

import asyncio
import inspect

import pytest
from engine.harness import DAY, SECRET, URL, refusal_of

from sojourn import AsyncSojourn, Incoming, handles
from sojourn.browser import Credentials
from sojourn.engine.check import Ask, Known, Nothing, judge
from sojourn.model import Purpose
from sojourn.ports import inline
from sojourn.server_secret import ServerSecret
from sojourn.stores.memory import MemoryStore


def test_judging_is_a_plain_function():
    """The hot path needs no await: `judge` is no coroutine."""
    assert not inspect.iscoroutinefunction(judge)


@pytest.mark.parametrize(
    ("presented", "code"),
    [
        (Credentials(), "unauthenticated"),
        (Credentials(is_ambiguous=True), "unauthenticated"),
        (Credentials(refresh="sj_r1_x"), "refresh_required"),
        (Credentials(access="x.y.z"), "invalid_token"),
    ],
    ids=["nothing", "twice", "refresh only", "rubbish"],
)
async def test_what_is_known_to_be_nothing(make, mode, presented, code):
    """What cannot be a sign-in is refused without asking."""
    bench = make(mode)
    await bench.settle()
    judged = judge(bench.core, presented, now_ms=bench.clock(), max_lag_ms=5000)
    assert isinstance(judged, Nothing)
    assert code == judged.refusal.code


async def test_known_or_ask(make, mode, transport):
    """A sign-in that was seen is Known; unseen, or where nothing may be old, it is to be asked for."""
    bench = make(mode)
    client = bench.client(transport)
    await client.login()
    await bench.settle()
    presented = bench.core.browser.credentials(client.incoming("GET"))

    def judged(max_lag_ms):
        return judge(bench.core, presented, now_ms=bench.clock(), max_lag_ms=max_lag_ms)

    assert isinstance(judged(5000), Ask if mode == "session" else Known)
    await client.check()
    known = judged(5000)
    assert isinstance(known, Known)
    assert ("alice", transport) == (known.principal.subject, known.principal.transport)
    assert isinstance(judged(0), Ask)
    bench.core.keys.mark_outdated()
    assert isinstance(judged(5000), Known if mode == "session" else Ask)


async def test_session_handle_of_another_generation_is_refused(make):
    """A session's handle of a generation that is not the current one is no longer good."""
    bench = make("session")
    client = bench.client("bearer")
    record = await bench.record((await client.login()).principal.sid)
    for generation in (2, 7):
        client.access_token = handles.mint(
            ServerSecret(SECRET),
            purpose=Purpose.SESSION,
            sid=record.sid,
            generation=generation,
            seed=record.seed,
        )
        assert "invalid_token" == await client.code()


async def test_first_requests_at_once_share_one_opening():
    """Tasks that meet while the store is being opened end up with one picture and one follower."""
    opened = []

    store = inline(MemoryStore())
    open_now = store.open

    async def open_slowly(**options):
        opened.append(options)
        await asyncio.sleep(0)
        return await open_now(**options)

    store.open = open_slowly
    async with AsyncSojourn(store, mode="jwt", url=URL, secret=SECRET) as sojourn:
        await sojourn.close()
        answers = await asyncio.gather(*(sojourn.login(Incoming(), str(n)) for n in range(5)))
        assert [str(n) for n in range(5)] == [answer.principal.subject for answer in answers]
        assert sojourn.core._follower._thread.is_alive()
    assert 6 == len(opened)


async def test_key_that_never_appears_is_a_conflict(make_memory, monkeypatch):
    """A ring whose signing key never comes to be opened ends in "try again", not in a loop."""
    bench = make_memory("jwt")
    await bench.settle()

    async def never(core):
        """Read nothing."""

    monkeypatch.setattr(bench.core.keys, "load", never)
    bench.core.keys._signing = {}
    assert "conflict" == await refusal_of(bench.client().login())


async def test_sweep_removes_what_is_dead_and_nothing_else(make):
    """One sweep takes expired sessions, their data, old tombstones, cutoffs and entries away."""
    bench = make("session", idle_ttl_seconds=3600)
    dead, alive = bench.client(), bench.client()
    sid = (await dead.login()).principal.sid
    values = await bench.auth.data(dead.incoming(), (await dead.check()).principal)
    values["a"] = 1
    await bench.auth.save(dead.incoming(), values)
    await bench.client().login("bob")
    await bench.auth.revoke_all("bob")
    await bench.advance(3000)
    kept = (await alive.login()).principal.sid
    await bench.advance(601)
    assert 3 <= await bench.auth.purge()
    assert (None, None) == (await bench.record(sid), await bench._inner("get_data", sid))
    assert "" == await alive.code()
    assert "invalid_token" == await dead.code()
    await bench.advance(31 * DAY)
    assert 2 <= await bench.auth.purge()
    assert await bench.record(kept) is None
    assert 0 == await bench.auth.purge()
    await bench.client().login("carol")
