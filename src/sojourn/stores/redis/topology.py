"""Finding out which node has what, and refusing one that would lose sessions or revocations.

One generator for each kind of place; each yields steps and returns the shape. Everything here is
asked again when a node stops answering, refuses to write or says that a slot has moved; and the nodes
are checked again every few seconds, since replicas may join and settings change.
"""

from __future__ import annotations

import random
import time
from collections.abc import Iterable, Mapping, Sequence
from typing import Any

from redis.exceptions import RedisError

from sojourn.errors import ConfigurationError, StoreError
from sojourn.stores.redis.calls import Exchange, Failed, Outcome, Shape, Step, Steps
from sojourn.stores.redis.keys import CLUSTER_SHARDS, Keys
from sojourn.stores.redis.place import Address, Place

OLDEST = (7, 0)
"""The oldest version of Redis; Valkey says which one it is like."""
_WRITES_WITH_REPLICAS_ONLY = "min_slaves_good_slaves"
"""What a node says about itself where `min-replicas-to-write` is set."""
Facts = Mapping[str, str]
"""A node's answer to INFO."""


def discover(
    place: Place,
    keys: Keys | None,
    *,
    known: Sequence[Address],
    had_replicas: bool,
    deadline: float,
) -> Steps[tuple[Shape, Keys]]:
    """Find the nodes and check each.

    Args:
        place: Where to look.
        keys: The store's keys, where it is known how many shards it has.
        known: Nodes seen before, asked first.
        had_replicas: Whether a single server had replicas when it was seen before.
        deadline: By when to be done.

    Returns:
        The shape, and the keys.

    Raises:
        StoreError: Nobody answered.
        ConfigurationError: A node is set up so that it would lose something.
    """
    if place.kind == "cluster":
        candidates = [*known, *_in_any_order(place.addresses)]
        return (yield from _cluster(place, keys, candidates, deadline))
    address = place.addresses[0]
    if place.kind == "sentinel":
        address = yield from _primary(place, deadline)
    facts = (yield from ask_facts([address], deadline))[address]
    if facts.get("cluster_enabled") == "1":
        return (yield from _cluster(place, keys, [*known, address], deadline))
    keys = keys or Keys(place.prefix, 1)
    has_replicas = check_nodes(place, {address: facts}, had_replicas=had_replicas)
    return Shape((address,) * (keys.shards + 1), has_replicas), keys


def _primary(place: Place, deadline: float) -> Steps[Address]:
    question = ("SENTINEL", "GET-MASTER-ADDR-BY-NAME", place.service)
    troubles = []
    for address in _in_any_order(place.addresses):
        exchange = Exchange(address, (question,), is_of_sentinel=True)
        (outcome,) = yield Step((exchange,), half_way_to(deadline))
        if not isinstance(outcome, Failed) and isinstance(outcome[0], list):
            host, port = outcome[0]
            return host.decode(), int(port)
        troubles.append(_trouble(address, outcome, f"it knows no service {place.service!r}"))
    raise StoreError(f"no sentinel says where the primary is ({'; '.join(troubles)})")


def _cluster(
    place: Place, keys: Keys | None, candidates: Iterable[Address], deadline: float
) -> Steps[tuple[Shape, Keys]]:
    if place.db:
        raise ConfigurationError("a cluster has database 0 only; leave the number away")
    keys = keys or Keys(place.prefix, CLUSTER_SHARDS)
    troubles = []
    for address in dict.fromkeys(candidates):
        exchange = Exchange(address, (("CLUSTER", "SLOTS"),))
        (outcome,) = yield Step((exchange,), half_way_to(deadline))
        if isinstance(outcome, Failed) or isinstance(outcome[0], RedisError):
            troubles.append(_trouble(address, outcome))
            continue
        nodes = _owners(keys, outcome[0], address)
        if nodes is None:
            troubles.append(f"{address[0]}:{address[1]}: some slots have no node")
            continue
        facts = yield from ask_facts(nodes, deadline)
        has_replicas = check_nodes(place, facts)
        others = _everybody(outcome[0], address)
        return Shape(nodes, has_replicas, is_cluster=True, others=others), keys
    raise StoreError(f"no node of the cluster says who has which slots ({'; '.join(troubles)})")


def _owners(keys: Keys, ranges: Sequence[Any], asked: Address) -> tuple[Address, ...] | None:
    """Read an answer to CLUSTER SLOTS; a node that does not know its own name is the one asked."""
    nodes = []
    for slot in keys.slots:
        owner = next((row[2] for row in ranges if row[0] <= slot <= row[1]), None)
        if owner is None:
            return None
        nodes.append(_address(owner, asked))
    return tuple(nodes)


def _everybody(ranges: Sequence[Any], asked: Address) -> tuple[Address, ...]:
    """Give all nodes, replicas included: whoever is left may say who has taken over."""
    return tuple(dict.fromkeys(_address(node, asked) for row in ranges for node in row[2:]))


def _address(node: Sequence[Any], asked: Address) -> Address:
    return (node[0].decode() if node[0] else asked[0]), int(node[1])


def half_way_to(deadline: float) -> float:
    """Leave time for the next one, should this one be dead."""
    now = time.monotonic()
    return now + (deadline - now) / 2


def _in_any_order(addresses: Sequence[Address]) -> list[Address]:
    """One that is dead, or alone and out of date, is not always the first to be asked."""
    return random.sample(addresses, len(addresses))


def known_nodes(hints: Sequence[Address], shape: Shape | None) -> list[Address]:
    """Give whom to ask: those that somebody has just pointed at, then all others."""
    return [*hints, *_in_any_order(shape.others if shape else ())]


def ask_facts(addresses: Iterable[Address], deadline: float) -> Steps[dict[Address, Facts]]:
    """Ask each node about itself.

    Raises:
        StoreError: One does not answer.
    """
    exchanges = tuple(Exchange(address, (("INFO",),)) for address in dict.fromkeys(addresses))
    outcomes = yield Step(exchanges, deadline)
    facts: dict[Address, Facts] = {}
    for exchange, outcome in zip(exchanges, outcomes, strict=True):
        if isinstance(outcome, Failed) or isinstance(outcome[0], RedisError):
            raise StoreError(f"Redis does not answer: {_trouble(exchange.address, outcome)}")
        lines = outcome[0].decode(errors="replace").splitlines()
        facts[exchange.address] = dict(line.split(":", 1) for line in lines if ":" in line)
    return facts


def _trouble(address: Address, outcome: Outcome, otherwise: str = "") -> str:
    if isinstance(outcome, Failed):
        return str(outcome)
    said = outcome[0]
    return f"{address[0]}:{address[1]}: {said if isinstance(said, RedisError) else otherwise}"


def may_have_replicas(place: Place, facts: Facts) -> bool:
    """Tell whether a node has replicas, or is set up or asked to have some."""
    return (
        place.kind == "sentinel"
        or place.replicas > 0
        or int(facts.get("connected_slaves", 0)) > 0
        or _WRITES_WITH_REPLICAS_ONLY in facts
    )


def check_nodes(
    place: Place, facts: Mapping[Address, Facts], *, had_replicas: bool = False
) -> bool:
    """Refuse nodes that would lose something; tells whether any has replicas.

    Args:
        place: Where they are.
        facts: What each says about itself.
        had_replicas: Whether they have had replicas, and so may have been cut off from them.

    Raises:
        StoreError: One is no primary.
        ConfigurationError: One is set up so that it would lose something.
    """
    have = {node: had_replicas or may_have_replicas(place, facts[node]) for node in facts}
    for node, has_replicas in have.items():
        _check(node, facts[node], has_replicas=has_replicas)
    return any(have.values())


def _check(address: Address, facts: Facts, *, has_replicas: bool) -> None:
    where = f"the Redis at {address[0]}:{address[1]}"
    version = facts.get("redis_version", "0.0")
    if tuple(int(part) for part in version.split(".")[:2]) < OLDEST:
        raise ConfigurationError(
            f"{where} is version {version}; use Redis 7.0, Valkey 7.2 or later"
        )
    if facts.get("role", "master") != "master":
        raise StoreError(f"{where} is a replica; give the primary, its sentinels or the cluster")
    policy = facts.get("maxmemory_policy", "noeviction")
    if policy != "noeviction":
        raise ConfigurationError(
            f"{where} evicts keys when memory is short (maxmemory-policy {policy}), revocations "
            "among them; set maxmemory-policy noeviction, or use another server for Sojourn"
        )
    if has_replicas and _WRITES_WITH_REPLICAS_ONLY not in facts:
        raise ConfigurationError(
            f"{where} has replicas, or is to have some (?replicas=, Sentinel), and would go on alone "
            "when it is cut off from them, knowing of no later revocation; set min-replicas-to-write 1 (and min-replicas-max-lag) on it "
            "and on its replicas (where there were replicas and are none any more, restart this "
            "application)"
        )
