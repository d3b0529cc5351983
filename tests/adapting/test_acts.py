"""What a request may do, as every adapter has it: on the state of one request, in both worlds."""

import pytest
from engine.harness import MODES, Bench

from sojourn import Forbidden, Need, StoreError, Unauthenticated
from sojourn.adapting import NOBODY, RequestState, acts


@pytest.fixture(params=MODES)
async def bench(request, tmp_path):
    bench = Bench("async", "memory", tmp_path, mode=request.param)
    await bench.core.ready()
    yield bench
    await bench.close()


@pytest.fixture
async def hybrid(tmp_path):
    bench = Bench("async", "memory", tmp_path, mode="hybrid")
    await bench.core.ready()
    yield bench
    await bench.close()


async def visit(client, method="POST"):
    """Begin a request of a client: an adapter's check, and the state it keeps."""
    state = RequestState(client.incoming(method))
    state.take(await client.auth.check(state.incoming), client.bench.core.browser)
    return state


async def test_who_signed_in_is_who_the_rest_of_the_request_is(bench):
    """After a login within a request the state has its principal, and its cookies to hand out."""
    client = bench.client()
    state = await visit(client)
    assert state.checked.refusal.code == NOBODY.refusal.code
    signed_in = await acts.login(bench.core, state, "alice")
    assert signed_in.principal is state.require()
    client.take(state.outgoing)
    assert "" == await client.code()
    await acts.logout(bench.core, state)
    assert state.principal is None
    client.take(state.outgoing)
    assert "unauthenticated" == await client.code()


async def test_second_login_replaces_what_was_to_be_handed_out(bench):
    """One cookie of a name goes out, that of the later login."""
    client = bench.client()
    state = await visit(client)
    await acts.login(bench.core, state, "alice")
    await acts.login(bench.core, state, "bob")
    names = [
        value.partition("=")[0] for name, value in state.outgoing.headers if name == "Set-Cookie"
    ]
    assert len(set(names)) == len(names)
    client.take(state.outgoing)
    assert "bob" == (await client.check()).principal.subject


async def test_error_is_raised_by_those_who_need_to_know(bench):
    """A public page works without the store; who asks who it is gets the failure."""
    state = RequestState(bench.client().incoming())
    state.error = StoreError("away")
    assert state.principal is None
    with pytest.raises(StoreError):
        state.require()
    with pytest.raises(StoreError):
        await acts.load_data(bench.core, state)


async def test_need_is_judged(bench):
    """`require` refuses whoever is signed in and lacks what a route asks for."""
    client = bench.client()
    await client.login()
    state = await visit(client)
    with pytest.raises(Forbidden):
        state.require(Need.of(roles={"admin"}))


async def test_data_changed_before_a_login_is_carried(hybrid):
    """What a visitor's request wrote goes along in the same request, by the keys that `carry` names."""
    client = hybrid.client()
    state = await visit(client)
    data = await acts.load_data(hybrid.core, state)
    data["basket"], data["draft"] = ["tea"], "x"
    assert data is await acts.load_data(hybrid.core, state)
    await acts.login(hybrid.core, state, "alice", carry=["basket"])
    assert {"basket": ["tea"]} == dict(await acts.load_data(hybrid.core, state))
    client.take(state.outgoing)
    assert {hybrid.core.browser.names.access, hybrid.core.browser.names.refresh} == set(
        client.cookies
    )


@pytest.mark.parametrize("act", ["reauthenticate", "move"])
async def test_data_changed_before_the_session_is_renewed_is_saved(hybrid, act):
    """A new handle or mode for the session does not lose what the request has written."""
    options = {"move": {"mode": "session"}}.get(act, {})
    bench = Bench("async", "memory", hybrid.folder, modes=("session", "hybrid"))
    await bench.core.ready()
    client = bench.client()
    await client.login()
    state = await visit(client)
    (await acts.load_data(bench.core, state))["theme"] = "dark"
    await getattr(acts, act)(bench.core, state, **options)
    assert {"theme": "dark"} == dict(await acts.load_data(bench.core, state))
    await bench.close()


async def test_data_is_saved_once(hybrid):
    """Saving takes what changed; without data loaded there is nothing to save."""
    client = hybrid.client()
    state = await visit(client)
    await acts.save_data(hybrid.core, state)
    (await acts.load_data(hybrid.core, state))["n"] = 1
    await acts.save_data(hybrid.core, state)
    client.take(state.outgoing)
    assert state.data is None
    again = await visit(client)
    assert {"n": 1} == dict(await acts.load_data(hybrid.core, again))


# --- refreshing -------------------------------------------------------------------------------------


async def test_what_was_renewed_in_passing_is_not_rotated_again(hybrid):
    """A refresh in a request that the check has renewed answers with that."""
    client = hybrid.client()
    await client.login()
    await hybrid.advance(seconds=3600)
    state = await visit(client)
    assert state.checked.renewed is await acts.refresh(hybrid.core, state)


async def test_what_was_just_rotated_is_handed_out_again(hybrid):
    """Tabs without locks: each refreshes with what the jar holds, and none makes a generation more."""
    client = hybrid.client()
    sid = (await client.login()).principal.sid
    await hybrid.advance(seconds=60)
    for _ in range(5):
        state = await visit(client)
        await acts.refresh(hybrid.core, state)
        client.take(state.outgoing)
    chain = next(iter((await hybrid.record(sid)).chains.values()))
    assert 2 == chain.generation
    await hybrid.advance(seconds=11)
    state = await visit(client)
    await acts.refresh(hybrid.core, state)
    chain = next(iter((await hybrid.record(sid)).chains.values()))
    assert 3 == chain.generation


async def test_old_copy_is_not_spared_by_a_fresh_access_token(hybrid):
    """Beside a good access cookie, a handle of the generation before is judged as ever."""
    client = hybrid.client()
    await client.login()
    stolen = client.cookies[client.names.refresh]
    await hybrid.advance(seconds=60)
    await acts.refresh(hybrid.core, state := await visit(client))
    client.take(state.outgoing)
    await hybrid.advance(seconds=60)
    client.cookies[client.names.refresh] = stolen
    state = await visit(client)
    assert state.principal is not None
    with pytest.raises(Exception, match="replaced refresh handle"):
        await acts.refresh(hybrid.core, state)


async def test_another_sessions_handle_answers_for_nobody(hybrid):
    """A refresh cookie of somebody else beside my access cookie rotates theirs, as it would alone."""
    client, other = hybrid.client(), hybrid.client()
    await client.login("alice")
    await other.login("bob")
    client.cookies[client.names.refresh] = other.cookies[other.names.refresh]
    state = await visit(client)
    assert "bob" == (await acts.refresh(hybrid.core, state)).principal.subject


async def test_page_of_another_site_refreshes_nothing(hybrid):
    """The shortcut is no way around the check of the origin."""
    client = hybrid.client()
    await client.login()
    state = await visit(client, "GET")
    state.incoming = client.incoming(origin="https://evil.example", sec_fetch_site="cross-site")
    with pytest.raises(Exception, match=r"evil\.example"):
        await acts.refresh(hybrid.core, state)


async def test_bearer_rotates_each_time(hybrid):
    """A client that holds its own token asked for a new one, and gets it."""
    client = hybrid.client("bearer")
    await client.login()
    state = await visit(client)
    first = await acts.refresh(hybrid.core, state, refresh_token=client.refresh_token)
    assert first.refresh_token != client.refresh_token


# --- the others ---------------------------------------------------------------------------------------


async def test_sign_out_others_and_everywhere(bench):
    """Others end and this one stays; then this one too."""
    client, other = bench.client(), bench.client()
    await client.login()
    await other.login()
    state = await visit(client)
    await acts.logout_others(bench.core, state)
    assert ["", "revoked"] == [await client.code(), await other.code()]
    state = await visit(client)
    await acts.logout_all(bench.core, state)
    assert state.principal is None
    assert "revoked" == await client.copy().code()


async def test_short_access_token(bench):
    """A live session gives one, and the response is kept out of caches."""
    client = bench.client()
    await client.login()
    state = await visit(client)
    assert (await acts.access_token(bench.core, state)).access_token
    assert ("Cache-Control", "no-store") in state.outgoing.headers


async def test_who_signs_in_is_who_is_asked_about(bench):
    """A client that signs in in a request with another's credential is judged by its own."""
    alice, bob = bench.client(), bench.client("bearer")
    await alice.login("alice")
    state = await visit(alice)
    await acts.login(bench.core, state, "bob", transport="bearer")
    asked = await bench.auth.check(state.incoming, need=Need(max_lag_seconds=0))
    assert "bob" == asked.principal.subject
    await acts.logout(bench.core, state)
    assert "" == await alice.code()
    bob.took(await bench.auth.login(bob.incoming(), "bob", transport="bearer"))
    state = await visit(bob)
    await acts.login(bench.core, state, "alice", transport="cookie")
    asked = await bench.auth.check(state.incoming, need=Need(max_lag_seconds=0))
    assert "alice" == asked.principal.subject


@pytest.mark.parametrize("act", ["access_token", "move", "reauthenticate"])
async def test_whom_the_application_turned_away_gets_nothing(hybrid, act):
    """Where an adapter found that a user is gone, good proofs of theirs do not help."""
    client = hybrid.client()
    await client.login()
    state = await visit(client)
    state.checked = NOBODY
    options = {"move": {"mode": "session"}}.get(act, {})
    with pytest.raises(Unauthenticated):
        await getattr(acts, act)(hybrid.core, state, **options)
