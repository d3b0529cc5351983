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
import inspect
import os
import shutil
import socket
import subprocess
import sys
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
from flask import Flask

import sojourn
from sojourn import AsyncSojourn, Incoming, Need, Sojourn, wsgi
from sojourn.server.config import load_config
from sojourn.starlette import Auth
from sojourn.testing import Client

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
                case wsgi.Auth():
                    value.sojourn.close()
                case Flask(extensions={"sojourn": _}):
                    value.extensions["sojourn"].guard.checker.close()


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
    """The FastAPI application of the README signs in and says who it is."""
    first = blocks_of(README, "python")[0]
    assert "FastAPI" in first.code
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
