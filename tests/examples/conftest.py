"""One process for each application and mode, and people with clients."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from contextlib import ExitStack

import pytest
from examples.applications import SERVERS, Application, running
from examples.clients import Client

MODES = ("session", "jwt", "hybrid")
EVERY = [
    pytest.param((name, mode), id=f"{name}-{mode}", marks=pytest.mark.xdist_group(f"{name}-{mode}"))
    for name in SERVERS
    for mode in MODES
]


@pytest.fixture(scope="session", params=EVERY)
def application(request, tmp_path_factory) -> Iterator[Application]:
    """An application in a mode."""
    name, mode = request.param
    with running(name, mode, tmp_path_factory.mktemp(f"{name}-{mode}")) as application:
        yield application
    told = application.log.read_text()
    assert "Traceback" not in told, told


@pytest.fixture(params=["cookie", "bearer"])
def transport(request) -> str:
    """How a client holds what it is given."""
    return request.param


@pytest.fixture
def client_of(application, transport) -> Iterator[Callable[..., Client]]:
    """Make clients; signed in unless asked otherwise."""
    with ExitStack() as stack:

        def make(name: str, *, signed_in: bool = True, over: str = transport) -> Client:
            client = stack.enter_context(Client(application, over, name))
            if signed_in:
                assert client.sign_in().status_code == 200
            return client

        yield make


@pytest.fixture
def person(application, client_of) -> Client:
    """Somebody new, signed in."""
    return client_of(application.new_person())
