"""psycopg, or the word on how to get it: the one place where the driver is imported."""

from __future__ import annotations

from sojourn.errors import ConfigurationError

try:
    import psycopg
except ModuleNotFoundError as missing:
    raise ConfigurationError(
        "postgresql:// needs psycopg, which is not installed; pip install 'sojourn[postgres]'"
    ) from missing

__all__ = ["psycopg"]
