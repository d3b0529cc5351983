"""Lives: idle and absolute expiry, touches, presets, and what a refresh may not extend."""

import pytest
from engine.harness import DAY, HOUR, claims_of, refusal_of

from sojourn import Need, StoreError
from sojourn.jose import unverified

ASKING = Need(max_lag_seconds=0)


async def use(client, *, every, until):
    """Use a client regularly, as somebody does who works; give how long it went well."""
    spent = 0.0
    while spent < until:
        await client.bench.advance(every)
        spent += every
        if (await client.check()).principal is None:
            return spent
    return spent


# --- absolute -------------------------------------------------------------------------------------


@pytest.mark.parametrize("need", [Need(), ASKING], ids=["near", "asking"])
async def test_absolute_life_ends_to_the_second(make, mode, transport, need):
    """However it is used, a sign-in ends at its absolute end, at most a second off."""
    bench = make(mode, absolute_ttl_seconds=600)
    client = bench.client(transport)
    await client.login()
    await bench.advance(598.999)
    assert "" == await client.code(need=need)
    await bench.advance(2.001)
    assert await client.code(need=need) in {"expired", "refresh_required"}
    if mode == "hybrid":
        assert "expired" == await refusal_of(client.refresh())


async def test_refresh_never_extends_the_absolute_life(make, transport):
    """Refreshing again and again ends where the first sign-in said it would."""
    bench = make("hybrid", absolute_ttl_seconds=1800, access_ttl_seconds=60)
    client = bench.client(transport)
    signed_in = await client.login()
    for _ in range(35):
        await bench.advance(50)
        assert signed_in.expires_at == (await client.refresh()).expires_at
        assert claims_of(client.access)["exp"] <= signed_in.expires_at
    await bench.advance(50)
    assert "expired" == await refusal_of(client.refresh())


async def test_use_never_extends_the_absolute_life(make, transport):
    """A session used each minute ends at its absolute end all the same."""
    client = make("session", absolute_ttl_seconds=600).client(transport)
    await client.login()
    assert 600 == await use(client, every=60, until=2000)


async def test_token_never_outlives_the_session(make, transport):
    """An access token made shortly before the session's end ends with it."""
    bench = make("hybrid", absolute_ttl_seconds=1000, access_ttl_seconds=900)
    client = bench.client(transport)
    signed_in = await client.login()
    await bench.advance(700)
    await client.refresh()
    assert signed_in.expires_at == claims_of(client.access)["exp"]


# --- idle -----------------------------------------------------------------------------------------


@pytest.mark.parametrize("need", [Need(), ASKING], ids=["near", "asking"])
async def test_idle_session_ends(make, transport, need):
    """A session that nobody uses ends after its idle life, to the second with a short one."""
    bench = make("session", idle_ttl_seconds=900)
    client = bench.client(transport)
    await client.login()
    await client.check()
    await bench.advance(899)
    assert "" == await client.code(need=need)
    await bench.advance(899)
    assert "" == await client.code(need=need)
    await bench.advance(900)
    assert "expired" == await client.code(need=need)


async def test_used_session_stays_within_a_minute_of_its_idle_life(make, transport):
    """With a long idle life "last seen" may be a minute old; never more, and never in the future."""
    bench = make("session", idle_ttl_seconds=2 * HOUR)
    client = bench.client(transport)
    sid = (await client.login()).principal.sid
    for step in (59.999, 31, 60, 7):
        await bench.advance(step)
        assert "" == await client.code()
        seen = (await bench.record(sid)).seen_at_ms
        assert 0 <= bench.clock() - seen < 60_000


async def test_hybrid_idles_as_finely_as_its_access_life(make, transport):
    """In `hybrid` use shows at each refresh; without one, the session ends after its idle life."""
    bench = make("hybrid", idle_ttl_seconds=3600, access_ttl_seconds=60)
    client = bench.client(transport)
    await client.login()
    for _ in range(3):
        await bench.advance(3599)
        await client.refresh()
    await bench.advance(3600)
    assert "expired" == await refusal_of(client.refresh())


async def test_touch_is_written_at_most_once_a_minute(make, transport):
    """A hundred checks in a minute write "last seen" once, and otherwise cost nothing."""
    bench = make("session")
    client = bench.client(transport)
    await client.login()
    await client.check()
    await bench.settle()
    for _ in range(3):
        bench.clock.advance(seconds=60)
        await bench.core.catch_up(0)
        bench.spy.calls.clear()
        for _ in range(100):
            assert "" == await client.code()
        assert {"replace": 1} == dict(bench.spy.calls)
    await bench.advance(59.999)
    assert "" == await client.code()
    assert {} == dict(bench.spy.calls)


async def test_touch_is_written_at_most_once_a_second_with_a_short_idle_life(make, transport):
    """With an idle life of an hour or less, "last seen" is a second old at most."""
    bench = make("session", idle_ttl_seconds=3600)
    client = bench.client(transport)
    await client.login()
    await client.check()
    await bench.advance(0.999)
    assert "" == await client.code()
    assert {} == dict(bench.spy.calls)
    await bench.advance(0.001)
    for _ in range(10):
        assert "" == await client.code()
    assert {"replace": 1} == dict(bench.spy.calls)


async def test_touch_is_written_when_asking_too(make, transport):
    """A route that always asks keeps a session alive as any other."""
    bench = make("session", idle_ttl_seconds=600)
    client = bench.client(transport)
    await client.login()
    for _ in range(5):
        await bench.advance(599)
        assert "" == await client.code(need=ASKING)


async def test_touch_tells_nobody(make, transport):
    """A touch bumps no version and appends nothing to the feed."""
    bench = make("session")
    client = bench.client(transport)
    sid = (await client.login()).principal.sid
    head = await bench.head()
    await client.check()
    await bench.advance(61)
    await client.check()
    record = await bench.record(sid)
    assert (2, 1) == (record.revision, record.version)
    assert head == await bench.head()


async def test_lost_touch_is_dropped(make_memory, transport):
    """A touch that another writer overtook is dropped: the check is good, and the copy is read anew."""
    bench = make_memory("session")
    client = bench.client(transport)
    await client.login()
    await client.check()
    await bench.advance(61)
    bench.spy.answers["replace"] = lambda *_, **__: None
    assert "" == await client.code()
    del bench.spy.answers["replace"]
    bench.spy.calls.clear()
    assert "" == await client.code()
    assert {"get": 1, "replace": 1} == dict(bench.spy.calls)


async def test_failed_touch_is_dropped(make_memory, transport, caplog):
    """Who is known stays known while the store cannot write; it is tried again when next due."""
    bench = make_memory("session")
    client = bench.client(transport)
    await client.login()
    await client.check()
    await bench.advance(61)

    def fail(*_, **__):
        raise StoreError("the store is down")

    bench.spy.answers["replace"] = fail
    assert ["", "", ""] == [await client.code() for _ in range(3)]
    assert {"replace": 1} == dict(bench.spy.calls)
    assert 1 == sum("the store is down" in line for line in caplog.messages)
    del bench.spy.answers["replace"]
    await bench.advance(60)
    assert "" == await client.code()
    assert {"replace": 1} == dict(bench.spy.calls)


async def test_touch_elsewhere_is_found_before_a_refusal(make, another, transport):
    """A near copy that looks idle leads to a question, never to a refusal: it was used elsewhere."""
    bench = make("session", idle_ttl_seconds=600)
    client = bench.client(transport)
    await client.login()
    await client.check()
    elsewhere = client.copy(another(bench))
    await bench.advance(500)
    await elsewhere.bench.settle()
    assert "" == await elsewhere.code()
    await bench.advance(200)
    assert "" == await client.code()
    assert 1 == bench.spy.calls["get"]


# --- remember, presets ----------------------------------------------------------------------------


def max_ages(signed_in):
    """Give the Max-Age of each cookie set; None where it ends with the browser."""
    cookies = [value for name, value in signed_in.outgoing.headers if name == "Set-Cookie"]
    return {
        int(cookie.split("Max-Age=")[1].split(";")[0]) if "Max-Age" in cookie else None
        for cookie in cookies
    }


@pytest.mark.parametrize(
    ("mode", "life"), [("session", 30 * DAY), ("jwt", 12 * HOUR), ("hybrid", 30 * DAY)]
)
async def test_remembered_cookies_live_as_long_as_the_sign_in(make, mode, life):
    """Cookies of a sign-in that is remembered survive the browser, as long as the sign-in lives."""
    assert {life} == max_ages(await make(mode).client().login())


@pytest.mark.parametrize(("mode", "life"), [("session", DAY), ("jwt", 12 * HOUR), ("hybrid", DAY)])
async def test_unremembered_sign_in_ends_with_the_browser_and_in_a_day(make, mode, life):
    """`remember=False`: cookies end with the browser, and the server ends it after a day at most."""
    bench = make(mode)
    client = bench.client()
    signed_in = await client.login(remember=False)
    assert {None} == max_ages(signed_in)
    assert life == signed_in.expires_at - bench.clock() // 1000
    if mode == "hybrid":
        assert {None} == max_ages(await client.refresh())


@pytest.mark.parametrize(
    ("preset", "lives"),
    [
        ("aal1", (30 * DAY, 14 * DAY, 900)),
        ("aal2", (DAY, HOUR, 300)),
        ("aal3", (12 * HOUR, 900, 60)),
    ],
)
async def test_presets_keep_the_lives_of_nist(make, stored_mode, preset, lives):
    """A preset shortens lives to what its assurance level allows (NIST SP 800-63B-4)."""
    absolute, idle, access = lives
    bench = make(stored_mode, preset=preset)
    client = bench.client()
    record = await bench.record((await client.login()).principal.sid)
    assert (absolute, idle) == (
        (record.expires_at_ms - record.created_at_ms) // 1000,
        record.idle_ms // 1000,
    )
    if stored_mode == "hybrid":
        life = claims_of(client.access)["exp"] - bench.clock() // 1000
        assert 0.8 * access <= life + 1 <= access + 1


async def test_aal3_session_ends_after_15_idle_minutes_and_12_hours(make, transport):
    """The strictest preset at work: idle to the second, and 12 hours whatever happens."""
    bench = make("session", preset="aal3")
    client, busy = bench.client(transport), bench.client(transport)
    await client.login()
    await busy.login()
    await use(busy, every=600, until=1200)
    assert "expired" == await client.code()
    assert 12 * HOUR - 1200 == await use(busy, every=600, until=DAY)


# --- access tokens --------------------------------------------------------------------------------


async def test_hybrid_token_over_asks_to_refresh_and_jwt_to_sign_in(make, transport):
    """An access token that is over is answered by its kind: refresh now, or sign in again."""
    bench = make("hybrid", modes=("jwt",), absolute_ttl_seconds=1000)
    hybrid, jwt = bench.client(transport), bench.client(transport)
    await hybrid.login(mode="hybrid")
    await jwt.login(mode="jwt")
    await bench.advance(905)
    assert ["refresh_required", ""] == [await c.code(renew=False) for c in (hybrid, jwt)]
    await bench.advance(100)
    assert ["refresh_required", "expired"] == [await c.code(renew=False) for c in (hybrid, jwt)]


async def test_remembered_token_is_refused_after_its_expiry(make, transport):
    """A token whose signature is remembered is judged against time at every hit."""
    bench = make("jwt", absolute_ttl_seconds=100)
    client = bench.client(transport)
    await client.login()
    assert ["", ""] == [await client.code(), await client.code()]
    await bench.advance(100.999)
    assert "" == await client.code()  # within a second of leeway
    await bench.advance(0.001)
    assert ["expired", "expired"] == [await client.code(), await client.code()]


async def test_jitter_of_access_lives_is_between_0_and_20_percent(make):
    """Lives differ at random, so that two holders of one copied handle drift apart."""
    bench = make("hybrid", access_ttl_seconds=3600)
    client = bench.client("bearer")
    await client.login()
    lives = []
    for _ in range(60):
        await client.refresh()
        payload = unverified.inspect(client.access).unverified_claims
        lives.append(payload["exp"] - payload["iat"])
    assert 2879 <= min(lives) < 3000
    assert 3400 < max(lives) <= 3600
