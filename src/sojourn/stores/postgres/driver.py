"""psycopg, or the word on how to get it: the one place where the driver is imported."""

from __future__ import annotations

from sojourn.errors import ConfigurationError

try:
    import psycopg
    import psycopg.conninfo
    import psycopg.waiting
    from psycopg.types.numeric import Int8
except ModuleNotFoundError as missing:
    raise ConfigurationError(
        "postgresql:// needs psycopg, which is not installed; pip install 'sojourn[postgres]'"
    ) from missing

__all__ = ["Int8", "psycopg"]
