"""The life of a sign-in on every engine, in both faces and each mode, between two processes."""

import asyncio

import pytest
from engine.harness import MODES, SECRET, URL, Awaited, Client, eventually, refusal_of
from engines import ENGINES

from sojourn import ANY, AsyncSojourn, Need, Sojourn

ASK = Need(max_lag_seconds=0)


class Process:
    """One engine of a store with the real clock, shaped for `Client`."""

    def __init__(self, place, face, **settings):
        options = {"url": URL, "secret": SECRET, **settings}
        if face == "sync":
            self.auth = Awaited(Sojourn(place.store, **options))
        else:
            self.auth = AsyncSojourn(place.store, **options)

    @property
    def core(self):
        return self.auth.core

    def client(self, transport="bearer"):
        return Client(self, transport)


@pytest.fixture(params=ENGINES)
def place(request, tmp_path):
    return request.param.place(tmp_path)


@pytest.fixture
async def two(place, face, mode):
    """Two processes on one store."""
    processes = [Process(place, face, mode=mode, modes=MODES) for _ in range(2)]
    yield processes
    for process in processes:
        await process.auth.close()


async def refused(client, code):
    """Wait until the client is refused, as the feed brings it."""
    seen = []

    async def look():
        seen.append(await client.code(renew=False))
        return seen[-1]

    for _ in range(2000):
        if await look() == code:
            return
        await asyncio.sleep(0.002)
    raise AssertionError(f"never {code!r}, but {set(seen)}")


async def test_what_one_ends_the_other_refuses(two, mode):
    """One session, all of a subject, all but one: refused elsewhere soon, and where it is asked at once."""
    here, there = two
    first, second, kept = (here.client() for _ in range(3))
    for client in (first, second, kept):
        await client.login()
        assert "" == await client.copy(there).code()
    principal = (await first.check()).principal
    assert await here.auth.revoke(principal.sid, subject=ANY) is (mode != "jwt")
    assert "revoked" == await first.code(renew=False)
    assert "revoked" == await first.copy(there).code(need=ASK, renew=False)
    await refused(first.copy(there), "revoked")
    sid = (await kept.check()).principal.sid
    await here.auth.revoke_all("alice", keep=sid)
    await refused(second.copy(there), "revoked")
    assert "" == await kept.copy(there).code(need=ASK)
    again = here.client()
    await again.login()
    assert "" == await again.copy(there).code()


async def test_roles_change_everywhere(two, mode):
    """New roles are seen by the other process in each mode's way."""
    here, there = two
    client = here.client()
    await client.login(roles={"editor"})
    elsewhere = client.copy(there)
    assert {"editor"} == (await elsewhere.check()).principal.roles
    await here.auth.update("alice", roles={"reader"})
    if mode == "session":
        await eventually_roles(elsewhere, {"reader"})
    else:
        await refused(elsewhere, "refresh_required" if mode == "hybrid" else "revoked")
    if mode == "hybrid":
        assert {"reader"} == (await elsewhere.refresh()).principal.roles


async def eventually_roles(client, roles):
    for _ in range(2000):
        if (await client.check()).principal.roles == roles:
            return
        await asyncio.sleep(0.002)
    raise AssertionError("the roles never changed")


@pytest.mark.parametrize("mode", ["hybrid"])
async def test_handles_rotate_between_processes(two):
    """Both processes give one successor; an old handle that comes back ends the session everywhere."""
    here, there = two
    client = here.client()
    await client.login()
    oldest = client.copy(there)
    twins = [client.copy(process) for process in (here, there)]
    await asyncio.gather(*(twin.refresh() for twin in twins))
    assert 1 == len({twin.refresh_token for twin in twins})
    await twins[0].refresh()
    assert "refresh_reuse" == await refusal_of(oldest.refresh())
    assert "refresh_reuse" == await refusal_of(twins[0].refresh())
    await refused(twins[1], "revoked")


@pytest.mark.parametrize("mode", ["session"])
async def test_data_and_devices_are_shared(two):
    """What one process saves and lists, the other does."""
    here, there = two
    client = here.client()
    await client.login()
    principal = (await client.check()).principal
    values = await here.auth.data(client.incoming(), principal)
    values["basket"] = ["book"]
    await here.auth.save(client.incoming(), values)
    elsewhere = client.copy(there)
    assert {"basket": ["book"]} == dict(await there.auth.data(elsewhere.incoming(), principal))
    listed = [[info.sid for info in await one.auth.sessions("alice")] for one in two]
    assert [[principal.sid]] * 2 == listed


@pytest.mark.parametrize("mode", ["jwt"])
async def test_a_stolen_signing_key_is_revoked_everywhere(two):
    """After an emergency rotation no process accepts what the old key signed; new sign-ins work."""
    here, there = two
    client = here.client()
    await client.login()
    elsewhere = client.copy(there)
    assert "" == await elsewhere.code()
    await here.auth.rotate_keys(is_emergency=True)
    await refused(elsewhere, "invalid_token")
    again = there.client()
    await again.login()
    assert "" == await again.copy(here).code()


@pytest.mark.parametrize("mode", ["hybrid"])
async def test_a_limit_holds_between_processes(place, face, mode):
    """With two sessions allowed and many sign-ins at once, two are left."""
    processes = [
        Process(place, face, mode=mode, max_sessions=2, on_excess="end_oldest") for _ in range(2)
    ]
    clients = [processes[n % 2].client() for n in range(8)]
    await asyncio.gather(*(client.login() for client in clients))
    assert 2 == len(await processes[0].auth.sessions("alice"))
    for process in processes:
        await process.auth.close()


async def test_closing_and_using_again(two):
    """A process that closed opens again at its next use, and knows what happened meanwhile."""
    here, there = two
    client = here.client()
    await client.login()
    elsewhere = client.copy(there)
    assert "" == await elsewhere.code()
    await there.auth.close()
    await here.auth.revoke_all("alice")
    assert "revoked" == await elsewhere.code(renew=False)
    await eventually(lambda: there.auth.lag_seconds < 5, "the picture is fresh again")
