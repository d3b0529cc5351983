"""The examples of README.md and docs/ work as they stand.

The Python blocks of a page run in order, in one namespace, in an empty folder, with nothing of
Sojourn in the environment; ``await`` stands at the top level. A block behind ``<!-- file: NAME -->``
is written to that file instead, and where there are test files pytest runs them. What stands behind
``<!-- not executed -->`` is left out, and counted here. Shell blocks of server.md run against a real
server.
"""

import ast
import asyncio
import builtins
import importlib.util
import inspect
import os
import shutil
import socket
import subprocess
import sys
import threading
import time
import tomllib
import urllib.error
import urllib.request
from collections.abc import Iterator
from contextlib import contextmanager
from datetime import timedelta
from pathlib import Path
from types import ModuleType

import pytest
from docs.pages import DOCS, NOT_EXECUTED, PAGES, ROOT, blocks_of, name_of

import sojourn
from sojourn import AsyncSojourn, Incoming, Need, Sojourn
from sojourn.server.config import load_config
from sojourn.starlette import Auth
from sojourn.testing import Client, sign_in

README = ROOT / "README.md"
WITH_PYTHON = [
    page
    for page in PAGES
    if blocks_of(page, "python") and page.parent.name != "quickstart"  # test_quickstarts.py
]
NOT_EXECUTED_BLOCKS = {"audit.md": 1, "cli.md": 1, "server.md": 4}
SERVER_SECONDS = 30


def environment():
    """Give programs that are started the package under test, and nothing else of Sojourn."""
    return os.environ | {"PYTHONPATH": str(Path(sojourn.__file__).parents[1])}


@pytest.fixture
def folder(tmp_path, monkeypatch):
    """Be in an empty folder, with nothing of Sojourn in the environment."""
    for name in [name for name in os.environ if name.startswith("SOJOURN_")]:
        monkeypatch.delenv(name)
    monkeypatch.chdir(tmp_path)
    return tmp_path


async def run(blocks, namespace):
    """Run Python blocks in order in a namespace, then close what they left open."""
    try:
        for block in blocks:
            code = compile(
                block.padded, str(block.page), "exec", flags=ast.PyCF_ALLOW_TOP_LEVEL_AWAIT
            )
            result = eval(code, namespace)  # noqa: S307 - the page is ours
            if inspect.isawaitable(result):
                await result
    finally:
        for value in tuple(namespace.values()):
            match value:
                case Auth():
                    await value.sojourn.close()
                case AsyncSojourn():
                    await value.close()
                case Sojourn():
                    value.close()


def new_namespace():
    """Make a namespace in which classes find their module."""
    module = ModuleType("page")
    sys.modules["page"] = module
    vars(module)["__builtins__"] = builtins
    return vars(module)


@pytest.mark.parametrize("page", WITH_PYTHON, ids=name_of)
def test_python_blocks_run(page, folder):
    """Every complete Python block of a page runs, and its assertions hold."""
    blocks = [block for block in blocks_of(page, "python") if block.is_executed]
    for block in blocks:
        if block.file:
            (folder / block.file).write_text(block.code)
    asyncio.run(run([block for block in blocks if not block.file], new_namespace()))
    if any(block.file.startswith("test_") for block in blocks):
        run_pytest(folder)


def run_pytest(folder):
    """Have pytest run the test files of a folder, as a reader would."""
    done = subprocess.run(
        [sys.executable, "-m", "pytest", "-q", "-p", "no:cacheprovider", "-p", "no:asyncio"],
        cwd=folder,
        env=environment(),
        capture_output=True,
        text=True,
        check=False,
    )
    assert done.returncode == 0, done.stdout + done.stderr


def test_what_is_not_executed_is_counted():
    """A block is left out only where this says so."""
    counted = {
        page.relative_to(ROOT).as_posix().removeprefix("docs/"): number
        for page in PAGES
        if (number := sum(not block.is_executed for block in blocks_of(page)))
    }
    assert counted == NOT_EXECUTED_BLOCKS
    assert sum(page.read_text().count(NOT_EXECUTED) for page in PAGES) == sum(counted.values())


def test_the_readme_application(folder):
    """The Starlette application of the README signs in and says who it is."""
    first = blocks_of(README, "python")[0]
    assert "Starlette" in first.code
    namespace = new_namespace()
    exec(compile(first.padded, str(README), "exec"), namespace)  # noqa: S102 - the page is ours
    with Client(namespace["app"], namespace["auth"]) as client:
        assert client.get("/me").json()["code"] == "unauthenticated"
        assert client.post("/login").json()["subject"] == "ann"
        assert client.get("/me").json() == {"subject": "ann"}
    assert (folder / "app.db").exists()


def test_the_readme_calls(folder):
    """The curl lines of the README work against its application, served by an ASGI server."""
    needs_curl()
    (folder / "app.py").write_text(blocks_of(README, "python")[0].code)
    (calls,) = (block.code for block in blocks_of(README, "sh") if "curl" in block.code)
    with served(folder, "granian", "--interface", "asgi", "app:app", answers="/") as url:
        told = run_calls(folder, url, calls)
    assert told.endswith('{"subject":"ann"}')


# --- examples/ ------------------------------------------------------------------------------------


def example(name):
    """Import an example."""
    spec = importlib.util.spec_from_file_location(name, ROOT / "examples" / f"{name}.py")
    assert spec is not None
    assert spec.loader is not None
    module = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(module)
    return module


def test_the_starlette_example(folder):
    """A visitor's basket is there after signing in, and the wrong password signs nobody in."""
    notes = example("starlette_notes")
    with Client(notes.app, notes.auth) as client:
        client.post("/basket", json={"item": "tea"})
        wrong = client.post("/login", json={"user": "ann", "password": "a guess"})
        assert wrong.json()["code"] == "invalid_credentials"
        assert client.get("/me").status_code == 401
        right = {"user": "ann", "password": "seven unrelated words"}
        assert client.post("/login", json=right).json()["subject"] == "ann"
        assert client.get("/me").json() == {"subject": "ann"}
        assert client.get("/basket").json() == {"basket": ["tea"]}
        client.post("/logout")
        assert client.get("/me").status_code == 401


@pytest.fixture
def pages(folder):
    """Give the site with pages, with fresh imports."""
    return example("starlette_pages")


def sign_in_with(client, name, password, next_path="/"):
    """Send the sign-in form, and give where it leads."""
    form = {"name": name, "password": password, "next": next_path}
    answer = client.post("/login", data=form, follow_redirects=False)
    return answer.status_code, answer.headers.get("location"), answer.text


def test_the_pages_example_leads_to_the_sign_in_and_back(pages):
    """A visitor of a private page signs in and is there, with the basket; a wrong password is told."""
    with Client(pages.app, pages.auth) as visitor:
        visitor.post("/basket", data={"item": "<tea>"})
        asked = visitor.get("/account?tab=1")
        assert asked.url.path == "/login"
        assert 'value="/account?tab=1"' in asked.text
        status, _, text = sign_in_with(visitor, "ann", "a guess", "/account?tab=1")
        assert (status, "do not belong together" in text) == (401, True)
        assert sign_in_with(visitor, "nobody", "a guess")[2].count("do not belong together") == 1
        right = sign_in_with(visitor, "ann", "seven unrelated words", "/account?tab=1")
        assert right[:2] == (303, "/account?tab=1")
        assert "Your account" in visitor.get("/account?tab=1").text
        assert "&lt;tea&gt;" in visitor.get("/").text
        assert "Sign in" in visitor.post("/logout").text
        assert visitor.get("/account").url.path == "/login"


@pytest.mark.parametrize(
    "elsewhere",
    ["//evil.example", "/\\evil.example", "https://evil.example", "/\t/evil.example", "login", ""],
)
def test_the_pages_example_leads_nowhere_else(pages, elsewhere):
    """`next` is a path of this site, or the first page."""
    with Client(pages.app, pages.auth) as visitor:
        assert (
            'name="next" type="hidden" value="/"'
            in visitor.get("/login", params={"next": elsewhere}).text
        )
        assert sign_in_with(visitor, "ann", "seven unrelated words", elsewhere)[1] == "/"


def test_the_pages_example_has_a_page_per_role(pages):
    """Who has not the role is told so on a page, and not led to sign in again."""
    with Client(pages.app, pages.auth) as client:
        sign_in_with(client, "bob", "another few words here")
        assert client.get("/drafts").status_code == 200
        denied = client.get("/admin")
        assert (denied.status_code, denied.headers["content-type"][:9]) == (403, "text/html")
        sign_in_with(client, "ann", "seven unrelated words")
        assert client.get("/admin").status_code == 200


def test_the_pages_example_signs_out_everywhere(pages):
    """The others are over, or all; whoever held one is told why at the sign-in."""
    with Client(pages.app, pages.auth) as here:
        there = Client(pages.app, pages.auth)
        for client in (here, there):
            sign_in(client, "ann")
        assert "Your account" in here.post("/logout-others").text
        assert "you signed out your other sessions" in there.get("/account").text
        sign_in(there, "ann")
        assert "Sign in" in here.post("/logout-all").text
        assert not here.cookies
        assert "you signed out everywhere" in there.get("/account").text


def test_the_pages_example_purges(pages, monkeypatch):
    """The lifespan of one's own runs within that of `install`: the store is open in it."""
    purged = threading.Event()

    async def purge():
        assert pages.auth.sojourn.core.is_open
        purged.set()

    monkeypatch.setattr(pages.auth.sojourn, "purge", purge)
    with Client(pages.app, pages.auth):
        assert purged.wait(10)


def test_the_wsgi_example(folder):
    """The blocking face serves a WSGI application: sign in, be known, sign out."""
    notes = example("wsgi_notes")
    cookies = {}

    def call(method, path, **environ):
        answer = {}

        def start_response(status, headers):
            answer["status"] = int(status[:3])
            for name, value in headers:
                if name == "Set-Cookie":
                    cookie, _, secret = value.partition(";")[0].partition("=")
                    cookies[cookie] = secret

        header = "; ".join(f"{name}={value}" for name, value in cookies.items() if value)
        base = {"REQUEST_METHOD": method, "PATH_INFO": path, "HTTP_COOKIE": header}
        body = b"".join(notes.application(base | environ, start_response))
        return answer["status"], body

    with notes.auth:
        assert call("GET", "/me")[0] == 401
        assert call("POST", "/login") == (200, b'{"subject": "ann"}')
        assert call("GET", "/me") == (200, b'{"subject": "ann"}')
        foreign = {"HTTP_ORIGIN": "https://elsewhere.example"}
        assert call("POST", "/logout", **foreign)[0] == 403
        assert call("POST", "/logout")[0] == 200
        assert call("GET", "/me")[0] == 401
        assert call("GET", "/nowhere")[0] == 404


def test_every_example_is_tested():
    """No example is left out."""
    names = {path.stem for path in (ROOT / "examples").glob("*.py")}
    assert names == {"starlette_notes", "starlette_pages", "wsgi_notes"}


# --- the server -----------------------------------------------------------------------------------


def needs_curl():
    """Skip a test where there is no curl, but not where everything is demanded."""
    if shutil.which("curl") is None:
        if os.environ.get("SOJOURN_REQUIRE_SERVICES"):
            pytest.fail("curl is needed, and SOJOURN_REQUIRE_SERVICES demands it")
        pytest.skip("needs curl")


@contextmanager
def served(folder, *command, answers="/livez") -> Iterator[str]:
    """Run a server's module in a folder, as the page says, on a free port."""
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        port = probe.getsockname()[1]
    log = folder / "server.log"
    with log.open("wb") as output:
        process = subprocess.Popen(
            [sys.executable, "-m", *command, "--port", str(port)],
            cwd=folder,
            env=environment(),
            stdout=output,
            stderr=output,
        )
    try:
        wait_for(f"http://127.0.0.1:{port}{answers}", process, log)
        yield f"http://127.0.0.1:{port}"
        process.terminate()
        assert process.wait(SERVER_SECONDS) == 0, log.read_text()
    finally:
        if process.poll() is None:
            process.kill()
            process.wait()


def wait_for(url, process, log):
    """Wait until a server answers."""
    deadline = time.monotonic() + SERVER_SECONDS
    while time.monotonic() < deadline and process.poll() is None:
        try:
            with urllib.request.urlopen(url, timeout=1):  # noqa: S310 - loopback
                return
        except urllib.error.HTTPError:
            return
        except (urllib.error.URLError, ConnectionError, TimeoutError):
            time.sleep(0.05)
    raise AssertionError(f"the server does not answer:\n{log.read_text()}")


def run_calls(folder, url, calls):
    """Have bash run calls of a page against a server elsewhere, none of which may be refused."""
    strict = (
        "set -euo pipefail\n"
        'curl() { command curl --fail-with-body -sS "$@"; }\n'
        f'sojourn() {{ "{sys.executable}" -m sojourn.cli "$@"; }}\n'
    )
    done = subprocess.run(
        ["bash", "-c", (strict + calls).replace("http://127.0.0.1:8000", url)],
        cwd=folder,
        env=environment(),
        capture_output=True,
        text=True,
        check=False,
    )
    assert done.returncode == 0, done.stdout + done.stderr
    return done.stdout


def test_shell_blocks_of_the_server_run(folder):
    """The curl calls of server.md work in order against a new server, and none is refused."""
    needs_curl()
    blocks = [block for block in blocks_of(DOCS / "server.md", "sh") if block.is_executed]
    assert len(blocks) >= 2
    with served(folder, "sojourn.cli", "serve") as url:
        told = run_calls(folder, url, "\n".join(block.code for block in blocks))
    assert '"subject":' in told
    assert '"lines":[' in told
    assert "event: heartbeat" in told


def test_the_command_line_finds_a_librarys_own_database(folder):
    """Sessions of an application's database are listed and ended by their subject, as cli.md says."""
    with Sojourn("sqlite:///app.db", url="http://127.0.0.1:8000") as auth:
        signed_in = auth.login(Incoming(), "ann", transport="bearer")
        bearer = Incoming(authorization=f"Bearer {signed_in.access_token}")
        (calls,) = (b.code for b in blocks_of(DOCS / "cli.md", "sh") if "SOJOURN_STORE" in b.code)
        assert signed_in.principal.sid in run_calls(folder, "", calls)
        asking = Need.of(max_lag=timedelta(0))
        assert auth.check(bearer, need=asking).refusal.code == "revoked"


def test_configuration_files_load(folder):
    """The TOML examples are configurations the server takes."""
    blocks = [block for page in PAGES for block in blocks_of(page, "toml")]
    assert blocks
    for block in blocks:
        secret_file = folder / "secret"
        secret_file.write_text("a-secret-of-the-documentation-0123456789\n")
        named = tomllib.loads(block.code)["secret_file"]
        (folder / "sojourn.toml").write_text(block.code.replace(named, str(secret_file)))
        config = load_config(environ={"SOJOURN_CONFIG": str(folder / "sojourn.toml")})
        assert config.settings.url == "https://auth.example.com"
        assert config.is_open is False
