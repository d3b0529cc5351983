"""The JavaScript client in many tabs of a real browser: one rotation, nobody signed out by it, all are told.

The server is reached over https under names of its own; pages come from its origin, from another
subdomain, and from another port.
"""

from __future__ import annotations

import asyncio
import secrets
import ssl
import threading
from collections import Counter
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from pathlib import Path

import httpx2
import pytest
import trustme
from browser.conftest import ARGUMENTS, _chromium
from client.serving import in_this_process
from playwright.sync_api import sync_playwright
from server.conftest import Person
from servers import free_port, running_server
from starlette.applications import Starlette
from starlette.requests import Request
from starlette.responses import JSONResponse, Response
from starlette.routing import Route

from sojourn import AsyncSojourn, Incoming, SojournError, handles
from sojourn.problems import problem_of

pytestmark = pytest.mark.browser

SCRIPT = Path(__file__).parents[2] / "clients" / "javascript" / "sojourn.js"
TABS = 20
SECRET = "a-secret-for-this-test-alone-of-48-characters.."
WAIT_SECONDS = 30
PAGE = """<!doctype html><title>a page</title><script type="module">
import { createClient } from "/sojourn.js";
window.sojourn = createClient({ url: "%s" });
window.ends = [];
sojourn.addEventListener("signedout", (event) => ends.push(event.detail.code));
</script>"""
SEEN_BY_SCRIPTS = """async () => JSON.stringify([
  {...localStorage}, {...sessionStorage}, document.cookie, await indexedDB.databases(),
  await caches.keys(),
])"""


@pytest.fixture(scope="module")
def browser():
    """A Chromium that finds every name of ``example.test`` on this machine."""
    executable = _chromium()
    options = [
        "--host-resolver-rules=MAP *.example.test 127.0.0.1",
        # The pages come out of the test and have no address; the server's would count as private.
        "--disable-features=LocalNetworkAccessChecks",
    ]
    with sync_playwright() as playwright:
        chromium = playwright.chromium.launch(
            executable_path=executable, args=[*ARGUMENTS, *options]
        )
        yield chromium
        chromium.close()


# --- servers --------------------------------------------------------------------------------------


@contextmanager
def tls_tunnel(port: int, backend_port: int) -> Iterator[None]:
    """Terminate TLS at a port, and pass the bytes on."""
    context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
    trustme.CA().issue_cert("*.example.test").configure_cert(context)
    loop, is_over = asyncio.new_event_loop(), asyncio.Event()
    is_open = threading.Event()
    writers: set[asyncio.StreamWriter] = set()

    async def copy(source: asyncio.StreamReader, target: asyncio.StreamWriter) -> None:
        writers.add(target)
        with suppress(OSError):  # the other side went away
            while part := await source.read(65_536):
                target.write(part)
                await target.drain()
        target.close()

    async def connect(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        inside, outside = await asyncio.open_connection("127.0.0.1", backend_port)
        await asyncio.gather(copy(reader, outside), copy(inside, writer))

    async def serve() -> None:
        async with await asyncio.start_server(connect, "127.0.0.1", port, ssl=context):
            is_open.set()
            await is_over.wait()
            for writer in writers:
                writer.transport.abort()
            others = asyncio.all_tasks() - {asyncio.current_task()}
            await asyncio.gather(*others, return_exceptions=True)

    thread = threading.Thread(target=loop.run_until_complete, args=(serve(),))
    thread.start()
    try:
        assert is_open.wait(WAIT_SECONDS)
        yield
    finally:
        loop.call_soon_threadsafe(is_over.set)
        thread.join(WAIT_SECONDS)
        loop.close()


@pytest.fixture(scope="module")
def standalone(browser, tmp_path_factory):
    """The server, which renews cookies in passing; its cookies are shared with the subdomains."""
    port, backend_port, other = free_port(), free_port(), free_port()
    url = f"https://auth.example.test:{port}"
    settings = {
        "SOJOURN_URL": url,
        "SOJOURN_PORT": str(backend_port),
        "SOJOURN_SECRET": SECRET,
        "SOJOURN_COOKIE_DOMAIN": "example.test",
        "SOJOURN_GRACE_SECONDS": "60",  # the machine may be busy
        "SOJOURN_TRUSTED_ORIGINS": (
            f"https://app.example.test:{port},https://auth.example.test:{other}"
        ),
    }
    folder = tmp_path_factory.mktemp("standalone")
    with running_server(folder, **settings) as running, tls_tunnel(port, backend_port):
        yield Place(url, running.url, other)


class Strict:
    """An application that never renews in passing, as a gateway or a function before a server would."""

    def __init__(self, url: str, trusted: list[str]) -> None:
        self.sojourn: AsyncSojourn = AsyncSojourn(
            "memory://", url=url, secret=SECRET, trusted_origins=tuple(trusted), grace_seconds=60
        )
        self.asked: Counter[str] = Counter()
        self.awaited = Counter[str]()
        self.may_refresh = asyncio.Event()
        self.may_refresh.set()
        routes = {
            "/auth/login": self.login, "/auth/session": self.session, "/notes": self.notes,
            "/auth/refresh": self.refresh, "/auth/logout": self.logout,
        }  # fmt: skip
        self.app = Starlette(
            routes=[
                Route(path, self.answering(act), methods=["GET", "POST", "OPTIONS"])
                for path, act in routes.items()
            ]
        )

    def answering(self, act):
        async def endpoint(request: Request) -> Response:
            incoming = Incoming.of(request.method, request.headers.raw)
            is_preflight = request.method == "OPTIONS"
            self.asked[f"{request.method} {request.url.path}"] += 1
            try:
                response = Response() if is_preflight else await act(request, incoming)
            except SojournError as error:
                problem = problem_of(error)
                response = Response(problem.body, problem.status, dict(problem.headers))
            cors = self.sojourn.core.browser.cors(incoming, preflight=is_preflight)
            response.headers.update(dict(cors.headers))
            return response

        return endpoint

    def hold_refreshes(self, *, refusals: int, refreshes: int) -> None:
        """Answer refreshes once so many requests were refused, and so many refreshes have come."""
        self.awaited = Counter(refusals=refusals, refreshes=refreshes)
        self.may_refresh.clear()

    def _note(self, what: str) -> None:
        self.awaited[what] -= 1
        if max(self.awaited.values()) <= 0:
            self.may_refresh.set()

    async def login(self, request: Request, incoming: Incoming) -> Response:
        return handed_out(await self.sojourn.login(incoming, "ann"))

    async def refresh(self, request: Request, incoming: Incoming) -> Response:
        self._note("refreshes")
        await self.may_refresh.wait()
        return handed_out(await self.sojourn.refresh(incoming))

    async def logout(self, request: Request, incoming: Incoming) -> Response:
        response = Response(status_code=204)
        for name, value in (await self.sojourn.logout(incoming)).headers:
            response.headers.append(name, value)
        return response

    async def session(self, request: Request, incoming: Incoming) -> Response:
        principal = (await self.sojourn.check(incoming, renew=False)).require()
        return JSONResponse({"subject": principal.subject})

    async def notes(self, request: Request, incoming: Incoming) -> Response:
        try:
            (await self.sojourn.check(incoming, renew=False)).require()
        except SojournError:
            self._note("refusals")
            raise
        return JSONResponse({"notes": (await request.body()).decode()})


def handed_out(signed_in) -> Response:
    response = JSONResponse(signed_in.public())
    for name, value in signed_in.outgoing.headers:
        response.headers.append(name, value)
    return response


@pytest.fixture
def strict(browser):
    """An application that answers `refresh_required`."""
    port, backend_port, other = free_port(), free_port(), free_port()
    url = f"https://auth.example.test:{port}"
    place = Place(url, f"http://127.0.0.1:{backend_port}", other)
    place.app = Strict(url, list(place.origins.values())[1:])
    with in_this_process(place.app.app, place.backend), tls_tunnel(port, backend_port):
        yield place


class Place:
    """Where a server is, and from where its pages come.

    Args:
        url: As browsers reach it.
        backend: The same without TLS.
        other_port: The port of the third origin; nothing listens there, its pages are the test's.
    """

    def __init__(self, url: str, backend: str, other_port: int) -> None:
        self.url = url
        self.backend = backend
        self.app: Strict | None = None
        self.origins = {
            "own origin": url,
            "subdomain": url.replace("auth.", "app."),
            "other port": f"https://auth.example.test:{other_port}",
        }


# --- tabs -----------------------------------------------------------------------------------------


class Tabs:
    """Tabs of one browser profile.

    Args:
        browser: The browser.
        place: The server.
        origins: The origin of each tab's page.
    """

    def __init__(self, browser, place: Place, origins: list[str]) -> None:
        self.place = place
        self.context = browser.new_context(ignore_https_errors=True)
        self.context.set_default_timeout(WAIT_SECONDS * 1000)
        self.asked: Counter[str] = Counter()
        self.context.on("request", self._count)
        page = PAGE % place.url
        self.context.route(
            "**/page", lambda route: route.fulfill(body=page, content_type="text/html")
        )
        self.context.route("**/sojourn.js", lambda route: route.fulfill(path=SCRIPT))
        self.each = [self._open(origin) for origin in origins]

    def _open(self, origin: str):
        page = self.context.new_page()
        page.goto(f"{origin}/page")
        page.wait_for_function("() => window.sojourn")
        return page

    def _count(self, request) -> None:
        path = request.url.partition("//")[2].partition("/")[2]
        self.asked[f"{request.method} /{path}"] += 1

    def at_once(self, expression: str):
        """Have every tab do something without waiting for the others, and give what came of it."""
        for page in self.each:
            page.evaluate(f"() => {{ window.done = (async () => {expression})(); }}")
        return [page.evaluate("() => window.done") for page in self.each]

    def ends(self, number: int = 1) -> list[list[str]]:
        """What each tab was told of an end, once it was told."""
        for page in self.each:
            page.wait_for_function("(number) => ends.length >= number", arg=number)
        return [page.evaluate("() => ends") for page in self.each]

    @property
    def generation(self) -> int:
        """How often the refresh handle has rotated."""
        (text,) = (c["value"] for c in self.context.cookies() if c["name"].endswith("-refresh"))
        return handles.parse(text).generation

    def drop_access(self) -> None:
        """Lose the access cookie, as at its expiry."""
        (name,) = (c["name"] for c in self.context.cookies() if c["name"].endswith("-access"))
        self.context.clear_cookies(name=name)

    def sign_in(self, person: Person | None = None) -> dict:
        """Sign in from the first tab."""
        account = {"email": "ann@example.com", "password": "-"}
        if person is not None:
            account = {"email": person.email, "password": person.password}
        told = self.each[0].evaluate("(account) => sojourn.login(account)", account)
        self.asked.clear()
        return told

    def secrets_seen(self) -> list[str]:
        """Which secrets the scripts of any tab could read."""
        secrets_held = [c["value"] for c in self.context.cookies() if len(c["value"]) > 40]
        assert len(secrets_held) == 2
        seen = "".join(page.evaluate(SEEN_BY_SCRIPTS) for page in self.each)
        return [text for text in secrets_held if text[:40] in seen]


@pytest.fixture
def open_tabs(browser):
    """Open tabs, all in one profile of their own."""
    opened: list[Tabs] = []

    def open_(place: Place, *names: str, count: int = TABS) -> Tabs:
        origins = [place.origins[names[number % len(names)]] for number in range(count)]
        opened.append(Tabs(browser, place, origins))
        return opened[-1]

    yield open_
    for tabs in opened:
        tabs.context.close()


# --- the server that renews in passing ------------------------------------------------------------


@pytest.mark.parametrize("where", ["own origin", "subdomain", "other port"])
def test_many_tabs_of_the_server_make_one_rotation(where, standalone, open_tabs):
    """20 tabs with one expired access token: all are answered, the handle rotates once."""
    person = Person(standalone.backend).register()
    tabs = open_tabs(standalone, where)
    tabs.sign_in(person)
    before = tabs.generation
    tabs.drop_access()
    sessions = tabs.at_once("(await sojourn.session()).subject")
    assert [person.subject] * TABS == sessions
    assert before + 1 == tabs.generation
    # Its cookies are renewed in passing, so the client has nothing to ask for.
    assert 0 == tabs.asked["POST /auth/refresh"]
    assert [[]] * TABS == tabs.ends(0)
    assert [] == tabs.secrets_seen()


def test_an_ended_session_is_told_in_every_tab(standalone, open_tabs):
    """One tab hears `revoked` from the server; all of its origin tell their page, once."""
    person = Person(standalone.backend).register()
    tabs = open_tabs(standalone, "own origin")
    sid = tabs.sign_in(person)["sid"]
    tabs.at_once("sojourn.session()")
    with httpx2.Client(base_url=standalone.backend) as elsewhere:
        person.login(elsewhere, transport="bearer")
        assert 204 == elsewhere.delete(f"/auth/sessions/{sid}").status_code
    assert tabs.each[0].evaluate("() => sojourn.session()") is None
    assert [["revoked"]] * TABS == tabs.ends()
    assert [None] * TABS == tabs.at_once("sojourn.session()"), "each is refused now"
    assert [["revoked"]] * TABS == tabs.ends(), "and told once"


def test_every_origin_hears_it_at_its_next_request(standalone, open_tabs):
    """Pages of other origins cannot be told by ours: each learns it from the server."""
    person = Person(standalone.backend).register()
    tabs = open_tabs(standalone, "own origin", "subdomain", "other port", count=6)
    sid = tabs.sign_in(person)["sid"]
    tabs.at_once("sojourn.session()")
    with httpx2.Client(base_url=standalone.backend) as elsewhere:
        person.login(elsewhere, transport="bearer")
        assert 204 == elsewhere.delete(f"/auth/sessions/{sid}").status_code
    for page in tabs.each[:3]:
        assert 401 == page.evaluate("() => sojourn.fetch('/auth/session').then((a) => a.status)")
    assert [["revoked"]] * 6 == tabs.ends()


def test_a_logout_is_told_in_every_tab_and_a_login_after_it(standalone, open_tabs):
    """`logout` in one tab; after the next login an end is told again."""
    person = Person(standalone.backend).register()
    tabs = open_tabs(standalone, "own origin", count=4)
    tabs.sign_in(person)
    tabs.each[1].evaluate("() => sojourn.logout()")
    assert [["logout"]] * 4 == tabs.ends()
    assert tabs.each[2].evaluate("() => sojourn.session()") is None
    tabs.sign_in(person)
    tabs.at_once("sojourn.session()")
    tabs.context.clear_cookies()
    assert tabs.each[3].evaluate("() => sojourn.session()") is None
    assert [["logout", "unauthenticated"]] * 4 == tabs.ends(2)


def test_nobody_was_signed_out_who_was_not_signed_in(standalone, open_tabs):
    """A visitor's 401 is no end of a sign-in."""
    tabs = open_tabs(standalone, "own origin", count=2)
    assert [None, None] == tabs.at_once("sojourn.session()")
    assert [[], []] == tabs.ends(0)


def test_the_thin_calls(standalone, open_tabs):
    """Register, devices, another password, confirm, a token for a service, the others, all."""
    tabs = open_tabs(standalone, "other port", count=1)
    email = f"{secrets.token_hex(6)}@example.com"
    told = tabs.each[0].evaluate(
        """async (email) => {
          const [first, second] = ["four unrelated calm words", "four other unrelated words"];
          await sojourn.register({ email, password: first });
          const wrong = await sojourn.login({ email, password: "x" }).catch((error) => error);
          await sojourn.login({ email, password: first, mode: "session", remember: false });
          await sojourn.changePassword({ current: first, new: second });
          await sojourn.confirm({ password: second });
          const token = await sojourn.accessToken();
          const devices = await sojourn.sessions();
          await sojourn.logoutOthers();
          const session = await sojourn.session();
          const unknown = await sojourn.endSession("unknown").catch((error) => error);
          await sojourn.logoutAll();
          return {
            wrong: [wrong.name, wrong.status, wrong.code], unknown: unknown.code,
            token: token.token_type, devices: devices.map((device) => device.current),
            mode: session.mode, after: await sojourn.session(),
          };
        }""",
        email,
    )
    assert told == {
        "wrong": ["SojournError", 401, "invalid_credentials"],
        "unknown": "not_found",
        "token": "Bearer",
        "devices": [True],
        "mode": "session",
        "after": None,
    }
    assert [["logout"]] == tabs.ends()


def test_a_late_refusal_from_before_the_login_ends_nothing(strict, open_tabs):
    """A visitor's request is answered after they have signed in: that is no end."""
    tabs = open_tabs(strict, "own origin", count=2)
    held = []
    tabs.context.route("**/slow", lambda route: held.append(route))  # noqa: PLW0108 - marked by it
    with tabs.each[0].expect_request("**/slow"):
        tabs.each[0].evaluate(
            "() => { window.slow = sojourn.fetch('/slow').then((answer) => answer.status); }"
        )
    tabs.sign_in()
    problem = '{"code": "unauthenticated", "detail": "sign in first"}'
    held[0].fulfill(status=401, body=problem, content_type="application/problem+json")
    assert 401 == tabs.each[0].evaluate("() => slow")
    assert [[], []] == tabs.ends(0)


# --- a server that asks for a refresh -------------------------------------------------------------


def test_many_tabs_make_one_refresh(strict, open_tabs):
    """20 tabs are told `refresh_required`: one POST, one rotation, all repeat their request."""
    tabs = open_tabs(strict, "own origin")
    tabs.sign_in()
    before = tabs.generation
    tabs.drop_access()
    strict.app.hold_refreshes(refusals=TABS, refreshes=1)
    answers = tabs.at_once("(await sojourn.fetch('/notes')).status")
    assert [200] * TABS == answers
    assert (1, 1) == (tabs.asked["POST /auth/refresh"], strict.app.asked["POST /auth/refresh"])
    assert before + 1 == tabs.generation
    assert [[]] * TABS == tabs.ends(0)
    assert [] == tabs.secrets_seen()


def test_tabs_of_three_origins_make_one_rotation(strict, open_tabs):
    """Locks are an origin's own: one POST from each, which the grace window makes one rotation."""
    tabs = open_tabs(strict, "own origin", "subdomain", "other port")
    tabs.sign_in()
    before = tabs.generation
    tabs.drop_access()
    strict.app.hold_refreshes(refusals=TABS, refreshes=3)
    assert [200] * TABS == tabs.at_once("(await sojourn.fetch('/notes')).status")
    assert 3 == strict.app.asked["POST /auth/refresh"]
    assert before + 1 == tabs.generation
    assert [[]] * TABS == tabs.ends(0)


def test_without_locks_the_grace_window_makes_it_safe(strict, open_tabs):
    """An older browser: each tab makes one refresh for itself, and they get the same successor."""
    tabs = open_tabs(strict, "own origin", count=2)
    for page in tabs.each:
        page.evaluate("() => Object.defineProperty(navigator, 'locks', { value: undefined })")
    tabs.sign_in()
    before = tabs.generation
    tabs.drop_access()
    strict.app.hold_refreshes(refusals=10, refreshes=2)
    five = "Promise.all([1, 2, 3, 4, 5].map(async () => (await sojourn.fetch('/notes')).status))"
    assert [[200] * 5] * 2 == tabs.at_once(five)
    assert 2 == strict.app.asked["POST /auth/refresh"]
    assert before + 1 == tabs.generation
    assert [[], []] == tabs.ends(0)


def test_a_request_is_repeated_with_its_body(strict, open_tabs):
    """As text, and as a `Request` that was made elsewhere."""
    tabs = open_tabs(strict, "subdomain", count=1)
    tabs.sign_in()
    for expression in (
        "sojourn.fetch('/notes', { method: 'POST', body: 'a note' })",
        f"sojourn.fetch(new Request('{strict.url}/notes', {{ method: 'POST', body: 'a note' }}))",
    ):
        tabs.drop_access()
        (told,) = tabs.at_once(f"(await {expression}).json()")
        assert {"notes": "a note"} == told


def test_a_stolen_copy_is_called_that(strict, open_tabs):
    """The server ended the session since an old handle came back: the page is told `refresh_reuse`."""
    tabs = open_tabs(strict, "own origin", count=3)
    tabs.sign_in()
    cookies = {c["name"]: c["value"] for c in tabs.context.cookies()}
    stolen = "; ".join(f"{k}={v}" for k, v in cookies.items() if k.endswith("-refresh"))
    for _ in range(2):
        tabs.each[0].evaluate("() => fetch('/auth/refresh', { method: 'POST' })")
    answer = httpx2.post(f"{strict.backend}/auth/refresh", headers={"Cookie": stolen})
    assert "refresh_reuse" == answer.json()["code"]
    assert [401] == tabs.each[1].evaluate("async () => [(await sojourn.fetch('/notes')).status]")
    assert [["refresh_reuse"]] * 3 == tabs.ends()


def test_another_origin_is_fetched_as_it_is(strict, standalone, open_tabs):
    """Neither our cookies nor our reading of its refusals."""
    tabs = open_tabs(strict, "own origin", count=1)
    tabs.sign_in()
    sent = []
    problem = '{"code": "revoked", "detail": "so they say"}'

    def bait(route):
        sent.append(route.request.headers)
        headers = {"Access-Control-Allow-Origin": "*", "Content-Type": "application/problem+json"}
        route.fulfill(status=401, body=problem, headers=headers)

    tabs.context.route("https://evil.example.test/**", bait)
    look_alike = strict.url.replace("https://", "https://evil.example.test/")
    for url in ("https://evil.example.test/x", look_alike):
        (status,) = tabs.at_once(f"(await sojourn.fetch('{url}')).status")
        assert 401 == status
    assert all("cookie" not in headers and "authorization" not in headers for headers in sent)
    assert (2, [[]]) == (len(sent), tabs.ends(0))
    assert 0 == strict.app.asked["POST /auth/refresh"]
