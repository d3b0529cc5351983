"""Against a real Sojourn server in a process of its own: revoked there, refused here, without the store."""

import asyncio
import os
import secrets
import time
import traceback
from datetime import timedelta
from math import inf

import httpx2
import pytest
from servers import free_port, running_server

from sojourn import AsyncVerifier, Incoming, Issuer, Need, Stale, Verifier
from sojourn.server.app import Server
from sojourn.server.config import load_config

pytestmark = pytest.mark.filterwarnings("ignore:.*fork:DeprecationWarning")
PASSWORD = "four unrelated calm words"
AT_ONCE = Need.of(max_lag=timedelta(0))
BOUND_SECONDS = 5.0
AUDIENCE = {"SOJOURN_AUDIENCES": "billing"}


def beside(server, act):
    """Do something on the server's database from a process of its own, as the command line does."""

    async def run():
        config = load_config(environ={"SOJOURN_DATA": str(server.data), "SOJOURN_URL": server.url})
        one = Server(config)
        await one.open()
        try:
            return await act(one)
        finally:
            await one.close()

    return asyncio.run(run())


def add_verifier(server):
    return beside(server, lambda one: one.verifiers.add(f"billing-{secrets.token_hex(4)}"))


class Person:
    """Somebody with an account, and what they are handed out."""

    def __init__(self, url):
        self.http = httpx2.Client(base_url=url, timeout=20)
        self.body = {"email": f"{secrets.token_hex(6)}@example.com", "password": PASSWORD}
        answer = self.http.post("/auth/register", json=self.body)
        assert 201 == answer.status_code, answer.text
        self.subject = answer.json()["subject"]

    def token(self, mode="hybrid"):
        """Sign in and give an access token for the service."""
        body = self.body | {"mode": mode, "transport": "bearer"}
        self.signed_in = self.http.post("/auth/login", json=body).json()
        self.http.headers["Authorization"] = f"Bearer {self.signed_in['access_token']}"
        answer = self.http.post("/auth/access-token", json={"audience": "billing"})
        assert 200 == answer.status_code, answer.text
        return answer.json()["access_token"]

    def post(self, path, **body):
        answer = self.http.post(path, json=body)
        assert 204 == answer.status_code, answer.text


@pytest.fixture(scope="module")
def server(tmp_path_factory):
    with running_server(tmp_path_factory.mktemp("server"), **AUDIENCE) as running:
        yield running


@pytest.fixture(scope="module")
def feed_token(server):
    return add_verifier(server)


@pytest.fixture(scope="module")
def verifier(server, feed_token):
    issuer = Issuer.sojourn(server.url, feed_token=feed_token)
    with Verifier(audience="billing", issuers=[issuer]) as one:
        yield one


@pytest.fixture
def person(server):
    one = Person(server.url)
    yield one
    one.http.close()


def seen(verifier, token, **more):
    checked = verifier.check(Incoming(authorization=f"Bearer {token}"), **more)
    return checked.refusal.code if checked.refusal else "good"


def refused_after(verifier, token):
    """Wait until a token is refused; give the code and the seconds."""
    started = time.monotonic()
    while (code := seen(verifier, token)) == "good":
        assert time.monotonic() - started < BOUND_SECONDS, "not refused within the bound"
        time.sleep(0.001)
    return code, time.monotonic() - started


@pytest.mark.parametrize("mode", ["session", "jwt", "hybrid"])
def test_a_logout_is_seen(mode, verifier, person):
    """A token of any mode is refused within the bound, and at once where a route asks."""
    token = person.token(mode)
    assert "good" == seen(verifier, token)
    principal = verifier.verify(token)
    assert (person.subject, verifier.issuers[0].url) == (principal.subject, principal.issuer)
    person.post("/auth/logout")
    assert "revoked" == seen(verifier, token, need=AT_ONCE)
    assert "revoked" == seen(verifier, token)


@pytest.mark.parametrize("path", ["/auth/logout", "/auth/logout-all"])
def test_a_revocation_is_pushed(path, verifier, person):
    """Nobody asks: the stream tells, in milliseconds."""
    times = []
    for _ in range(10):
        token = person.token()
        assert "good" == seen(verifier, token)
        person.post(path)
        code, seconds = refused_after(verifier, token)
        assert "revoked" == code
        times.append(seconds)
    print(f"refused {sorted(times)[5] * 1000:.1f} ms after the acknowledgement (median)")


def test_all_but_one(verifier, person):
    """Signing out the others ends their tokens, and keeps this one's."""
    first = person.token()
    second = person.token()
    person.post("/auth/logout-others")
    assert "revoked" == refused_after(verifier, first)[0]
    assert "good" == seen(verifier, second)


def test_roles_that_change(verifier, person, server):
    """A token of a stored session is to be refreshed, one without is to sign in again."""
    stored, stateless = person.token(), person.token("jwt")
    beside(server, lambda one: one.sojourn.update(person.subject, roles={"editor"}, by="tests"))
    codes = [refused_after(verifier, token)[0] for token in (stored, stateless)]
    assert ["refresh_required", "revoked"] == codes
    fresh = person.token()
    assert "good" == seen(verifier, fresh)


def test_without_a_thread(server, feed_token, person):
    """A plain function that polls in passing refuses within the bound too."""
    issuer = Issuer.sojourn(server.url, feed_token=feed_token)
    verifier = Verifier(
        audience="billing", issuers=[issuer], is_following=False, max_lag_seconds=0.05
    )
    token = person.token()
    assert "good" == seen(verifier, token)
    person.post("/auth/logout")
    code, seconds = refused_after(verifier, token)
    assert "revoked" == code
    assert seconds < 1


async def test_awaited(server, feed_token, person):
    """The same on the event loop."""
    issuer = Issuer.sojourn(server.url, feed_token=feed_token)
    async with AsyncVerifier(audience="billing", issuers=[issuer]) as verifier:
        token = await asyncio.to_thread(person.token)
        incoming = Incoming(authorization=f"Bearer {token}")
        assert (await verifier.check(incoming)).principal.subject == person.subject
        await asyncio.to_thread(person.post, "/auth/logout")
        assert (await verifier.check(incoming, need=AT_ONCE)).refusal.code == "revoked"
        assert (await verifier.check(incoming)).refusal.code == "revoked"
        assert verifier.lag_seconds < BOUND_SECONDS


def test_a_forked_worker(verifier, person):
    """A prefork worker of an application that used it already follows by itself."""
    token = person.token()
    assert "good" == seen(verifier, token)
    pid = os.fork()
    if pid == 0:
        try:
            assert inf == verifier.lag_seconds
            assert "good" == seen(verifier, token)
            person.http = httpx2.Client(base_url=person.http.base_url, headers=person.http.headers)
            person.post("/auth/logout")
            assert "revoked" == refused_after(verifier, token)[0]
        except BaseException:  # noqa: BLE001 - a child never goes on as a second test run
            traceback.print_exc()
            os._exit(1)
        os._exit(0)
    assert 0 == os.waitstatus_to_exitcode(os.waitpid(pid, 0)[1])
    assert "revoked" == refused_after(verifier, token)[0]


def test_an_emergency(tmp_path):
    """Keys that were revoked at the server are refused here, and the new one is found."""
    with running_server(tmp_path, **AUDIENCE) as server:
        issuer = Issuer.sojourn(server.url, feed_token=add_verifier(server))
        with Verifier(audience="billing", issuers=[issuer]) as verifier:
            person = Person(server.url)
            token = person.token()
            assert "good" == seen(verifier, token)
            beside(server, lambda one: one.sojourn.rotate_keys(by="tests", is_emergency=True))
            assert "invalid_token" == refused_after(verifier, token)[0]
            assert "good" == seen(verifier, person.token())
        person.http.close()


def test_a_server_that_restarts(tmp_path):
    """Meanwhile 503 beyond the bound; afterwards it goes on at its cursor, with nothing missed."""
    port = str(free_port())
    given = {"SOJOURN_PORT": port, **AUDIENCE}
    with running_server(tmp_path, **given) as server:
        issuer = Issuer.sojourn(server.url, feed_token=add_verifier(server))
        verifier = Verifier(audience="billing", issuers=[issuer], max_lag_seconds=1.5)
        person = Person(server.url)
        token, kept = person.token(), person.token()
        assert "good" == seen(verifier, token)
    with pytest.raises(Stale):
        seen(verifier, token, need=AT_ONCE)
    sid = verifier._core.remembered.entries[token].principal.sid
    from sojourn import ANY

    beside(server, lambda one: one.sojourn.revoke(sid, subject=ANY, by="tests"))
    with running_server(tmp_path, **given):
        assert "revoked" == refused_after_stale(verifier, token)
        assert "good" == seen(verifier, kept)
        assert 0 == verifier.gaps
        verifier.close()
    person.http.close()


def refused_after_stale(verifier, token):
    """Wait until a token is refused, through answers that nothing is known."""
    deadline = time.monotonic() + 2 * BOUND_SECONDS
    while time.monotonic() < deadline:
        try:
            if (code := seen(verifier, token)) != "good":
                return code
        except Stale:
            pass
        time.sleep(0.005)
    raise AssertionError("not refused after the server was back")
