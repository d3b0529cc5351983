"""The follower's reader on Django, and what stands for it while tests run."""

import threading

import pytest
from django.core import mail
from django.db import transaction
from django.test.utils import setup_test_environment, teardown_test_environment
from django_databases import KINDS, database, postgres_settings
from stores.sqlite_samples import LONGEST_TOKEN_MS

from sojourn import Incoming, Sojourn
from sojourn.errors import StoreError
from sojourn.model import Event, Kind
from sojourn.ports import Versioned
from sojourn.stores.django import DjangoStore

URL = "http://127.0.0.1:8000"
SECRET = "one server secret of all these tests, long"
NEWS = (Event(kind=Kind.OUTDATED, subject="ada"),)


@pytest.fixture(params=["sqlite", "postgres"])
def alias(request, tmp_path):
    """A database with the tables."""
    with database(KINDS[request.param](tmp_path)) as alias:
        yield alias


@pytest.fixture
def store(alias):
    """An opened store."""
    store = DjangoStore(alias)
    store.open(longest_token_ms=LONGEST_TOKEN_MS)
    return store


@pytest.fixture
def rehearsal(alias):
    """Django's test environment, as long as the test lasts."""
    setup_test_environment()
    yield
    teardown_test_environment()


def test_a_reader_that_was_closed(store):
    """It reads no more, and closing it again is nothing."""
    feed = store.feed()
    feed.close()
    feed.close()
    with pytest.raises(StoreError, match="closed"):
        feed.read({0: 0})


def test_a_reader_that_cannot_connect(tmp_path):
    """It says so where it is opened, and leaves no connection behind."""
    unreachable = pytest.raises(StoreError, match="cannot be reached")
    with database(postgres_settings(tmp_path) | {"PORT": "1"}, migrate=False) as alias, unreachable:
        DjangoStore(alias).feed()


def test_mail_kept_in_memory_is_no_test(store, monkeypatch):
    """The outbox alone, which a development server may have, silences nothing."""
    monkeypatch.setattr(mail, "outbox", [], raising=False)
    store.append(0, NEWS)
    feed = store.feed()
    assert 1 == len(feed.read({0: 0})[0].entries)
    feed.close()


def test_nothing_is_followed_while_tests_run(rehearsal, store):
    """The reader has no pages, restores nothing, and waits for its end."""
    store.append(0, NEWS)
    feed, ended = store.feed(), threading.Event()
    assert {} == feed.read({0: 0})
    feed.restore(0, NEWS, above=10**15)
    assert 1 == len(store.read(0, after=0).entries)

    def wait():
        feed.wait(0.0)
        ended.set()

    thread = threading.Thread(target=wait)
    thread.start()
    assert not ended.is_set()
    feed.close()
    thread.join()
    assert ended.is_set()


def test_no_picture_is_fresh_while_tests_run(rehearsal, alias):
    """Each check asks the store: what somebody else deletes by hand is gone at once."""
    with Sojourn(f"django://{alias}", mode="session", url=URL, secret=SECRET) as auth:
        signed_in = auth.login(Incoming(), "ada", transport="bearer")
        incoming = Incoming(authorization=f"Bearer {signed_in.access_token}")
        for _ in range(3):
            assert auth.check(incoming).principal is not None
            auth.update("ada", roles={"admin"})
        assert float("inf") == auth.lag_seconds
        DjangoStore(alias).delete(signed_in.principal.sid, subject="ada", reason="by hand")
        assert auth.check(incoming).principal is None


def test_positions_go_on_after_a_rollback(rehearsal, store, alias):
    """A sign-in is never before what this process has seen revoked, rolled back or not."""
    with transaction.atomic(using=alias):
        store.append(0, NEWS * 50)
        seen = store.read(0, after=0).head
        transaction.set_rollback(True, using=alias)
    assert () == store.read(0, after=0).entries
    after = store.head(0)
    assert after.id > seen.id
    assert after == store.head(0)


def test_documents_outlive_a_rollback(rehearsal, store, alias):
    """The key ring of a process is not taken back with a test; its versions are compared as ever."""
    with transaction.atomic(using=alias):
        assert store.put_document("ring", b"1", expected_version=0)
        transaction.set_rollback(True, using=alias)
    assert not store.put_document("ring", b"2", expected_version=0)
    assert store.put_document("ring", b"2", expected_version=1)
    assert Versioned(b"2", 2) == store.get_document("ring")
