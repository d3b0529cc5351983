"""The store writes in the application's transactions, and lives and dies with them."""

import threading
from contextlib import closing, suppress
from types import ModuleType

import pytest
from django.db import connections, transaction
from django.http import HttpResponse
from django.test import Client, override_settings
from django.urls import path
from django_databases import KINDS, database
from stores.sqlite_samples import draft, sign_in

from sojourn import Incoming, Sojourn
from sojourn.errors import StoreError
from sojourn.model import Event, Kind
from sojourn.need import Need
from sojourn.stores.django import DjangoStore

URL = "http://127.0.0.1:8000"
SECRET = "one server secret of all these tests, long"
LONGEST_TOKEN_MS = 3_600_000
PATIENCE_SECONDS = 20


class Failed(Exception):
    """What goes wrong in an application."""


@pytest.fixture(params=["sqlite", "sqlite-wal", "postgres"])
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


@pytest.fixture(params=["session", "hybrid", "jwt"])
def auth(request, alias):
    """A process's `Sojourn` in each mode."""
    with Sojourn(f"django://{alias}", mode=request.param, url=URL, secret=SECRET) as auth:
        yield auth


def login(auth, subject="1"):
    return auth.login(Incoming(), subject, transport="bearer")


def incoming_of(signed_in):
    return Incoming(authorization=f"Bearer {signed_in.access_token}")


def refusal(auth, signed_in):
    checked = auth.check(incoming_of(signed_in))
    return checked.refusal.code if checked.refusal else None


@pytest.mark.parametrize("outer", [False, True])
def test_what_is_rolled_back_leaves_nothing(store, alias, outer):
    """No session, no entry, no line: not of a whole transaction, nor of a block in it."""
    head, trail = store.head(0), store.read_audit()

    def application():
        with suppress(Failed), transaction.atomic(using=alias):
            sign_in(store)
            store.delete_subject("ada", keep=None, reason="test")
            raise Failed

    if outer:
        with transaction.atomic(using=alias):
            application()
            kept = sign_in(store, "bob")
        assert [kept] == store.list("bob")
    else:
        application()
    assert (head, trail, []) == (store.head(0), store.read_audit(), store.list("ada"))
    assert "created" == store.create(draft(), limit=None, on_excess="refuse").outcome


def test_a_sign_in_that_was_rolled_back(auth, alias):
    """Nobody is signed in, and nobody can be by what was handed out; in jwt nothing is stored."""
    with suppress(Failed), transaction.atomic(using=alias):
        signed_in = login(auth)
        raise Failed
    assert [] == DjangoStore(alias).read_audit(subject="1")
    if auth.settings.mode != "jwt":
        assert [] == auth.sessions("1")
    if auth.settings.mode == "session":
        assert "invalid_token" == refusal(auth, signed_in)


def test_a_revocation_that_was_rolled_back(auth, alias):
    """It has never been: this process refuses nobody for it, and tells the others nothing."""
    signed_in = login(auth)
    with suppress(Failed), transaction.atomic(using=alias):
        auth.revoke_all("1")
        auth.check(incoming_of(signed_in), need=Need(max_lag_seconds=0))
        raise Failed
    assert (None, 0) == (refusal(auth, signed_in), len(auth.core.picture.view))
    auth.update("2", roles={"admin"})
    assert None is refusal(auth, signed_in)
    assert 0 == auth.core.picture.gaps


def test_a_revocation_holds_from_the_commit(auth, alias):
    """At once in this process, without waiting to read it back."""
    signed_in = login(auth)
    assert None is refusal(auth, signed_in)
    with transaction.atomic(using=alias):
        auth.revoke_all("1")
        assert 0 == len(auth.core.picture.view)
    assert 1 == len(auth.core.picture.view)
    assert "revoked" == refusal(auth, signed_in)


def test_within_the_transaction_a_revocation_holds(auth, alias):
    """Whoever was signed out is refused there at once, and is in again where that is rolled back."""
    signed_in, other = login(auth), login(auth, "2")
    assert None is refusal(auth, signed_in)
    with suppress(Failed), transaction.atomic(using=alias):
        assert None is refusal(auth, signed_in)
        auth.revoke_all("1")
        assert "revoked" == refusal(auth, signed_in)
        assert (None, None) == (refusal(auth, other), refusal(auth, login(auth)))
        raise Failed
    assert None is refusal(auth, signed_in)


@pytest.mark.parametrize("mode", ["session", "hybrid"])
@pytest.mark.parametrize("outer", [False, True])
def test_what_was_read_in_a_transaction_is_not_believed_after_it(mode, outer, alias):
    """Roles that were rolled back are nobody's, though they were checked meanwhile."""

    def roles():
        return auth.check(incoming).principal.roles

    def promote():
        with suppress(Failed), transaction.atomic(using=alias):
            auth.update("1", roles={"admin"})
            assert {"admin"} == roles()
            raise Failed
        assert {"reader"} == roles()

    with Sojourn(f"django://{alias}", mode=mode, url=URL, secret=SECRET) as auth:
        signed_in = auth.login(Incoming(), "1", roles={"reader"})
        incoming = auth.core.browser.after(Incoming(), signed_in.outgoing)
        assert {"reader"} == roles()
        if outer:
            with transaction.atomic(using=alias):
                promote()
        else:
            promote()
        assert {"reader"} == roles()


@pytest.mark.parametrize("mode", ["hybrid", "jwt"])
def test_keys_made_in_a_transaction_that_was_rolled_back(mode, alias):
    """They sign nothing afterwards: another process knows every token."""
    with (
        closing(Sojourn(f"django://{alias}", mode=mode, url=URL, secret=SECRET)) as auth,
        closing(Sojourn(f"django://{alias}", mode=mode, url=URL, secret=SECRET)) as other,
    ):
        with suppress(Failed), transaction.atomic(using=alias):
            within = login(auth)
            assert None is refusal(auth, within)
            raise Failed
        after = login(auth)
        assert (None, None) == (refusal(auth, after), refusal(other, after))
        assert "invalid_token" == refusal(auth, within), "of a key that nobody has"


def test_no_feed_has_what_is_not_committed(store, alias):
    """Whoever reads the feed within the transaction that appends reads what all others read."""
    (before,) = store.append(0, (Event(kind=Kind.OUTDATED, subject="ada"),)).entries
    with transaction.atomic(using=alias):
        entries = store.delete_subject("ada", keep=None, reason="test").entries
        page = store.read(0, after=0)
        assert ((before,), before.id) == (page.entries, page.head.id)
        assert entries[-1].id == store.head(0).id, "a position to sign in after it"
    assert (before, *entries) == store.read(0, after=0).entries


def test_ids_become_visible_in_order(store, alias):
    """Who appends meanwhile waits for a transaction in which somebody was revoked."""
    feed, appended = store.feed(), []

    def append():
        try:
            appended.extend(store.append(0, (Event(kind=Kind.OUTDATED, subject="bob"),)).entries)
        finally:
            connections.close_all()

    other = threading.Thread(target=append)
    with transaction.atomic(using=alias):
        first = store.delete_subject("ada", keep=None, reason="test").entries
        other.start()
        assert () == feed.read({0: 0})[0].entries
        assert [] == appended
    other.join(PATIENCE_SECONDS)
    page = feed.read({0: 0})[0]
    feed.close()
    assert (*first, *appended) == page.entries
    assert (first[0].tag, page.head.id) == (appended[0].previous_tag, appended[0].id)


def test_a_failure_leaves_the_transaction_as_it_was(store, alias):
    """An operation that fails is undone alone, and the application goes on."""
    session = sign_in(store)
    with transaction.atomic(using=alias):
        with pytest.raises(StoreError):
            store.create(session, limit=None, on_excess="refuse")
        sign_in(store, "bob")
    assert 1 == len(store.list("bob"))


def test_a_broken_transaction_is_refused(store, alias):
    """Where Django would roll back in any case, nothing is written and believed."""
    with transaction.atomic(using=alias):
        transaction.set_rollback(True, using=alias)
        with pytest.raises(StoreError, match="atomic"):
            sign_in(store)
        with pytest.raises(StoreError, match="atomic"):
            store.get("anything")


@pytest.mark.parametrize("kind", ["sqlite", "sqlite-wal"])
def test_a_transaction_that_began_by_reading(kind, tmp_path):
    """SQLite refuses it at once, once others have written; the remedy is named, and is one."""
    settings = KINDS[kind](tmp_path)
    settings["OPTIONS"] = settings.get("OPTIONS", {}) | {"timeout": 0.01}
    with database(settings) as alias:
        store = DjangoStore(alias)
        store.open(longest_token_ms=LONGEST_TOKEN_MS)

        def meanwhile(hold):
            with transaction.atomic(using=alias):
                sign_in(store)
                is_held.set()
                assert hold.wait(PATIENCE_SECONDS)
            connections.close_all()

        is_held, let_go = threading.Event(), threading.Event()
        other = threading.Thread(target=meanwhile, args=(let_go,))
        with transaction.atomic(using=alias):
            store.head(0)
            other.start()
            assert is_held.wait(PATIENCE_SECONDS)
            with pytest.raises(StoreError, match="IMMEDIATE"):
                sign_in(store)
        let_go.set()
        other.join(PATIENCE_SECONDS)
        connections.databases[alias]["OPTIONS"]["transaction_mode"] = "IMMEDIATE"
        connections[alias].close()
        with transaction.atomic(using=alias):
            store.head(0)
            sign_in(store)
        assert 2 == len(store.list("ada"))


def a_view(request):
    """Sign somebody in, and fail where that is asked."""
    store = DjangoStore(request.GET["alias"])
    sign_in(store, request.GET["subject"])
    if "fails" in request.GET:
        raise Failed
    return HttpResponse()


def test_atomic_requests(store, alias):
    """A view that fails under ATOMIC_REQUESTS has signed nobody in."""
    connections.databases[alias]["ATOMIC_REQUESTS"] = True
    urls = ModuleType("urls")
    urls.urlpatterns = [path("", a_view)]
    with override_settings(ROOT_URLCONF=urls, ALLOWED_HOSTS=["testserver"], MIDDLEWARE=[]):
        client = Client(raise_request_exception=False)
        assert 500 == client.get("/", {"alias": alias, "subject": "ada", "fails": ""}).status_code
        assert 200 == client.get("/", {"alias": alias, "subject": "bob"}).status_code
    assert (0, 1) == (len(store.list("ada")), len(store.list("bob")))
