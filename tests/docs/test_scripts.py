"""The JavaScript of the pages: it can be parsed, and calls only what the client has."""

import re
import shutil
import subprocess

import pytest
from docs.pages import PAGES, ROOT, blocks_of, name_of
from services import absent

CLIENT = (ROOT / "clients" / "javascript" / "sojourn.d.ts").read_text(encoding="utf-8")
MEMBERS = set(re.findall(r"^  (\w+)\(", CLIENT.partition("interface Client {")[2], re.MULTILINE))
SCRIPTS = ("js", "javascript", "jsx")
WITH_SCRIPTS = [page for page in PAGES if blocks_of(page, *SCRIPTS)]


@pytest.mark.node
@pytest.mark.parametrize("page", WITH_SCRIPTS, ids=name_of)
def test_scripts_parse(page, tmp_path):
    """Each block of JavaScript is a module that Node.js can read."""
    node = shutil.which("node") or absent("there is no Node.js")
    for number, block in enumerate(blocks_of(page, "js", "javascript")):
        module = tmp_path / f"block{number}.mjs"
        module.write_text(block.code)
        done = subprocess.run(
            [node, "--check", module], capture_output=True, text=True, check=False
        )
        assert done.returncode == 0, f"line {block.line}: {done.stderr}"


@pytest.mark.parametrize("page", WITH_SCRIPTS, ids=name_of)
def test_scripts_call_what_the_client_has(page):
    """Where a page's client is called `auth`, each call of it is one the client declares."""
    assert {"fetch", "login", "session", "logoutAll", "addEventListener"} <= MEMBERS
    code = "".join(block.code for block in blocks_of(page, *SCRIPTS))
    assert set(re.findall(r"\bauth\.(\w+)\(", code)) <= MEMBERS
