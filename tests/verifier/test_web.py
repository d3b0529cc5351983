"""The network's side: verified TLS, no redirect, bounded size and time, whatever the other end does."""

import socket
import ssl
import threading
import time

import pytest
import trustme
from verifier.served import Reply, served

from sojourn.verifier import Fetch, FetchError, Web

REDIRECTS = (301, 302, 303, 307, 308)


@pytest.fixture
def web():
    return Web()


def fetched(web, url, **more):
    return web.fetch(Fetch(url=url, **({"timeout_seconds": 5} | more)))


def test_an_answer(web):
    """Status, body and Cache-Control come back; what is sent is said."""
    with served({"/x": Reply(b"hello", headers={"Cache-Control": "max-age=5"})}) as server:
        answer = fetched(web, f"{server.url}/x?a=1", headers={"Authorization": "Bearer t"})
        assert (200, b"hello", "max-age=5") == (answer.status, answer.body, answer.cache_control)
        assert 404 == fetched(web, server.url).status
        method, path, headers, body = server.requests[0]
        assert ("GET", "/x?a=1", b"") == (method, path, body)
        assert "Bearer t" == headers["Authorization"]
        assert headers["User-Agent"].startswith("sojourn-verifier/")
        fetched(web, f"{server.url}/x", method="POST", body=b"a=b")
        assert ("POST", b"a=b") == (server.requests[2][0], server.requests[2][3])


@pytest.mark.parametrize("status", REDIRECTS)
@pytest.mark.parametrize(
    "where", ["/x", "http://127.0.0.1:1/", "file:///etc/passwd", "https://a.b/"]
)
def test_no_redirect_is_followed(status, where, web):
    """Wherever it leads, it comes back as what it is."""
    reply = Reply(b"", status=status, headers={"Location": where})
    with served({"/": reply, "/x": Reply(b"no")}) as server:
        assert status == fetched(web, f"{server.url}/").status
        assert 1 == server.counts.total()


@pytest.mark.parametrize("url", ["file:///etc/passwd", "ftp://a.b/", "http://example.com/", "a"])
def test_what_is_never_asked(url, web):
    """Not even where an application's own introspector says so."""
    from sojourn import ConfigurationError

    with pytest.raises(ConfigurationError):
        fetched(web, url)


def endless(handler):
    handler.send_response(200)
    handler.end_headers()
    for _ in range(100_000):
        handler.wfile.write(b"x" * 65536)


def test_too_large(web):
    """A body over the bound is not read to its end, said in the head or not."""
    with served({"/said": Reply(b"x" * 101), "/endless": endless}) as server:
        assert 100 == len(fetched(web, f"{server.url}/said", max_bytes=101).body[:100])
        for path in ("/said", "/endless"):
            with pytest.raises(FetchError, match="over 100 bytes"):
                fetched(web, server.url + path, max_bytes=100)


def dripping(part):
    """Answer a byte at a time, in the head or in the body, without an end."""

    def route(handler):
        if part == "body":
            handler.send_response(200)
            handler.end_headers()
        else:
            handler.wfile.write(b"HTTP/1.1 200 OK\r\nX: ")
        until = time.monotonic() + 10
        while time.monotonic() < until:
            handler.wfile.write(b"x")
            handler.wfile.flush()
            time.sleep(0.02)

    return route


@pytest.mark.parametrize("part", ["head", "body"])
def test_too_slow(part, web):
    """Each byte comes in time, and all of them do not: the whole is bounded."""
    with served({"/": dripping(part)}) as server:
        started = time.monotonic()
        with pytest.raises(FetchError, match="took too long"):
            fetched(web, f"{server.url}/", timeout_seconds=0.3)
        assert time.monotonic() - started < 5


def test_no_time_is_left():
    """A read after the deadline does not wait at all."""
    from sojourn.verifier.web import _Bounded

    assert _Bounded(deadline=time.monotonic() + 60).seconds() > 50
    with pytest.raises(TimeoutError):
        _Bounded(deadline=time.monotonic()).seconds()


def test_nobody_there(web):
    """A refused connection, and one that is closed at once, are failures that name the host."""
    with socket.create_server(("127.0.0.1", 0)) as listening:
        port = listening.getsockname()[1]

        def hang_up():
            listening.accept()[0].close()

        threading.Thread(target=hang_up, daemon=True).start()
        with pytest.raises(FetchError, match=f"127.0.0.1:{port}"):
            fetched(web, f"http://127.0.0.1:{port}/?secret")
    with pytest.raises(FetchError) as raised:
        fetched(web, f"http://127.0.0.1:{port}/?secret", headers={"Authorization": "s3cret"})
    assert "secret" not in str(raised.value)
    assert raised.value.__cause__ is None


def test_garbage_instead_of_http(web):
    """What does not speak HTTP is a failure."""
    with socket.create_server(("127.0.0.1", 0)) as listening:

        def answer():
            connection = listening.accept()[0]
            connection.recv(65536)
            connection.sendall(b"SSH-2.0-OpenSSH_9.9\r\n")
            connection.close()

        threading.Thread(target=answer, daemon=True).start()
        with pytest.raises(FetchError, match="BadStatusLine"):
            fetched(web, f"http://127.0.0.1:{listening.getsockname()[1]}/")


# --- TLS ------------------------------------------------------------------------------------------


@pytest.fixture(scope="module")
def authority():
    return trustme.CA()


@pytest.fixture
def secured(authority):
    context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
    authority.issue_cert("localhost").configure_cert(context)
    with served({"/": Reply(b"secret")}, tls=context) as server:
        yield server


@pytest.fixture
def trusting(authority):
    context = ssl.create_default_context()
    authority.configure_trust(context)
    return Web(ssl_context=context)


def test_certificates_are_verified(secured, web, trusting):
    """An authority that the system does not know is refused; one that was given is trusted."""
    for _ in range(2):
        with pytest.raises(FetchError, match="certificate"):
            fetched(web, f"{secured.url}/")
    assert b"secret" == fetched(trusting, f"{secured.url}/").body


def test_host_names_are_verified(secured, trusting):
    """A certificate for another name is refused."""
    with pytest.raises(FetchError, match=r"127\.0\.0\.1"):
        fetched(trusting, secured.url.replace("localhost", "127.0.0.1") + "/")


@pytest.mark.parametrize("named", ["http://user:pass%40word@{}", "http://{}", "{}"])
def test_through_a_proxy(named, secured, trusting, monkeypatch):
    """`HTTPS_PROXY` carries the connection; TLS ends at the issuer all the same."""
    seen = []

    def tunnel(handler):
        """Answer CONNECT, then pass bytes on."""
        seen.append((handler.path, handler.headers.get("Proxy-Authorization")))
        host, _, port = handler.path.partition(":")
        far = socket.create_connection((host, int(port)))
        handler.send_response(200)
        handler.end_headers()

        def pump(source, sink):
            while data := source.recv(65536):
                sink.sendall(data)

        threading.Thread(target=pump, args=(far, handler.connection), daemon=True).start()
        pump(handler.connection, far)
        far.close()

    with served() as proxy:
        # The path of CONNECT is host:port.
        proxy.routes[secured.url.removeprefix("https://")] = tunnel
        monkeypatch.setenv("https_proxy", named.format(proxy.url.removeprefix("http://")))
        monkeypatch.setenv("no_proxy", "")
        assert b"secret" == fetched(trusting, f"{secured.url}/").body
    expected = "Basic dXNlcjpwYXNzQHdvcmQ=" if "@" in named else None
    assert [(secured.url.removeprefix("https://"), expected)] == seen


def test_hosts_without_a_proxy(secured, trusting, monkeypatch):
    """`NO_PROXY` names hosts that are reached directly."""
    monkeypatch.setenv("https_proxy", "http://127.0.0.1:1")
    monkeypatch.setenv("no_proxy", "example.com,localhost")
    assert b"secret" == fetched(trusting, f"{secured.url}/").body


def test_a_proxy_that_refuses(secured, trusting, monkeypatch):
    """The message says that it was the proxy."""
    with served() as proxy:
        monkeypatch.setenv("https_proxy", proxy.url)
        monkeypatch.setenv("no_proxy", "")
        with pytest.raises(FetchError, match="Tunnel connection failed: 404"):
            fetched(trusting, f"{secured.url}/")


# --- streams --------------------------------------------------------------------------------------

STREAM = {"Content-Type": "text/event-stream; charset=utf-8"}


def streaming(*lines, then=None):
    """Answer with lines; then do something, or close."""

    def route(handler):
        handler.send_response(200)
        handler.send_header("Content-Type", STREAM["Content-Type"])
        handler.end_headers()
        for line in lines:
            handler.wfile.write(line)
        handler.wfile.flush()
        if then is not None:
            then.wait(10)

    return route


def test_a_stream(web):
    """Line by line, until it ends."""
    with served({"/": streaming(b"event: a\r\n", b"data: 1\n", b"\n")}) as server:
        stream = web.stream(Fetch(url=f"{server.url}/"))
        assert [b"event: a", b"data: 1", b""] == list(stream.lines())
        stream.close()
        stream.close()


@pytest.mark.parametrize(
    "reply",
    [Reply(b"{}"), Reply(b"", status=401, headers=STREAM), Reply(b"", status=302, headers=STREAM)],
)
def test_an_answer_that_is_no_stream(reply, web):
    """Another status or content type is a failure."""
    with served({"/": reply}) as server, pytest.raises(FetchError, match="instead of a stream"):
        web.stream(Fetch(url=f"{server.url}/"))


def test_a_stream_of_nobody(web):
    """A connection that is refused is a failure."""
    with pytest.raises(FetchError):
        web.stream(Fetch(url="http://127.0.0.1:1/"))


def test_a_silent_stream(web):
    """Silence that lasts too long is a failure: the connection may lead nowhere."""
    over = threading.Event()
    with served({"/": streaming(b"data: 1\n", then=over)}) as server:
        stream = web.stream(Fetch(url=f"{server.url}/", timeout_seconds=0.1))
        with pytest.raises(FetchError, match="took too long"):
            list(stream.lines())
        over.set()


def test_a_line_without_an_end(web):
    """A line of a stream is bounded."""
    with served({"/": streaming(b"x" * 70_000)}) as server:
        stream = web.stream(Fetch(url=f"{server.url}/"))
        with pytest.raises(FetchError):
            list(stream.lines())


def test_a_stream_that_is_closed_from_elsewhere(web):
    """Closing wakes the thread that reads, which ends without an error."""
    over = threading.Event()
    with served({"/": streaming(b"data: 1\n", then=over)}) as server:
        stream = web.stream(Fetch(url=f"{server.url}/", timeout_seconds=10))
        lines = stream.lines()
        assert b"data: 1" == next(lines)
        read = []
        thread = threading.Thread(target=lambda: read.extend(lines))
        thread.start()
        stream.close()
        thread.join(5)
        assert not thread.is_alive()
        assert [] == read
        over.set()


def test_a_stream_that_fails_because_it_was_closed(web):
    """What reading fails with after closing is no failure of the stream."""
    with served({"/": streaming(b"data: 1\n")}) as server:
        stream = web.stream(Fetch(url=f"{server.url}/"))

        class Failing:
            def readline(self, _limit):
                raise OSError("bad file descriptor")

        stream._response = Failing()
        stream.close()
        assert [] == list(stream.lines())
