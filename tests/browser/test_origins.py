"""Pages of other origins in a real browser: the trusted one acts and reads, the others do neither."""

from __future__ import annotations

import threading
from collections.abc import Iterator
from contextlib import contextmanager
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer

import pytest
from server.conftest import Person
from servers import free_port, running_server

pytestmark = pytest.mark.browser

CALL = """
async ([method, url, body]) => {
  try {
    const options = {method, credentials: "include"};
    if (body) {
      options.headers = {"Content-Type": "application/json"};
      options.body = JSON.stringify(body);
    }
    const answer = await fetch(url, options);
    const text = await answer.text();
    return [answer.status, text ? JSON.parse(text) : {}];
  } catch (error) {
    return [0, {code: error.name}];
  }
}
"""


class _Blank(BaseHTTPRequestHandler):
    def do_GET(self) -> None:
        self.send_response(200)
        self.send_header("Content-Type", "text/html")
        self.end_headers()
        self.wfile.write(b"<!doctype html><title>a page</title>")

    def log_message(self, *_: object) -> None:
        pass


@contextmanager
def page_at(port: int) -> Iterator[str]:
    """Serve an empty page, which is all an origin needs."""
    with ThreadingHTTPServer(("127.0.0.1", port), _Blank) as httpd:
        thread = threading.Thread(target=httpd.serve_forever)
        thread.start()
        try:
            yield f"http://localhost:{port}"
        finally:
            httpd.shutdown()
            thread.join()


@pytest.mark.parametrize("mode", ["session", "jwt", "hybrid"])
def test_trusted_and_other_origins(mode, browser, tmp_path):
    """A trusted page signs in, is recognised and signs out; one on another port gets nothing."""
    trusted_port, other_port, port = free_port(), free_port(), free_port()
    settings = {
        "SOJOURN_PORT": str(port),
        # One site, several ports, as in development: cookies of localhost reach all of them.
        "SOJOURN_HOST": "127.0.0.1",
        "SOJOURN_URL": f"http://localhost:{port}",
        "SOJOURN_TRUSTED_ORIGINS": f"http://localhost:{trusted_port}",
    }
    with (
        running_server(tmp_path, **settings),
        page_at(trusted_port) as trusted,
        page_at(other_port) as other,
    ):
        url = f"http://localhost:{port}"
        person = Person(url).register()
        context = browser.new_context()
        page = context.new_page()
        login = {"email": person.email, "password": person.password, "mode": mode}

        page.goto(trusted)
        assert page.evaluate(CALL, ["POST", f"{url}/auth/login", login])[0] == 200
        status, told = page.evaluate(CALL, ["GET", f"{url}/auth/session", None])
        assert (200, person.subject) == (status, told["subject"])
        wrong = page.evaluate(CALL, ["POST", f"{url}/auth/password", {"current": "x", "new": "y"}])
        assert (401, "invalid_credentials") == (wrong[0], wrong[1]["code"]), "errors are read too"

        page.goto(other)
        assert page.evaluate(CALL, ["GET", f"{url}/auth/session", None])[0] == 0, "not readable"
        assert page.evaluate(CALL, ["POST", f"{url}/auth/logout-all", None])[0] == 0
        page.set_content(f'<form method="post" action="{url}/logout"><button>go</button></form>')
        with page.expect_navigation() as answered:
            page.get_by_role("button").click()
        assert answered.value.status == 403, "a form of another origin is refused"

        page.goto(trusted)
        assert page.evaluate(CALL, ["GET", f"{url}/auth/session", None])[0] == 200, "still in"
        assert page.evaluate(CALL, ["POST", f"{url}/auth/logout", None])[0] == 204
        status, told = page.evaluate(CALL, ["GET", f"{url}/auth/session", None])
        assert (401, "unauthenticated") == (status, told["code"])
        context.close()
