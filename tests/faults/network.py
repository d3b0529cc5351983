"""The network between this process and its store, in a test's hand: one way for the feed, one for the rest.

Connections of this process to an engine's servers are led through proxies, by port: what the
follower's thread opens through the one, everything else through the other. Other processes keep
their direct way.
"""

import re
import threading
from collections.abc import Iterator
from contextlib import ExitStack, contextmanager
from dataclasses import dataclass
from urllib.parse import urlsplit

from faults.processes import FOLLOWER
from proxy import Proxy
from services_valkey import shared_valkey, shared_valkey_cluster, shared_valkey_sentinel

from sojourn.stores.postgres import (
    connection as postgres_connection,
    feed as postgres_feed,
    loop as postgres_loop,
)
from sojourn.stores.redis import connections as redis_connections


@dataclass(frozen=True)
class Network:
    """Proxies by the port that they stand before."""

    feed: dict[int, Proxy]
    store: dict[int, Proxy]

    def cut_feed(self) -> None:
        """Swallow what the follower sends and gets."""
        for proxy in self.feed.values():
            proxy.cut()

    def cut_store(self) -> None:
        """Swallow everything else."""
        for proxy in self.store.values():
            proxy.cut()

    def heal(self) -> None:
        """Let everything pass again, what was held first."""
        for proxy in (*self.feed.values(), *self.store.values()):
            proxy.heal()

    def way_to(self, port: int) -> int:
        """Give the port at which this thread finds a server."""
        is_follower = threading.current_thread().name == FOLLOWER
        proxy = (self.feed if is_follower else self.store).get(port)
        return port if proxy is None else proxy.port


def ports_of(engine: str, url: str) -> list[int]:
    """Give the ports of an engine's data servers."""
    match engine:
        case "postgres":
            return [urlsplit(url).port]
        case "valkey":
            return [urlsplit(shared_valkey().url).port]
        case "sentinel":
            return [shared_valkey_sentinel().primary_port()]
        case "cluster":
            return [urlsplit(one).port for one in shared_valkey_cluster().urls]
    raise AssertionError(f"{engine} has no network")


@contextmanager
def network(engine: str, url: str, monkeypatch) -> Iterator[Network]:
    """Stand between this process and an engine while the block lasts."""
    with ExitStack() as stack:
        ports = ports_of(engine, url)
        made = Network(
            {port: stack.enter_context(Proxy(port)) for port in ports},
            {port: stack.enter_context(Proxy(port)) for port in ports},
        )
        arguments = redis_connections._arguments

        def led_arguments(place, exchange):
            given = arguments(place, exchange)
            return given | {"port": made.way_to(given["port"])}

        def led(conninfo: str) -> str:
            return re.sub(
                r"port=(\d+)", lambda found: f"port={made.way_to(int(found[1]))}", conninfo
            )

        connect, connect_async = postgres_connection.connect, postgres_connection.connect_async
        with monkeypatch.context() as patched:
            patched.setattr(redis_connections, "_arguments", led_arguments)
            patched.setattr(postgres_feed, "connect", lambda info: connect(led(info)))
            patched.setattr(postgres_loop, "connect_async", lambda info: connect_async(led(info)))
            yield made
