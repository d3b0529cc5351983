"""From calls to exchanges: which node, what its refusals mean, and whether its replicas have it.

`WAIT` counts for what its own connection wrote, so it travels behind the script in one pipeline.
A write that was sent and not answered is not sent again: nobody knows whether it was done.
"""

from __future__ import annotations

import time
from collections.abc import Sequence
from contextlib import suppress
from dataclasses import dataclass, field, replace
from typing import Any, TypeVar

from redis.exceptions import (
    AskError,
    BusyLoadingError,
    ClusterDownError,
    MovedError,
    NoScriptError,
    ReadOnlyError,
    RedisError,
    TryAgainError,
)

from sojourn.errors import ConfigurationError, StoreError
from sojourn.stores.redis.calls import Call, Command, Exchange, Failed, Flow, Shape, Step, Steps
from sojourn.stores.redis.keys import Keys
from sojourn.stores.redis.place import Address, Place
from sojourn.stores.redis.topology import (
    ask_facts,
    check_nodes,
    discover,
    half_way_to,
    known_nodes,
    may_have_replicas,
)

T = TypeVar("T")

DEADLINE_SECONDS = 1.0
"""How long an operation may take, whatever the network does."""
PAUSE_SECONDS = 0.025
"""Between attempts that the other side asked for."""
LEAST_SECONDS = 0.1
"""An attempt that could hardly be answered in time is not begun: a write would be left in doubt."""
_LATER = (BusyLoadingError, ClusterDownError, ReadOnlyError, TryAgainError)
"""Refusals before anything was done, of a node that is not the right one, or not yet."""
_LATER_TEXTS = ("NOREPLICAS", "non local key")
CHECK_SECONDS = 2.0
"""How often readers have the nodes checked again: a replica may join, or a setting change."""
LOST = (
    "the store's own record is gone from Redis, or is another one's: it was flushed, or was started "
    "again without its data. Sessions and revocations are lost with it. Restore a backup, or "
    "restart this application to begin anew; and let Redis persist (appendonly yes)"
)
FEED_LOST = (
    "the feed of revocations is gone from Redis, and sessions are not: its key was deleted or "
    "evicted, and what was revoked is not known any more. Restore a backup, or choose another "
    "?prefix= to begin anew; and have Redis evict nothing (maxmemory-policy noeviction)"
)


def _has_time(deadline: float) -> bool:
    return time.monotonic() + LEAST_SECONDS < deadline


@dataclass(slots=True)
class _Pending:
    """A call on its way."""

    call: Call
    in_full: bool = False
    ask: Address | None = None
    asked: Address = ("", 0)
    """Who was asked last."""
    is_lost: bool = False
    """Whether the node was the wrong one, or did not answer."""
    reply: Any = None
    refusal: str = ""


@dataclass(slots=True)
class Router:
    """What one store knows of its nodes; shared by its readers, replaced as a whole.

    Args:
        place: Where the store is.
    """

    place: Place
    shape: Shape | None = None
    keys: Keys | None = None
    _checked_at: float = 0
    """When the nodes were last found to be as they have to be, on the monotonic clock."""
    trouble: str = ""
    """What is wrong with a node by the latest check: nothing that is read proves anything meanwhile."""
    _looking_until: float = 0
    """Somebody is looking for the nodes; a time, so that no fork or crash leaves it set."""
    _hint: list[Address] = field(default_factory=list)
    _suspect: Shape | None = None
    """A shape with which an operation ran out of time: the next one looks for the nodes first."""

    def connect(self, *, deadline: float) -> Steps[None]:
        """Find the nodes.

        Raises:
            StoreError: Nobody answered.
            ConfigurationError: A node would lose something.
        """
        known = known_nodes(self._hint, self.shape)
        self._hint = []
        started = time.monotonic()
        self.shape, self.keys = yield from discover(
            self.place,
            self.keys,
            known=known,
            had_replicas=self.shape is not None and self.shape.has_replicas,
            deadline=deadline,
        )
        self._checked_at, self.trouble = started, ""

    def look_again(self, seen: Shape, *, deadline: float) -> Steps[None]:
        """Find the nodes anew, unless somebody else has, or is at it."""
        if self.shape is not seen or time.monotonic() < self._looking_until:
            return
        self._looking_until = deadline
        try:
            yield from self.connect(deadline=deadline)
        except ConfigurationError as error:
            raise StoreError(str(error)) from error
        finally:
            self._looking_until = 0

    def check_again(self) -> Steps[None]:
        """Check the nodes, where they have not been checked of late.

        Raises:
            StoreError: One would lose something, or is no primary any more and has no successor.
        """
        shape, started = self._opened(), time.monotonic()
        if started - self._checked_at < CHECK_SECONDS:
            return
        deadline = started + DEADLINE_SECONDS
        try:
            facts = yield from ask_facts(shape.nodes, half_way_to(deadline))
            has_replicas = any(may_have_replicas(self.place, one) for one in facts.values())
            if has_replicas and not shape.has_replicas and self.shape is shape:
                # Said even where the check fails: cut off from them, it would look as if it had none.
                self.shape = shape = replace(shape, has_replicas=True)
            check_nodes(self.place, facts, had_replicas=shape.has_replicas and not shape.is_cluster)
        except ConfigurationError as error:
            self.trouble = str(error)
            raise StoreError(self.trouble) from error
        except StoreError:
            yield from self.look_again(shape, deadline=deadline)
            if self.shape is shape:
                raise  # somebody else is still looking
        else:
            self._checked_at, self.trouble = started, ""

    def run(self, flow: Flow[T]) -> Steps[T]:
        """Drive an operation: its calls become steps, their outcomes its replies."""
        try:
            calls = next(flow)
            while True:
                calls = flow.send((yield from self.do(calls)))
        except StopIteration as done:
            answer: T = done.value
            return answer

    def do(self, calls: Sequence[Call]) -> Steps[list[Any]]:
        """Have calls done, each by the node that has its shard.

        Raises:
            StoreError: One was not done, or nobody knows; or too few replicas have it.
        """
        deadline = time.monotonic() + DEADLINE_SECONDS
        if any(self._waits_for(call) for call in calls):
            deadline += self.place.wait_ms / 1000
        everything = [_Pending(call) for call in calls]
        left, pause_seconds, trouble = everything, 0.0, ""
        shape = self._opened()
        if shape is self._suspect:
            with suppress(StoreError):  # it is perhaps there again
                yield from self.look_again(shape, deadline=half_way_to(deadline))
        while True:
            shape = self._opened()
            outcomes = yield from self._attempt(shape, left, deadline, pause_seconds)
            left = [one for one in left if self._is_left(one, outcomes[id(one)])]
            if not left:
                return [one.reply for one in everything]
            pause_seconds = 0.0
            if any(one.is_lost for one in left) and _has_time(deadline):
                pause_seconds = PAUSE_SECONDS
                try:
                    yield from self.look_again(shape, deadline=deadline)
                except StoreError as error:
                    trouble = f"; {error}"
            if not _has_time(deadline):
                self._suspect = shape
                raise StoreError(
                    f"Redis did not do it within its time ({left[0].refusal}{trouble})"
                )

    def _waits_for(self, call: Call) -> bool:
        return call.is_acknowledged and self.place.replicas > 0

    def _opened(self) -> Shape:
        if self.shape is None:
            raise StoreError("the store in Redis is not open; call open() first")
        return self.shape

    def _attempt(
        self, shape: Shape, left: Sequence[_Pending], deadline: float, pause_seconds: float
    ) -> Steps[dict[int, list[Any] | Failed]]:
        """Send what is left, one exchange a node; give the replies by call."""
        groups: dict[Address, list[tuple[_Pending, tuple[Command, ...]]]] = {}
        for one in left:
            one.asked = one.ask or shape.nodes[one.call.shard]
            groups.setdefault(one.asked, []).append((one, self._commands(one)))
        exchanges = tuple(
            Exchange(address, tuple(c for _, commands in group for c in commands))
            for address, group in groups.items()
        )
        outcomes = yield Step(exchanges, deadline, pause_seconds)
        by_call: dict[int, list[Any] | Failed] = {}
        for group, outcome in zip(groups.values(), outcomes, strict=True):
            start = 0
            for one, commands in group:
                end = start + len(commands)
                by_call[id(one)] = outcome if isinstance(outcome, Failed) else outcome[start:end]
                start = end
        return by_call

    def _commands(self, one: _Pending) -> tuple[Command, ...]:
        commands = one.call.spelled(in_full=one.in_full)
        if one.ask:
            commands = tuple(c for command in commands for c in (("ASKING",), command))
        if self._waits_for(one.call):
            commands = (*commands, ("WAIT", self.place.replicas, self.place.wait_ms))
        return commands

    def _is_left(self, one: _Pending, outcome: list[Any] | Failed) -> bool:
        """Take an outcome in; tells whether the call has to be sent again."""
        if isinstance(outcome, Failed):
            if outcome.was_sent and one.call.writes:
                self._suspect = self.shape
                raise StoreError(
                    f"Redis did not answer, and may or may not have done it ({outcome})"
                ) from outcome.error
            one.ask, one.is_lost, one.refusal = None, True, str(outcome)
            return True
        is_asking, one.ask = one.ask is not None, None
        refusal = next((reply for reply in outcome if isinstance(reply, RedisError)), None)
        if refusal is not None:
            self._take_refusal(one, refusal)
            return True
        if self._waits_for(one.call):
            *outcome, acknowledged = outcome
            if acknowledged < self.place.replicas:
                raise StoreError(
                    f"only {acknowledged} of {self.place.replicas} replicas have acknowledged "
                    f"within {self.place.wait_ms} ms, so this is not success; repeating it is safe"
                )
        replies = outcome[1::2] if is_asking else outcome
        one.reply = replies[0] if one.call.script else replies
        return False

    def _take_refusal(self, one: _Pending, refusal: RedisError) -> None:
        one.refusal, one.is_lost = f"{type(refusal).__name__}: {refusal}", True
        match refusal:
            case MovedError():
                self._hint.append(_named(refusal, one.asked))
            case AskError():
                one.ask, one.is_lost = _named(refusal, one.asked), False
            case NoScriptError():
                one.in_full, one.is_lost = True, False
            case _ if isinstance(refusal, _LATER):
                pass
            case _ if any(text in str(refusal) for text in _LATER_TEXTS):
                pass
            case _ if "SOJOURNLOST" in str(refusal):
                raise StoreError(LOST)
            case _ if "SOJOURNFEED" in str(refusal):
                raise StoreError(FEED_LOST)
            case _:
                raise StoreError(f"Redis refused: {one.refusal}") from refusal


def _named(refusal: AskError, asked: Address) -> Address:
    """Give whom a refusal names; a cluster whose nodes do not know their names leaves the host away."""
    return refusal.host or asked[0], refusal.port
