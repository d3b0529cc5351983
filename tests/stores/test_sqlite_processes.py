"""Several processes on one file: forks, kills, races."""

import asyncio
import os
import select
import threading

import pytest
from stores.sqlite_samples import (
    LONGEST_TOKEN_MS,
    PATIENCE_SECONDS,
    ends_well,
    finish,
    fork,
    raw,
    sign_in,
    start_process,
)

from sojourn.model import Session, Tombstone
from sojourn.stores.sqlite import AsyncSqliteStore, SqliteStore, file as sqlite_file

pytestmark = pytest.mark.filterwarnings("ignore:.*fork:DeprecationWarning")


@pytest.fixture
def path(tmp_path):
    return tmp_path / "app.db"


@pytest.fixture
def store(path):
    store = SqliteStore(path)
    store.open(longest_token_ms=LONGEST_TOKEN_MS)
    yield store
    store.close()


class Turns:
    """Lets a parent and its child go one after the other."""

    def __init__(self):
        self._parents, self._childs = os.pipe(), os.pipe()

    def say(self, *, to_child=False):
        os.write((self._childs if to_child else self._parents)[1], b".")

    def wait(self, *, for_child=False):
        end = (self._parents if for_child else self._childs)[0]
        assert select.select([end], [], [], PATIENCE_SECONDS)[0], "the other side is gone"
        assert b"." == os.read(end, 1)

    def close(self):
        for end in (*self._parents, *self._childs):
            os.close(end)


@pytest.fixture
def turns():
    turns = Turns()
    yield turns
    turns.close()


class TestForks:
    def test_a_child_has_a_store_of_its_own(self, store):
        """After a fork both sides read and write, though neither opened the store again."""
        before = sign_in(store)

        def work():
            assert before == store.get(before.sid).record
            sign_in(store)
            assert 2 == len(store.list("ada"))

        assert ends_well(fork(work))
        sign_in(store)
        assert 3 == len(store.list("ada"))

    def test_a_fork_between_uses(self, store):
        """A fork while no connection is open is nothing special."""
        before = sign_in(store)
        store.database.file.close_connections()
        assert ends_well(fork(lambda: sign_in(store)))
        assert 2 == len(store.list("ada"))
        assert before == store.get(before.sid).record

    def test_a_parent_that_closes_takes_nothing_from_its_child(self, path, turns):
        """What a child was told is committed stays, though its parent closed the file meanwhile.

        Were inherited connections left alone, SQLite would believe in the child that it holds the
        parent's locks; the parent's closing would then delete the log that the child writes to.
        """
        store = SqliteStore(path)
        store.open(longest_token_ms=1)
        sign_in(store)
        feed = store.feed()

        def work():
            sign_in(store)
            turns.say()
            turns.wait()
            sign_in(store)
            assert 3 == len(store.list("ada"))
            turns.say()
            turns.wait()

        child = fork(work)
        turns.wait(for_child=True)
        feed.close()
        store.close()
        turns.say(to_child=True)
        turns.wait(for_child=True)
        assert path.with_name("app.db-wal").exists()
        third = raw(path)
        assert [(3,)] == third.execute("SELECT count(*) FROM sojourn_sessions").fetchall()
        third.close()
        turns.say(to_child=True)
        assert ends_well(child)

    def test_a_child_that_closes_takes_nothing_from_its_parent(self, store, path):
        """A child that ends, politely or not, leaves its parent's log and locks alone."""
        sign_in(store)
        assert ends_well(fork(store.close))
        assert ends_well(fork(lambda: None))
        sign_in(store)
        assert path.with_name("app.db-wal").exists()
        third = raw(path)
        assert [(2,)] == third.execute("SELECT count(*) FROM sojourn_sessions").fetchall()
        third.close()

    def test_forks_amid_writes(self, store):
        """A fork waits for a transaction under way; writers and readers go on on both sides."""
        stop = threading.Event()
        written = []

        def busy():
            while not stop.is_set():
                written.append(sign_in(store, "busy").sid)
                store.list("ada")

        threads = [threading.Thread(target=busy) for _ in range(3)]
        for thread in threads:
            thread.start()
        try:
            children = [fork(lambda: sign_in(store)) for _ in range(8)]
            assert [True] * 8 == [ends_well(child) for child in children]
        finally:
            stop.set()
            for thread in threads:
                thread.join()
        assert 8 == len(store.list("ada"))
        assert set(written) == {session.sid for session in store.list("busy")}

    def test_a_fork_does_not_wait_for_ever(self, store, monkeypatch):
        """A read that does not end cannot stop a fork; the child leaves its connection alone."""
        monkeypatch.setattr(sqlite_file, "QUIET_SECONDS", 0.05)
        is_in, go = threading.Event(), threading.Event()

        def endless(db):
            is_in.set()
            assert go.wait(PATIENCE_SECONDS)

        thread = threading.Thread(target=store.database.read, args=(endless,))
        thread.start()
        assert is_in.wait(PATIENCE_SECONDS)

        def work():
            assert 1 == len(sqlite_file._abandoned)
            sign_in(store)
            assert 1 == len(store.list("ada"))
            store.close()

        child = fork(work)
        go.set()
        thread.join()
        assert ends_well(child)
        assert [] == sqlite_file._abandoned
        assert 1 == len(store.list("ada"))

    def test_a_child_has_its_own_feed(self, store):
        """A follower opened in a child follows; the parent's goes on in the parent."""
        feed = store.feed()

        def work():
            own = store.feed()
            assert 0 == own.read({0: 0})[0].head.id
            store.delete("gone", subject="ada", reason="logout")
            own.wait(60)
            assert 1 == len(own.read({0: 0})[0].entries)
            own.close()

        assert ends_well(fork(work))
        feed.wait(60)
        assert 1 == len(feed.read({0: 0})[0].entries)
        feed.close()


class TestOtherProcesses:
    def test_a_kill_loses_nothing_acknowledged(self, path):
        """Whatever a killed process was told is committed is there, and the file is whole."""
        process = start_process("write_for_ever", path)
        said = [process.stdout.readline().strip() for _ in range(200)]
        process.kill()
        rest = process.communicate()[0]
        said += rest.split("\n")[:-1]  # behind the last newline is at most half a word
        store = SqliteStore(path)
        store.open(longest_token_ms=1)
        assert set(said[1:]) <= {session.sid for session in store.list("ada")}
        assert [("ok",)] == store.database.read(
            lambda db: db.execute("PRAGMA integrity_check").fetchall()
        )
        store.close()

    def test_no_replace_is_lost(self, store, path):
        """Every compare-and-swap that three processes won is in the record's revision."""
        sid = sign_in(store).sid
        processes = [start_process("raise_revision", path, sid, 40) for _ in range(3)]
        for process in processes:
            finish(process)
        assert 1 + 3 * 40 == store.get(sid).record.revision

    def test_a_replace_never_resurrects(self, store, path):
        """A logout in this process ends a session for good, however busily another rewrites it."""
        sid = sign_in(store).sid
        process = start_process("raise_revision", path, sid, 1_000_000)
        while store.get(sid).record.revision < 5:
            pass
        assert (sid,) == store.delete(sid, subject="ada", reason="logout").ended
        assert isinstance(store.get(sid).record, Tombstone)
        assert "gone" == finish(process)[-1]
        assert isinstance(store.get(sid).record, Tombstone)
        assert not isinstance(store.get(sid).record, Session)

    def test_commits_are_seen_everywhere(self, store, path):
        """What was acknowledged here is read by another process's next query."""
        sid = sign_in(store).sid
        other = start_process("read_when_told", path, sid)
        assert "ready" == [other.stdout.readline().strip() for _ in range(2)][1]
        for expected in range(2, 10):
            sign_in(store)
            other.stdin.write("read\n")
            other.stdin.flush()
            assert str(expected) == other.stdout.readline().strip()
        finish(other)


async def test_both_leaves_are_one_store(store, path):
    """The blocking and the asynchronous store of a process read each other's writes."""
    session = sign_in(store)
    other = AsyncSqliteStore(path)
    assert store.open(longest_token_ms=5) == await other.open(longest_token_ms=7)
    assert session == (await other.get(session.sid)).record
    await other.delete(session.sid, subject="ada", reason="logout")
    assert isinstance(store.get(session.sid).record, Tombstone)
    await other.close()
    await other.close()
    sign_in(store)


def test_the_loop_goes_on_while_a_store_closes(path):
    """Closing waits for the writer in a thread of its own, not on the event loop."""

    async def main():
        store = AsyncSqliteStore(path)
        await store.open(longest_token_ms=1)
        is_in, go = threading.Event(), threading.Event()

        def slow(db):
            is_in.set()
            assert go.wait(PATIENCE_SECONDS)

        write = asyncio.create_task(store.database.write_async(slow))
        assert await asyncio.to_thread(is_in.wait, PATIENCE_SECONDS)
        closing = asyncio.create_task(store.close())
        for _ in range(10):
            await asyncio.sleep(0.001)
        assert not closing.done()
        go.set()
        await asyncio.gather(write, closing)

    asyncio.run(main())
