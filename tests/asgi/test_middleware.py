"""A raw ASGI application with Sojourn: its requests over httpx2, its lifespan, its mistakes."""

import json

import httpx2
import pytest
from asgi.driving import Connection, opened, scope_of

from sojourn import (
    AsyncSojourn,
    AsyncVerifier,
    ConfigurationError,
    Issuer,
    Sojourn,
    StoreError,
    Verifier,
)
from sojourn.asgi import Auth, Guard, SojournMiddleware, incoming_of, state_of
from sojourn.errors import InvalidToken
from sojourn.stores.memory import MemoryStore
from sojourn.testing import ManualClock

URL = "http://127.0.0.1:8000"
PAGE = "http://localhost:3000"


async def answer(send, value, status=200, headers=()):
    body = json.dumps(value).encode()
    start = {"type": "http.response.start", "status": status, "headers": [*headers]}
    await send(start)
    await send({"type": "http.response.body", "body": body})


async def body_of(receive):
    message = await receive()
    return json.loads(message["body"] or b"{}")


def application(auth):
    """Make an application: a verb of `auth` at each path."""

    async def app(scope, receive, send):
        path = scope["path"]
        match path:
            case "/login":
                signed_in = await auth.login(scope, **await body_of(receive))
                await answer(send, signed_in.public())
            case "/me":
                await answer(send, (await auth.current(scope)).subject)
            case "/public":
                principal = await auth.optional(scope)
                await answer(send, principal.subject if principal else None)
            case "/admin":
                await answer(send, (await auth.require(roles={"admin"})(scope)).subject)
            case "/basket":
                data = await auth.data(scope)
                data["n"] = data.get("n", 0) + 1
                await answer(send, data["n"])
            case "/too-much":
                (await auth.data(scope))["x"] = "x" * 40_000
                await answer(send, "saved")
            case "/broken":
                raise RuntimeError("the application's own mistake")
            case "/half":
                await send({"type": "http.response.start", "status": 200, "headers": []})
                raise (ConfigurationError if scope["query_string"] else RuntimeError)("half way")
            case "/own":
                await auth.login(scope, "ann")
                await answer(send, "ok", headers=[(b"vary", b"Accept"), (b"set-cookie", b"a=1")])
            case "/begin":
                attempt = await auth.begin("ann")
                await auth.login(scope, "ann", attempt=attempt)
                await answer(send, state_of(scope).principal.subject)
            case _:
                verb = getattr(auth, path.strip("/"))
                signed_in = await verb(scope, **await body_of(receive))
                await answer(send, signed_in.public() if signed_in else None)

    return app


@pytest.fixture
def clock():
    return ManualClock()


@pytest.fixture
async def auth(clock):
    modes = ("hybrid", "session", "jwt")
    auth = Auth(
        "memory://",
        url=URL,
        modes=modes,
        trusted_origins=(PAGE,),
        clock=clock,
        monotonic_ms=clock,
    )
    yield auth
    await auth.sojourn.close()


def client_of(app, **options):
    transport = httpx2.ASGITransport(app=app, **options)
    return httpx2.AsyncClient(transport=transport, base_url=URL)


@pytest.fixture
async def client(auth):
    async with client_of(auth.wrap(application(auth))) as client:
        yield client


def code_of(response):
    return response.status_code, response.json()["code"]


# --- signing in and out -----------------------------------------------------------------------------


@pytest.mark.parametrize("mode", ["session", "jwt", "hybrid"])
async def test_signing_in_and_out(mode, client):
    """A login hands its cookies out by the middleware; a logout takes them back."""
    assert (401, "unauthenticated") == code_of(await client.get("/me"))
    assert None is (await client.get("/public")).json()
    told = await client.post("/login", json={"subject": "ann", "mode": mode})
    assert mode == told.json()["mode"]
    assert "ann" == (await client.get("/me")).json()
    assert "ann" == (await client.get("/public")).json()
    assert (403, "forbidden") == code_of(await client.get("/admin"))
    await client.post("/logout")
    assert not client.cookies
    assert 401 == (await client.get("/me")).status_code


async def test_every_verb(client, auth, clock):
    """Each acts on the request's own state, and answers with what a client needs."""
    body = {"subject": "ann", "transport": "bearer"}
    told = (await client.post("/login", json=body)).json()
    client.headers["Authorization"] = f"Bearer {told['access_token']}"
    assert (await client.post("/access_token")).json()["expires_in"]
    refresh = {"refresh_token": told["refresh_token"]}
    renewed = (await client.post("/refresh", json=refresh)).json()
    client.headers["Authorization"] = f"Bearer {renewed['access_token']}"
    assert "ann" == (await client.post("/reauthenticate", json={"amr": ["pwd"]})).json()["subject"]
    del client.headers["Authorization"]
    await client.post("/begin")
    assert "session" == (await client.post("/move", json={"mode": "session"})).json()["mode"]
    async with client_of(auth.wrap(application(auth))) as other:
        await other.post("/begin")
        await client.post("/logout_others")
        assert 401 == (await other.get("/me")).status_code
    assert "ann" == (await client.get("/me")).json()
    await client.post("/logout_all")
    assert not client.cookies


async def test_what_was_renewed_in_passing_is_not_rotated_again(client, clock):
    """A refresh in the request that the middleware has renewed gives the same successor."""
    await client.post("/begin")
    clock.advance(seconds=901)
    renewed = await client.post("/refresh")
    assert 2 == len(renewed.headers.get_list("set-cookie"))
    assert "ann" == (await client.get("/me")).json()


async def test_the_applications_own_headers(client):
    """Its cookies stay, Vary is joined, and no cache keeps what signs anybody in."""
    headers = (await client.post("/own")).headers
    assert ("Accept, Cookie", "no-store") == (headers["vary"], headers["cache-control"])
    assert "a=1" in headers.get_list("set-cookie")


async def test_data(client):
    """Saved by itself before the response begins; what cannot be kept is not claimed to be."""
    assert [1, 2] == [(await client.get("/basket")).json() for _ in range(2)]
    assert (400, "invalid_input") == code_of(await client.get("/too-much"))
    assert 3 == (await client.get("/basket")).json()


async def test_an_answer_of_a_login_made_elsewhere(auth):
    """`hand_out` has the middleware write its cookies."""

    async def app(scope, receive, send):
        signed_in = await auth.sojourn.login(incoming_of(scope), "ann")
        await answer(send, auth.hand_out(scope, signed_in).principal.subject)

    async with client_of(auth.wrap(app)) as client:
        assert "ann" == (await client.post("/")).json()
        assert client.cookies


# --- failures ---------------------------------------------------------------------------------------


async def test_public_pages_work_without_the_store(client, auth, monkeypatch):
    """Where the store fails a public page answers, and a private one says 503."""
    await client.post("/login", json={"subject": "ann", "mode": "session"})
    auth.sojourn.core.picture.near.entries.clear()

    async def away(*_):
        raise StoreError("the store is away")

    monkeypatch.setattr(auth.sojourn.core.store, "get", away)
    assert None is (await client.get("/public")).json()
    assert (503, "store_unavailable") == code_of(await client.get("/me"))
    assert (503, "store_unavailable") == code_of(await client.get("/basket"))


async def test_a_crash_still_hands_out_what_was_rotated(auth, clock):
    """The rotated handle reaches the browser with a 500, and the server sees the error."""
    app = auth.wrap(application(auth))
    async with client_of(app, raise_app_exceptions=False) as client:
        await client.post("/begin")
        clock.advance(seconds=901)
        broken = await client.get("/broken")
        assert (500, "internal") == code_of(broken)
        assert 2 == len(broken.headers.get_list("set-cookie"))
        assert "ann" == (await client.get("/me")).json()
    async with client_of(app) as strict:
        with pytest.raises(RuntimeError, match="own mistake"):
            await strict.get("/broken")


async def test_showing_who_it_is_may_fail_too(auth, clock):
    """What listens for sign-ins fails: the rotated handle reaches the browser all the same."""
    fails = []

    def show(scope, state):
        if fails:
            raise RuntimeError("a listener's mistake")

    app = SojournMiddleware(application(auth), auth.sojourn, show=show)
    async with client_of(app, raise_app_exceptions=False) as client:
        await client.post("/begin")
        clock.advance(seconds=901)
        fails.append(1)
        broken = await client.get("/me")
        assert 2 == len(broken.headers.get_list("set-cookie"))
        fails.clear()
        clock.advance(seconds=60)
        assert "ann" == (await client.get("/me")).json()


@pytest.mark.parametrize("query", ["", "ours=1"])
async def test_a_failure_half_way(query, client):
    """When the response has begun nothing else can be said; the server sees the error."""
    with pytest.raises((RuntimeError, ConfigurationError), match="half way"):
        await client.get(f"/half?{query}")


async def test_a_websocket_that_fails(auth):
    """An application's own mistake is the server's to close the socket for."""

    async def app(scope, receive, send):
        await receive()
        await send({"type": "websocket.accept"})
        raise RuntimeError("its own mistake")

    async with opened(auth.wrap(app)) as socket:
        with pytest.raises(RuntimeError, match="its own"):
            await socket.ended()


async def test_a_handshake_of_a_stranger(auth):
    """Another origin's page is refused before it is accepted; a socket's cookies can be set at it."""
    signed_in = await auth.sojourn.login(state_of_nobody(), "ann", mode="session")
    cookies = "; ".join(
        value.partition(";")[0]
        for name, value in signed_in.outgoing.headers
        if name == "Set-Cookie"
    )

    async def app(scope, receive, send):
        await receive()
        await auth.current(scope)
        (await auth.data(scope))["seen"] = True
        await send({"type": "websocket.accept"})

    async with opened(auth.wrap(app), cookie=cookies, origin="https://evil.example") as socket:
        (closed,) = await socket.ended()
        assert (4401, "cross_site") == (closed["code"], closed["reason"])
    async with opened(auth.wrap(app), cookie=cookies, origin=URL) as socket:
        assert "websocket.accept" == (await socket.took())["type"]


def state_of_nobody():
    from sojourn import Incoming

    return Incoming()


async def test_why_a_token_is_not_good_is_logged(client, caplog):
    """The client learns that it is not valid, who runs the service the reason."""
    caplog.set_level("INFO", "sojourn.requests")
    refused = await client.get("/me", headers={"Authorization": "Bearer a.b.c"})
    assert InvalidToken.code == refused.json()["code"]
    assert "GET /me: " in caplog.text


# --- other origins ----------------------------------------------------------------------------------


async def test_cross_origin(client):
    """A trusted page may call, pre-flight included; others are answered without leave, or refused."""
    asked = {"Origin": PAGE, "Access-Control-Request-Method": "POST"}
    preflight = await client.options("/me", headers=asked)
    assert (204, PAGE) == (
        preflight.status_code,
        preflight.headers["access-control-allow-origin"],
    )
    allowed = await client.get("/public", headers={"Origin": PAGE})
    assert PAGE == allowed.headers["access-control-allow-origin"]
    plain = await client.options("/public", headers={"Origin": PAGE})
    assert "access-control-allow-methods" not in plain.headers, "asked without a pre-flight"
    stranger = await client.get("/public", headers={"Origin": "https://evil.example"})
    assert "access-control-allow-origin" not in stranger.headers
    await client.post("/begin")
    refused = await client.post("/logout", headers={"Origin": "https://evil.example"})
    assert (403, "cross_site") == code_of(refused)


# --- construction -----------------------------------------------------------------------------------


async def test_typical_mistakes_name_the_remedy(auth):
    """What one writes by mistake is answered with what to write."""
    sojourn = AsyncSojourn(MemoryStore(), url=URL)
    assert sojourn is Auth(sojourn).sojourn
    issuers = [Issuer.sojourn(URL)]
    for make, remedy in (
        (lambda: Auth(Sojourn("memory://", url=URL)), "takes AsyncSojourn"),
        (lambda: Auth(sojourn, mode="jwt"), "to AsyncSojourn itself"),
        (lambda: Guard(Verifier(audience="a", issuers=issuers)), "give AsyncVerifier"),
        (lambda: state_of({"type": "http"}), "middleware is missing"),
    ):
        with pytest.raises(ConfigurationError, match=remedy):
            make()


async def test_a_verifier(auth):
    """A service without the store has the same; nothing is saved and no origin is shared there."""
    guard = Guard(AsyncVerifier(audience="billing", issuers=[Issuer.sojourn(URL)]))
    async with client_of(guard.wrap(application(guard))) as client:
        assert (401, "unauthenticated") == code_of(await client.get("/me"))
        assert None is (await client.get("/public", headers={"Origin": PAGE})).json()


async def test_what_max_lag_asks_for_is_asked(auth, client):
    """A need of no lag asks the store again within the request."""
    from datetime import timedelta

    required = auth.require(max_lag=timedelta(0))

    async def app(scope, receive, send):
        await answer(send, (await required(scope)).subject)

    await client.post("/login", json={"subject": "ann", "mode": "session"})
    async with client_of(auth.wrap(app)) as at_once:
        at_once.cookies = client.cookies
        assert "ann" == (await at_once.get("/")).json()


# --- the lifespan -----------------------------------------------------------------------------------


async def with_lifespan(scope, receive, send):
    """Take part in the lifespan as most applications do."""
    scope["is_open"] = scope["auth"].sojourn.core.is_open
    await receive()
    await send({"type": "lifespan.startup.complete"})
    await receive()
    await send({"type": "lifespan.shutdown.complete"})


async def without(scope, receive, send):
    """Be an application that knows requests alone."""
    assert scope["type"] == "http"


async def silent(scope, receive, send):
    """Leave at once."""


async def receiving(scope, receive, send):
    """Leave after having been told to start."""
    await receive()


def lifespan_of(auth, app):
    scope = {"type": "lifespan", "auth": auth}
    return Connection(auth.wrap(app), scope).start()


@pytest.mark.parametrize("app", [with_lifespan, without, silent, receiving])
async def test_what_is_opened_is_closed(app, auth):
    """Also around an application that takes no part: the server hears of start and stop."""
    served = lifespan_of(auth, app)
    served.put("lifespan.startup")
    assert "lifespan.startup.complete" == (await served.took())["type"]
    assert auth.sojourn.core.is_open
    served.put("lifespan.shutdown")
    assert ["lifespan.shutdown.complete"] == [said["type"] for said in await served.ended()]
    assert not auth.sojourn.core.is_open


async def test_an_application_that_fails_to_stop(auth):
    """Its error comes through, and the checker is closed all the same."""

    async def failing(scope, receive, send):
        await receive()
        await send({"type": "lifespan.startup.complete"})
        await receive()
        raise RuntimeError("cannot stop")

    served = lifespan_of(auth, failing)
    served.put("lifespan.startup")
    served.put("lifespan.shutdown")
    with pytest.raises(RuntimeError, match="cannot stop"):
        await served.ended()
    assert not auth.sojourn.core.is_open


async def test_a_store_that_cannot_be_opened(auth, monkeypatch):
    """The server is told why and does not start, as with any framework."""

    async def away(**_):
        raise StoreError("the store cannot be opened; check the address")

    monkeypatch.setattr(auth.sojourn.core.store, "open", away)
    served = lifespan_of(auth, with_lifespan)
    served.put("lifespan.startup")
    (failed,) = await served.ended()
    assert "lifespan.startup.failed" == failed["type"]
    assert "check the address" in failed["message"]


async def test_what_it_does_not_know_it_passes_on(auth):
    """Another type of scope is the application's alone; so is a lifespan in a framework's adapter."""
    from sojourn.asgi import SojournMiddleware

    seen = []

    async def app(scope, receive, send):
        seen.append(scope["type"])

    await auth.wrap(app)({"type": "future"}, None, None)
    await SojournMiddleware(app, auth.sojourn)({"type": "lifespan"}, None, None)
    assert ["future", "lifespan"] == seen


async def test_a_client_without_an_address(auth):
    """A server on a socket file knows none."""
    scope = scope_of("http", path="/public") | {"client": None}
    connection = Connection(auth.wrap(application(auth)), scope).start()
    connection.put("http.request", body=b"", more_body=False)
    assert 200 == (await connection.took())["status"]
    await connection.ended()
    assert "" == incoming_of(scope).peer
