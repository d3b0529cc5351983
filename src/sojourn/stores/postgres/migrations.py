"""Migrations of a PostgreSQL database, in the schema that the search_path names first."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

from sojourn.errors import ConfigurationError
from sojourn.stores.migrations import pending
from sojourn.stores.postgres.driver import psycopg

SCHEMA = "@schema@"
"""Stands in a script for the schema of its tables."""
_LOCK = 0x50A0_0421
"""The advisory lock of whoever migrates; any number that others do not use."""


def apply_postgres_migrations(
    connection: psycopg.Connection[Any], *, namespace: str, migrations: Sequence[str]
) -> None:
    """Bring the tables of a namespace up to date.

    Run it as ``database.set_up(apply_postgres_migrations, namespace=…, migrations=…)``. Processes
    that do so at once wait for each other. Where there is nothing to do, no right to create is
    needed.

    Args:
        connection: Within a transaction.
        namespace: Whose tables these are.
        migrations: SQL scripts, oldest first, each of any number of statements; only ever appended
            to.

    Raises:
        ConfigurationError: The database was written by a newer version, or a migration that has
            been applied was altered since.
    """
    connection.execute("SELECT pg_catalog.pg_advisory_xact_lock(%s::bigint)", (_LOCK,))
    if not _has_any(connection):
        connection.execute(
            "CREATE TABLE sojourn_migrations (namespace text NOT NULL, number integer NOT NULL, "
            "checksum text NOT NULL, PRIMARY KEY (namespace, number))"
        )
    applied = _applied(connection, namespace)
    for number, script, checksum in pending(applied, namespace=namespace, migrations=migrations):
        # Without parameters psycopg sends a script as it is, whatever it holds.
        connection.execute(script.replace(SCHEMA, _schema(connection)).encode())
        connection.execute(
            "INSERT INTO sojourn_migrations VALUES (%s, %s, %s)", (namespace, number, checksum)
        )


def is_up_to_date(
    connection: psycopg.Connection[Any], *, namespace: str, migrations: Sequence[str]
) -> bool:
    """Tell whether nothing is left to apply.

    Raises:
        ConfigurationError: As `apply_postgres_migrations` does.
    """
    applied = _applied(connection, namespace) if _has_any(connection) else {}
    return not list(pending(applied, namespace=namespace, migrations=migrations))


def _has_any(connection: psycopg.Connection[Any]) -> bool:
    ((table,),) = connection.execute(
        "SELECT pg_catalog.to_regclass('sojourn_migrations')::text"
    ).fetchall()
    return table is not None


def _applied(connection: psycopg.Connection[Any], namespace: str) -> dict[int, str]:
    return dict(
        connection.execute(
            "SELECT number, checksum FROM sojourn_migrations WHERE namespace = %s", (namespace,)
        ).fetchall()
    )


def _schema(connection: psycopg.Connection[Any]) -> str:
    sql = "SELECT current_schema, pg_catalog.quote_ident(current_schema)"
    ((name, quoted),) = connection.execute(sql).fetchall()
    if set("'$") & set(name):
        raise ConfigurationError(
            f"the schema {name} has a quote or a dollar in its name; choose another (search_path)"
        )
    return str(quoted)
