"""Changing a live session where nobody signs in: another handle, another end."""

import msgspec
import pytest
from engine.harness import DAY, HOUR, refusal_of

from sojourn.engine.adjust import end_after, rekey

MINUTE = 60


@pytest.fixture
async def signed_in(make):
    """A browser with a session that has just begun."""
    client = make("session").client()
    await client.login()
    await client.check()
    return client


async def expiry(client):
    """Give when the session ends, in seconds from now."""
    principal = (await client.check()).principal
    record = await client.bench.record(principal.sid)
    return (record.expires_at_ms - client.bench.clock()) // 1000


async def adjust(client, seconds, *, remember=True):
    await end_after(client.bench.core, client.incoming(), seconds=seconds, remember=remember)


async def rekeyed(client):
    """Give the session another handle, and have the browser hold it."""
    sid = (await client.check()).principal.sid
    client.cookies[client.names.handle] = await rekey(client.bench.core, sid)


# --- another handle -------------------------------------------------------------------------------


async def test_a_new_handle_is_the_only_one(signed_in):
    """The old one is refused here at once, and elsewhere as soon as the feed is read."""
    other = signed_in.bench.another()
    thief, elsewhere = signed_in.copy(), signed_in.copy(other)
    assert "" == await elsewhere.code()
    await rekeyed(signed_in)
    await other.settle()
    assert ["", "invalid_token", "invalid_token"] == [
        await client.code() for client in (signed_in, thief, elsewhere)
    ]
    await other.close()


async def test_a_new_handle_is_no_sign_in(signed_in):
    """Sid, sign-in time and end stay; nothing is on the trail."""
    before = (await signed_in.check()).principal
    actions = await signed_in.bench.actions()
    signed_in.bench.clock.advance(seconds=HOUR)
    await rekeyed(signed_in)
    after = (await signed_in.check()).principal
    assert (before.sid, before.auth_time, before.expires_at) == (
        after.sid,
        after.auth_time,
        after.expires_at,
    )
    assert actions == await signed_in.bench.actions()


async def test_an_ended_session_gets_no_handle(signed_in):
    """Nothing is brought back."""
    sid = (await signed_in.check()).principal.sid
    await signed_in.auth.revoke_all("alice")
    assert "revoked" == await refusal_of(rekey(signed_in.bench.core, sid))


async def test_whoever_loses_against_another_writer_tries_again(signed_in):
    """Endless losing is told, and changes nothing."""
    bench = signed_in.bench
    is_lost = []

    def lose(written):
        is_lost.append(written)

    bench.spy.after["replace"] = lose  # once: it is written, and the answer is lost
    await rekeyed(signed_in)
    assert (1, "") == (len(is_lost), await signed_in.code())
    sid = (await signed_in.check()).principal.sid
    bench.spy.answers["replace"] = lambda *_, **__: None
    assert "conflict" == await refusal_of(rekey(bench.core, sid))
    assert "conflict" == await refusal_of(adjust(signed_in, HOUR))
    bench.spy.answers.clear()
    assert "" == await signed_in.code()


# --- another end ----------------------------------------------------------------------------------


async def test_an_end_is_written_where_it_differs(signed_in):
    """Later or earlier, by a minute or more; the settings bound it."""
    for seconds, expected in ((HOUR, HOUR), (2 * HOUR, 2 * HOUR), (60 * DAY, 30 * DAY)):
        await adjust(signed_in, seconds)
        assert expected == await expiry(signed_in)
    await signed_in.bench.settle()
    await adjust(signed_in, 30 * DAY - MINUTE // 2)
    assert {} == dict(signed_in.bench.spy.writes)


async def test_a_short_end_is_exact(signed_in):
    """A life of two minutes is kept to two seconds."""
    await adjust(signed_in, 2 * MINUTE)
    await adjust(signed_in, 2 * MINUTE - 2)
    assert 2 * MINUTE - 2 == await expiry(signed_in)


async def test_the_longest_life_counts_from_the_sign_in(signed_in):
    """However often the end is moved."""
    for days in (10, 10, 9):
        signed_in.bench.clock.advance(seconds=days * DAY)
        await signed_in.check()
        await adjust(signed_in, 14 * DAY)
    assert DAY == await expiry(signed_in)


async def test_the_longest_life_of_who_came_in_by_a_door(signed_in):
    """Nobody knows when they signed in: it counts from then on."""
    sid = (await signed_in.check()).principal.sid
    record = await signed_in.bench.record(sid)
    arrived = msgspec.structs.replace(record, auth_time_ms=0, revision=record.revision + 1)
    await signed_in.bench._inner("replace", arrived, expected_revision=record.revision)
    other = signed_in.copy(signed_in.bench.another())
    await other.check()
    await adjust(other, 14 * DAY)
    assert 14 * DAY == await expiry(other)
    await other.bench.close()


async def test_an_end_with_the_browser(signed_in):
    """Not longer than `browser_ttl_seconds`, until it is to be remembered again."""
    await adjust(signed_in, 14 * DAY, remember=False)
    assert DAY == await expiry(signed_in)
    await adjust(signed_in, 14 * DAY)
    assert 14 * DAY == await expiry(signed_in)


async def test_an_earlier_end_is_told(signed_in):
    """Another process that has the session at hand learns of it; a later one it asks for itself."""
    other = signed_in.bench.another()
    elsewhere = signed_in.copy(other)
    assert "" == await elsewhere.code()
    await adjust(signed_in, MINUTE)
    await other.settle()
    signed_in.bench.clock.advance(seconds=2 * MINUTE)
    assert ["expired", "expired"] == [await signed_in.code(), await elsewhere.code()]
    await other.close()


async def test_an_end_in_the_past(signed_in):
    """It is over at once."""
    await adjust(signed_in, -10)
    assert "expired" == await signed_in.code()


async def test_a_session_that_another_process_knows_better(signed_in):
    """What is at hand here may be older than the record: it is read again."""
    other = signed_in.bench.another()
    elsewhere = signed_in.copy(other)
    signed_in.bench.clock.advance(seconds=2 * MINUTE)
    await elsewhere.check()  # "last seen" is written there
    await adjust(signed_in, HOUR)
    assert HOUR == await expiry(signed_in)
    await other.close()


async def test_an_unknown_handle_has_no_end(signed_in):
    """A session that is not at hand is proven by its handle first."""
    stranger = signed_in.bench.another().client()
    stranger.cookies = dict(signed_in.cookies)
    await stranger.bench.core.ready()
    await adjust(stranger, HOUR)
    assert HOUR == await expiry(signed_in)
    await signed_in.logout()
    await stranger.bench.settle()
    assert "revoked" == await refusal_of(adjust(stranger, HOUR))
    await stranger.bench.close()


async def test_a_visitors_end(make):
    """A guest's row, within thirty days of its first write."""
    visitor = make("session", guest_ttl_seconds=30 * DAY).client()
    values = await visitor.auth.data(visitor.incoming())
    values["cart"] = [1]
    visitor.take(await visitor.auth.save(visitor.incoming(), values))
    await adjust(visitor, HOUR)
    record = await visitor.bench.record(values.sid)
    assert HOUR * 1000 == record.expires_at_ms - visitor.bench.clock()
    assert 1 == record.version
    await adjust(visitor, 60 * DAY)
    record = await visitor.bench.record(values.sid)
    assert 30 * DAY * 1000 == record.expires_at_ms - visitor.bench.clock()
    await adjust(visitor, -1)
    assert {} == dict(await visitor.auth.data(visitor.incoming()))
