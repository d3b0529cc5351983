"""The follower's reader: it misses nothing, wakes for news only, and can be ended from outside."""

import threading
import time

import pytest
from stores.sqlite_samples import (
    LONGEST_TOKEN_MS,
    PATIENCE_SECONDS,
    finish,
    raw,
    sign_in,
    start_process,
)

from sojourn.errors import StoreError
from sojourn.model import Event, Kind
from sojourn.stores.sqlite import SqliteStore, feed as sqlite_feed


@pytest.fixture
def store(tmp_path):
    store = SqliteStore(tmp_path / "app.db")
    store.open(longest_token_ms=LONGEST_TOKEN_MS)
    yield store
    store.close()


@pytest.fixture
def feed(store):
    feed = store.feed()
    yield feed
    feed.close()


def ring(store):
    return store.append(0, (Event(kind=Kind.RING),)).entries[0]


def waited(feed, timeout_seconds):
    """Tell for how long a wait lasted."""
    start = time.monotonic()
    feed.wait(timeout_seconds)
    return time.monotonic() - start


def test_nothing_new_is_waited_for(feed):
    """Where nothing happens a wait lasts as long as it was asked to."""
    assert waited(feed, 0.05) >= 0.05


def test_other_commits_are_no_news(store, feed):
    """Touches append nothing; a follower is not woken to read an unchanged feed."""
    other = raw(store.database.path)
    other.execute("CREATE TABLE theirs (x)")
    other.close()
    sign_in(store)
    assert waited(feed, 0.05) >= 0.05


def test_an_append_before_the_wait_is_not_missed(store, feed):
    """What was appended between a read and the wait ends the wait."""
    feed.read({0: 0})[0]
    entry = ring(store)
    feed.wait(60)
    assert (entry,) == feed.read({0: 0})[0].entries
    assert waited(feed, 0.02) >= 0.02


def test_an_append_of_this_process_wakes(store, feed):
    """The follower need not poll for what its own process appends."""
    store_thread = threading.Timer(0.05, ring, (store,))
    store_thread.start()
    feed.wait(60)
    store_thread.join()
    assert 1 == len(feed.read({0: 0})[0].entries)


def test_another_process_is_followed(store, feed, tmp_path):
    """An append of another process ends the wait, and is read, within a moment."""
    other = start_process("append_when_told", tmp_path / "app.db")
    assert [store.open(longest_token_ms=1).placement_key.hex(), "ready"] == [
        other.stdout.readline().strip() for _ in range(2)
    ]
    after = 0
    for _ in range(5):
        other.stdin.write("append\n")
        other.stdin.flush()
        feed.wait(60)
        (entry,) = feed.read({0: after})[0].entries
        assert str(entry.id) == other.stdout.readline().strip()
        after = entry.id
    finish(other)


def test_closing_ends_the_wait(store, feed):
    """Close from another thread ends a wait soon; afterwards the reader refuses to read."""
    thread = threading.Thread(target=feed.wait, args=(600,))
    thread.start()
    feed.close()
    thread.join(PATIENCE_SECONDS)
    assert not thread.is_alive()
    feed.wait(600)
    with pytest.raises(StoreError, match="was ended"):
        feed.read({0: 0})[0]
    feed.close()
    ring(store)


def test_closing_amid_a_poll_ends_the_wait(store, feed, monkeypatch):
    """A reader that is closed just before it asks again ends its wait, without an error."""
    ask = sqlite_feed.SqliteFeed._has_news

    def closed_meanwhile(self):
        self.close()
        return ask(self)

    monkeypatch.setattr(sqlite_feed.SqliteFeed, "_has_news", closed_meanwhile)
    feed.wait(600)


def test_closing_the_store_ends_the_wait(store, feed):
    """A follower of a closed store is told."""
    store.close()
    with pytest.raises(StoreError, match="is closed"):
        feed.wait(600)
