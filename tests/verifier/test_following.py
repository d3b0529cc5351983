"""Following a feed: a stream's events, how they date the picture, and what ends a stream."""

import threading
import time
from math import inf

import pytest
from verifier.scripted import ScriptedStream

from sojourn import Incoming
from sojourn.verifier import FetchError, follower
from sojourn.verifier.events import StreamEvent, events_of
from sojourn.verifier.picture import GapError, Picture

FEED = "/auth/revocations"


def eventually(condition, about=""):
    """Wait for what the thread does soon."""
    deadline = time.monotonic() + 10
    while not condition():
        assert time.monotonic() < deadline, f"never happened: {about}"
        time.sleep(0.001)


@pytest.fixture(autouse=True)
def quick(monkeypatch):
    """Try again at once."""
    monkeypatch.setattr(follower, "FIRST_WAIT_SECONDS", 0.001)
    monkeypatch.setattr(follower, "LONGEST_WAIT_SECONDS", 0.002)


@pytest.fixture
def picture(authority, clocks):
    from sojourn.engine.picture import Stamp

    return Picture(
        authority.issuer(),
        stamp=lambda: Stamp(clocks.wall(), clocks.monotonic_ms()),
        on_key=lambda _: None,
        on_ring=lambda: None,
    )


# --- events ---------------------------------------------------------------------------------------


def test_events_of_lines():
    """Comments and unknown fields are passed over, an event without data is none."""
    lines = [
        b": hello", b"event: entry", b"id: c1", b"data: {}", b"", b"", b"event: x", b"",
        b"retry: 5", b"data:bare", b"", b"data: never ended",
    ]  # fmt: skip
    assert [StreamEvent("entry", b"{}", "c1"), StreamEvent("", b"bare")] == list(events_of(lines))


def test_lag_behind_a_proxy_that_buffers(picture, clocks):
    """What the server said long ago and came now is long ago: naive lag would say nothing."""
    opened = picture.stamp()
    assert inf == picture.lag_ms()
    clocks.advance(10)
    picture.take_event(StreamEvent("heartbeat", b'{"open_ms": 10000, "lag_ms": 0}'), opened=opened)
    assert 0 == picture.lag_ms()
    clocks.advance(8)
    picture.take_event(StreamEvent("heartbeat", b'{"open_ms": 11000, "lag_ms": 0}'), opened=opened)
    assert 7000 == picture.lag_ms()
    picture.take_event(
        StreamEvent("heartbeat", b'{"open_ms": 17990, "lag_ms": 300}'), opened=opened
    )
    assert 310 == picture.lag_ms()


def test_the_server_never_was_fresh(picture, clocks):
    """A heartbeat of a server that knows nothing proves nothing."""
    opened = picture.stamp()
    picture.take_event(StreamEvent("heartbeat", b'{"open_ms": 0, "lag_ms": null}'), opened=opened)
    assert inf == picture.lag_ms()


def test_a_later_poll_is_not_dated_back(picture, clocks):
    """Stream and polls overtake one another; what is newer stands."""
    opened = picture.stamp()
    clocks.advance(5)
    picture.take_event(StreamEvent("heartbeat", b'{"open_ms": 5000, "lag_ms": 0}'), opened=opened)
    picture.take_event(StreamEvent("heartbeat", b'{"open_ms": 4000, "lag_ms": 0}'), opened=opened)
    assert 0 == picture.lag_ms()


def test_events_move_the_cursor(picture):
    """The stream is resumable after every entry and heartbeat that names a cursor."""
    opened = picture.stamp()
    entry = b'{"id": 5, "expires_at_ms": 9999999999999, "kind": "ended", "sid": "s"}'
    for event, cursor in (
        (StreamEvent("entry", entry, "c1"), "c1"),
        (StreamEvent("entry", entry), "c1"),
        (StreamEvent("heartbeat", b'{"open_ms": 1, "lag_ms": 0}', "c2"), "c2"),
        (StreamEvent("heartbeat", b'{"open_ms": 1, "lag_ms": 0}'), "c2"),
        (StreamEvent("open", b"{}"), "c2"),
        (StreamEvent("a later server's", b"{}"), "c2"),
    ):
        picture.take_event(event, opened=opened)
        assert cursor == picture.cursor
    assert "s" in picture.view.ended
    with pytest.raises(GapError):
        picture.take_event(StreamEvent("gap", b"{}"), opened=opened)
    assert ("", 1, inf) == (picture.cursor, picture.gaps, picture.lag_ms())
    assert "s" in picture.view.ended, "known revocations are kept"


@pytest.mark.parametrize(
    ("name", "data"),
    [
        ("entry", b"{}"),
        ("entry", b'{"id": 5, "expires_at_ms": 1, "kind": "of a later server"}'),
        ("heartbeat", b'{"open_ms": -1, "lag_ms": 0}'),
        ("heartbeat", b"[" * 10_000),
    ],
)
def test_events_that_are_not_understood(name, data, picture):
    """An event that may matter ends the stream; it is not passed over."""
    with pytest.raises(FetchError):
        picture.take_event(StreamEvent(name, data), opened=picture.stamp())


# --- the thread -----------------------------------------------------------------------------------


def refusal_of(verifier, token):
    checked = verifier.check(Incoming(authorization=f"Bearer {token}"))
    return checked.refusal.code if checked.refusal else "good"


def test_what_the_stream_says_is_refused(authority, clocks):
    """Nothing is asked at the check: the thread has told it."""
    stream = ScriptedStream()
    authority.streams = [stream]
    with authority.verifier(is_following=True) as verifier:
        token = authority.token()
        assert "good" == refusal_of(verifier, token)
        asked = authority.asked[FEED]
        stream.put("open", {"cursor": "at-0"})
        stream.put("entry", authority.append("ended", sid="sid-of-ann"), "at-1")
        eventually(lambda: refusal_of(verifier, token) == "revoked")
        clocks.advance(60)
        stream.put("heartbeat", {"open_ms": 60_000, "lag_ms": 0}, "at-1")
        eventually(lambda: verifier.lag_seconds < 1)
        assert asked == authority.asked[FEED]
        assert "text/event-stream" == authority.stream_request.headers["Accept"]
        assert authority.stream_request.url.endswith("?cursor=at-0")
    assert stream.is_closed


def test_a_stream_that_breaks_is_opened_again(authority, caplog):
    """After a poll, from the cursor, however often; said once a minute."""
    broken = [ScriptedStream() for _ in range(5)]
    last = ScriptedStream()
    authority.streams = [*broken, last]
    for stream in broken:
        stream.end(FetchError("reset by peer"))
    with authority.verifier(is_following=True) as verifier:
        eventually(lambda: not authority.streams)
        authority.append("ended", sid="sid-of-ann")
        last.put("heartbeat", {"open_ms": 0, "lag_ms": 0})
        last.end()
        token = authority.token()
        eventually(lambda: refusal_of(verifier, token) == "revoked", "the poll told it")
    assert 1 == caplog.text.count("following the feed of")


def test_a_gap_in_the_stream(authority, caplog):
    """A snapshot is taken, and what was known stays known."""
    first, second = ScriptedStream(), ScriptedStream()
    authority.streams = [first, second]
    with authority.verifier(is_following=True) as verifier:
        first.put("entry", {"id": 1, "expires_at_ms": 2**50, "kind": "ended", "sid": "gone"}, "x")
        first.put("gap", {})
        eventually(lambda: not authority.streams)
        assert 1 == verifier.gaps
        assert "revoked" == refusal_of(verifier, authority.token(sid="gone"))
        assert "at-0" == verifier._core.states[0].picture.cursor


def test_a_stream_is_not_followed_for_ever(authority, clocks):
    """It is opened again before two clocks could drift apart."""
    first, second = ScriptedStream(), ScriptedStream()
    authority.streams = [first, second]
    with authority.verifier(is_following=True):
        eventually(lambda: len(authority.streams) == 1)
        clocks.advance(590)
        first.put("heartbeat", {"open_ms": 590_000, "lag_ms": 0})
        eventually(lambda: not authority.streams)
        assert first.is_closed


def test_a_mistake_in_the_thread(authority, caplog):
    """What nobody thought of is logged whole, and following goes on."""
    first, second = ScriptedStream(), ScriptedStream()
    authority.streams = [first, second]
    first.end(RuntimeError("a mistake"))
    with authority.verifier(is_following=True):
        eventually(lambda: not authority.streams)
    assert "RuntimeError: a mistake" in caplog.text


def test_nobody_there_at_the_start(authority):
    """The thread goes on trying, and the check after it succeeds is answered."""
    authority.down()
    with authority.verifier(is_following=True, monotonic_ms=lambda: time.monotonic() * 1000) as one:
        assert inf == one.lag_seconds
        authority.answers.clear()
        eventually(lambda: one.lag_seconds < 5)


def test_started_once_and_again_after_closing(authority):
    """One thread an issuer, however many checks; none after closing; a later use starts again."""

    def followers():
        return [t for t in threading.enumerate() if t.name == "sojourn-verifier"]

    before = len(followers())
    verifier = authority.verifier(is_following=True)
    assert before == len(followers()), "nothing starts before the first use"
    for _ in range(3):
        assert "good" == refusal_of(verifier, authority.token())
    verifier._core.start()
    assert before + 1 == len(followers())
    verifier.close()
    verifier.close()
    assert before == len(followers())
    assert "good" == refusal_of(verifier, authority.token())
    assert before + 1 == len(followers())
    verifier.close()


def test_closing_while_nothing_is_open(authority):
    """Between two streams there is nothing to close, and the thread ends all the same."""
    verifier = authority.verifier(is_following=True)
    verifier.warm()
    eventually(lambda: verifier._core._followers[0]._failures > 2)
    verifier.close()


def test_a_poll_that_a_check_makes_already(authority):
    """The thread waits for it instead of asking as well."""
    verifier = authority.verifier(is_following=True)
    flight, _ = verifier._core.states[0].feed_flights.board(joins_sent=True)
    verifier._core.start()
    eventually(lambda: verifier._core.is_started)
    assert 0 == authority.asked[FEED]
    flight.run()
    eventually(lambda: verifier.lag_seconds < 1)
    verifier.close()


def test_a_key_that_is_revoked_before_any_is_known(authority):
    """The snapshot may come before the keys; what it takes back never comes into use."""
    verifier = authority.verifier()
    authority.append("key", kid="first")
    state = verifier._core.states[0]
    flight, _ = state.feed_flights.board(joins_sent=True)
    flight.run()
    assert "invalid_token" == refusal_of(verifier, authority.token())
