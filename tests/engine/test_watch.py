"""What `AsyncSojourn.watch` promises: an open connection ends when the session of its principal does."""

import asyncio
from contextlib import asynccontextmanager

import pytest
from engine.harness import DAY, HOUR, PATIENCE_SECONDS, Bench, refusal_of

from sojourn import ANY, AsyncSojourn
from sojourn.engine.watch import WatchedCore
from sojourn.errors import SojournError, StoreError
from sojourn.sync import drive
from sojourn.watching import Watching

ALL_MODES = ("session", "jwt", "hybrid")


@pytest.fixture
def make(tmp_path, keep_open):
    def make(mode="session", **options):
        bench = Bench("async", "memory", tmp_path, mode=mode, **options)
        keep_open(bench)
        return bench

    return make


async def principal_of(client, **options):
    """Sign in, and be checked as the opening of a connection is."""
    await client.login(**options)
    return (await client.check(renew=False)).principal


@asynccontextmanager
async def connection(bench, principal):
    """Hold a connection open; gives a function that waits for its end and tells the code."""
    is_open = asyncio.Event()

    async def hold():
        try:
            async with bench.auth.watch(principal):
                is_open.set()
                await asyncio.Event().wait()
        except SojournError as error:
            return error.code

    task = asyncio.create_task(hold())
    opening = asyncio.create_task(is_open.wait())
    await asyncio.wait({task, opening}, return_when=asyncio.FIRST_COMPLETED)
    assert opening.done(), f"it ended before it was open: {task.result()}"

    async def ended():
        async with asyncio.timeout(PATIENCE_SECONDS):
            return await task

    ended.is_open = lambda: not task.done()
    try:
        yield ended
    finally:
        task.cancel()
        await asyncio.gather(task, return_exceptions=True)


async def look(bench):
    """Have what is due looked at now, as it is once a second."""
    await bench.auth.watching.look()
    for _ in range(3):
        await asyncio.sleep(0)


@pytest.mark.parametrize("mode", ALL_MODES)
async def test_a_revocation_ends_it_in_every_mode(mode, make):
    """One session ended by an administrator, all of a subject, a logout: each ends what is open."""
    bench = make(mode)
    for act in ("revoke", "revoke_all", "logout"):
        client = bench.client()
        principal = await principal_of(client)
        async with connection(bench, principal) as ended:
            if act == "revoke":
                await bench.auth.revoke(principal.sid, subject=ANY)
            elif act == "revoke_all":
                await bench.auth.revoke_all("alice")
            else:
                await client.logout()
            assert "revoked" == await ended()


async def test_others_go_on(make):
    """Of "sign out the others" the kept session's connection goes on, and so do strangers'."""
    bench = make("hybrid")
    kept, other = bench.client(), bench.client()
    stranger = await principal_of(bench.client(), subject="bob")
    mine = await principal_of(kept)
    theirs = await principal_of(other)
    async with (
        connection(bench, mine) as mine_ended,
        connection(bench, theirs) as theirs_ended,
        connection(bench, stranger) as stranger_ended,
    ):
        await bench.auth.revoke_all("alice", keep=mine.sid)
        assert "revoked" == await theirs_ended()
        await look(bench)
        assert mine_ended.is_open()
        assert stranger_ended.is_open()


@pytest.mark.parametrize(
    ("mode", "code"), [("session", "refresh_required"), ("hybrid", "refresh_required"), ("jwt", "revoked")]
)  # fmt: skip
async def test_changed_roles_end_it(mode, code, make):
    """What was allowed by the old roles does not go on; a stored session may connect again at once."""
    bench = make(mode)
    client = bench.client()
    principal = await principal_of(client, roles={"admin"})
    async with connection(bench, principal) as ended:
        await bench.auth.update("alice", roles=set())
        assert code == await ended()
    if mode == "session":
        again = (await client.check()).principal
        async with connection(bench, again) as ended:
            await look(bench)
            assert ended.is_open()


async def test_a_revocation_in_another_process_ends_it(make):
    """It comes by the feed, and needs no look."""
    bench = make("session")
    principal = await principal_of(bench.client())
    other = bench.another()
    try:
        async with connection(bench, principal) as ended:
            await other.auth.revoke(principal.sid, subject=ANY)
            assert "revoked" == await ended()
    finally:
        await other.close()


async def test_a_hybrid_connection_outlives_its_access_token(make):
    """The session is what counts: the token's end is looked at once, and the session's ends it."""
    bench = make("hybrid")
    client = bench.client()
    principal = await principal_of(client)
    async with connection(bench, principal) as ended:
        await bench.advance(HOUR)
        await look(bench)
        assert ended.is_open()
        assert {"get": 1} == {name: n for name, n in bench.spy.calls.items() if name == "get"}
        await look(bench)
        assert 1 == bench.spy.calls["get"], "the next look is due at the session's end"
        await bench.advance(14 * DAY)
        await look(bench)
        assert "expired" == await ended()


async def test_roles_that_changed_while_nobody_heard_of_it(make):
    """At the token's end the session's own record counts, whatever the feed said or did not say."""
    bench = make("hybrid")
    principal = await principal_of(bench.client())
    async with connection(bench, principal) as ended:
        bench.core._follower.stop()
        other = bench.another()
        await other.auth.update("alice", roles={"admin"})
        await other.close()
        await bench.settle()
        bench.picture._listeners = ()
        bench.picture.view.changed.clear()
        await bench.advance(HOUR)
        await look(bench)
        assert "refresh_required" == await ended()


async def test_a_jwt_ends_with_its_own_life(make):
    """Nothing is stored behind it that could go on."""
    bench = make("jwt")
    principal = await principal_of(bench.client())
    async with connection(bench, principal) as ended:
        await bench.advance(12 * HOUR - 60)
        await look(bench)
        assert ended.is_open()
        await bench.advance(61)
        await look(bench)
        assert "expired" == await ended()


@pytest.mark.parametrize("is_used", [False, True])
async def test_an_open_connection_is_not_use(is_used, make):
    """A session idles out under its connection, unless requests beside it keep it alive."""
    bench = make("session", idle_ttl_seconds=1800)
    client = bench.client()
    principal = await principal_of(client)
    async with connection(bench, principal) as ended:
        await bench.advance(1200)
        if is_used:
            await client.check()
        await bench.advance(1200)
        await look(bench)
        if is_used:
            assert ended.is_open()
            await bench.advance(1200)
            await look(bench)
        assert "expired" == await ended()


@pytest.mark.parametrize(("mode", "code"), [("session", ""), ("jwt", "refresh_required"), ("hybrid", "refresh_required")])  # fmt: skip
async def test_an_emergency_rotation(mode, code, make):
    """Whoever came by a token of a stolen key connects again; who connects afterwards stays."""
    bench = make(mode)
    principal = await principal_of(bench.client())
    async with connection(bench, principal) as ended:
        await bench.auth.rotate_keys(is_emergency=True)
        await look(bench)
        if code:
            assert code == await ended()
        else:
            assert ended.is_open()
    await bench.settle()
    after = await principal_of(bench.client())
    async with connection(bench, after) as ended:
        bench.picture._gap(bench.picture._shards[0], await bench.head())
        await bench.core.catch_up(0)  # a snapshot says the revoked keys again
        await look(bench)
        assert ended.is_open()


@pytest.mark.parametrize(
    ("when_stale", "code"), [("ask", "store_unavailable"), ("refuse", "stale"), ("trust", "")]
)
@pytest.mark.filterwarnings("ignore:when_stale='trust'")
async def test_a_store_that_dies(when_stale, code, make):
    """Beyond the bound of lag a connection goes by the same policy as a check."""
    bench = make("session", when_stale=when_stale)
    principal = await principal_of(bench.client())

    def dead(*_, **__):
        raise StoreError("the store is away; check it")

    async with connection(bench, principal) as ended:
        await look(bench)
        assert ended.is_open()
        bench.core._follower.stop()
        bench.spy.answers["read"] = dead
        bench.clock.advance(seconds=6)
        await look(bench)
        if code:
            assert code == await ended()
        else:
            assert ended.is_open()


async def test_a_stale_picture_is_caught_up_for_all_at_once(make):
    """Where asking is allowed, one read makes the picture good for every connection."""
    bench = make("session")
    principal = await principal_of(bench.client())
    async with connection(bench, principal) as one, connection(bench, principal) as two:
        bench.core._follower.stop()
        bench.clock.advance(seconds=6)
        bench.spy.calls.clear()
        await look(bench)
        assert one.is_open()
        assert two.is_open()
        assert {"read": 1} == dict(bench.spy.calls)


async def test_an_engine_that_was_closed_and_opened_again(make):
    """A connection goes on over it, and hears of what is revoked afterwards."""
    bench = make("session")
    principal = await principal_of(bench.client())
    async with connection(bench, principal) as ended:
        await bench.auth.close()
        await bench.core.ready()
        await look(bench)
        assert ended.is_open()
        await bench.auth.revoke(principal.sid, subject=ANY)
        assert "revoked" == await ended()


async def test_of_a_visitor_nothing_is_watched(make):
    """Who is refused when the connection opens is refused by the check, before any watch."""
    bench = make("session")
    client = bench.client()
    await client.login()
    await client.logout()
    assert await client.code()
    assert 0 == bench.auth.watching.count


async def test_over_a_blocking_store(make, tmp_path, keep_open):
    """What has to be read is read where the caller says: in a thread, for a blocking engine."""
    bench = Bench("sync", "memory", tmp_path, mode="hybrid")
    keep_open(bench)
    principal = await principal_of(bench.client())
    ran = []

    async def run(coroutine):
        ran.append(coroutine.__name__)
        return await asyncio.to_thread(drive, coroutine)

    watching = Watching(WatchedCore(bench.core, run), bench.clock)
    async with watching.ended(principal) as ended:
        await bench.advance(HOUR)
        await watching.look()
        assert not ended.done()
        assert ["read_live"] == ran
        bench.core._follower.stop()
        bench.clock.advance(seconds=14 * DAY)
        await watching.look()
        assert "expired" == ended.result().code
    assert ["read_live", "_catch_up", "read_live"] == ran


async def test_it_is_the_same_for_all_of_one_loop():
    """`watching` of an engine is one per loop, so that adapters and applications share it."""
    async with AsyncSojourn("memory://", url="http://127.0.0.1:8000") as auth:
        assert auth.watching is auth.watching
        assert "" == await refusal_of(asyncio.sleep(0))
