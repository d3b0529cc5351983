"""Two engines on one store, as two processes: what one revokes or changes, the other hears of."""

import asyncio

from engine.harness import eventually, refusal_of

from sojourn import Need

ASKING = Need(max_lag_seconds=0)


async def heard(bench, codes, about):
    """Wait until a check in another process gives what is expected, without asking the store."""
    deadline = asyncio.get_running_loop().time() + 10
    while (code := await codes()) == "":
        assert asyncio.get_running_loop().time() < deadline, f"never heard: {about}"
        await asyncio.sleep(0.002)
    return code


async def test_revocation_is_heard_of(make, another, mode, transport):
    """A sid revoked in one process is refused in another, by its follower alone."""
    bench = make(mode)
    client = bench.client(transport)
    sid = (await client.login()).principal.sid
    there = client.copy(another(bench))
    assert "" == await there.code()
    await bench.auth.revoke(sid, subject="alice")
    assert "revoked" == await heard(
        there.bench, lambda: there.code(renew=False), "the revocation of a sid"
    )


async def test_revoke_all_is_heard_of(make, another, mode, transport):
    """A cutoff stored in one process is kept in another, and a login after it is good in both."""
    bench = make(mode)
    client = bench.client(transport)
    await client.login()
    there = client.copy(another(bench))
    assert "" == await there.code()
    await bench.auth.revoke_all("alice")
    code = await heard(there.bench, lambda: there.code(renew=False), "the cutoff")
    assert "revoked" == code
    await there.login()
    assert ["", ""] == [await there.code(), await there.copy(bench).code(need=ASKING)]


async def test_update_is_heard_of(make, another, mode, transport):
    """New roles given in one process hold in another."""
    bench = make(mode)
    client = bench.client(transport)
    await client.login(roles={"reader"})
    there = client.copy(another(bench))
    assert {"reader"} == (await there.check()).principal.roles
    await bench.auth.update("alice", roles={"admin"})
    if mode == "session":
        await eventually(lambda: there.bench.picture.view.changed, "the change")
        assert {"admin"} == (await there.check()).principal.roles
        return
    code = await heard(there.bench, lambda: there.code(renew=False), "the change")
    assert {"jwt": "revoked", "hybrid": "refresh_required"}[mode] == code


async def test_revocation_is_found_at_once_by_asking(make, another, mode, transport):
    """A route that always asks refuses from the acknowledgement on, however late the feed is."""
    bench = make(mode)
    other = another(bench)
    for _ in range(10):
        client = bench.client(transport)
        sid = (await client.login()).principal.sid
        there = client.copy(other)
        assert "" == await there.code(need=ASKING)
        await bench.auth.revoke(sid, subject="alice")
        assert "revoked" == await there.code(need=ASKING, renew=False)


async def test_logout_there_is_heard_of_here(make, another, mode, transport):
    """It does not matter which process a client signs out at."""
    bench = make(mode)
    client = bench.client(transport)
    await client.login()
    assert "" == await client.code()
    kept = client.copy()
    await client.copy(another(bench)).logout()
    assert "revoked" == await heard(bench, lambda: kept.code(renew=False), "the logout")


async def test_emergency_rotation_is_heard_of(make, another, transport):
    """A key revoked in one process is refused in another, with every remembered token."""
    bench = make("jwt")
    client = bench.client(transport)
    await client.login()
    there = client.copy(another(bench))
    assert "" == await there.code()
    await bench.auth.rotate_keys(is_emergency=True)
    assert "invalid_token" == await heard(there.bench, there.code, "the key")
    await client.login()
    there = client.copy(there.bench)
    assert "" == await there.code(need=ASKING)


async def test_two_processes_begin_with_one_ring(make, another):
    """Processes that start at once on a new store agree on the keys."""
    bench = make("jwt")
    engines = [bench, *(another(bench) for _ in range(3))]
    if bench.face == "async":
        await asyncio.gather(*(engine.core.ready() for engine in engines))
    clients = []
    for engine in engines:
        clients.append(engine.client())
        await clients[-1].login()
    for engine in engines:
        codes = [await client.copy(engine).code(need=ASKING) for client in clients]
        assert [""] * 4 == codes


async def test_sign_ups_at_once_open_the_store_once(make_memory, transport):
    """Many first requests at once begin one follower."""
    bench = make_memory("hybrid")
    clients = [bench.client(transport) for _ in range(8)]
    await asyncio.gather(*(client.login(f"user-{n}") for n, client in enumerate(clients)))
    assert [""] * 8 == [await client.code() for client in clients]
    assert 1 <= bench.spy.calls["open"] <= 8
    assert bench.core._follower._thread.is_alive()


async def test_refresh_in_one_process_is_the_same_in_the_other(make, another, transport):
    """Two tabs at two processes get one successor."""
    bench = make("hybrid")
    client = bench.client(transport)
    await client.login()
    there = client.copy(another(bench))
    await client.refresh()
    await there.refresh()
    assert client.handle == there.handle
    assert ["", ""] == [await client.code(), await there.code()]


async def test_limit_holds_over_processes(make, another, stored_mode):
    """A limit is the store's: it counts sign-ins of every process."""
    bench = make(stored_mode, max_sessions=2, on_excess="refuse")
    other = another(bench)
    await bench.client().login()
    await other.client().login()
    for engine in (bench, other):
        assert "session_limit" == await refusal_of(engine.client().login())
