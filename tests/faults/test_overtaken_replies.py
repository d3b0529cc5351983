"""Replies of the store that are overtaken, while they travel, by what another process changed.

A change of roles is no reason to sign anybody out; an end is told with its reason.
"""

import secrets
from datetime import timedelta

import pytest
from engine.harness import HungFeed

from sojourn import AsyncSojourn, Conflict, Incoming, Need, RefreshReuse
from sojourn.model import Session
from sojourn.stores.memory import MemoryStore

URL = "http://127.0.0.1:8000"
ASKING = Need.of(max_lag=timedelta(0))
SECRET = secrets.token_urlsafe(48)


@pytest.fixture
async def engines():
    """Two engines on one store; while the one reads a session, the other changes its roles."""
    store, options = MemoryStore(), {"url": URL, "modes": ("session", "hybrid"), "secret": SECRET}
    async with AsyncSojourn(store, **options) as reader, AsyncSojourn(store, **options) as other:
        get, changes = reader.core.store.get, iter(range(1, 20))

        async def overtaken_get(sid):
            found = await get(sid)
            await other.update("ann", roles={f"role-{next(changes)}"})
            await reader.core.catch_up(0)
            return found

        reader.core.store.get = overtaken_get
        yield reader, other


async def test_check_is_overtaken(engines):
    """A session whose roles keep changing while it is read is alive."""
    reader, other = engines
    signed_in = await other.login(Incoming(), "ann", mode="session", transport="bearer")
    bearer = Incoming(authorization=f"Bearer {signed_in.access_token}")
    for _ in range(3):
        checked = await reader.check(bearer, need=ASKING)
        assert checked.refusal is None
        assert checked.principal.sid == signed_in.principal.sid


async def test_roles_acknowledged_before_are_shown(engines):
    """What was acknowledged and heard of before the request began is in its answer, or a later one."""
    reader, other = engines
    signed_in = await other.login(Incoming(), "ann", mode="session", transport="bearer")
    bearer = Incoming(authorization=f"Bearer {signed_in.access_token}")
    for number in range(2, 5):
        shown = (await reader.check(bearer, need=ASKING)).principal.roles
        latest = max((int(role.removeprefix("role-")) for role in shown), default=0)
        assert latest >= number - 2


async def test_refresh_is_overtaken(engines):
    """A refresh in the midst of changes is decided again, and ends nothing: at worst, try again."""
    reader, other = engines
    signed_in = await other.login(Incoming(), "ann", mode="hybrid", transport="bearer")
    with pytest.raises(Conflict):
        await reader.refresh(Incoming(), refresh_token=signed_in.refresh_token)
    assert 1 == len(await other.sessions("ann"))
    refreshed = await other.refresh(Incoming(), refresh_token=signed_in.refresh_token)
    assert signed_in.principal.sid == refreshed.principal.sid


async def test_an_end_that_overtakes_is_told_with_its_reason(engines):
    """Theft is told as theft, although the record was read while it was still alive."""
    reader, other = engines
    signed_in = await other.login(Incoming(), "ann", mode="hybrid", transport="bearer")
    get = other.core.store.get

    async def overtaken_get(sid):
        found = await get(sid)
        if isinstance(found.record, Session):
            await other.core.store.delete(sid, subject="ann", reason="refresh_reuse")
            await reader.core.catch_up(0)
        return found

    reader.core.store.get = overtaken_get
    with pytest.raises(RefreshReuse):
        await reader.refresh(Incoming(), refresh_token=signed_in.refresh_token)


async def test_logout_of_what_another_process_just_ended():
    """Whoever is told "signed out" is, in that process at once, though the end was somebody else's."""
    store, options = MemoryStore(), {"url": URL, "mode": "session", "secret": SECRET}
    reader, other = AsyncSojourn(store, **options), AsyncSojourn(store, **options)
    reader.core.store.feed = HungFeed  # it has not heard yet
    async with reader, other:
        signed_in = await reader.login(Incoming(), "ann", transport="bearer")
        bearer = Incoming(authorization=f"Bearer {signed_in.access_token}")
        assert (await reader.check(bearer)).principal is not None
        await other.revoke_all("ann")
        await reader.logout(bearer)
        assert (await reader.check(bearer)).principal is None
