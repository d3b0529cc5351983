"""What the numbered migrations do: bring the store's tables up to date, whatever they were.

The store's own SQL has numbers and checksums, too, since the same tables can be used by its URL
without Django. Whenever it grows, a Django migration is added that does the same again.
"""

from __future__ import annotations

from typing import Any

from django.db.backends.base.schema import BaseDatabaseSchemaEditor

from sojourn.stores.django.engines import engine_class


def bring_up_to_date(_: Any, schema_editor: BaseDatabaseSchemaEditor) -> None:
    """Make the tables, or what is new in them; nothing in a database that keeps no sessions.

    Args:
        schema_editor: Within the migration's transaction.

    Raises:
        ConfigurationError: SQLite is too old, or the tables are a newer version's.
    """
    engine = engine_class(schema_editor.connection)
    if engine is not None:
        engine.create_tables(schema_editor.connection.connection)
