"""The file: whose it is, which one it is, and what its failures are called."""

import os
import sqlite3
import stat
import threading

import pytest
from stores.sqlite_samples import LONGEST_TOKEN_MS, finish, raw, sign_in, start_process

from sojourn.errors import ConfigurationError, StoreError
from sojourn.model import Event, Kind
from sojourn.stores.sqlite import (
    AsyncSqliteStore,
    Database,
    SqliteStore,
    connection as sqlite_connection,
    records as sql_records,
    sessions as sql,
)


@pytest.fixture
def path(tmp_path):
    return tmp_path / "app.db"


@pytest.fixture
def store(path):
    store = SqliteStore(path)
    store.open(longest_token_ms=LONGEST_TOKEN_MS)
    yield store
    store.close()


def mode_of(path):
    return stat.S_IMODE(path.stat().st_mode)


def synchronous(db):
    return db.execute("PRAGMA synchronous").fetchall()[0][0]


class TestCreation:
    def test_the_file_is_its_owners_only(self, tmp_path):
        """Database, log and shared memory are 0600, new directories 0700, whatever the umask."""
        before = os.umask(0)
        try:
            path = tmp_path / "var" / "lib" / "app.db"
            store = SqliteStore(path)
            store.open(longest_token_ms=1)
            sign_in(store)
        finally:
            os.umask(before)
        suffixes = ("", "-wal", "-shm")
        assert [0o600] * 3 == [mode_of(path.with_name(f"app.db{end}")) for end in suffixes]
        assert [0o700] * 2 == [mode_of(path.parent), mode_of(path.parent.parent)]
        store.close()

    def test_an_existing_file_keeps_its_permissions(self, path):
        """A file that is there belongs to whoever made it."""
        path.touch(0o640)
        path.chmod(0o640)
        store = SqliteStore(path)
        store.open(longest_token_ms=1)
        store.close()
        assert 0o640 == mode_of(path)

    @pytest.mark.parametrize("kind", [SqliteStore, AsyncSqliteStore, Database])
    @pytest.mark.parametrize("path", [":memory:", ""])
    def test_memory_is_refused(self, kind, path):
        """Each connection would have a memory of its own, so the store of the process is named."""
        with pytest.raises(ConfigurationError, match="use memory://"):
            kind(path)

    def test_an_old_sqlite_is_refused(self, path, monkeypatch):
        """A SQLite without what the tables need is named at start, not by a syntax error."""
        monkeypatch.setattr(sqlite3, "sqlite_version_info", (3, 34, 1))
        with pytest.raises(ConfigurationError, match=r"3\.37\.0 is needed"):
            SqliteStore(path)

    def test_a_directory_that_cannot_be_made_is_an_error(self, path):
        """A path that cannot be is a StoreError with the remedy, and can be mended."""
        path.touch()
        store = SqliteStore(path / "below" / "app.db")
        with pytest.raises(StoreError, match="choose another path"):
            store.open(longest_token_ms=1)
        path.unlink()
        store.open(longest_token_ms=1)
        store.close()

    def test_a_path_may_hold_anything(self, tmp_path):
        """Question marks, percent signs and spaces in a path are part of it."""
        path = tmp_path / "a?mode=memory%20#b c.db"
        store = SqliteStore(path)
        store.open(longest_token_ms=1)
        sign_in(store)
        store.close()
        assert path.exists()

    def test_a_log_is_needed(self, path):
        """Where SQLite cannot share a write-ahead log, the store says so instead of going on."""
        memory = raw(":memory:")
        with pytest.raises(StoreError, match="local file system"):
            sqlite_connection._use_write_ahead_log(memory, str(path))
        memory.close()


class TestSharing:
    def test_stores_of_a_process_share_one_writer(self, path, store):
        """However a file is reached, the process has one writer for it; the last user closes it."""
        link = path.with_name("link.db")
        link.symlink_to(path)
        other = Database(link)
        other.open()
        other.open()
        assert store.database.file is other.file
        other.close()
        sign_in(store)

    def test_durable_is_for_all(self, path):
        """Full synchronous is the default; where one user of the file wants it, all get it."""
        fast = Database(path, durable=False)
        fast.open()
        assert (1, 1) == (fast.read(synchronous), fast.write(synchronous))
        careful = Database(path)
        careful.open()
        another = Database(path)
        another.open()
        assert (2, 2) == (fast.read(synchronous), fast.write(synchronous))
        for database in (fast, careful, another):
            database.close()

    def test_foreign_keys_are_on(self, store):
        """Data goes with its session, on every connection."""

        def ask(db):
            return db.execute("PRAGMA foreign_keys").fetchall()

        assert [(1,)] == store.database.read(ask) == store.database.write(ask)

    def test_reads_are_allowed_from_any_thread(self, store):
        """Threads read at the same time, and a read within a read works, too."""
        session = sign_in(store)
        together = threading.Barrier(8)
        found = []

        def within(db):
            together.wait(10)
            found.append(store.get(session.sid).record)

        threads = [threading.Thread(target=store.database.read, args=(within,)) for _ in range(8)]
        for thread in threads:
            thread.start()
        for thread in threads:
            thread.join()
        assert [session] * 8 == found

    def test_a_read_leaves_no_transaction(self, store):
        """A query that fails within a transaction does not pin the log."""

        def fails(db):
            db.execute("BEGIN")
            db.execute("SELECT * FROM sojourn_meta").fetchall()
            raise LookupError

        with pytest.raises(LookupError):
            store.database.read(fails)
        assert not store.database.read(lambda db: db.in_transaction)

    def test_the_log_shrinks(self, store, path):
        """Without readers in the way the log is started over, and stays bounded."""
        sid = sign_in(store, "grace").sid
        payload = b"x" * 30_000
        for version in range(300):
            assert store.put_data(sid, payload, expected_version=version)
        assert path.with_name("app.db-wal").stat().st_size < 6_000_000


class TestChunks:
    """What is done in portions is done wholly."""

    def test_many_sessions_of_a_subject_end(self, store, monkeypatch):
        """Revoke-all of more sessions than are held in memory at once ends each of them."""
        monkeypatch.setattr(sql, "CHUNK_SESSIONS", 2)
        sids = [sign_in(store, created_at_ms=number).sid for number in range(7)]
        deleted = store.delete_subject("ada", keep=sids[3], reason="logout")
        assert (*sids[:3], *sids[4:]) == deleted.ended
        assert [sids[3]] == [session.sid for session in store.list("ada")]

    def test_a_purge_takes_everything_dead(self, store, monkeypatch):
        """A purge goes on until nothing dead is left, and counts all of it."""
        monkeypatch.setattr(sql_records, "PURGE_ROWS", 2)
        for _ in range(7):
            sign_in(store, expires_at_ms=1)
        alive = sign_in(store)
        assert 7 == store.purge()
        assert 0 == store.purge()
        assert alive == store.get(alive.sid).record


class TestFailures:
    def test_not_a_database(self, path):
        """A file of another kind is not touched, and named."""
        path.write_bytes(b"not a database, and long enough to have a header" * 100)
        store = SqliteStore(path)
        with pytest.raises(StoreError, match="is not a SQLite database") as caught:
            store.open(longest_token_ms=1)
        assert str(path) in str(caught.value)
        store.close()

    def test_a_read_only_file(self, store):
        """What may not be written is a StoreError that asks for permission; reads go on."""
        session = sign_in(store)
        store.database.write(lambda db: db.execute("PRAGMA query_only = ON").fetchall())
        with pytest.raises(StoreError, match="write permission"):
            sign_in(store)
        assert session == store.get(session.sid).record

    def test_a_full_disk(self, path):
        """Without space writes fail with the remedy, nothing acknowledged is lost, and it heals."""
        _, kind, message, *sids = finish(start_process("run_out_of_space", path))
        assert "StoreError" == kind
        assert any(word in message for word in ("free_some", "check_its_disk"))
        assert str(path) in message
        store = SqliteStore(path)
        store.open(longest_token_ms=1)
        assert {session.sid for session in store.list("ada")} == set(sids)
        store.close()

    def test_a_damaged_record(self, store):
        """A payload that cannot be understood is a StoreError, not a wrong answer."""
        session = sign_in(store)
        store.database.write(
            lambda db: db.execute("UPDATE sojourn_sessions SET payload = x'c1'").fetchall()
        )
        with pytest.raises(StoreError, match="cannot be understood"):
            store.get(session.sid)

    def test_errors_hold_no_secret(self, store):
        """A sid that is there already is an error that does not tell what the record holds."""
        session = sign_in(store)
        with pytest.raises(StoreError, match="UNIQUE constraint failed") as caught:
            store.create(session, limit=None, on_excess="refuse")
        assert session.seed.hex() not in str(caught.value)
        assert session.sid not in str(caught.value)

    def test_an_unknown_shard(self, store):
        """There is one shard; another is an error rather than an empty feed."""
        for use in (
            lambda: store.head(1),
            lambda: store.read(1, after=0),
            lambda: store.append(1, (Event(kind=Kind.RING),)),
        ):
            with pytest.raises(StoreError, match="no shard 1"):
                use()

    def test_nothing_works_before_open(self, path):
        """A store that was not opened says so, and so does one that was closed."""
        store = SqliteStore(path)
        for _ in range(2):
            with pytest.raises(StoreError, match=r"call open\(\) first"):
                store.get("sid")
            with pytest.raises(StoreError, match=r"call open\(\) first"):
                store.feed()
            store.open(longest_token_ms=1)
            store.close()
            store.close()


def put_aside(path):
    """Make another store's file, whole and closed."""
    other = SqliteStore(path.with_name("other.db"))
    other.open(longest_token_ms=1)
    session = sign_in(other)
    other.close()
    return path.with_name("other.db"), session


def replace_file(path):
    """Put another store's file in place, as restoring a backup does."""
    aside, session = put_aside(path)
    for end in ("-wal", "-shm"):
        path.with_name(path.name + end).unlink()
    aside.replace(path)
    return session


class TestAnotherFile:
    def test_a_replaced_file_is_opened(self, store, path):
        """After a write noticed that another file is in place, reads and writes are of that one."""
        before = sign_in(store)
        restored = replace_file(path)
        after = sign_in(store)
        assert {restored.sid, after.sid} == {session.sid for session in store.list("ada")}
        assert store.get(before.sid).record is None

    def test_letting_go_does_no_harm(self, store, path):
        """Closing connections to the old file takes nothing from the new one's log."""
        sign_in(store)
        replace_file(path)
        other = raw(path)
        other.execute("CREATE TABLE mine (x)")
        other.execute("INSERT INTO mine VALUES (1)")
        sign_in(store)
        assert path.with_name("app.db-wal").exists()
        other.execute("INSERT INTO mine VALUES (2)")
        reader = raw(path)
        assert [(1,), (2,)] == reader.execute("SELECT x FROM mine").fetchall()
        reader.close()
        other.close()

    def test_a_deleted_file_is_an_error(self, store, path):
        """A file that is gone is not made anew behind the operator's back; open() begins anew."""
        sign_in(store)
        for end in ("", "-wal", "-shm"):
            path.with_name(path.name + end).unlink()
        for _ in range(2):
            with pytest.raises(StoreError, match=r"restore it \(or call open\(\) to begin anew\)"):
                sign_in(store)
        with pytest.raises(StoreError, match="it is gone"):
            store.list("ada")
        assert not path.exists()
        store.open(longest_token_ms=1)
        assert [] == list(store.list("ada"))
        sign_in(store)

    def test_a_file_that_comes_back_is_opened(self, store, path):
        """Moved away and back, the file is the one it was."""
        session = sign_in(store)
        store.database.file.close_connections()
        path.rename(path.with_name("away.db"))
        with pytest.raises(StoreError, match="it is gone"):
            sign_in(store)
        path.with_name("away.db").rename(path)
        sign_in(store)
        assert session == store.get(session.sid).record

    def test_the_feed_shows_a_gap(self, store, path):
        """A follower notices the other file: its wait returns, and the head is not in its chain."""
        written = store.append(0, [Event(kind=Kind.RING)])
        feed = store.feed()
        assert written.entries == feed.read({0: 0})[0].entries
        aside, _ = put_aside(path)
        other = SqliteStore(aside)
        other.open(longest_token_ms=1)
        other.append(0, [Event(kind=Kind.RING)])
        other.close()
        for end in ("-wal", "-shm"):
            path.with_name(path.name + end).unlink()
        aside.replace(path)
        feed.wait(60)
        page = feed.read({0: 0})[0]
        assert page.head.tag != written.entries[-1].tag
        assert page.entries[0].previous_tag == 0
        feed.close()

    def test_the_feed_of_a_deleted_file_fails(self, store, path):
        """A follower must not believe that nothing is new where there is no file any more."""
        feed = store.feed()
        path.unlink()
        with pytest.raises(StoreError, match="it is gone"):
            feed.wait(60)
        with pytest.raises(StoreError, match="it is gone"):
            feed.read({0: 0})[0]
        feed.close()


def test_only_busy_errors_are_waited_for():
    """Locks are worth another attempt; anything else is not."""
    busy = sqlite3.OperationalError("database is locked")
    busy.sqlite_errorcode = sqlite3.SQLITE_BUSY_SNAPSHOT
    assert [True, False, False] == [
        sqlite_connection.is_busy(error) for error in (busy, sqlite3.OperationalError(), None)
    ]
