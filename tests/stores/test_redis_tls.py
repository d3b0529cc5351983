"""`rediss://` is TLS, and the certificate is verified."""

import asyncio
import socket
import ssl
import threading

import pytest
import trustme
from services import new_namespace
from services_valkey import shared_valkey
from stores.redis_samples import draft, node_port

from sojourn.errors import StoreError
from sojourn.model import Event, Kind
from sojourn.stores.redis import AsyncRedisStore, RedisStore


class Terminator:
    """A port that speaks TLS and forwards to the plain server, on a loop in a thread."""

    def __init__(self, certificate):
        self.context = ssl.create_default_context(ssl.Purpose.CLIENT_AUTH)
        certificate.configure_cert(self.context)
        self.listener = socket.create_server(("127.0.0.1", 0))
        self.port = self.listener.getsockname()[1]
        self.loop = asyncio.new_event_loop()
        self.thread = threading.Thread(target=self.loop.run_forever)
        self.thread.start()
        self.call(self.start())

    def call(self, coroutine):
        return asyncio.run_coroutine_threadsafe(coroutine, self.loop).result(10)

    async def start(self):
        self.server = await asyncio.start_server(self.serve, sock=self.listener, ssl=self.context)

    async def serve(self, reader, writer):
        to_reader, to_writer = await asyncio.open_connection(
            "127.0.0.1", node_port(shared_valkey().url)
        )
        await asyncio.gather(carry(reader, to_writer), carry(to_reader, writer))

    async def stop(self):
        self.server.close()
        others = asyncio.all_tasks() - {asyncio.current_task()}
        for task in others:
            task.cancel()
        await asyncio.gather(*others, return_exceptions=True)

    def close(self):
        self.call(self.stop())
        self.loop.call_soon_threadsafe(self.loop.stop)
        self.thread.join()
        self.loop.close()


async def carry(reader, writer):
    try:
        while piece := await reader.read(65_536):
            writer.write(piece)
            await writer.drain()
    except OSError:
        pass
    finally:
        writer.close()


@pytest.fixture(scope="module")
def authority():
    return trustme.CA()


@pytest.fixture
def url(authority):
    terminator = Terminator(authority.issue_cert("127.0.0.1"))
    yield f"rediss://127.0.0.1:{terminator.port}/0?prefix={new_namespace()}"
    terminator.close()


@pytest.fixture
def trusted(authority, tmp_path, monkeypatch):
    authority.cert_pem.write_to_path(tmp_path / "ca.pem")
    monkeypatch.setenv("SSL_CERT_FILE", str(tmp_path / "ca.pem"))


def test_a_trusted_server(url, trusted):
    """Over a verified connection everything works, the reader and its closing included."""
    store = RedisStore(url)
    store.open(longest_token_ms=1)
    session = draft()
    store.create(session, limit=None, on_excess="refuse")
    assert session == store.get(session.sid).record
    reader = store.feed()
    reader.read({0: 0})
    store.append(0, (Event(kind=Kind.RING),))
    reader.wait(60)
    assert 1 == len(reader.read({0: 0})[0].entries)
    waiting = threading.Thread(target=reader.wait, args=(600,))
    waiting.start()
    reader.close()
    waiting.join(30)
    assert not waiting.is_alive()
    store.close()


async def test_a_trusted_server_awaited(url, trusted):
    """The same, awaited."""
    store = AsyncRedisStore(url)
    await store.open(longest_token_ms=1)
    session = draft()
    await store.create(session, limit=None, on_excess="refuse")
    founds = await asyncio.gather(*[store.get(session.sid) for _ in range(5)])
    assert [session] * 5 == [found.record for found in founds]
    await store.close()


async def test_a_stranger_is_refused(url):
    """A certificate that nobody vouches for ends it before anything is said."""
    with pytest.raises(StoreError, match="certificate verify failed"):
        RedisStore(url).open(longest_token_ms=1)
    with pytest.raises(StoreError, match="certificate verify failed"):
        await AsyncRedisStore(url).open(longest_token_ms=1)


async def test_another_name_is_refused(url, trusted):
    """A certificate of another host is not taken."""
    other = url.replace("127.0.0.1", "localhost")
    with pytest.raises(StoreError, match="certificate verify failed"):
        RedisStore(other).open(longest_token_ms=1)
    with pytest.raises(StoreError, match="certificate verify failed"):
        await AsyncRedisStore(other).open(longest_token_ms=1)
