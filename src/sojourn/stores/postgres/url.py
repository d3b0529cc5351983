"""What a ``postgresql://`` URL says: libpq's parameters, our defaults for them, and our own `pool`."""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import Any

from sojourn.errors import ConfigurationError
from sojourn.stores.postgres.driver import psycopg

POOL_CONNECTIONS = 10
"""At most so many at once, unless ``?pool=`` says otherwise."""
_DEFAULTS = {
    "application_name": "sojourn",
    "connect_timeout": "2",
    # After a failover one of several hosts is writable; a standby is behind, and knows it not.
    "target_session_attrs": "read-write",
    # A peer that has vanished is noticed by idle connections, too.
    "keepalives_idle": "10",
    "keepalives_interval": "2",
    "keepalives_count": "3",
    "tcp_user_timeout": "5000",
}
"""libpq's parameters, where the URL does not set them."""


@dataclass(frozen=True, slots=True)
class Place:
    """Which database, and how it is reached.

    Args:
        conninfo: For libpq; it holds the password.
        name: For messages: hosts and database only.
        pool: How many connections there are at most.
    """

    conninfo: str = field(repr=False)
    name: str
    pool: int = POOL_CONNECTIONS


def parse_url(url: str) -> Place:
    """Read a URL.

    Args:
        url: As libpq takes it (several hosts, ``options``, ``sslmode`` and so on included), and
            ``pool=N``, which is ours.

    Raises:
        ConfigurationError: It cannot be understood. The message does not quote it: a password may
            stand anywhere in it.
    """
    base, _, query = url.partition("?")
    words = query.split("&") if query else []
    pool = _pool([word.removeprefix("pool=") for word in words if word.startswith("pool=")])
    theirs = "&".join(word for word in words if not word.startswith("pool="))
    try:
        given = psycopg.conninfo.conninfo_to_dict(f"{base}?{theirs}")
    except psycopg.Error:
        raise ConfigurationError(
            "the postgresql:// url cannot be understood; write postgresql://user:password@host/"
            "database, with reserved characters percent-encoded"
        ) from None
    if not _is_plausible(given):
        raise ConfigurationError(
            "the postgresql:// url has a host, port or database that cannot be one; escape @ / : in "
            "the password as %40 %2F %3A"
        )
    return Place(psycopg.conninfo.make_conninfo("", **(_DEFAULTS | given)), _name(given), pool)


def _is_plausible(given: dict[str, Any]) -> bool:
    """Tell whether no part of a password, unescaped, became part of something that is shown."""
    shown = (str(given.get(word) or "") for word in ("host", "hostaddr", "dbname"))
    ports = str(given.get("port") or "").split(",")
    return "@" not in "".join(shown) and all(not port or port.isdecimal() for port in ports)


def _pool(values: list[str]) -> int:
    if not values:
        return POOL_CONNECTIONS
    if len(values) > 1 or not values[0].isdecimal() or int(values[0]) < 1:
        raise ConfigurationError("a postgresql:// url takes one ?pool=N, a number from 1")
    return int(values[0])


def _name(given: dict[str, Any]) -> str:
    hosts = str(given.get("host") or given.get("hostaddr") or "localhost").split(",")
    ports = str(given.get("port") or "5432").split(",")
    if len(ports) == 1:
        ports *= len(hosts)
    places = ",".join(f"{host}:{port}" for host, port in zip(hosts, ports, strict=False))
    return f"{places}/{given.get('dbname') or ''}"
