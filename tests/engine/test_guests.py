"""Visitors who are not signed in: data of their own, bounded, and never a way to sign in."""

import pytest
from engine.harness import DAY, HOUR, Bench, refusal_of

from sojourn.engine.data import _guest_limit
from sojourn.model import Purpose, Session

FOREIGN = {"origin": "https://evil.example", "sec_fetch_site": "cross-site"}


async def load(client, **headers):
    return await client.auth.data(client.incoming(**headers))


async def put(client, **changes):
    values = await load(client)
    values.update(changes)
    client.take(await client.auth.save(client.incoming(), values))
    return values


async def guests(bench):
    """Give the visitors' rows that are alive."""
    return await bench._inner("list", "")


async def test_visitor_has_no_row_before_the_first_write(make, mode):
    """Anonymous requests create no row, no cookie and no entry until something is written."""
    bench = make(mode)
    visitor = bench.client()
    await bench.settle()
    head = await bench.head()
    for _ in range(3):
        values = await load(visitor)
        assert ({}, "") == (dict(values), values.sid)
        assert () == (await bench.auth.save(visitor.incoming(), values)).headers
    assert ({}, []) == (bench.spy.writes, list(await guests(bench)))
    assert head == await bench.head()


async def test_first_write_makes_a_row_and_a_cookie(make, mode):
    """A visitor's first write makes one row, and a handle in a cookie that ends with the browser."""
    bench = make(mode)
    visitor = bench.client()
    values = await put(visitor, cart=[1])
    assert [visitor.names.guest] == list(visitor.cookies)
    row = (await guests(bench))[0]
    assert (values.sid, "", [Purpose.GUEST]) == (row.sid, row.subject, list(row.chains))
    assert {"cart": [1]} == dict(await load(visitor))
    await put(visitor, more=2)
    assert {"cart": [1], "more": 2} == dict(await load(visitor))
    assert 1 == len(await guests(bench))


async def test_guest_cookie_is_not_remembered_and_never_cached(make, mode):
    """A visitor's cookie has no Max-Age, and the answer that sets it stays out of caches."""
    bench = make(mode)
    visitor = bench.client()
    values = await load(visitor)
    values["a"] = 1
    headers = (await bench.auth.save(visitor.incoming(), values)).headers
    assert "Max-Age" not in headers[0][1]
    assert {("Cache-Control", "no-store"), ("Vary", "Cookie")} <= set(headers)


async def test_guest_handle_signs_nobody_in(make, mode):
    """A visitor's handle is no credential, whichever way it is presented."""
    bench = make(mode)
    visitor = bench.client()
    await put(visitor, a=1)
    handle = visitor.cookies[visitor.names.guest]
    assert "unauthenticated" == await visitor.code()
    names = visitor.names
    for name in (names.handle, names.access, names.refresh):
        checked = await bench.auth.check(visitor.incoming("GET", cookies=f"{name}={handle}"))
        assert (None, "invalid_token") == (checked.principal, checked.refusal.code)
    bearer = visitor.incoming("GET", authorization=f"Bearer {handle}")
    assert "invalid_token" == (await bench.auth.check(bearer)).refusal.code
    asked = bench.auth.refresh(visitor.incoming(), refresh_token=handle)
    assert "invalid_token" == await refusal_of(asked)


async def test_session_handle_is_no_guest(make):
    """A session's handle opens no visitor's data."""
    bench = make("session")
    client, visitor = bench.client(), bench.client()
    await client.login()
    visitor.cookies = {visitor.names.guest: client.handle}
    assert "" == (await load(visitor)).sid


@pytest.mark.parametrize("handle", ["", "x", "sj_g1_" + "A" * 80])
async def test_rubbish_is_a_new_visitor(make, handle):
    """A cookie that is no handle is a visitor without a row, not an error."""
    bench = make("hybrid")
    visitor = bench.client()
    visitor.cookies = {visitor.names.guest: handle}
    assert ({}, "") == (dict(await load(visitor)), (await load(visitor)).sid)


# --- login ----------------------------------------------------------------------------------------


async def test_login_carries_the_named_keys_and_deletes_the_guest(make, stored_mode, transport):
    """The named keys move to the new session under a new sid and handle; the rest is gone."""
    bench = make(stored_mode)
    visitor = bench.client()
    guest = await put(visitor, cart=[1], private="x")
    client = bench.client(transport)
    client.cookies = dict(visitor.cookies)
    principal = (await client.login(carry=["cart", "absent"])).principal
    assert principal.sid != guest.sid
    assert visitor.names.guest not in client.cookies
    data = await bench.auth.data(client.incoming(), principal)
    assert {"cart": [1]} == dict(data)
    assert await bench.record(guest.sid) is None
    assert {} == dict(await load(visitor))


async def test_login_without_carry_deletes_the_guest(make, mode):
    """A visitor's data is deleted at login in every mode, carried or not."""
    bench = make(mode)
    for carry in ((), ["absent"]):
        visitor = bench.client()
        guest = await put(visitor, cart=[1])
        await visitor.login(carry=carry)
        assert await bench.record(guest.sid) is None
        assert visitor.names.guest not in visitor.cookies


async def test_jwt_has_nowhere_to_carry_to(make):
    """In `jwt` a visitor's data is deleted at login; there is no session to hold it."""
    bench = make("jwt")
    visitor = bench.client()
    await put(visitor, cart=[1])
    principal = (await visitor.login(carry=["cart"])).principal
    asked = bench.auth.data(visitor.incoming(), principal)
    assert "unsupported_in_mode" == await refusal_of(asked)


async def test_guest_without_data_carries_nothing(make_memory):
    """A visitor's row whose data never came to be written is deleted all the same."""
    bench = make_memory("session")
    visitor = bench.client()
    guest = await put(visitor, a=1)
    bench.spy.inner._data.clear()
    await visitor.login(carry=["a"])
    assert await bench.record(guest.sid) is None


async def test_carry_is_a_set_of_keys(make, stored_mode):
    """A bare text is refused: its letters are not the keys that were meant."""
    bench = make(stored_mode)
    assert "invalid_input" == await refusal_of(bench.client().login(carry="cart"))
    assert [] == await bench.auth.sessions("alice")


# --- another site ---------------------------------------------------------------------------------


async def test_other_sites_page_cannot_touch_a_visitors_data(make, mode):
    """An unsafe request of another origin neither reads a visitor's data nor replaces its cookie."""
    bench = make(mode)
    visitor = bench.client()
    await put(visitor, cart=[1])
    assert "cross_site" == await refusal_of(load(visitor, **FOREIGN))
    assert "cross_site" == await refusal_of(load(visitor, cookies="", **FOREIGN))


async def test_other_sites_login_takes_no_visitors_data(make, stored_mode):
    """A bearer login sent from another site's page does not carry the browser's data away."""
    bench = make(stored_mode)
    visitor = bench.client()
    guest = await put(visitor, cart=["mine"])
    signed_in = await bench.auth.login(
        visitor.incoming(**FOREIGN), "mallory", transport="bearer", carry=["cart"]
    )
    values = await bench.auth.data(visitor.incoming(), signed_in.principal)
    assert {} == dict(values)
    assert isinstance(await bench.record(guest.sid), Session)


# --- bounded --------------------------------------------------------------------------------------


async def test_guests_are_bounded_and_the_oldest_goes(make, mode):
    """Beyond `max_guests` the oldest visitor's row goes."""
    bench = make(mode, max_guests=3)
    visitors = [bench.client() for _ in range(5)]
    for number, visitor in enumerate(visitors):
        await put(visitor, number=number)
        await bench.advance(1)
    kept = [(await load(visitor)).get("number") for visitor in visitors]
    assert [None, None, 2, 3, 4] == kept


async def test_evicted_guests_leave_nothing(make, mode):
    """Visitors without end grow neither the feed nor what is kept of ended sessions."""
    bench = make(mode, max_guests=2)
    sids = [(await put(bench.client(), a=1)).sid for _ in range(2)]
    head, trail = await bench.head(), await bench.trail()
    for _ in range(5):
        sids.append((await put(bench.client(), a=1)).sid)
        await bench.advance(1)
    alive = [sid for sid in sids if await bench.record(sid) is not None]
    assert 2 == len(alive)
    assert set(alive) == {guest.sid for guest in await guests(bench)}
    assert (head, trail) == (await bench.head(), await bench.trail())


def test_many_guests_are_counted_now_and_then():
    """Where many are allowed, about one in a thousandth of them counts the rest: creation stays cheap."""
    bench = Bench("sync", "memory", None, mode="session", max_guests=100_000)
    limits = [_guest_limit(bench.core) for _ in range(10_000)]
    assert {None, 100_000} == set(limits)
    assert 40 <= limits.count(100_000) <= 200


async def test_guest_ends_after_its_idle_life(make, mode):
    """A visitor's row ends when nobody wrote for a while; each write keeps it."""
    bench = make(mode, guest_ttl_seconds=600)
    visitor = bench.client()
    await put(visitor, a=1)
    for number in range(3):
        await bench.advance(590)
        await put(visitor, number=number)
    assert {"a": 1, "number": 2} == dict(await load(visitor))
    await bench.advance(600)
    assert {} == dict(await load(visitor))
    values = await put(visitor, b=2)
    assert {"b": 2} == dict(await load(visitor))
    assert values.sid == (await load(visitor)).sid


async def test_guest_ends_after_thirty_days_whatever_happens(make):
    """A visitor's row is never older than 30 days."""
    bench = make("session", guest_ttl_seconds=30 * DAY)
    visitor = bench.client()
    guest = await put(visitor, a=1)
    for _ in range(29):
        await bench.advance(DAY)
        await put(visitor, day=bench.clock())
    assert guest.sid == (await load(visitor)).sid
    await bench.advance(DAY)
    assert "" == (await load(visitor)).sid


async def test_default_guest_lives_four_hours(make):
    """A visitor's data lives four hours without a write by default."""
    bench = make("hybrid")
    visitor = bench.client()
    await put(visitor, a=1)
    await bench.advance(4 * HOUR - 1)
    assert {"a": 1} == dict(await load(visitor))
    await bench.advance(1)
    assert {} == dict(await load(visitor))


async def test_guests_are_nobodys_sessions(make, stored_mode):
    """Visitors appear in no list, and no subject can be spelled like them."""
    bench = make(stored_mode)
    await put(bench.client(), a=1)
    assert [] == await bench.auth.sessions("alice")
    assert "invalid_input" == await refusal_of(bench.auth.sessions(""))
    assert "invalid_input" == await refusal_of(bench.auth.revoke_all(""))
