"""What the clients' tests share: a server, somebody signed in at it, and every way to carry that."""

import asyncio

import pytest
from client.carriers import CARRIERS
from client.serving import PASSWORD, Service, in_this_process

from sojourn import ANY
from sojourn.client import SignIn
from sojourn.testing import ManualClock


@pytest.fixture(scope="module")
def running(tmp_path_factory):
    """One server for a module of tests."""
    service = Service(tmp_path_factory.mktemp("server"))
    with in_this_process(service, service.url):
        yield service


@pytest.fixture
def service(running):
    """The module's server, with nothing counted and nothing refused."""
    running.asked.clear()
    running.carried.clear()
    running.refusing.clear()
    return running


class Client:
    """Somebody's sign-in, with a clock of its own, and what it was told of its end."""

    def __init__(self, service, **options):
        self.service = service
        self.email = service.register()
        self.clock = ManualClock(now_ms=service.clock())
        self.ends = []
        self.sign_in = SignIn(
            service.url,
            clock=self.clock,
            on_signed_out=lambda code, detail: self.ends.append((code, detail)),
            **options,
        )

    def login(self, **options):
        told = self.sign_in.login(self.email, PASSWORD, **options)
        self.service.asked.clear()
        self.service.carried.clear()
        return told

    def outlive_access(self):
        """Let the access token expire without the client's clock having noticed."""
        self.service.clock.advance(seconds=15 * 60 + 2)

    def revoke(self, sid, **options):
        """End the session at the server."""
        asyncio.run(self.service.server.sojourn.revoke(sid, subject=ANY, **options))


@pytest.fixture
def client(service):
    """Somebody with an account, not signed in."""
    return Client(service)


@pytest.fixture(params=list(CARRIERS))
def carrier(request, client):
    """Their requests, in each of the ways."""
    made = CARRIERS[request.param](client.sign_in)
    yield made
    made.close()
