"""Which databases of Django's can keep sessions."""

from __future__ import annotations

import importlib
from typing import TYPE_CHECKING, cast

from django.core.exceptions import ImproperlyConfigured
from django.db import connections
from django.db.backends.base.base import BaseDatabaseWrapper
from django.utils.connection import ConnectionDoesNotExist

from sojourn.errors import ConfigurationError

if TYPE_CHECKING:
    from sojourn.stores.django.postgres import PostgresEngine
    from sojourn.stores.django.sqlite import SqliteEngine

    Engine = SqliteEngine | PostgresEngine

_CLASSES = {
    "sqlite": ("sojourn.stores.django.sqlite", "SqliteEngine"),
    "postgresql": ("sojourn.stores.django.postgres", "PostgresEngine"),
}
"""By Django's name for the vendor; imported only where it is used: a driver is an extra."""


def engine_class(connection: BaseDatabaseWrapper) -> type[Engine] | None:
    """Give the operations of a vendor; None for one that cannot keep sessions."""
    if connection.vendor not in _CLASSES:
        return None
    module, name = _CLASSES[connection.vendor]
    return cast("type[Engine]", getattr(importlib.import_module(module), name))


def engine_for(alias: str) -> type[Engine]:
    """Give the operations of a store on a database.

    Args:
        alias: The database in ``DATABASES``.

    Raises:
        ConfigurationError: There is no such database, or it cannot keep sessions.
    """
    try:
        connection = connections[alias]
    except (ConnectionDoesNotExist, ImproperlyConfigured) as error:
        raise ConfigurationError(
            f"django://{alias} names no database of this process ({error}); give an alias of DATABASES, "
            "and use the store where Django is set up (manage.py, or django.setup())"
        ) from error
    engine = engine_class(connection)
    if engine is None:
        raise ConfigurationError(
            f"the database {alias!r} is {connection.display_name}, and django:// keeps sessions in "
            "PostgreSQL and SQLite; name such a database (django://ALIAS), or another store "
            "(postgresql://, redis://)"
        )
    if not connection.settings_dict["AUTOCOMMIT"]:
        raise ConfigurationError(
            f"the database {alias!r} has AUTOCOMMIT off, so that nobody knows when a sign-in is there to "
            "stay; leave it on, or name another database (django://ALIAS)"
        )
    return engine
