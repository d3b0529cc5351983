"""What a client may ask about its own sign-in, as every adapter routes it."""

import json

import pytest
from engine.harness import Bench

from sojourn import Incoming
from sojourn.adapting import RequestState
from sojourn.adapting.endpoints import ENDPOINTS, MAX_BODY_BYTES, Asked
from sojourn.errors import (
    BadRequest,
    NotFound,
    Unauthenticated,
    UnsupportedInMode,
)


@pytest.fixture
async def bench(tmp_path):
    bench = Bench("async", "memory", tmp_path, mode="hybrid", modes=("session", "jwt", "hybrid"))
    yield bench
    await bench.close()


@pytest.fixture
async def client(bench):
    client = bench.client("bearer")
    await client.login()
    return client


async def ask(client, path, method="POST", *, sid="", body=None, incoming=None):
    """Ask one of the calls, as an adapter does."""
    (endpoint,) = [e for e in ENDPOINTS if (e.method, e.path) == (method, path)]
    core = client.bench.core
    state = RequestState(incoming or client.incoming(method))
    state.take(await client.auth.check(state.incoming), core.browser)
    raw = body if isinstance(body, bytes) else json.dumps(body).encode() if body else b""
    answer = await endpoint.act(core, state, Asked(body=raw, sid=sid))
    assert (200 if answer.body else 204) == answer.status
    return json.loads(answer.body or b"null")


async def test_who_is_signed_in(client):
    """The principal as its client may see it; without one, the refusal."""
    told = await ask(client, "/session", "GET")
    assert ("alice", "hybrid", [], {}) == tuple(
        told[name] for name in ("subject", "mode", "roles", "claims")
    )
    with pytest.raises(Unauthenticated):
        await ask(client, "/session", "GET", incoming=Incoming())


async def test_refresh_access_token_and_mode(client):
    """A bearer client sends its refresh token in the body; a move gives the other mode's proofs."""
    renewed = await ask(client, "/refresh", body={"refresh_token": client.refresh_token})
    client.access_token, client.refresh_token = renewed["access_token"], renewed["refresh_token"]
    assert (await ask(client, "/access-token"))["expires_in"]
    body = {"mode": "session", "refresh_token": client.refresh_token}
    assert "session" == (await ask(client, "/mode", body=body))["mode"]


async def test_devices(client, bench):
    """One's own are listed and ended, also once more; nobody else's is told from one that is not."""
    other, stranger = bench.client("bearer"), bench.client("bearer")
    theirs = (await other.login()).principal.sid
    strange = (await stranger.login("bob")).principal.sid
    listed = (await ask(client, "/sessions", "GET"))["sessions"]
    assert {theirs: False} == {s["sid"]: s["current"] for s in listed if not s["current"]}
    assert 2 == len(listed)
    for _ in range(2):
        assert None is await ask(client, "/sessions/{sid}", "DELETE", sid=theirs)
    assert "revoked" == await other.code()
    for sid in (strange, "no-sid"):
        with pytest.raises(NotFound):
            await ask(client, "/sessions/{sid}", "DELETE", sid=sid)
    assert "" == await stranger.code()


async def test_signing_out(client, bench):
    """Here, elsewhere, everywhere; here also where nobody is signed in."""
    other = bench.client("bearer")
    await other.login()
    await ask(client, "/logout-others")
    assert ("revoked", "") == (await other.code(), await client.code())
    await ask(client, "/logout-all")
    assert "revoked" == await client.code()
    await client.login()
    await ask(client, "/logout")
    assert "revoked" == await client.code()
    assert None is await ask(client, "/logout", incoming=Incoming(method="POST"))


async def test_a_jwt_has_no_devices(bench):
    """Nothing is stored that could be listed; the message names the modes that do."""
    client = bench.client("bearer")
    await client.login(mode="jwt")
    with pytest.raises(UnsupportedInMode, match="mode 'session' or 'hybrid'"):
        await ask(client, "/sessions", "GET")


@pytest.mark.parametrize(
    "body",
    [
        b"{",
        b"[1]",
        b'{"refresh_token": 7}',
        b'{"unknown": 1}',
        b"\xff",
        b" " * (MAX_BODY_BYTES + 1),
    ],
)
async def test_a_body_that_does_not_fit(body, client):
    """It is refused as the client's mistake, before anything is done."""
    with pytest.raises(BadRequest):
        await ask(client, "/refresh", body=body)
    assert "" == await client.code()


def test_each_call_has_a_name_of_its_own():
    """Frameworks name routes; two of one name would shadow each other."""
    assert len(ENDPOINTS) == len({endpoint.name for endpoint in ENDPOINTS})
