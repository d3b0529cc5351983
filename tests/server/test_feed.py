"""The revocation feed over HTTP: for verifiers only, a snapshot, then a stream that goes on."""

import asyncio
import json
import re
import secrets
import time
from contextlib import ExitStack, asynccontextmanager

import httpx2
import pytest
from servers import running_server
from starlette.requests import Request

from sojourn import AsyncSojourn, InvalidToken, StoreError
from sojourn.model import Entry, Event, Head, Kind
from sojourn.ports import Page, StoreInfo
from sojourn.server import feed as feed_module, feed_hub
from sojourn.server.app import Server
from sojourn.server.config import load_config
from sojourn.server.feed import RevocationFeed
from sojourn.server.feed_hub import FeedGap, Hub, TooManyStreams, encode_cursor, shown_lag
from sojourn.starlette import Auth


def add_verifier(server) -> str:
    """Add a verifier from a second process's view, as the command line does."""

    async def add() -> str:
        config = load_config(environ={"SOJOURN_DATA": str(server.data), "SOJOURN_URL": server.url})
        beside = Server(config)
        await beside.open()
        try:
            return await beside.verifiers.add(f"billing-{secrets.token_hex(4)}")
        finally:
            await beside.close()

    return asyncio.run(add())


def events(answer: httpx2.Response):
    """Read server-sent events: (name, data, id)."""
    name = data = identity = ""
    for line in answer.iter_lines():
        key, _, value = line.partition(": ")
        match key:
            case "event":
                name = value
            case "data":
                data = value
            case "id":
                identity = value
            case "":
                yield name, json.loads(data), identity
                name = data = identity = ""


def following(client: httpx2.Client, cursor: str):
    headers = {"Accept": "text/event-stream", "Last-Event-ID": cursor}
    return client.stream("GET", "/auth/revocations", headers=headers)


@pytest.fixture(scope="module")
def verifier(server):
    with httpx2.Client(base_url=server.url, timeout=20) as client:
        client.headers["Authorization"] = f"Bearer {add_verifier(server)}"
        yield client


@pytest.mark.parametrize("authorization", ["", "Bearer sjv_wrong", "Bearer x", "Basic sjv_x"])
def test_only_verifiers_read_the_feed(authorization, server):
    """Nobody else learns who was signed out."""
    headers = {"Authorization": authorization} if authorization else {}
    answer = httpx2.get(f"{server.url}/auth/revocations", headers=headers)
    assert (401, "invalid_token") == (answer.status_code, answer.json()["code"])


def test_snapshot_then_stream(server, verifier, person, http):
    """What happened stands in the snapshot, what happens comes by the stream, resumable."""
    person.login(http, mode="session")
    http.post("/auth/logout-others")
    snapshot = verifier.get("/auth/revocations").json()
    cutoffs = [e for e in snapshot["entries"] if e["kind"] == "cutoff"]
    assert person.subject in {entry["subject"] for entry in cutoffs}
    assert snapshot["lag_ms"] < 5000

    sid = http.get("/auth/session").json()["sid"]
    with following(verifier, snapshot["cursor"]) as answer:
        stream = events(answer)
        assert ("open", {"cursor": snapshot["cursor"]}, "") == next(stream)
        http.post("/auth/logout")
        ended = next(event for event in stream if event[0] == "entry")
        assert ("ended", sid) == (ended[1]["kind"], ended[1]["sid"])
        beat = next(event for event in stream if event[0] == "heartbeat")
        assert {"open_ms", "lag_ms"} == set(beat[1])

    person.login(http, mode="session")
    http.post("/auth/logout")
    with following(verifier, ended[2]) as answer:
        again = next(event for event in events(answer) if event[0] == "entry")
    assert ended[1]["id"] < again[1]["id"], "the stream went on after the cursor"


def test_a_cursor_that_the_feed_does_not_continue(server, verifier, person, http):
    """A gap is said, and the stream ends: the verifier takes a snapshot."""
    person.login(http)
    http.post("/auth/logout")
    with following(verifier, encode_cursor((Head(1, 2),))) as answer:
        assert ["open", "gap"] == [name for name, _, _ in events(answer)]
    answer = verifier.get("/auth/revocations", params={"cursor": encode_cursor((Head(1, 2),))})
    assert (410, "feed_gap") == (answer.status_code, answer.json()["code"])


@pytest.mark.parametrize("cursor", ["", "x", "W10", "bnVsbA"])
def test_a_cursor_of_no_feed(cursor, verifier):
    """Garbage instead of a cursor is a bad request."""
    headers = {"Accept": "text/event-stream", "Last-Event-ID": cursor}
    answer = verifier.get("/auth/revocations", headers=headers)
    assert (400, "invalid_request") == (answer.status_code, answer.json()["code"])
    if cursor:
        answer = verifier.get("/auth/revocations", params={"cursor": cursor})
        assert (400, "invalid_request") == (answer.status_code, answer.json()["code"])


def test_a_poll_tells_what_came_after(server, verifier, person, http):
    """Whoever does not follow asks from time to time, and is told that alone."""

    def poll(cursor):
        return verifier.get("/auth/revocations", params={"cursor": cursor}).json()

    person.login(http, mode="session")
    start = verifier.get("/auth/revocations").json()
    nothing = poll(start["cursor"])
    assert (start["cursor"], []) == (nothing["cursor"], nothing["entries"])
    sid = http.get("/auth/session").json()["sid"]
    http.post("/auth/logout")
    told = poll(start["cursor"])
    assert [("ended", sid)] == [(entry["kind"], entry["sid"]) for entry in told["entries"]]
    assert told["lag_ms"] < 5000
    assert [] == poll(told["cursor"])["entries"]


def reads_of(server):
    """Count how often the store was read."""
    text = httpx2.get(f"{server.url}/metrics").text
    return int(float(re.search(r'operation="read"\} ([\d.e+]+)', text)[1]))


def test_many_streams_read_once(server, verifier, person, http):
    """Fifty streams cost the store what one costs, and all are told, in the order of the chain."""
    streams, revocations = 50, 10
    cursor = verifier.get("/auth/revocations").json()["cursor"]
    with ExitStack() as stack:
        opened = [events(stack.enter_context(following(verifier, cursor))) for _ in range(streams)]
        for stream in opened:
            assert "open" == next(stream)[0]
        before = reads_of(server)
        sids = []
        for _ in range(revocations):
            person.login(http, mode="session")
            sids.append(http.get("/auth/session").json()["sid"])
            http.post("/auth/logout")
        for stream in opened:
            entries = (data for name, data, _ in stream if name == "entry")
            assert sids == [next(entries)["sid"] for _ in sids]
        reads = reads_of(server) - before
    print(f"{reads} reads of the store for {streams} streams and {revocations} revocations")
    assert reads < streams * revocations / 2


def test_an_open_stream_does_not_keep_the_server_from_stopping(tmp_path):
    """A signal ends the streams, and the server with them."""
    with running_server(tmp_path) as server:
        token = add_verifier(server)
        with httpx2.Client(base_url=server.url, timeout=20) as client:
            client.headers["Authorization"] = f"Bearer {token}"
            cursor = client.get("/auth/revocations").json()["cursor"]
            with following(client, cursor) as answer:
                stream = events(answer)
                next(stream)
                started = time.monotonic()
                assert 0 == server.stop()
                print(f"stopped after {time.monotonic() - started:.2f} s")


# --- in this process ------------------------------------------------------------------------------


class Anybody:
    """Verifiers whose token is their name; `refused` are none any more."""

    def __init__(self):
        self.refused = set()

    async def named_by(self, authorization):
        if authorization in self.refused:
            raise InvalidToken(reason="unknown_verifier")
        return authorization


class Stream:
    """A stream that is read from within the process."""

    def __init__(self):
        self.events = asyncio.Queue()
        self.is_stuck = asyncio.Event()
        self.unstuck = asyncio.Event()
        self.unstuck.set()

    async def send(self, message):
        if not self.unstuck.is_set():
            self.is_stuck.set()
            await self.unstuck.wait()
        for part in message.get("body", b"").split(b"\n\n"):
            if part:
                fields = dict(line.partition(": ")[::2] for line in part.decode().split("\n"))
                self.events.put_nowait(
                    (fields["event"], json.loads(fields["data"]), fields.get("id"))
                )

    async def next(self, name):
        """Wait for an event of a name."""
        async with asyncio.timeout(10):
            while True:
                event = await self.events.get()
                if event[0] == name:
                    return event

    @property
    def names(self):
        return [self.events.get_nowait()[0] for _ in range(self.events.qsize())]


class Here:
    """The feed in this process: what its store says, and who reads it."""

    def __init__(self, sojourn):
        self.sojourn = sojourn
        self.verifiers = Anybody()
        self.feed = RevocationFeed(Auth(sojourn), self.verifiers)
        self.tasks = []

    @property
    def core(self):
        return self.sojourn.core

    async def append(self, sid):
        await self.core.store.append(0, [Event(kind=Kind.ENDED, sid=sid)])

    async def cursor(self):
        return encode_cursor((await self.core.store.head(0),))

    def request(self, cursor, *, name="billing", accept="text/event-stream"):
        headers = [(b"accept", accept.encode()), (b"authorization", name.encode())]
        scope = {
            "type": "http", "method": "GET", "path": "/auth/revocations", "headers": headers,
            "query_string": f"cursor={cursor}".encode(), "asgi": {"spec_version": "2.4"},
        }  # fmt: skip
        return Request(scope)

    async def open(self, cursor, *, name="billing"):
        """Open a stream; it is read until the test ends."""
        request = self.request(cursor, name=name)
        response = await self.feed.revocations(request)
        stream = Stream()
        stream.task = asyncio.create_task(response(request.scope, None, stream.send))
        self.tasks.append(stream.task)
        return stream

    async def ended(self, stream):
        async with asyncio.timeout(10):
            await stream.task


@asynccontextmanager
async def feed_here():
    secret = "a-server-secret-of-the-feed-tests-0123456789abcdef"
    async with AsyncSojourn("memory://", url="http://127.0.0.1:8000", secret=secret) as sojourn:
        here = Here(sojourn)
        yield here
        here.feed.stop()
        async with asyncio.timeout(10):
            await asyncio.gather(*here.tasks, return_exceptions=True)


async def test_a_stream_goes_on_from_its_cursor():
    """What came before it joined, and after, each once, in order; and a heartbeat at once."""
    async with feed_here() as here:
        start = await here.cursor()
        await here.append("a")
        await here.append("b")
        stream = await here.open(start)
        assert ["a", "b"] == [(await stream.next("entry"))[1]["sid"] for _ in range(2)]
        _, beat, cursor = await stream.next("heartbeat")
        assert (await here.cursor(), True) == (cursor, beat["lag_ms"] < 5000)
        later = await here.open(cursor)
        await here.append("c")
        for each in (stream, later):
            assert "c" == (await each.next("entry"))[1]["sid"]
        assert "entry" not in later.names
        assert 2 == here.feed.streams


async def test_a_stream_behind_the_ring(monkeypatch):
    """It reads the store itself until it has caught up; memory stays bounded."""
    monkeypatch.setattr(feed_hub, "RING_ENTRIES", 4)
    async with feed_here() as here:
        start = await here.cursor()
        first = await here.open(start)
        for number in range(20):
            await here.append(str(number))
            assert str(number) == (await first.next("entry"))[1]["sid"]
        hub = here.feed._hub
        assert len(hub._ring) < 8
        second = await here.open(start)
        sids = [(await second.next("entry"))[1]["sid"] for _ in range(20)]
        assert [str(number) for number in range(20)] == sids
        await here.append("last")
        assert "last" == (await second.next("entry"))[1]["sid"]


async def test_a_slow_stream_is_ended(monkeypatch):
    """Who falls out of the ring while sending is ended, and goes on at its cursor."""
    monkeypatch.setattr(feed_hub, "RING_ENTRIES", 2)
    async with feed_here() as here:
        slow, quick = await here.open(await here.cursor()), await here.open(await here.cursor())
        await slow.next("heartbeat")
        slow.unstuck.clear()
        await here.append("0")
        await asyncio.wait_for(slow.is_stuck.wait(), 10)
        for number in range(10):
            assert str(number) == (await quick.next("entry"))[1]["sid"]
            await here.append(str(number + 1))
        slow.unstuck.set()
        await here.ended(slow)
        assert "gap" not in slow.names
        assert 1 == here.feed.streams


async def test_a_client_that_reads_nothing(monkeypatch):
    """It is cut off; nobody waits for it."""
    monkeypatch.setattr(feed_module, "SEND_SECONDS", 0.01)
    async with feed_here() as here:
        stream = await here.open(await here.cursor())
        await stream.next("heartbeat")
        stream.unstuck.clear()
        await here.ended(stream)
        assert 0 == here.feed.streams


async def test_limits(monkeypatch):
    """A runaway verifier leaves room for others, and all together do not take the server down."""
    monkeypatch.setattr(feed_hub, "MAX_STREAMS_OF_ONE", 2)
    monkeypatch.setattr(feed_hub, "MAX_STREAMS", 3)
    async with feed_here() as here:
        cursor = await here.cursor()
        for name in ("one", "one", "two"):
            await (await here.open(cursor, name=name)).next("heartbeat")
            if here.feed.streams == 2:
                with pytest.raises(TooManyStreams) as raised:
                    await here.open(cursor, name="one")
                assert (429, "too_many_streams", 5) == (
                    raised.value.status, raised.value.code, raised.value.retry_after_seconds,
                )  # fmt: skip
                assert "too many streams are open" in str(raised.value)
        with pytest.raises(TooManyStreams):
            await here.open(cursor, name="three")


async def test_a_verifier_that_is_removed(monkeypatch):
    """Its streams end at the next recheck, and others go on."""
    monkeypatch.setattr(feed_module, "RECHECK_SECONDS", 0.0)
    async with feed_here() as here:
        cursor = await here.cursor()
        one, two = await here.open(cursor, name="one"), await here.open(cursor, name="two")
        await one.next("heartbeat")
        await two.next("heartbeat")
        here.verifiers.refused.add("one")
        await here.append("a")
        await here.ended(one)
        assert "a" == (await two.next("entry"))[1]["sid"]


async def test_a_stream_ends_by_itself(monkeypatch):
    """After ten minutes, so that clocks cannot drift apart."""
    monkeypatch.setattr(feed_module, "STREAM_SECONDS", 0.0)
    async with feed_here() as here:
        stream = await here.open(await here.cursor())
        await here.ended(stream)
        assert "gap" not in stream.names


async def test_a_gap_ends_every_stream():
    """Where the feed itself breaks, all are told to take a snapshot."""
    async with feed_here() as here:
        await here.append("before")
        cursor = await here.cursor()
        streams = [await here.open(cursor) for _ in range(2)]
        for stream in streams:
            await stream.next("heartbeat")
        hub = here.feed._hub
        hub.heads = (Head(hub.heads[0].id, 7),)  # as if the store had been restored
        await here.append("after")
        for stream in streams:
            await stream.next("gap")
            await here.ended(stream)
        again = await here.open(await here.cursor())
        await here.append("later")
        assert "later" == (await again.next("entry"))[1]["sid"]


async def test_a_cursor_of_later(caplog):
    """A verifier that knows more than the store does (a restored backup) is told of a gap."""
    async with feed_here() as here:
        head = await here.core.store.head(0)
        stream = await here.open(encode_cursor((Head(head.id + 10**9, 1),)))
        await stream.next("gap")
        await here.ended(stream)


async def test_an_idle_hub():
    """When the last stream ends, nothing reads; the next one starts where the feed is then."""
    async with feed_here() as here:
        first = await here.open(await here.cursor())
        await first.next("heartbeat")
        first.task.cancel()
        await asyncio.gather(first.task, return_exceptions=True)
        hub = here.feed._hub
        assert (0, None) == (here.feed.streams, hub._task)
        await here.append("meanwhile")
        hub._read_at -= 60
        second = await here.open(await here.cursor())
        _, beat, _ = await second.next("heartbeat")
        assert beat["lag_ms"] < 5000


async def test_a_store_that_fails(monkeypatch, caplog):
    """Streams go on and say how old they are; said once in the log."""
    async with feed_here() as here:
        stream = await here.open(await here.cursor())
        await stream.next("heartbeat")
        read = here.core.store.read

        async def failing(*args, **kwargs):
            raise StoreError("the disk is gone")

        monkeypatch.setattr(here.core.store, "read", failing)
        hub = here.feed._hub
        hub._read_at -= 60
        for _ in range(2):
            hub._wake.set()
            await asyncio.sleep(0)
        _, beat, _ = await stream.next("heartbeat")
        assert beat["lag_ms"] >= 60_000
        cursor = await here.cursor()
        late = await here.open(cursor)
        await here.ended(late)
        monkeypatch.setattr(here.core.store, "read", read)
        hub._wake.set()
        await here.append("a")
        assert "a" == (await stream.next("entry"))[1]["sid"]
    assert 1 == caplog.text.count("reading the feed for verifiers failed")


class Shards:
    """A core whose store has two shards, of which a test says what they hold."""

    def __init__(self):
        self.opened = StoreInfo(shards=2, placement_key=b"", longest_token_ms=1)
        self.entries = ([], [])
        self.store = self
        self.picture = self

    def lag_ms(self):
        return 0.0

    def append(self, shard, sid):
        before = self.entries[shard][-1] if self.entries[shard] else None
        id_, tag = (before.id + 1, before.tag + 7) if before else (100 * (shard + 1), 1)
        event = Event(kind=Kind.ENDED, sid=sid)
        self.entries[shard].append(Entry(id_, tag, before.tag if before else 0, event, 2**50))

    async def head(self, shard):
        entries = self.entries[shard]
        return Head(entries[-1].id, entries[-1].tag) if entries else Head(0, 0)

    async def read(self, shard, *, after, limit):
        found = tuple(entry for entry in self.entries[shard] if entry.id > after)
        return Page(found[:limit], await self.head(shard))


async def test_a_cursor_over_several_shards():
    """From any mix of places each shard's entries come once, in the order of its chain."""
    core = Shards()
    for number in range(3):
        for shard in (0, 1):
            core.append(shard, f"before-{shard}-{number}")
    hub = Hub(core)
    await hub.read()
    base = hub.heads
    for number in range(4):
        core.append(number % 2, f"{number % 2}-{number}")
        core.append(1, f"1-{number}-more")
        await hub.read()
    every = hub.after(base)
    for first in range(len(core.entries[0]) - 3 + 1):
        for second in range(len(core.entries[1]) - 3 + 1):
            heads = tuple(
                Head(entries[2 + n].id, entries[2 + n].tag)
                for entries, n in zip(core.entries, (first, second), strict=True)
            )
            lines = hub.after(heads)
            for shard, head in enumerate(heads):
                expected = [entry for entry in core.entries[shard] if entry.id > head.id]
                assert expected == [line.entry for line in lines if line.shard == shard]
            assert lines == [line for line in every if line in lines]
            # A cursor is never ahead of what was sent: what it skips, the client had.
            known = {
                (s, e.id) for s, es in enumerate(core.entries) for e in es if e.id <= heads[s].id
            }
            for line in lines:
                known.add((line.shard, line.entry.id))
                covered = {
                    (s, e.id)
                    for s, es in enumerate(core.entries)
                    for e in es
                    if e.id <= line.heads[s].id
                }
                assert covered <= known
    wrong = (Head(base[0].id, 99), base[1])
    with pytest.raises(FeedGap):
        hub.after(wrong)
    core.entries[1].clear()
    core.append(1, "of another history")
    generation = hub.generation
    await hub.read()
    assert (generation + 1, []) == (hub.generation, hub.after(hub.heads))


def test_a_lag_that_is_infinite():
    """A server that never was fresh says so, instead of a number."""
    assert (None, 3) == (shown_lag(float("inf"), 1.0), shown_lag(2.6, 1.0))
