"""What examples/README.md says can be typed, works."""

from __future__ import annotations

import os
import re
import shutil
import subprocess

import pytest
from examples.applications import EXAMPLES, SERVERS

README = (EXAMPLES / "README.md").read_text()
BLOCKS = re.findall(r"^```sh\n(.*?)^```$", README, re.MULTILINE | re.DOTALL)


def test_the_calls_work(application, tmp_path):
    """The curl calls work in order against each application, and none is refused."""
    if shutil.which("curl") is None:
        if os.environ.get("SOJOURN_REQUIRE_SERVICES"):
            pytest.fail("curl is needed, and SOJOURN_REQUIRE_SERVICES demands it")
        pytest.skip("needs curl")
    if application.mode == "jwt":  # keeps no list of devices
        return
    (calls,) = [block for block in BLOCKS if "curl" in block]
    done = subprocess.run(
        ["bash", "-euc", 'curl() { command curl --fail-with-body -sS "$@"; }\n'
         + calls.replace("http://127.0.0.1:8000", application.url)],
        cwd=tmp_path, capture_output=True, text=True, check=False,
    )  # fmt: skip
    assert done.returncode == 0, done.stdout + done.stderr
    assert '"buy tea"' in done.stdout
    assert '"devices":' in done.stdout


def test_every_application_is_listed():
    """Each is named with its files, and the commands are those there are."""
    linked = set(re.findall(r"\]\((\w+)/app\.py\)", README))
    assert set(SERVERS) == linked
    for command in re.findall(r"examples/(\w+)/run", README):
        assert (EXAMPLES / command / "run").exists()
    for path in re.findall(r"\]\(([\w./-]+)\)", README):
        assert (EXAMPLES / path).exists(), path
