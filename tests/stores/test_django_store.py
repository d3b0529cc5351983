"""Which databases of Django's keep sessions, what is refused, and with which words."""

import sqlite3
from types import SimpleNamespace
from urllib.parse import quote

import pytest
from django.core.management import call_command
from django.db import connections
from django_databases import KINDS, database, postgres_settings, sqlite_settings
from stores.sqlite_samples import LONGEST_TOKEN_MS, draft, eventually, sign_in

from sojourn import AsyncSojourn, Incoming, Sojourn
from sojourn.errors import ConfigurationError, StoreError
from sojourn.model import AuditRecord
from sojourn.stores import blocking_store, scheme_of
from sojourn.stores.django import DjangoStore
from sojourn.stores.django.tables import bring_up_to_date
from sojourn.stores.memory import system_clock
from sojourn.stores.postgres import PostgresStore, schema
from sojourn.stores.sqlite import SqliteStore, database as sqlite_database, migrations

URL = "http://127.0.0.1:8000"
BOTH = ["sqlite", "postgres"]


@pytest.fixture(params=BOTH)
def alias(request, tmp_path):
    """A database with the tables."""
    with database(KINDS[request.param](tmp_path)) as alias:
        yield alias


def plain(alias):
    """Give the store of the same database by its own URL."""
    settings = connections.databases[alias]
    if connections[alias].vendor == "sqlite":
        return SqliteStore(settings["NAME"])
    place = f"{settings['USER']}@{settings['HOST']}:{settings['PORT']}/{settings['NAME']}"
    options = quote(settings["OPTIONS"]["options"])
    return PostgresStore(f"postgresql://{place}?options={options}")


def refuses(alias, match):
    with pytest.raises(ConfigurationError, match=match):
        DjangoStore(alias).open(longest_token_ms=LONGEST_TOKEN_MS)


@pytest.mark.parametrize("kind", BOTH)
def test_tables_are_made_by_migrate(kind, tmp_path):
    """They are never made in passing; the command that makes them is named, and is enough."""
    with database(KINDS[kind](tmp_path), migrate=False) as alias:
        refuses(alias, f"python manage.py migrate --database={alias}")
        call_command("migrate", "sojourn", database=alias, verbosity=0)
        call_command("migrate", "sojourn", database=alias, verbosity=0)
        info = DjangoStore(alias).open(longest_token_ms=LONGEST_TOKEN_MS)
        assert (1, LONGEST_TOKEN_MS) == (info.shards, info.longest_token_ms)


def test_the_default_database_needs_no_word():
    """Where the alias is the usual one, so is the command."""
    with database({"ENGINE": "django.db.backends.sqlite3", "NAME": ":memory:"}, migrate=False):
        refuses("default", "run: python manage.py migrate ")
        connections["default"].close()


def test_a_newer_version_has_been_here(alias):
    """Tables that this version does not know are left alone."""
    with connections[alias].cursor() as cursor:
        cursor.execute("INSERT INTO sojourn_migrations VALUES ('store', 99, 'unknown')")
    refuses(alias, "newer version")


def test_tables_of_the_version_before(alias, monkeypatch):
    """What has been added since is made by migrate, not by open."""
    more = ("CREATE TABLE sojourn_later (id integer PRIMARY KEY)",)
    for module in ("sqlite", "postgres"):
        name = f"sojourn.stores.django.{module}.STORE_MIGRATIONS"
        known = {"sqlite": migrations, "postgres": schema}[module].STORE_MIGRATIONS
        monkeypatch.setattr(name, known + more)
    refuses(alias, "migrate")


def test_there_is_a_migration_for_each_of_the_stores():
    """Whoever adds SQL to a store adds a migration of Django's that runs it, and counts here."""
    assert (1, 2) == (len(migrations.STORE_MIGRATIONS), len(schema.STORE_MIGRATIONS))


def test_models_and_migrations_agree(alias):
    """Nothing is left for makemigrations, which would put it into our folder."""
    call_command("makemigrations", "sojourn", check=True, dry_run=True, verbosity=0)


def test_what_the_admin_reads(alias):
    """Sessions and lines of the trail are there as models, on both engines."""
    from sojourn.django.models import AuditLine, Session

    store = DjangoStore(alias)
    store.open(longest_token_ms=LONGEST_TOKEN_MS)
    session = draft(user_agent="Firefox", roles=("admin",))
    record = AuditRecord(at_ms=1, action="login", subject="ada", sid=session.sid)
    store.create(session, limit=None, on_excess="refuse", audit=(record,))
    seen = Session.objects.using(alias).get()
    assert (session.sid, "ada", session.dies_at_ms) == (str(seen), seen.subject, seen.dies_at_ms)
    assert ("Firefox", ("admin",)) == (seen.record.user_agent, seen.record.roles)
    line = AuditLine.objects.using(alias).get(sid=session.sid)
    assert (str(line.number), record) == (str(line), line.record)


def test_the_same_tables_by_their_own_url(alias):
    """Another process need not be Django's: it has the same database open by its URL."""
    store, other = DjangoStore(alias), plain(alias)
    info = store.open(longest_token_ms=LONGEST_TOKEN_MS)
    assert info == other.open(longest_token_ms=0)
    session = sign_in(other)
    assert [session] == store.list("ada")
    entries = store.delete_subject("ada", keep=None, reason="test").entries
    assert entries == other.read(0, after=0).entries
    other.close()


def test_a_database_that_is_not_named(alias):
    """The remedy is an alias; one of another process's settings is none."""
    refuses("nowhere", "give an alias of DATABASES")


def test_an_engine_that_keeps_no_sessions(tmp_path):
    """It is named, and so is what does; its migrations are no failure, since it may be another store's."""
    with database({"ENGINE": "django.db.backends.dummy"}, migrate=False) as alias:
        refuses(alias, "PostgreSQL and SQLite")
    bring_up_to_date(None, SimpleNamespace(connection=SimpleNamespace(vendor="mysql")))


def test_no_autocommit(tmp_path):
    """Where the application commits by hand, nobody knows when a sign-in is there to stay."""
    with database(sqlite_settings(tmp_path) | {"AUTOCOMMIT": False}, migrate=False) as alias:
        refuses(alias, "AUTOCOMMIT")


def test_another_isolation(tmp_path):
    """Transactions that do not see what was committed while they waited are refused."""
    settings = postgres_settings(tmp_path)
    settings["OPTIONS"]["isolation_level"] = 3
    with database(settings, migrate=False) as alias:
        refuses(alias, "'repeatable read'; the store needs READ COMMITTED")


def test_an_old_sqlite(tmp_path, monkeypatch):
    """Its version is the reason why migrate fails."""
    monkeypatch.setattr(sqlite_database, "OLDEST_SQLITE", (99, 0, 0))
    old = pytest.raises(ConfigurationError, match=f"SQLite {sqlite3.sqlite_version} is too old")
    with database(sqlite_settings(tmp_path), migrate=False) as alias, old:
        call_command("migrate", "sojourn", database=alias, verbosity=0)


@pytest.mark.parametrize("kind", BOTH)
def test_a_database_that_is_gone(kind, tmp_path):
    """A failure is a StoreError that names the database and its cause, and no password."""
    settings = KINDS[kind](tmp_path)
    settings |= {"PASSWORD": "hunter22"}
    if kind == "sqlite":
        settings["NAME"] = str(tmp_path / "nowhere" / "file.db")
    else:
        settings["PORT"] = "1"
    with database(settings, migrate=False) as alias, pytest.raises(StoreError) as failed:
        DjangoStore(alias).get("anything")
    assert f"the database '{alias}'" in str(failed.value)
    assert "hunter22" not in str(failed.value)


def test_by_url():
    """The URL names the alias; a test's clock is passed on, and the system's left to the engine."""
    store = blocking_store("django://my%20other", clock=system_clock)
    assert isinstance(store, DjangoStore)
    assert ("my other", None) == (store.alias, store._clock)
    assert "django" == scheme_of("django://default")
    with pytest.raises(ConfigurationError, match="django://default"):
        blocking_store("django://", clock=system_clock)


def test_the_asynchronous_face_is_refused():
    """Django's connections block, and Django itself refuses them in an event loop."""
    for store in ("django://default", DjangoStore()):
        with pytest.raises(ConfigurationError, match="use Sojourn"):
            AsyncSojourn(store, url=URL)


def test_a_process_follows_another_one(alias):
    """Two applications on one database: what one revokes the other one hears, and refuses."""
    secret = "one server secret of all these tests, long"
    options = {"mode": "hybrid", "url": URL, "secret": secret}
    with Sojourn(f"django://{alias}", **options) as one, Sojourn(plain(alias), **options) as other:
        signed_in = one.login(Incoming(), "ada", transport="bearer")
        incoming = Incoming(authorization=f"Bearer {signed_in.access_token}")
        assert other.check(incoming).principal is not None
        other.revoke_all("ada")
        eventually(lambda: len(one.core.picture.view))
        assert "revoked" == one.check(incoming).refusal.code
        assert "ada" == one.login(Incoming(), "ada", transport="bearer").principal.subject
        one.revoke_all("ada")
        eventually(lambda: len(other.core.picture.view.cutoffs) and other.lag_seconds < 5)
