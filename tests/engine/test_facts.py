"""Facts: what the application says of a subject, at a sign-in and at each refresh."""

import pytest
from engine.harness import Bench, refusal_of

from sojourn import ConfigurationError, Facts, Sojourn


class People:
    """An application's own table."""

    def __init__(self):
        self.facts = {"alice": Facts(roles={"editor"}, scopes={"notes"}, claims={"plan": "pro"})}
        self.asked = 0

    def load(self, subject):
        self.asked += 1
        return self.facts.get(subject)


@pytest.fixture
def people():
    return People()


async def test_login_is_told_what_the_application_says(make, mode, transport, people):
    """Roles, scopes and claims need not be repeated at each login."""
    bench = make(mode, facts=people.load)
    principal = (await bench.client(transport).login("alice")).principal
    assert ({"editor"}, {"notes"}, {"plan": "pro"}) == (
        principal.roles,
        principal.scopes,
        principal.claims,
    )


async def test_what_login_is_told_wins(make, mode, people):
    """An argument of `login` stands before what is loaded, each by itself."""
    bench = make(mode, facts=people.load)
    principal = (await bench.client().login("alice", roles={"guest"}, claims={})).principal
    assert ({"guest"}, {"notes"}, {}) == (principal.roles, principal.scopes, principal.claims)


async def test_unknown_subject_does_not_sign_in(make, mode, people):
    """Whom the application does not know (any more) is refused, and nothing is stored."""
    bench = make(mode, facts=people.load)
    assert "forbidden" == await refusal_of(bench.client().login("mallory"))
    assert "login" not in await bench.actions()


async def test_refresh_brings_what_changed(make, transport, people):
    """A role taken away is gone at the refresh, and in other copies of the token at once."""
    bench = make("hybrid", facts=people.load)
    client = bench.client(transport)
    await client.login("alice")
    copy = client.copy()
    people.facts["alice"] = Facts(roles={"reader"}, claims={"plan": "free"})
    refreshed = await client.refresh()
    assert ({"reader"}, set(), {"plan": "free"}) == (
        refreshed.principal.roles,
        refreshed.principal.scopes,
        refreshed.principal.claims,
    )
    assert {"reader"} == (await client.check()).principal.roles
    checked = await copy.check(renew=False)
    assert "refresh_required" == checked.refusal.code


async def test_refresh_that_changes_nothing_says_nothing(make, people):
    """The same facts are no event: other copies of the token stay good."""
    bench = make("hybrid", facts=people.load)
    client = bench.client()
    await client.login("alice")
    copy, head = client.copy(), await bench.head()
    await client.refresh()
    assert head == await bench.head()
    assert "" == await copy.code()


async def test_refresh_ends_whom_the_application_no_longer_knows(make, transport, people):
    """A removed account is out at its next refresh, and the answer says why."""
    bench = make("hybrid", facts=people.load)
    client = bench.client(transport)
    sid = (await client.login("alice")).principal.sid
    del people.facts["alice"]
    assert "revoked" == await refusal_of(client.refresh())
    assert "account_removed" == (await bench.record(sid)).reason
    assert "revoked" == await client.code()


async def test_application_that_fails_signs_nobody_out(make, transport, people):
    """Where the loader raises, nothing rotates: the same handle refreshes later."""
    bench = make("hybrid", facts=people.load)
    client = bench.client(transport)
    await client.login("alice")
    load, people.facts = people.facts, None
    with pytest.raises(AttributeError):
        await client.refresh()
    people.facts = load
    assert "alice" == (await client.refresh()).principal.subject


async def test_retry_within_grace_asks_nobody(make, people):
    """The same successor is derived again, without the application being asked."""
    bench = make("hybrid", facts=people.load)
    client = bench.client()
    await client.login("alice")
    beside = client.copy()
    await client.refresh()
    asked = people.asked
    assert (await beside.refresh()).principal.roles == {"editor"}
    assert asked == people.asked


async def test_coroutine_function_is_awaited(tmp_path, keep_open):
    """An asyncio application loads with its own driver; a blocking one is told that it cannot."""

    async def load(subject):
        return Facts(roles={subject})

    bench = Bench("async", "memory", tmp_path, mode="session", facts=load)
    keep_open(bench)
    assert {"alice"} == (await bench.client().login("alice")).principal.roles
    with pytest.raises(ConfigurationError, match="coroutine function"):
        Sojourn("memory://", url="http://127.0.0.1:8000", facts=load)
