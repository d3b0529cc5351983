"""A long connection ends with the session of whoever opened it: raw ASGI applications, by hand."""

import asyncio

import pytest
from asgi.driving import Connection, opened, scope_of

from sojourn import ANY, Incoming, StoreError
from sojourn.asgi import Auth
from sojourn.errors import ConfigurationError
from sojourn.testing import ManualClock

URL = "http://127.0.0.1:8000"
pytestmark = pytest.mark.filterwarnings("ignore:when_stale='trust'")


@pytest.fixture
async def make_auth():
    made = []

    def make_auth(**options):
        clock = ManualClock()
        made.append(Auth("memory://", url=URL, clock=clock, monotonic_ms=clock, **options))
        made[-1].clock = clock
        return made[-1]

    yield make_auth
    for auth in made:
        await auth.sojourn.close()


@pytest.fixture
def auth(make_auth):
    return make_auth(mode="session")


async def signed_in(auth, **options):
    """Sign ann in; gives the headers of her client, and her sid."""
    told = await auth.sojourn.login(Incoming(), "ann", transport="bearer", **options)
    return {"authorization": f"Bearer {told.access_token}"}, told.principal.sid


def end(auth, sid):
    return auth.sojourn.revoke(sid, subject=ANY)


async def echo(scope, receive, send):
    """Say what comes, until the client has left; keep how it left."""
    await receive()
    await send({"type": "websocket.accept"})
    while (message := await receive())["type"] == "websocket.receive":
        await send({"type": "websocket.send", "text": message["text"]})
    scope["left"] = message


CLOSED = {"type": "websocket.close", "code": 4401, "reason": "revoked"}


# --- WebSockets -------------------------------------------------------------------------------------


async def test_a_websocket_is_closed(auth):
    """The client is told why; to the application the client has left, with the same code."""
    headers, sid = await signed_in(auth)
    async with opened(auth.wrap(echo), **headers) as socket:
        assert "websocket.accept" == (await socket.took())["type"]
        socket.put("websocket.receive", text="hello")
        assert "hello" == (await socket.took())["text"]
        await end(auth, sid)
        assert [CLOSED] == await socket.ended()
        assert {"type": "websocket.disconnect", "code": 4401, "reason": "revoked"} == (
            socket.scope["left"]
        )


async def test_an_application_that_asks_again(auth):
    """Every receive after the end says so once more, and nothing can be sent."""
    headers, sid = await signed_in(auth)
    seen = []

    async def app(scope, receive, send):
        await receive()
        await send({"type": "websocket.accept"})
        seen.extend([(await receive())["type"], (await receive())["type"]])
        with pytest.raises(OSError, match="session ended"):
            await send({"type": "websocket.send", "text": "too late"})

    async with opened(auth.wrap(app), **headers) as socket:
        await socket.took()
        await end(auth, sid)
        assert [CLOSED] == await socket.ended()
    assert ["websocket.disconnect"] * 2 == seen


async def test_an_application_that_only_sends(auth):
    """It never receives; its next send fails as if the client had left, and nothing is logged of it."""
    headers, sid = await signed_in(auth)

    async def app(scope, receive, send):
        await receive()
        await send({"type": "websocket.accept"})
        while True:
            await send({"type": "websocket.send", "text": "tick"})
            await asyncio.sleep(0)

    async with opened(auth.wrap(app), **headers) as socket:
        await socket.took()
        await end(auth, sid)
        sent = await socket.ended()
    assert [CLOSED] == [message for message in sent if message["type"] != "websocket.send"]
    assert CLOSED == sent[-1]


async def test_an_application_that_sends_from_a_task_group(auth):
    """What comes out of the group is known for what it is."""
    headers, sid = await signed_in(auth)

    async def tick(send):
        while True:
            await send({"type": "websocket.send", "text": "tick"})
            await asyncio.sleep(0)

    async def app(scope, receive, send):
        await receive()
        await send({"type": "websocket.accept"})
        try:
            async with asyncio.TaskGroup() as group:
                group.create_task(tick(send))
                group.create_task(tick(send))
        except BaseExceptionGroup as group:
            raise RuntimeError("a framework's wrapping") from group

    async with opened(auth.wrap(app), **headers) as socket:
        await socket.took()
        await end(auth, sid)
        assert CLOSED in await socket.ended()


async def test_an_applications_own_failure_at_the_end_is_seen(auth):
    """A mistake while it cleans up is not taken for the end of the session."""
    headers, sid = await signed_in(auth)

    async def app(scope, receive, send):
        await echo(scope, receive, send)
        raise RuntimeError("its own mistake")

    async with opened(auth.wrap(app), **headers) as socket:
        await socket.took()
        await end(auth, sid)
        with pytest.raises(RuntimeError, match="its own"):
            await socket.ended()


async def test_closed_before_it_was_accepted(auth):
    """Who is signed out while the application makes up its mind is refused the handshake."""
    headers, sid = await signed_in(auth)
    is_thinking = asyncio.Event()

    async def app(scope, receive, send):
        await receive()
        is_thinking.set()
        await receive()
        await send({"type": "websocket.accept"})

    async with opened(auth.wrap(app), **headers) as socket:
        await is_thinking.wait()
        await end(auth, sid)
        assert [CLOSED] == await socket.ended()


async def test_nothing_is_lost_or_put_out_of_order(auth):
    """An application that gives up waiting and waits again receives every message once, in order."""
    headers, _ = await signed_in(auth)
    heard = []

    async def app(scope, receive, send):
        await receive()
        await send({"type": "websocket.accept"})
        while True:
            try:
                async with asyncio.timeout(0):
                    message = await receive()
            except TimeoutError:
                continue
            if message["type"] == "websocket.disconnect":
                return
            heard.append(message["text"])

    async with opened(auth.wrap(app), **headers) as socket:
        await socket.took()
        for n in range(200):
            socket.put("websocket.receive", text=str(n))
            if n % 7 == 0:
                await asyncio.sleep(0)
        socket.put("websocket.disconnect", code=1000)
        await socket.ended()
    assert [str(n) for n in range(200)] == heard


async def test_two_that_wait_at_once_get_different_messages(auth):
    """As on the server itself: no message is told twice."""
    headers, _ = await signed_in(auth)
    heard = []

    async def app(scope, receive, send):
        await receive()
        await send({"type": "websocket.accept"})
        heard.extend(await asyncio.gather(receive(), receive(), receive()))

    async with opened(auth.wrap(app), **headers) as socket:
        await socket.took()
        for text in "abc":
            await asyncio.sleep(0)
            socket.put("websocket.receive", text=text)
        await socket.ended()
    assert ["a", "b", "c"] == sorted(message["text"] for message in heard)


async def test_the_first_message_is_given_at_once(auth):
    """Frameworks count on it: a task that starts beside the handshake must not see it unfinished."""
    headers, _ = await signed_in(auth)
    order = []

    async def app(scope, receive, send):
        beside = asyncio.create_task(note(order))
        order.append((await receive())["type"])
        await send({"type": "websocket.accept"})
        await beside

    async with opened(auth.wrap(app), **headers) as socket:
        await socket.ended()
    assert ["websocket.connect", "beside"] == order


async def note(order):
    order.append("beside")


async def test_a_message_of_the_same_moment_is_still_heard(auth):
    """What had come before the end is not dropped with it."""
    headers, sid = await signed_in(auth)
    async with opened(auth.wrap(echo), **headers) as socket:
        await socket.took()
        await asyncio.sleep(0)
        await end(auth, sid)
        socket.put("websocket.receive", text="just before")
        assert CLOSED in await socket.ended()


async def test_a_client_that_left(auth):
    """After it nothing is watched, and nothing is said to nobody."""
    headers, sid = await signed_in(auth)
    async with opened(auth.wrap(echo), **headers) as socket:
        await socket.took()
        assert 1 == auth.sojourn.watching.count
        socket.put("websocket.disconnect", code=1001)
        assert [] == await socket.ended()
        assert 1001 == socket.scope["left"]["code"]
        assert 0 == auth.sojourn.watching.count
        await end(auth, sid)


async def test_an_application_that_had_closed_by_itself(auth):
    """A second close is not sent."""
    headers, sid = await signed_in(auth)

    async def app(scope, receive, send):
        await receive()
        await send({"type": "websocket.accept"})
        await send({"type": "websocket.close", "code": 1000})
        await end(auth, sid)
        await asyncio.sleep(0)

    async with opened(auth.wrap(app), **headers) as socket:
        await socket.took()
        assert [1000] == [message["code"] for message in await socket.ended()]


async def test_the_application_may_be_faster_than_the_close(auth):
    """It is done at once, and the client is told all the same."""
    headers, sid = await signed_in(auth)
    is_free, is_done = asyncio.Event(), asyncio.Event()

    async def app(scope, receive, send):
        await echo(scope, receive, send)
        is_done.set()

    async with opened(auth.wrap(app), **headers) as socket:
        await socket.took()
        socket.before_send = lambda _: is_free.wait()
        await end(auth, sid)
        await is_done.wait()
        is_free.set()
        assert [CLOSED] == await socket.ended()


async def test_a_client_that_cannot_be_told(auth):
    """It has gone in the same moment: that ends nothing but the connection."""
    headers, sid = await signed_in(auth)

    def gone(_):
        raise OSError("the client has left")

    async with opened(auth.wrap(echo), **headers) as socket:
        await socket.took()
        socket.before_send = gone
        await end(auth, sid)
        assert [] == await socket.ended()


@pytest.mark.parametrize("is_over", [True, False])
async def test_a_send_that_fails_on_its_way(auth, is_over):
    """Where the session ended meanwhile it is that; else it is the server's own error."""
    headers, sid = await signed_in(auth)

    async def fail():
        if is_over:
            await end(auth, sid)
            await asyncio.sleep(0)
            await asyncio.sleep(0)
        raise OSError("the server's own")

    async with opened(auth.wrap(echo), **headers) as socket:
        await socket.took()
        socket.before_send = lambda message: fail() if message["type"] == "websocket.send" else None
        socket.put("websocket.receive", text="hello")
        if is_over:
            assert [CLOSED] == await socket.ended()
        else:
            with pytest.raises(OSError, match="the server's own"):
                await socket.ended()


async def test_a_visitors_socket_is_left_alone(auth):
    """Nobody is signed in, so nothing can end."""
    async with opened(auth.wrap(echo)) as socket:
        await socket.took()
        assert 0 == auth.sojourn.watching.count


# --- why it ends ------------------------------------------------------------------------------------


async def test_roles_that_changed(make_auth):
    """The client is to connect again: what was allowed by the old roles does not go on."""
    auth = make_auth(mode="hybrid")
    headers, _ = await signed_in(auth, roles={"admin"})
    async with opened(auth.wrap(echo), **headers) as socket:
        await socket.took()
        await auth.sojourn.update("ann", roles=set())
        assert ["refresh_required"] == [said["reason"] for said in await socket.ended()]


async def test_the_sessions_own_end(make_auth):
    """A hybrid connection outlives its access token and ends with its session, a JWT with itself."""
    for mode, seconds in (("hybrid", 31 * 86_400), ("jwt", 13 * 3600)):
        auth = make_auth(mode=mode)
        headers, _ = await signed_in(auth)
        async with opened(auth.wrap(echo), **headers) as socket:
            await socket.took()
            auth.clock.advance(seconds=3600)
            await auth.sojourn.watching.look()
            socket.put("websocket.receive", text="still here")
            assert "still here" == (await socket.took())["text"]
            auth.clock.advance(seconds=seconds)
            await auth.sojourn.watching.look()
            assert ["expired"] == [said["reason"] for said in await socket.ended()]


async def test_a_key_that_was_stolen(make_auth):
    """An emergency rotation closes what was opened by a token."""
    auth = make_auth(mode="hybrid")
    headers, _ = await signed_in(auth)
    async with opened(auth.wrap(echo), **headers) as socket:
        await socket.took()
        await auth.sojourn.rotate_keys(is_emergency=True)
        assert ["refresh_required"] == [said["reason"] for said in await socket.ended()]


@pytest.mark.parametrize(
    ("when_stale", "reason"), [("ask", "store_unavailable"), ("refuse", "stale")]
)
async def test_a_store_that_dies(when_stale, reason, make_auth, monkeypatch):
    """The client is to try again later: 1013, and not "you are signed out"."""
    auth = make_auth(mode="session", when_stale=when_stale)
    headers, _ = await signed_in(auth)

    async def dead(*_, **__):
        raise StoreError("the store is away")

    async with opened(auth.wrap(echo), **headers) as socket:
        await socket.took()
        auth.sojourn.core._follower.stop()
        monkeypatch.setattr(auth.sojourn.core.store, "read", dead)
        auth.clock.advance(seconds=6)
        await auth.sojourn.watching.look()
        expected = {"type": "websocket.close", "code": 1013, "reason": reason}
        assert [expected] == await socket.ended()


async def test_a_refusal_of_the_applications_own(auth):
    """What a handler lets through closes the socket with its code, before and after it was accepted."""
    headers, _ = await signed_in(auth)
    for is_accepted in (False, True):

        async def app(scope, receive, send, is_accepted=is_accepted):
            await receive()
            if is_accepted:
                await send({"type": "websocket.accept"})
            await auth.require(roles={"admin"})(scope)

        async with opened(auth.wrap(app), **headers) as socket:
            (closed,) = [m for m in await socket.ended() if m["type"] == "websocket.close"]
            assert (4401, "forbidden") == (closed["code"], closed["reason"])


async def test_a_mistake_of_the_developers(auth):
    """It is an error of the server, and not the client's to mend."""

    async def app(scope, receive, send):
        await receive()
        raise ConfigurationError("a setting is missing")

    async with opened(auth.wrap(app)) as socket:
        assert [1011] == [message["code"] for message in await socket.ended()]


async def test_the_explicit_form(auth):
    """`auth.watch` ends a block with the reason; the connection is closed as ever."""
    headers, sid = await signed_in(auth)
    seen = []

    async def app(scope, receive, send):
        await receive()
        await send({"type": "websocket.accept"})
        try:
            async with auth.watch(scope):
                await asyncio.Event().wait()
        except Exception as error:
            seen.append(error.code)
            raise

    async with opened(auth.wrap(app), **headers) as socket:
        await socket.took()
        await end(auth, sid)
        assert [CLOSED] == await socket.ended()
    assert ["revoked"] == seen


async def test_a_task_that_the_server_cancels(auth):
    """The server's own cancellation comes through, and what was watched is let go."""
    headers, _ = await signed_in(auth)
    async with opened(auth.wrap(echo), **headers) as socket:
        await socket.took()
        socket.task.cancel()
        with pytest.raises(asyncio.CancelledError):
            await socket.task
    assert 0 == auth.sojourn.watching.count


# --- event streams ----------------------------------------------------------------------------------


def stream(content_type="text/event-stream; charset=utf-8", **seen):
    """Make an application that streams until the client has left."""

    async def app(scope, receive, send):
        async def tick():
            while True:
                await send(
                    {"type": "http.response.body", "body": b"data: x\n\n", "more_body": True}
                )
                await asyncio.sleep(0)

        headers = [(b"Content-Type", content_type.encode())]
        await send({"type": "http.response.start", "status": 200, "headers": headers})
        ticking = asyncio.create_task(tick())
        while (await receive())["type"] != "http.disconnect":
            pass
        ticking.cancel()
        await asyncio.wait({ticking})
        scope["has_left"] = True

    return app


LAST = {"type": "http.response.body", "body": b"", "more_body": False}


async def test_an_event_stream_ends(auth):
    """The response comes to its end, and to the application the client has left."""
    headers, sid = await signed_in(auth)
    async with opened(auth.wrap(stream()), "http", **headers) as response:
        assert 200 == (await response.took())["status"]
        assert b"data: x\n\n" == (await response.took())["body"]
        await end(auth, sid)
        assert LAST == (await response.ended())[-1]
        assert response.scope["has_left"]


async def test_another_stream_goes_on(auth):
    """A download is no open connection: it was allowed when it began."""
    headers, sid = await signed_in(auth)
    async with opened(auth.wrap(stream("text/csv")), "http", **headers) as response:
        await response.took()
        assert 0 == auth.sojourn.watching.count
        await end(auth, sid)
        assert (await response.took())["more_body"]
        response.put("http.disconnect")
        await response.ended()


async def test_a_session_that_ended_before_the_stream_began(auth):
    """What came between the check and the first byte counts."""
    headers, sid = await signed_in(auth)

    async def app(scope, receive, send):
        await end(auth, sid)
        await stream()(scope, receive, send)

    async with opened(auth.wrap(app), "http", **headers) as response:
        sent = await response.ended()
        assert [200, LAST] == [sent[0]["status"], sent[-1]]
        assert [] == [message for message in sent[1:-1] if message["body"]]


async def test_the_body_of_a_request_is_read_as_it_comes(auth):
    """In parts, and before anything is watched; then the client's leaving is heard."""
    headers, _ = await signed_in(auth)

    async def app(scope, receive, send):
        parts = [await receive(), await receive()]
        scope["read"] = [part["body"] for part in parts]
        await stream()(scope, receive, send)

    connection = Connection(auth.wrap(app), scope_of("http", method="POST", **headers)).start()
    connection.put("http.request", body=b"one", more_body=True)
    connection.put("http.request", body=b"two", more_body=False)
    assert 200 == (await connection.took())["status"]
    connection.put("http.disconnect")
    await connection.ended()
    assert [b"one", b"two"] == connection.scope["read"]
