"""Each quickstart, pasted as it stands into an empty folder, works.

Its files are written, its server is started as the page says, its calls are made, and what they print
is what the page shows (`…` stands for anything). The port is another one, and what `pip install`
would install is there already.
"""

import os
import re
import shutil
import signal
import socket
import subprocess
import sysconfig
import time
import urllib.error
import urllib.request
from contextlib import contextmanager
from pathlib import Path

import pytest
from docs.pages import DOCS, blocks_of, name_of

import sojourn

PAGES = sorted((DOCS / "quickstart").glob("*.md"))
INSTALL, PREPARE, SERVE, CALLS = (
    f"<!-- {name} -->" for name in ("install", "prepare", "serve", "calls")
)
SERVER_SECONDS = 30
PORT = "8000"


def environment():
    """Give what a reader has after the installation, and nothing else of Sojourn."""
    mine = {name: value for name, value in os.environ.items() if not name.startswith("SOJOURN_")}
    path = os.pathsep.join([sysconfig.get_path("scripts"), os.environ["PATH"]])
    return mine | {"PATH": path, "PYTHONPATH": str(Path(sojourn.__file__).parents[1])}


def bash(folder, commands):
    """Have bash run commands in a folder, none of which may fail; give what they print."""
    done = subprocess.run(
        ["bash", "-euo", "pipefail", "-c", commands],
        cwd=folder,
        env=environment(),
        capture_output=True,
        text=True,
        check=False,
    )
    assert done.returncode == 0, done.stdout + done.stderr
    return done.stdout


@contextmanager
def served(folder, command, url):
    """Run a server as the page says, in a group of its own, until the calls are made."""
    log = folder.with_suffix(".log")
    with log.open("wb") as output:
        process = subprocess.Popen(
            ["bash", "-c", f"exec {command}"],
            cwd=folder,
            env=environment(),
            stdout=output,
            stderr=output,
            start_new_session=True,
        )
    try:
        wait_for(url, process, log)
        yield log
    finally:
        os.killpg(process.pid, signal.SIGTERM)
        try:
            process.wait(SERVER_SECONDS)
        except subprocess.TimeoutExpired:
            os.killpg(process.pid, signal.SIGKILL)
            process.wait()


def wait_for(url, process, log):
    """Wait until a server answers, whatever it says."""
    deadline = time.monotonic() + SERVER_SECONDS
    while time.monotonic() < deadline and process.poll() is None:
        try:
            with urllib.request.urlopen(url, timeout=1):  # noqa: S310 - loopback
                return
        except urllib.error.HTTPError as answered:
            answered.close()
            return
        except (urllib.error.URLError, ConnectionError, TimeoutError):
            time.sleep(0.05)
    raise AssertionError(f"the server does not answer:\n{log.read_text()}")


def free_port():
    """Find a port nobody listens on."""
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        return str(probe.getsockname()[1])


def shown_after(blocks, calls):
    """Give what the page shows below calls, where it shows something."""
    following = blocks[blocks.index(calls) + 1 :][:1]
    return following[0].code if following and following[0].language == "text" else None


def matches(shown, printed):
    """Tell whether what was printed is what is shown, with `…` for anything."""
    pattern = ".*".join(re.escape(part) for part in shown.strip().split("…"))
    return re.fullmatch(pattern, printed.strip(), re.DOTALL) is not None


@pytest.mark.parametrize("page", PAGES, ids=name_of)
def test_a_quickstart_works_as_it_stands(page, tmp_path):
    """Pasted into an empty folder, started and called, it does what it says it does."""
    if shutil.which("curl") is None:
        if os.environ.get("SOJOURN_REQUIRE_SERVICES"):
            pytest.fail("curl is needed, and SOJOURN_REQUIRE_SERVICES demands it")
        pytest.skip("needs curl")
    folder, port = tmp_path / "empty", free_port()
    folder.mkdir()
    blocks = blocks_of(page)
    assert all(b.mark in {INSTALL, PREPARE, SERVE, CALLS} for b in blocks if b.language == "sh")
    for block in blocks:
        if block.file:
            (folder / block.file).parent.mkdir(exist_ok=True)
            (folder / block.file).write_text(block.code.replace(PORT, port))
        if block.mark == PREPARE:
            bash(folder, block.code.replace(PORT, port))
    (serve,) = (block.code for block in blocks if block.mark == SERVE)
    all_calls = [block for block in blocks if block.mark == CALLS]
    assert sum(shown_after(blocks, calls) is not None for calls in all_calls) >= 2
    with served(folder, serve.replace(PORT, port), f"http://127.0.0.1:{port}/") as log:
        for calls in all_calls:
            quiet = calls.code.replace("curl ", "curl -sS ").replace(PORT, port)
            printed, shown = bash(folder, quiet), shown_after(blocks, calls)
            if shown is not None:
                assert matches(shown, printed), f"{shown}\n{printed}\n{log.read_text()}"


@pytest.mark.parametrize("page", PAGES, ids=name_of)
def test_a_quickstart_installs_what_it_needs(page):
    """The installation names the checkout with an extra that exists."""
    (install,) = (block.code for block in blocks_of(page, "sh") if block.mark == INSTALL)
    (extra,) = re.findall(r"'/path/to/sojourn\[(\w+)\]'|'/path/to/sojourn'", install)
    project = (DOCS.parent / "pyproject.toml").read_text(encoding="utf-8")
    assert not extra or re.search(rf"^{extra} = \[", project, re.MULTILINE)


def test_the_comparison_finds_a_difference():
    """`…` stands for anything, and everything else is compared."""
    assert matches('{"sid":"…","a":1}\n', '{"sid":"x","a":1}')
    assert not matches('{"sid":"…","a":1}', '{"sid":"x","a":2}')
