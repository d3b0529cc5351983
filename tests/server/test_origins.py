"""Several origins: two applications on one localhost, a page on a trusted origin, a TLS proxy."""

import re
import socket
import ssl
import threading
from collections.abc import Iterator
from contextlib import contextmanager, suppress

import httpx2
import pytest
import trustme
from server.conftest import Person
from servers import free_port, running_server

PAGE = "http://localhost:3000"


def test_two_applications_on_one_localhost(tmp_path):
    """Cookies do not tell ports apart; signing in to one application does not sign out of another."""
    (tmp_path / "one").mkdir()
    (tmp_path / "two").mkdir()
    with (
        running_server(tmp_path / "one") as one,
        running_server(tmp_path / "two") as two,
        httpx2.Client(timeout=20) as browser,
    ):
        for running in (one, two):
            person = Person(running.url).register()
            body = {"email": person.email, "password": person.password}
            assert browser.post(f"{running.url}/auth/login", json=body).status_code == 200
        for running in (one, two):
            assert browser.get(f"{running.url}/auth/session").status_code == 200
        assert 4 == len(list(browser.cookies.jar))


@pytest.fixture(scope="module")
def trusting(tmp_path_factory):
    """A server that trusts a page on another origin."""
    folder = tmp_path_factory.mktemp("trusting")
    with running_server(folder, SOJOURN_TRUSTED_ORIGINS=PAGE) as running:
        yield running


def test_a_page_of_a_trusted_origin_signs_in_and_reads(trusting):
    """It may send credentials and read the answers (CSRF and CORS agree)."""
    person = Person(trusting.url).register()
    with httpx2.Client(base_url=trusting.url, headers={"Origin": PAGE}) as page:
        preflight = page.options("/auth/login", headers={"Access-Control-Request-Method": "POST"})
        assert preflight.status_code == 204
        for answer in (
            preflight,
            page.post("/auth/login", json={"email": person.email, "password": person.password}),
        ):
            assert PAGE == answer.headers["access-control-allow-origin"]
            assert "true" == answer.headers["access-control-allow-credentials"]
            assert "Origin" in answer.headers["vary"]
        assert person.subject == page.get("/auth/session").json()["subject"]
        refused = page.post("/auth/login", json={})
        assert (400, PAGE) == (
            refused.status_code,
            refused.headers["access-control-allow-origin"],
        ), "errors are readable too"
        assert 204 == page.post("/auth/logout").status_code


@pytest.mark.parametrize("origin", ["http://localhost:3001", "https://localhost:3000", "null"])
def test_a_page_of_another_origin_may_neither_act_nor_read(origin, trusting):
    """Another port, another scheme and an opaque origin are all other origins."""
    person = Person(trusting.url).register()
    with httpx2.Client(base_url=trusting.url) as browser:
        person.login(browser)
        refused = browser.post("/auth/logout", headers={"Origin": origin})
        assert (403, "cross_site") == (refused.status_code, refused.json()["code"])
        read = browser.get("/auth/session", headers={"Origin": origin})
        assert "access-control-allow-origin" not in read.headers
        assert browser.get("/auth/session").status_code == 200


# --- behind a TLS-terminating proxy ---------------------------------------------------------------

CLIENT = "203.0.113.9"


@contextmanager
def tls_proxy(port: int, backend_port: int, context: ssl.SSLContext) -> Iterator[None]:
    """Terminate TLS, append X-Forwarded-For, and pass one request a connection on over plain http."""

    def serve(outside: ssl.SSLSocket) -> None:
        with outside, socket.create_connection(("127.0.0.1", backend_port)) as inside:
            request = b""
            while b"\r\n\r\n" not in request:
                request += outside.recv(65_536)
            head, _, body = request.partition(b"\r\n\r\n")
            length = re.search(rb"(?i)content-length: (\d+)", head)
            while length and len(body) < int(length[1]):
                body += outside.recv(65_536)
            forwarded = f"X-Forwarded-For: 198.51.100.1, {CLIENT}".encode()
            inside.sendall(head + b"\r\n" + forwarded + b"\r\n\r\n" + body)
            while chunk := inside.recv(65_536):
                outside.sendall(chunk)

    def accept(listener: socket.socket) -> None:
        with suppress(OSError):  # the listener was closed: the test is over
            while True:
                serve(context.wrap_socket(listener.accept()[0], server_side=True))

    with socket.create_server(("127.0.0.1", port)) as listener:
        thread = threading.Thread(target=accept, args=(listener,))
        thread.start()
        try:
            yield
        finally:
            listener.shutdown(socket.SHUT_RDWR)
            thread.join(10)


def test_behind_a_tls_terminating_proxy(tmp_path):
    """The url decides, not the connection: Secure __Host- cookies, own origin, the client's address."""
    authority = trustme.CA()
    server_side, client_side = (
        ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER),
        ssl.SSLContext(ssl.PROTOCOL_TLS_CLIENT),
    )
    authority.issue_cert("localhost").configure_cert(server_side)
    authority.configure_trust(client_side)
    port, backend_port = free_port(), free_port()
    url = f"https://localhost:{port}"
    settings = {
        "SOJOURN_URL": url,
        "SOJOURN_PORT": str(backend_port),
        "SOJOURN_SECRET": "a-secret-for-this-test-alone-of-48-characters..",
        "SOJOURN_TRUSTED_PROXIES": "127.0.0.1/32",
    }
    with running_server(tmp_path, **settings), tls_proxy(port, backend_port, server_side):
        person = Person(f"http://127.0.0.1:{backend_port}").register()
        limits = httpx2.Limits(
            max_keepalive_connections=0
        )  # the proxy rewrites one head a connection
        with httpx2.Client(base_url=url, verify=client_side, limits=limits) as browser:
            browser.headers["Origin"] = url
            body = {"email": person.email, "password": person.password, "mode": "hybrid"}
            answer = browser.post("/auth/login", json=body, headers={"Connection": "close"})
            assert answer.status_code == 200, answer.text
            for cookie in answer.headers.get_list("set-cookie"):
                assert cookie.startswith("__Host-sojourn-")
                assert "; Secure" in cookie
                assert "; HttpOnly" in cookie
                assert "; Path=/" in cookie
                assert "; SameSite=Lax" in cookie
                assert "domain" not in cookie.lower()
            close = {"Connection": "close"}
            assert person.subject == browser.get("/auth/session", headers=close).json()["subject"]
            listed = browser.get("/auth/sessions", headers=close).json()["sessions"]
            assert [CLIENT] == [session["address"] for session in listed]
            metadata = browser.get("/.well-known/openid-configuration", headers=close).json()
            assert url == metadata["issuer"]
            assert 204 == browser.post("/auth/logout", headers=close).status_code
