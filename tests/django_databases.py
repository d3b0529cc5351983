"""Databases of Django's for tests in this process, which is not Django's test environment.

Nothing of Django is set up before a test asks for it, so that pytest-django lets other tests be.
"""

from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path

from services import new_namespace
from services_postgres import shared_postgres


def set_up() -> None:
    """Set Django up, once."""
    import django
    import django_settings
    from django.conf import settings

    if not settings.configured:
        given = {name: value for name, value in vars(django_settings).items() if name.isupper()}
        settings.configure(**given)
        django.setup()


def sqlite_settings(folder: Path) -> dict:
    """Name a new file; with the journal that Django begins with."""
    return {"ENGINE": "django.db.backends.sqlite3", "NAME": str(folder / "django.db")}


def wal_settings(folder: Path) -> dict:
    """Name a new file with a write-ahead log."""
    return sqlite_settings(folder) | {"OPTIONS": {"init_command": "PRAGMA journal_mode=WAL"}}


def postgres_settings(_: Path) -> dict:
    """Name a new schema."""
    from psycopg.conninfo import conninfo_to_dict

    place = conninfo_to_dict(shared_postgres().new_schema())
    words = {
        "dbname": "NAME",
        "user": "USER",
        "password": "PASSWORD",
        "host": "HOST",
        "port": "PORT",
    }
    given = {words[name]: str(value) for name, value in place.items() if name in words}
    options = {"options": place["options"]}
    return {"ENGINE": "django.db.backends.postgresql", "OPTIONS": options, **given}


KINDS: dict[str, Callable[[Path], dict]] = {
    "sqlite": sqlite_settings,
    "sqlite-wal": wal_settings,
    "postgres": postgres_settings,
}


@contextmanager
def database(settings: dict, *, migrate: bool = True) -> Iterator[str]:
    """Make a database known under a new alias while the block lasts, with the tables in it."""
    set_up()
    from django.core.management import call_command
    from django.db import connections
    from django.db.backends.signals import connection_created

    opened = []

    def note(connection, **_):
        connection.inc_thread_sharing()  # the connections of other threads are closed here, too
        opened.append(connection)

    alias = new_namespace()
    connections.databases[alias] = connections.configure_settings({"default": settings})["default"]
    connection_created.connect(note)
    try:
        if migrate:
            call_command("migrate", "sojourn", database=alias, verbosity=0)
        yield alias
    finally:
        connection_created.disconnect(note)
        for connection in opened:
            connection.close()
        del connections.databases[alias]
