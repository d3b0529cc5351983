"""The provider, served for real in a thread of the tests."""

import threading
import time
from contextlib import contextmanager

import pytest
import uvicorn
from oauth.provider import provider
from servers import free_port


@contextmanager
def served(app, port):
    """Serve an ASGI application as long as the block lasts."""
    server = uvicorn.Server(uvicorn.Config(app, host="127.0.0.1", port=port, log_level="error"))
    thread = threading.Thread(target=server.run, daemon=True)
    thread.start()
    while not server.started:
        assert thread.is_alive()
        time.sleep(0.01)
    yield
    server.should_exit = True
    thread.join()


@pytest.fixture
def issuer():
    """The url of a running provider."""
    port = free_port()
    url = f"http://127.0.0.1:{port}"
    with served(provider(url), port):
        yield url
