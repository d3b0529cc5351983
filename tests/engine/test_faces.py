"""Both faces are one: the same methods, the same answers, the same codes."""

import asyncio
import inspect

import pytest
from engine.harness import MODES, SECRET, TRANSPORTS, URL, Awaited, Client, refusal_of
from hypothesis import HealthCheck, given, settings, strategies as st

from sojourn import ANY, AsyncSojourn, Need, Sojourn
from sojourn.ports import OPERATIONS, AsyncStore, Store
from sojourn.stores.memory import MemoryStore
from sojourn.testing.clock import ManualClock

SUBJECTS = ("alice", "bob")
ASKING = Need(max_lag_seconds=0)
ASYNCIO_ONLY = {"of", "watch", "watching"}
"""`of` is for the server, which is asynchronous; connections are watched in an event loop."""
BLOCKING_ONLY = {"run"}
"""For adapters; asyncio's await the engine's coroutines themselves."""
BLOCKING_NAMES = {"__aenter__": "__enter__", "__aexit__": "__exit__"}


def public(face):
    """Give the public methods and properties of a face."""
    return {
        name: member
        for name, member in vars(face).items()
        if (not name.startswith("_") or name in {"__init__", *BLOCKING_NAMES})
        and name not in ASYNCIO_ONLY | BLOCKING_ONLY
    }


def test_both_faces_have_the_same_methods():
    """Every method of one face is there on the other, by the same name."""
    expected = {BLOCKING_NAMES.get(name, name) for name in public(AsyncSojourn)}
    actual = set(public(Sojourn)) | {n for n in vars(Sojourn) if n in BLOCKING_NAMES.values()}
    assert expected == actual


@pytest.mark.parametrize("name", sorted(public(AsyncSojourn)))
def test_both_faces_have_the_same_signature(name):
    """A method takes the same parameters and gives the same type on both faces."""
    there = vars(AsyncSojourn)[name]
    here = vars(Sojourn)[BLOCKING_NAMES.get(name, name)]
    if isinstance(there, property):
        there, here = there.fget, here.fget
    expected, actual = inspect.signature(there), inspect.signature(here)
    if name == "__init__":  # the stores differ, and only they
        expected = expected.replace(parameters=list(expected.parameters.values())[2:])
        actual = actual.replace(parameters=list(actual.parameters.values())[2:])
    assert expected == actual
    is_awaited = inspect.iscoroutinefunction(there)
    assert (is_awaited, False) == (
        not isinstance(vars(AsyncSojourn)[name], property) and name != "__init__",
        inspect.iscoroutinefunction(here),
    )


def test_both_store_protocols_have_the_same_operations():
    """`AsyncStore` is `Store`, awaited: the same names and parameters."""
    names = {name for name in vars(Store) if not name.startswith("_")}
    assert names == {name for name in vars(AsyncStore) if not name.startswith("_")}
    assert {*OPERATIONS, "feed"} == names
    for name in OPERATIONS:
        there, here = getattr(AsyncStore, name), getattr(Store, name)
        assert inspect.signature(here) == inspect.signature(there)
        assert (True, False) == (
            inspect.iscoroutinefunction(there),
            inspect.iscoroutinefunction(here),
        )


# --- the same sequence on both --------------------------------------------------------------------


class World:
    """One engine and its clients, driven by a list of operations."""

    def __init__(self, face, mode, transport):
        self.clock = ManualClock()
        self.store = MemoryStore(clock=self.clock)
        options = {
            "url": URL,
            "secret": SECRET,
            "mode": mode,
            "modes": MODES,
            "clock": self.clock,
            "monotonic_ms": self.clock,
            "on_excess": "refuse",
        }
        if mode != "jwt":
            options |= {"max_sessions": 2, "idle_ttl_seconds": 3000}
        if face == "sync":
            self.auth = Awaited(Sojourn(self.store, **options))
        else:
            self.auth = AsyncSojourn(self.store, **options)
        self.core = self.auth.core
        self.clients = [Client(self, transport) for _ in SUBJECTS]
        self.sids = ["A" * 22]
        self.attempts = {}

    async def step(self, operation):
        """Do one thing, and tell what came of it that does not depend on randomness."""
        name, who, *rest = operation
        client, subject = self.clients[who], SUBJECTS[who]
        outcome = await refusal_of(getattr(self, name)(client, subject, *rest))
        await self.core.catch_up(0)
        return (name, outcome, await self.seen(client))

    async def seen(self, client):
        """Tell who a client is, as everybody would see it."""
        checked = await client.check(need=ASKING)
        if checked.principal is None:
            return checked.refusal.code
        one = checked.principal
        values = {}
        if one.mode != "jwt":
            values = dict(await self.auth.data(client.incoming(), one))
        return (one.subject, one.mode, one.transport, one.auth_time, one.roles, one.amr, values)

    async def begin(self, client, subject):
        self.attempts[subject] = await self.auth.begin(subject)

    async def login(self, client, subject, mode):
        attempt = self.attempts.pop(subject, None)
        signed_in = await client.login(subject, mode=mode, attempt=attempt, roles={"reader"})
        self.sids.append(signed_in.principal.sid)

    async def refresh(self, client, subject):
        await client.refresh()

    async def logout(self, client, subject):
        await client.logout()

    async def reauthenticate(self, client, subject):
        await client.reauthenticate(amr=["otp"])

    async def move(self, client, subject, mode):
        client.took(await self.auth.move(client.incoming(), mode=mode))

    async def update(self, client, subject, role):
        await self.auth.update(subject, roles={role})

    async def revoke(self, client, subject, index):
        await self.auth.revoke(self.sids[index % len(self.sids)], subject=ANY)

    async def revoke_all(self, client, subject, keep):
        await self.auth.revoke_all(subject, keep=self.sids[-1] if keep else None)

    async def write(self, client, subject, value):
        principal = (await client.check()).principal
        values = await self.auth.data(client.incoming(), principal)
        values["key"] = value
        client.take(await self.auth.save(client.incoming(), values))

    async def wait(self, client, subject, seconds):
        self.clock.advance(seconds=seconds)

    async def purge(self, client, subject):
        await self.auth.purge()

    async def rotate(self, client, subject, is_emergency):
        await self.auth.rotate_keys(is_emergency=is_emergency)

    async def steal(self, client, subject):
        """Have a thief use what the client holds, twice."""
        thief = client.copy()
        await thief.refresh()
        await thief.refresh()

    async def list(self, client, subject):
        listed = await self.auth.sessions(subject)
        assert len(listed) <= 2 or self.auth.settings.mode == "jwt"


who = st.integers(0, 1)
mode_names = st.sampled_from(MODES)
operations = st.one_of(
    st.tuples(st.sampled_from(["begin", "refresh", "logout", "reauthenticate"]), who),
    st.tuples(st.sampled_from(["purge", "steal", "list"]), who),
    st.tuples(st.just("login"), who, mode_names),
    st.tuples(st.just("login"), who, mode_names),
    st.tuples(st.just("move"), who, mode_names),
    st.tuples(st.just("update"), who, st.sampled_from(["admin", "writer"])),
    st.tuples(st.just("revoke"), who, st.integers(0, 5)),
    st.tuples(st.just("revoke_all"), who, st.booleans()),
    st.tuples(st.just("write"), who, st.integers(0, 9)),
    # Lives of access tokens differ at random; these waits are never between their bounds.
    st.tuples(st.just("wait"), who, st.sampled_from([1, 20, 3600, 50_000])),
    st.tuples(st.just("rotate"), who, st.booleans()),
)


async def outcomes(face, mode, transport, sequence):
    """Drive one face through a sequence."""
    world = World(face, mode, transport)
    try:
        return [await world.step(operation) for operation in sequence]
    finally:
        await world.auth.close()


@pytest.mark.parametrize("mode", MODES)
@pytest.mark.parametrize("transport", TRANSPORTS)
@settings(
    max_examples=30,
    deadline=None,
    suppress_health_check=[HealthCheck.function_scoped_fixture],
)
@given(sequence=st.lists(operations, min_size=1, max_size=25))
def test_same_sequence_has_the_same_outcomes(mode, transport, sequence):
    """Whatever is done in whatever order, both faces say the same of everybody."""
    there = asyncio.run(outcomes("async", mode, transport, sequence))
    here = asyncio.run(outcomes("sync", mode, transport, sequence))
    assert there == here
