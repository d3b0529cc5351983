"""Where a Redis or Valkey is: the URL, taken apart once and never shown.

`redis://[user:pass@]host:port/db` is one node (or, found out at open, any node of a cluster),
`redis+cluster://host:port,host:port` names nodes of a cluster, and
`redis+sentinel://host:port,host:port/service[/db]` the sentinels that know the primary. `rediss`
in front means TLS with the certificate verified; `valkey` and `valkeys` are the same words.
"""

from __future__ import annotations

import re
from dataclasses import dataclass, field
from typing import Literal
from urllib.parse import parse_qsl, unquote

from sojourn.errors import ConfigurationError

Kind = Literal["node", "sentinel", "cluster"]
Address = tuple[str, int]
"""A host and a port."""

DEFAULT_PORT = 6379
SENTINEL_PORT = 26379
DEFAULT_PREFIX = "sojourn"
_LAST_PORT = 65_535
_SCHEME = re.compile(r"(?:redis|valkey)(s?)(?:\+(sentinel|cluster))?")
_PREFIX = re.compile(r"[A-Za-z0-9_.:-]{1,64}")
_KINDS: dict[str | None, Kind] = {None: "node", "sentinel": "sentinel", "cluster": "cluster"}
_FORMS = (
    "redis://[user:password@]host:port/db, redis+cluster://host:port,host:port or "
    "redis+sentinel://host:port,host:port/service[/db]; rediss for TLS"
)
_NUMBERS = {"replicas": (0, 0, 16), "wait_ms": (500, 1, 10_000), "pool": (16, 1, 1000)}
"""The numeric parameters: default, least, most."""


@dataclass(frozen=True, slots=True)
class Place:
    """What a URL says.

    Args:
        kind: What the addresses are of.
        addresses: The node, the sentinels, or nodes of the cluster.
        username: For the nodes; empty for the default user.
        password: For the nodes; empty for none.
        is_encrypted: Whether connections are TLS.
        db: The numbered database; 0 on a cluster.
        service: What the sentinels call the primary.
        prefix: What all keys begin with.
        replicas: How many replicas must acknowledge a write.
        wait_ms: For how long they may take.
        pool: The most connections to a node.
    """

    kind: Kind
    addresses: tuple[Address, ...]
    username: str = field(default="", repr=False)
    password: str = field(default="", repr=False)
    is_encrypted: bool = False
    db: int = 0
    service: str = ""
    prefix: str = DEFAULT_PREFIX
    replicas: int = 0
    wait_ms: int = 500
    pool: int = 16


def parse_place(url: str) -> Place:
    """Take a URL apart.

    Args:
        url: One of the forms above, with ``prefix``, ``replicas``, ``wait_ms`` and ``pool`` as
            query parameters.

    Raises:
        ConfigurationError: It is none of them; the message never holds the URL, for its password.
    """
    scheme, _, rest = url.partition("://")
    match = _SCHEME.fullmatch(scheme)
    if match is None:
        raise ConfigurationError(f"this is no URL of a Redis or Valkey; give {_FORMS}")
    kind = _KINDS[match[2]]
    rest, _, query = rest.partition("?")
    authority, _, path = rest.partition("/")
    credentials, _, hosts = authority.rpartition("@")
    username, _, password = credentials.partition(":")
    port = SENTINEL_PORT if kind == "sentinel" else DEFAULT_PORT
    addresses = tuple(_address(text, port) for text in hosts.split(","))
    if kind == "node" and len(addresses) > 1:
        raise ConfigurationError(
            "several hosts are a cluster (redis+cluster://) or sentinels (redis+sentinel://)"
        )
    service, db = _service_and_db(kind, path)
    prefix, numbers = _parameters(query)
    return Place(
        kind=kind,
        addresses=addresses,
        username=unquote(username),
        password=unquote(password),
        is_encrypted=match[1] == "s",
        db=db,
        service=service,
        prefix=prefix,
        **numbers,
    )


def _address(text: str, default_port: int) -> Address:
    match = re.fullmatch(r"(\[[0-9A-Fa-f:.]+\]|[^\[\]:]+)(?::(\d{1,5}))?", text)
    if match is None or int(match[2] or 0) > _LAST_PORT:
        raise ConfigurationError(f"a host of the Redis URL cannot be read; give {_FORMS}")
    return match[1].strip("[]"), int(match[2] or default_port)


def _service_and_db(kind: Kind, path: str) -> tuple[str, int]:
    service, _, db = path.rpartition("/") if kind == "sentinel" else ("", "", path)
    if kind == "sentinel" and not service:
        service, db = db, ""
    if kind == "sentinel" and not service:
        raise ConfigurationError(
            "sentinels need the name of the service: redis+sentinel://host:port/service"
        )
    if not re.fullmatch(r"\d{0,6}", db):
        raise ConfigurationError(f"the database of a Redis URL is a number; give {_FORMS}")
    if kind == "cluster" and int(db or 0):
        raise ConfigurationError("a cluster has database 0 only; leave the number away")
    return unquote(service), int(db or 0)


def _parameters(query: str) -> tuple[str, dict[str, int]]:
    given = dict(parse_qsl(query, keep_blank_values=True))
    prefix = given.pop("prefix", DEFAULT_PREFIX)
    numbers = {name: default for name, (default, _, _) in _NUMBERS.items()}
    for name, text in given.items():
        if name not in _NUMBERS:
            known = ", ".join(["prefix", *_NUMBERS])
            raise ConfigurationError(f"a Redis URL has no parameter {name!r}; it takes {known}")
        _, least, most = _NUMBERS[name]
        if not re.fullmatch(r"\d{1,6}", text) or not least <= int(text) <= most:
            raise ConfigurationError(f"?{name}= of a Redis URL is a number from {least} to {most}")
        numbers[name] = int(text)
    if not _PREFIX.fullmatch(prefix):
        raise ConfigurationError(
            "?prefix= of a Redis URL is 1 to 64 letters, digits and any of _ . : -"
        )
    return prefix, numbers
