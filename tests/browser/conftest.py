"""A real Chromium against a real server. Every test also proves: no console error, no other origin."""

from __future__ import annotations

import hashlib
import os
import secrets
import shutil
import subprocess
import tempfile
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from pathlib import Path
from urllib.parse import urlsplit

import pytest
from playwright.sync_api import (
    Browser,
    BrowserContext,
    ConsoleMessage,
    Locator,
    Page,
    Request,
    sync_playwright,
)
from servers import RunningServer, running_server

PASSWORD = "four unrelated words here"
ARGUMENTS = [
    "--headless", "--no-sandbox", "--disable-gpu", "--disable-quic", "--no-first-run",
    "--disable-background-networking", "--disable-component-update", "--disable-sync",
]  # fmt: skip
AXE_VERSION = "4.14.1"
AXE_SHA256 = "29348999450cdf2849a8e70b7912fc2da85a849da39c0d0d5394f51d4a9ed95c"
INSTALL_SECONDS = 120
WAIT_MS = 10_000


def _absent(what: str) -> None:
    """Skip, visibly; where all services are required, fail."""
    if os.environ.get("SOJOURN_REQUIRE_SERVICES") == "1":
        pytest.fail(what)
    pytest.skip(what)


def _chromium() -> str:
    named = os.environ.get("SOJOURN_CHROMIUM", "")
    names = ("chromium", "chromium-browser", "google-chrome")
    found = named or next((path for name in names if (path := shutil.which(name))), "")
    if not found or not Path(found).exists():
        _absent("there is no Chromium; install it, or name it in SOJOURN_CHROMIUM")
    return found


@pytest.fixture(scope="module")
def browser() -> Iterator[Browser]:
    """A Chromium of this module; Playwright's loop must not outlive it, for tests that use asyncio."""
    executable = _chromium()
    with sync_playwright() as playwright:
        chromium = playwright.chromium.launch(executable_path=executable, args=ARGUMENTS)
        yield chromium
        chromium.close()


@pytest.fixture(scope="module")
def server(browser, tmp_path_factory) -> Iterator[RunningServer]:
    """A server of this module."""
    with running_server(tmp_path_factory.mktemp("server")) as running:
        yield running


@dataclass
class Person:
    """Somebody at a browser.

    Args:
        page: The only tab.
        url: The server.
        email: Their address.
    """

    page: Page
    url: str
    email: str

    @property
    def context(self) -> BrowserContext:
        """The browser's profile: cookies and settings."""
        return self.page.context

    @property
    def path(self) -> str:
        """Where they are, without the query."""
        return urlsplit(self.page.url).path

    def go(self, path: str) -> None:
        """Open a page."""
        self.page.goto(self.url + path)

    def submit(self, button: str) -> None:
        """Press a button of the page, and wait for the next one."""
        self.follow(self.page.get_by_role("button", name=button, exact=True))

    def follow(self, target: Locator) -> None:
        """Press what leads to another page, and wait for that."""
        with self.page.expect_navigation():
            target.click()

    def register(self) -> None:
        """Create the account."""
        self.go("/register")
        self.page.get_by_label("E-mail address").fill(self.email)
        self.page.get_by_label("Password").fill(PASSWORD)
        self.submit("Create the account")

    def sign_in(self, *, mode: str = "", password: str = PASSWORD) -> None:
        """Sign in, in a mode."""
        self.go("/login")
        self.page.get_by_label("E-mail address").fill(self.email)
        self.page.get_by_label("Password").fill(password)
        if mode:
            self.page.get_by_role("radio", name=mode, exact=True).check()
        self.submit("Sign in")

    def is_signed_in(self) -> bool:
        """Whether the server still knows them."""
        self.go("/")
        return (
            self.page.get_by_role("heading", level=1).inner_text().startswith("You are signed in")
        )

    def cookies(self) -> dict[str, str]:
        """Their cookies by the end of the name: ``access``, ``refresh``, or the port alone."""
        return {c["name"].rpartition("-")[2]: c["value"] for c in self.context.cookies()}

    def drop_cookie(self, kind: str) -> None:
        """Lose one cookie, as at its expiry."""
        (name,) = (c["name"] for c in self.context.cookies() if c["name"].endswith("-" + kind))
        self.context.clear_cookies(name=name)


@pytest.fixture
def somebody(browser, server) -> Iterator[Callable[..., Person]]:
    """Make people, each with a browser of their own; JavaScript is off where not asked for."""
    contexts: list[BrowserContext] = []
    wrong: list[str] = []

    def watch(message: ConsoleMessage) -> None:
        # Chromium notes a page's own 4xx; the test that provokes one asserts it.
        is_status = message.text.startswith("Failed to load resource: the server responded with")
        is_page = "/static/" not in message.location.get("url", "")
        if message.type in {"error", "warning"} and not (is_status and is_page):
            wrong.append(f"console: {message.text}")

    def failed(request: Request) -> None:
        if request.failure != "net::ERR_ABORTED":  # the icon, when the next page is opened
            wrong.append(f"{request.failure}: {request.url}")

    def make(*, email: str = "", **options) -> Person:
        context = browser.new_context(**{"java_script_enabled": False} | options)
        contexts.append(context)
        context.set_default_timeout(WAIT_MS)
        page = context.new_page()
        page.on("console", watch)
        page.on("pageerror", lambda error: wrong.append(f"script: {error}"))
        page.on(
            "request",
            lambda request: (
                None if request.url.startswith(server.url + "/") else wrong.append(request.url)
            ),
        )
        page.on("requestfailed", failed)
        return Person(page, server.url, email or f"{secrets.token_hex(6)}@example.com")

    yield make
    for context in contexts:
        context.close()
    assert wrong == []


@pytest.fixture
def member(somebody) -> Person:
    """Somebody with an account, not signed in."""
    person = somebody()
    person.register()
    return person


@pytest.fixture(scope="session")
def axe_source() -> str:
    """The accessibility checker, pinned, installed by npm outside the tree."""
    cache = Path(os.environ.get("XDG_CACHE_HOME") or Path.home() / ".cache") / "sojourn-tests"
    folder = cache / f"axe-core-{AXE_VERSION}"
    script = folder / "node_modules" / "axe-core" / "axe.min.js"
    if not script.exists():
        npm = shutil.which("npm")
        if npm is None:
            _absent("there is no npm, which installs axe-core")
        cache.mkdir(parents=True, exist_ok=True)
        with tempfile.TemporaryDirectory(dir=cache) as draft:
            subprocess.run(
                [npm, "install", "--ignore-scripts", "--no-audit", "--no-fund", "--silent",
                 "--no-package-lock", "--prefix", draft, f"axe-core@{AXE_VERSION}"],
                check=True, timeout=INSTALL_SECONDS,
            )  # fmt: skip
            if not script.exists():  # another worker may have been first
                Path(draft, "node_modules").rename(_made(folder) / "node_modules")
    content = script.read_bytes()
    assert AXE_SHA256 == hashlib.sha256(content).hexdigest()
    return content.decode()


def _made(folder: Path) -> Path:
    folder.mkdir(exist_ok=True)
    return folder
