"""Making connections to the nodes, and leaving them alone after a fork.

A connection is redis-py's own (handshake, TLS, parsing), without its clients and their pools: what is
sent here is sent once, and whoever sent it is told whether it may have arrived.
"""

from __future__ import annotations

import os
import socket
import weakref
from contextlib import suppress
from typing import Any, Protocol

import redis
import redis.asyncio
from redis.exceptions import RedisError

from sojourn.stores.redis.calls import Exchange
from sojourn.stores.redis.place import Address, Place

Connection = Any
"""One of redis-py's, whose methods are not typed."""

CONNECT_SECONDS = 1.0
"""How long connecting may take, within the operation's own time."""
CLIENT_NAME = "sojourn"
FOR_READING = 0.001
"""A reply that has arrived is read although the time is over."""


def _arguments(place: Place, exchange: Exchange) -> dict[str, Any]:
    host, port = exchange.address
    arguments: dict[str, Any] = {
        "host": host,
        "port": port,
        "client_name": CLIENT_NAME,
        "driver_info": None,  # two round trips for a name that nobody reads
        "protocol": 2,  # RESP3 would cost another for HELLO; nothing here needs it
    }
    if not exchange.is_of_sentinel:
        arguments |= {
            "db": place.db,
            "username": place.username or None,
            "password": place.password or None,
        }
    return arguments


class _Shuttable(redis.Connection):
    """A connection that another thread may end without taking it from the one that uses it."""

    def shut(self) -> None:
        used: socket.socket | None = self._get_socket()
        if used is not None:
            with suppress(OSError):  # it has ended by itself
                used.shutdown(socket.SHUT_RDWR)

    def is_usable(self) -> bool:
        """Whether the other side has neither ended it nor said what nobody asked for."""
        with suppress(RedisError):
            return not self.can_read(0)
        return False


class _ShuttableTls(_Shuttable, redis.SSLConnection):
    """The same, encrypted."""


class _Awaited(redis.asyncio.Connection):
    """A connection that knows without asking whether it has ended."""

    def is_usable(self) -> bool:
        reader, writer = self._reader, self._writer
        if reader is None or writer is None or writer.is_closing():
            return False
        return reader.exception() is None and not reader.at_eof()


class _AwaitedTls(_Awaited, redis.asyncio.SSLConnection):
    """The same, encrypted."""


def blocking_connection(place: Place, exchange: Exchange, *, seconds: float) -> Connection:
    """Make a blocking connection, not connected yet, which resends nothing by itself."""
    kind = _ShuttableTls if place.is_encrypted else _Shuttable
    return kind(
        **_arguments(place, exchange),
        socket_timeout=max(seconds, FOR_READING),
        socket_connect_timeout=max(min(seconds, CONNECT_SECONDS), FOR_READING),
    )


def listening_connection(place: Place, address: Address, *, seconds: float) -> Connection:
    """Make a blocking connection to a node, not connected yet, with `shut` for another thread."""
    return blocking_connection(place, Exchange(address, ()), seconds=seconds)


def awaited_connection(place: Place, exchange: Exchange) -> Connection:
    """Make a connection for the running event loop, not connected yet."""
    kind = _AwaitedTls if place.is_encrypted else _Awaited
    return kind(
        **_arguments(place, exchange),
        socket_timeout=None,  # the operation's own time is set around all of it
        socket_connect_timeout=CONNECT_SECONDS,
    )


def busy(place: Place) -> Exception:
    """Say that no connection came free in time."""
    return TimeoutError(f"all {place.pool} connections to it are in use; a larger ?pool= may help")


# --- forks ----------------------------------------------------------------------------------------


class _Abandoning(Protocol):
    def abandon(self) -> None: ...


_wires: weakref.WeakSet[_Abandoning] = weakref.WeakSet()


def abandon_after_fork(wire: _Abandoning) -> None:
    """Have a wire let go, in a child, of what its parent uses."""
    _wires.add(wire)


def _abandon_all() -> None:
    for wire in list(_wires):
        wire.abandon()


os.register_at_fork(after_in_child=_abandon_all)
