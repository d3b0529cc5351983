"""One writer, group commit: what waits together is committed together, and fails apart."""

import asyncio
import sqlite3
import threading
import time

import pytest
from stores.sqlite_samples import PATIENCE_SECONDS, eventually, raw

from sojourn.errors import StoreError
from sojourn.stores.sqlite import Database, writer as sqlite_writer


@pytest.fixture
def database(tmp_path):
    database = Database(tmp_path / "app.db")
    database.open()
    database.write(lambda db: db.execute("CREATE TABLE notes (text TEXT UNIQUE)").fetchall())
    yield database
    database.close()


@pytest.fixture
def impatient(monkeypatch):
    monkeypatch.setattr(sqlite_writer, "WRITE_SECONDS", 0.3)


def note(db, text):
    db.execute("INSERT INTO notes VALUES (?)", (text,))
    return text


def notes(database):
    rows = database.read(lambda db: db.execute("SELECT text FROM notes ORDER BY text").fetchall())
    return [text for (text,) in rows]


class Barrier:
    """A change that keeps the writer busy until it is let go, so that others queue up behind it."""

    def __init__(self, database):
        self._go = threading.Event()
        self._is_in = threading.Event()
        self._thread = threading.Thread(target=database.write, args=(self._change,))
        self._thread.start()
        assert self._is_in.wait(PATIENCE_SECONDS)

    def _change(self, db):
        self._is_in.set()
        assert self._go.wait(PATIENCE_SECONDS)

    def let_go(self):
        self._go.set()
        self._thread.join()


def commits(database):
    """Count the process's commits from now on."""
    counted = []
    woken = threading.Event()
    woken.set = lambda: counted.append(1)
    database.file.followers.add(woken)
    return counted


async def queued(*changes):
    """Start writes and let them reach the queue."""
    tasks = [asyncio.create_task(change) for change in changes]
    await asyncio.sleep(0)
    return tasks


async def test_what_waits_is_committed_together(database):
    """Two hundred changes that wait for the disk together cost one commit, and all have happened."""
    barrier = Barrier(database)
    counted = commits(database)
    texts = [f"{number:03}" for number in range(200)]
    tasks = await queued(*[database.write_async(note, text) for text in texts])
    barrier.let_go()
    assert texts == list(await asyncio.gather(*tasks))
    assert texts == notes(database)
    assert len(counted) == 2  # the barrier's, and one for all of them


async def test_a_failing_job_fails_alone(database):
    """A change that fails is undone as a whole, and takes none of its batch with it."""

    def fails_late(db):
        note(db, "half")
        raise LookupError("no such note")

    barrier = Barrier(database)
    tasks = await queued(
        database.write_async(note, "one"),
        database.write_async(fails_late),
        database.write_async(note, "one"),
        database.write_async(note, "two"),
    )
    barrier.let_go()
    answers = await asyncio.gather(*tasks, return_exceptions=True)
    assert [str, LookupError, StoreError, str] == [type(answer) for answer in answers]
    assert isinstance(answers[2].__cause__, sqlite3.IntegrityError)
    assert ["one", "two"] == notes(database)


async def test_an_ended_transaction_fails_everybody(database):
    """Where SQLite gave the whole transaction up, nobody is told that a change has happened."""

    def gives_up(db):
        db.execute("ROLLBACK")
        raise sqlite3.OperationalError("database or disk is full")

    barrier = Barrier(database)
    tasks = await queued(database.write_async(note, "one"), database.write_async(gives_up))
    barrier.let_go()
    answers = await asyncio.gather(*tasks, return_exceptions=True)
    assert [StoreError, StoreError] == [type(answer) for answer in answers]
    assert [] == notes(database)
    assert database.write(note, "later") == "later"


async def test_a_failed_commit_fails_everybody(database):
    """A commit that fails is an error for each of its batch, with an exception of its own."""

    def breaks_a_promise(db):
        db.execute("CREATE TABLE parent (id INTEGER PRIMARY KEY)")
        db.execute(
            "CREATE TABLE child (id INTEGER REFERENCES parent DEFERRABLE INITIALLY DEFERRED)"
        )
        db.execute("INSERT INTO child VALUES (1)")

    barrier = Barrier(database)
    tasks = await queued(database.write_async(note, "one"), database.write_async(breaks_a_promise))
    barrier.let_go()
    one, other = await asyncio.gather(*tasks, return_exceptions=True)
    assert [StoreError, StoreError] == [type(one), type(other)]
    assert one is not other
    assert [] == notes(database)


async def test_a_cancelled_waiter_does_no_harm(database):
    """A request that went away costs neither the writer nor the others anything."""
    barrier = Barrier(database)
    tasks = await queued(
        database.write_async(note, "gone"),
        database.write_async(note, "stays"),
    )
    tasks[0].cancel()
    await asyncio.sleep(0)
    barrier.let_go()
    assert "stays" == await tasks[1]
    assert tasks[0].cancelled()
    assert ["stays"] == notes(database)


async def test_a_waiter_cancelled_during_the_write_does_no_harm(database):
    """A change under way when its request goes away happens; its answer is dropped."""
    is_in, go = threading.Event(), threading.Event()

    def slow(db):
        is_in.set()
        assert go.wait(PATIENCE_SECONDS)
        note(db, "slow")

    (task,) = await queued(database.write_async(slow))
    assert await asyncio.to_thread(is_in.wait, PATIENCE_SECONDS)
    task.cancel()
    await asyncio.sleep(0)
    go.set()
    assert "next" == await database.write_async(note, "next")
    assert ["next", "slow"] == notes(database)


def test_a_dead_loop_does_no_harm(database):
    """A loop that ended with a write under way leaves the writer alive."""
    barrier = Barrier(database)
    loop = asyncio.new_event_loop()
    job = sqlite_writer.Job(lambda db: note(db, "orphan"), loop=loop)
    database.file.writer.submit(job)
    loop.close()
    barrier.let_go()
    assert "next" == database.write(note, "next")
    assert ["next", "orphan"] == notes(database)


async def test_any_exception_reaches_whoever_asked(database):
    """Even a StopIteration, which no future takes, is raised rather than leaving a waiter alone."""

    def stops(_db):
        next(iter(()))

    with pytest.raises(RuntimeError, match="StopIteration"):
        await database.write_async(stops)


def test_the_loop_is_not_blocked_by_a_write(database):
    """While a write waits, the event loop goes on."""

    async def main():
        barrier = Barrier(database)
        (task,) = await queued(database.write_async(note, "late"))
        for _ in range(10):
            await asyncio.sleep(0.001)
        assert not task.done()
        barrier.let_go()
        return await task

    assert "late" == asyncio.run(main())


def test_another_lock_is_waited_for(database):
    """A write waits while another process writes, and happens once it is done."""
    with_lock = raw(database.path)
    with_lock.execute("BEGIN IMMEDIATE")
    thread = threading.Thread(target=database.write, args=(note, "patient"))
    thread.start()
    time.sleep(0.4)  # longer than one of the writer's attempts
    assert [] == notes(database)  # nor is a reader in anybody's way
    with_lock.execute("COMMIT")
    with_lock.close()
    thread.join()
    assert ["patient"] == notes(database)


@pytest.mark.usefixtures("impatient")
async def test_a_lock_that_stays_is_an_error(database):
    """A lock held beyond the deadline fails each write with cause and remedy; later writes work."""
    with_lock = raw(database.path)
    with_lock.execute("BEGIN IMMEDIATE")
    answers = await asyncio.gather(
        *[database.write_async(note, f"{number}") for number in range(3)], return_exceptions=True
    )
    assert [StoreError] * 3 == [type(answer) for answer in answers]
    assert len(set(map(id, answers))) == 3
    with pytest.raises(StoreError, match="end that process's transaction") as caught:
        database.write(note, "blocking")
    assert caught.value.status == 503
    assert isinstance(caught.value.__cause__, sqlite3.OperationalError)
    with_lock.execute("ROLLBACK")
    with_lock.close()
    assert "after" == database.write(note, "after")
    assert ["after"] == notes(database)


def test_closing_finishes_what_was_asked(database):
    """Close waits for queued writes; afterwards nothing is taken, until it is opened again."""
    barrier = Barrier(database)
    writers = [threading.Thread(target=database.write, args=(note, text)) for text in "abc"]
    for writer in writers:
        writer.start()
    eventually(lambda: database.file.writer._queue.qsize() == 3)
    file = database.file
    closing = threading.Thread(target=database.close)
    closing.start()
    barrier.let_go()
    for thread in (*writers, closing):
        thread.join()
    for use in (lambda: database.write(note, "d"), lambda: notes(database)):
        with pytest.raises(StoreError, match=r"call open\(\) first"):
            use()
    with pytest.raises(StoreError, match="is closed"):
        file.writer.submit(sqlite_writer.Job(lambda _db: None))
    with pytest.raises(StoreError, match="is closed"):
        file.read(lambda db: db.execute("SELECT 1").fetchall())
    file.writer.stop()
    database.close()
    database.open()
    assert ["a", "b", "c"] == notes(database)


def test_closing_what_never_wrote(tmp_path):
    """A database that was opened and not written to is closed without a writer to wait for."""
    before = set(threading.enumerate())
    database = Database(tmp_path / "idle.db")
    database.open()
    database.close()
    assert set(threading.enumerate()) <= before
