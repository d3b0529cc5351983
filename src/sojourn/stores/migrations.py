"""Numbered migrations, each with a checksum, in a namespace of their own: the rules of every engine."""

from __future__ import annotations

import hashlib
from collections.abc import Iterator, Mapping, Sequence

from sojourn.errors import ConfigurationError


def pending(
    applied: Mapping[int, str], *, namespace: str, migrations: Sequence[str]
) -> Iterator[tuple[int, str, str]]:
    """Tell what has still to be applied to a database of any engine.

    Args:
        applied: The numbers that have been, with their checksums.
        namespace: Whose tables these are.
        migrations: SQL scripts, oldest first.

    Returns:
        Number, script and checksum of each, in order.

    Raises:
        ConfigurationError: The database was written by a newer version, or a migration that has
            been applied was altered since.
    """
    newest = max(applied, default=0)
    if newest > len(migrations):
        raise ConfigurationError(
            f"the database has {namespace!r} migration {newest}, this version knows "
            f"{len(migrations)}: it was used by a newer version; install that one or a later one"
        )
    for number, script in enumerate(migrations, start=1):
        checksum = _checksum(script)
        if applied.get(number, checksum) != checksum:
            raise ConfigurationError(
                f"{namespace!r} migration {number} is not what was applied to this database; "
                "restore it, and make the change in a migration of its own"
            )
        if number not in applied:
            yield number, script, checksum


def _checksum(script: str) -> str:
    """Hash a script but for its white space, which formatters move."""
    return hashlib.sha256(" ".join(script.split()).encode()).hexdigest()
