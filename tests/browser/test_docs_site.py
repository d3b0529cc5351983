"""The documentation site in a real browser: opened as files and served, light and dark, and its search."""

import sys
import threading
from functools import partial
from http.server import SimpleHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path

import pytest

sys.path.insert(0, str(Path(__file__).resolve().parents[2] / "tools"))

import build_site

pytestmark = pytest.mark.browser
PAGES = ("index.html", "server.html", "concepts/how-a-revocation-travels.html", "api.html")
WAIT_MS = 10_000


class Quiet(SimpleHTTPRequestHandler):
    """Serves a folder and says nothing of it."""

    def log_message(self, *args):
        """Say nothing."""


@pytest.fixture(scope="module")
def folder(tmp_path_factory):
    """The site, built."""
    folder = tmp_path_factory.mktemp("site") / "site"
    build_site.build(folder)
    return folder


@pytest.fixture(params=["as files", "served"])
def address(request, folder):
    """Where a browser finds the site: on the disk, and at a plain server of files."""
    if request.param == "as files":
        yield folder.as_uri() + "/"
        return
    server = ThreadingHTTPServer(("127.0.0.1", 0), partial(Quiet, directory=folder))
    thread = threading.Thread(target=server.serve_forever)
    thread.start()
    yield f"http://127.0.0.1:{server.server_port}/"
    server.shutdown()
    thread.join()
    server.server_close()


@pytest.fixture
def open_page(browser, address):
    """Open a page in one of the schemes; every request has to be the site's own."""
    wrong, contexts = [], []

    def watch(request):
        if not request.url.startswith((address, "data:", "blob:")):
            wrong.append(request.url)

    def go(name, scheme="light"):
        context = browser.new_context(color_scheme=scheme)
        contexts.append(context)
        context.set_default_timeout(WAIT_MS)
        page = context.new_page()
        page.on("request", watch)
        page.on("pageerror", lambda error: wrong.append(f"script: {error}"))
        page.goto(address + name, wait_until="networkidle")
        return page

    yield go
    for context in contexts:
        context.close()
    assert wrong == []


@pytest.mark.parametrize("scheme", ["light", "dark"])
def test_pages_follow_the_scheme_of_the_reader_and_ask_nobody_else(open_page, scheme):
    """Each page is light or dark as the reader's system is, and fetches nothing from elsewhere."""
    for name in PAGES:
        page = open_page(name, scheme)
        assert page.get_by_role("heading", level=1).count() == 1
        assert page.locator("body").get_attribute("data-md-color-scheme") == (
            "slate" if scheme == "dark" else "default"
        )


def test_the_search_works_without_a_network(open_page):
    """What is typed into the search finds the page, also where the site is opened as files."""
    page = open_page("index.html")
    page.get_by_role("button", name="Search").first.click()
    page.keyboard.type("max_sessions")
    result = page.get_by_role("option", name="Of the library").first
    result.wait_for()
    assert "settings.html" in result.get_attribute("href")
