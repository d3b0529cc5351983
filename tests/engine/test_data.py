"""Session data: an application's own values, loaded and saved only where touched."""

from datetime import UTC, datetime

import pytest
from engine.harness import refusal_of

from sojourn import InvalidInput, SessionData

KIB = 1024


@pytest.fixture
async def visit(make, stored_mode, transport):
    """A signed-in client in each mode that holds data."""
    client = make(stored_mode).client(transport)
    await client.login()
    return client


async def load(client):
    principal = (await client.check()).principal
    return await client.auth.data(client.incoming(), principal)


async def save(client, values):
    outgoing = await client.auth.save(client.incoming(), values)
    client.take(outgoing)
    return outgoing


async def put(client, **changes):
    values = await load(client)
    values.update(changes)
    await save(client, values)


# --- loading and saving ---------------------------------------------------------------------------


async def test_no_row_before_the_first_write(visit):
    """Looking at data, or saving what did not change, writes nothing."""
    values = await load(visit)
    await visit.bench.settle()
    assert {} == dict(values)
    await save(visit, values)
    assert {} == dict(visit.bench.spy.calls)


async def test_checks_never_touch_data(visit):
    """Data costs only those routes that use it."""
    await visit.check()
    await visit.bench.settle()
    await visit.check()
    assert 0 == visit.bench.spy.calls["get_data"]


async def test_values_come_back(visit):
    """JSON values come back as they were."""
    kept = {"n": 1, "f": 1.5, "t": "ö", "b": True, "z": None, "l": [1, {"x": []}], "d": {"y": {}}}
    await put(visit, **kept)
    assert kept == dict(await load(visit))


async def test_keys_can_be_removed(visit):
    """A removed key is gone, and the others stay."""
    await put(visit, a=1, b=2)
    values = await load(visit)
    del values["a"]
    assert (1, ["b"], False) == (len(values), list(values), "a" in values)
    await save(visit, values)
    assert {"b": 2} == dict(await load(visit))


async def test_nested_change_is_saved(visit):
    """A value changed in place is found by comparing, and saved."""
    await put(visit, cart=[{"id": 1}], other=1)
    values = await load(visit)
    values["cart"][0]["count"] = 2
    values["cart"].append({"id": 3})
    assert {"cart"} == set(values.changes())
    await save(visit, values)
    assert [{"id": 1, "count": 2}, {"id": 3}] == (await load(visit))["cart"]


async def test_two_writers_lose_nothing(visit):
    """Two requests that change different keys at once are both saved."""
    await put(visit, a=1, b=1, c=1)
    one, two = await load(visit), await load(visit)
    one["a"], two["b"] = 2, 2
    del two["c"]
    await save(visit, one)
    await save(visit, two)
    assert {"a": 2, "b": 2} == dict(await load(visit))


async def test_removing_what_another_removed_is_good(visit):
    """Two requests may remove the same key."""
    await put(visit, a=1)
    one, two = await load(visit), await load(visit)
    del one["a"], two["a"]
    await save(visit, one)
    await save(visit, two)
    assert {} == dict(await load(visit))


async def test_saving_again_does_not_undo_what_others_wrote(visit):
    """What was saved once is not written again by a later save of the same request."""
    await put(visit, a=0, gone=1)
    mine = await load(visit)
    mine["a"] = "mine"
    del mine["gone"]
    await save(visit, mine)
    await put(visit, a="theirs", gone=2)
    mine["b"] = 1
    await save(visit, mine)
    assert {"a": "theirs", "b": 1, "gone": 2} == dict(await load(visit))


async def test_writer_that_is_overtaken_merges(make_memory, stored_mode):
    """A save overtaken between its read and its write is merged with what the other wrote."""
    bench = make_memory(stored_mode)
    client = bench.client()
    sid = (await client.login()).principal.sid
    inner = bench.spy.inner
    values = await load(client)
    values["mine"] = 1
    bench.spy.before["put_data"] = lambda *_, **__: inner.put_data(
        sid, b'{"theirs":2}', expected_version=0
    )
    await save(client, values)
    assert {"mine": 1, "theirs": 2} == dict(await load(client))


async def test_writer_that_always_loses_is_told(make_memory, stored_mode):
    """After five lost attempts a save answers "try again"."""
    bench = make_memory(stored_mode)
    client = bench.client()
    await client.login()
    values = await load(client)
    values["a"] = 1
    bench.spy.answers["put_data"] = lambda *_, **__: False
    assert "conflict" == await refusal_of(save(client, values))
    assert 5 == bench.spy.calls["put_data"]


async def test_data_goes_with_the_session(visit):
    """When a session ends its data is gone, and a save comes too late."""
    await put(visit, secret=1)
    values = await load(visit)
    sid = values.sid
    await visit.auth.revoke_all("alice")
    assert await visit.bench._inner("get_data", sid) is None
    values["secret"] = 2
    assert "conflict" == await refusal_of(save(visit, values))
    assert await visit.bench._inner("get_data", sid) is None


async def test_data_is_of_one_session(visit):
    """Another session of the same subject has its own data."""
    await put(visit, a=1)
    other = visit.bench.client(visit.transport)
    await other.login()
    assert {} == dict(await load(other))


async def test_data_survives_refresh_reauthentication_and_move(make):
    """Data is the session's, whatever handle its holder has."""
    bench = make("hybrid", modes=("session",))
    client = bench.client()
    await client.login()
    await put(client, a=1)
    await client.refresh()
    await client.reauthenticate()
    client.took(await bench.auth.move(client.incoming(), mode="session"))
    assert {"a": 1} == dict(await load(client))


# --- limits ---------------------------------------------------------------------------------------


async def test_32_kib_are_kept_and_more_refused(visit):
    """Data may be 32 KiB as JSON, to the byte; more is refused and leaves what was there."""
    room = 32 * KIB - len(b'{"k":""}')
    await put(visit, k="x" * room)
    values = await load(visit)
    values["k"] += "x"
    assert "invalid_input" == await refusal_of(save(visit, values))
    values = await load(visit)
    values["l"] = 1
    assert "invalid_input" == await refusal_of(save(visit, values))
    assert {"k": "x" * room} == dict(await load(visit))


async def test_far_too_large_is_refused_before_the_store(visit):
    """What alone is too large costs no read."""
    values = await load(visit)
    values["k"] = "x" * 33 * KIB
    await visit.bench.settle()
    assert "invalid_input" == await refusal_of(save(visit, values))
    assert {} == dict(visit.bench.spy.calls)


def endless():
    """Make a list that holds itself."""
    values = []
    values.append(values)
    return values


@pytest.mark.parametrize(
    ("key", "value"),
    [
        ("k", object()),
        ("k", {"x": {object()}}),
        ("k", "\ud800"),
        ("k", endless()),
        ("k", lambda: 1),
        ("k", float("nan")),
        ("k", [float("inf")]),
        ("k", b"bytes"),
        ("k", {"x": {1, 2}}),
        ("k", {1: 2}),
        ("k", datetime(2027, 1, 1, tzinfo=UTC)),
        (1, "value"),
        (None, 1),
        ("\ud800", 1),
    ],
    ids=[
        "object",
        "nested",
        "surrogate",
        "endless",
        "function",
        "nan",
        "inf",
        "bytes",
        "set",
        "inner-key",
        "instant",
        "int-key",
        "none-key",
        "bad-key",
    ],
)
async def test_what_is_not_json_is_refused(visit, key, value):
    """A value or key that is not JSON is the developer's mistake, told before anything is written."""
    values = await load(visit)
    values[key] = value
    await visit.bench.settle()
    with pytest.raises(InvalidInput):
        await save(visit, values)
    assert {} == visit.bench.spy.writes


def test_repr_shows_keys_only():
    """Values are the application's secrets; a log line shows the keys."""
    values = SessionData(b'{"card":"4111"}', sid="x", guest=None)
    assert "SessionData(keys=['card'])" == repr(values)
    assert "4111" not in f"{values!r}{values}"
