"""Each application is started by one command."""

from __future__ import annotations

import os
import signal
import subprocess
import sys
from pathlib import Path

import httpx2
import pytest
from examples.applications import EXAMPLES, ROOT, SERVERS, wait_until_it_answers
from servers import STOP_SECONDS, free_port


@pytest.fixture
def checkout(tmp_path) -> Path:
    """A checkout whose dependencies are there: what is under test is installed once, before all tests."""
    folder = tmp_path / "checkout"
    (folder / "tools").mkdir(parents=True)
    for part in ("examples", "src"):
        (folder / part).symlink_to(ROOT / part)
    prepared = f'prepare_environment() {{ python="{sys.executable}"; }}\n'
    (folder / "tools" / "environment.sh").write_text(prepared)
    return folder


@pytest.mark.parametrize("name", SERVERS)
def test_one_command_starts_it(name, checkout, tmp_path):
    """`examples/NAME/run` serves the application from a checkout, and ends when it is asked to."""
    port, log = free_port(), tmp_path / "log"
    inherited = {k: v for k, v in os.environ.items() if not k.startswith(("SOJOURN_", "PYTHON"))}
    own = {"PORT": str(port), "NOTES_DATABASE": str(tmp_path / "notes.db")}
    with log.open("wb") as output:
        process = subprocess.Popen(
            [checkout / "examples" / name / "run"],
            cwd=tmp_path,
            env=inherited | own | {"SOJOURN_DATA": str(tmp_path / "data")},
            stdout=output,
            stderr=output,
        )
    url = f"http://127.0.0.1:{port}"
    try:
        wait_until_it_answers(url, process, log)
        with httpx2.Client(base_url=url) as client:
            ann = {"name": "ann", "password": "seven unrelated words"}
            assert client.post("/login", json=ann).status_code == 200
            me = client.get("/me").json()
            assert ("ann", ["admin"]) == (me["name"], me["roles"])
        assert url in log.read_text()
        process.send_signal(signal.SIGTERM)
        process.wait(STOP_SECONDS)
    finally:
        if process.poll() is None:
            process.kill()
            process.wait()


def test_every_example_is_tested():
    """No application is left out, and each has its parts."""
    folders = {app.parent.name for app in EXAMPLES.glob("*/app.py")}
    assert set(SERVERS) == folders
    for name in folders:
        for part in ("run", "without_sojourn.py"):
            assert (EXAMPLES / name / part).exists(), f"{name}/{part}"
