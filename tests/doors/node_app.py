"""The old application in Node.js: installed once, started for a test, ended after it."""

import json
import shutil
import subprocess
import tempfile
from contextlib import contextmanager
from pathlib import Path

import httpx2
from services import absent

FOLDER = Path(__file__).parent / "node"
INSTALL = ["npm", "install", "--no-package-lock", "--ignore-scripts", "--no-audit", "--no-fund"]


def installed(kept):
    """Give a folder with the packages, installed there when they were not yet.

    Args:
        kept: Where it stays from one run to the next.
    """
    if not shutil.which("node") or not shutil.which("npm"):
        absent("Node.js and npm are not installed")
    wanted = json.loads((FOLDER / "package.json").read_text())["dependencies"]
    home = kept / "-".join(wanted.values())
    if not home.exists():
        with tempfile.TemporaryDirectory(dir=kept) as folder:
            fresh = Path(folder) / "home"
            shutil.copytree(FOLDER, fresh)
            done = subprocess.run(INSTALL, cwd=fresh, capture_output=True, timeout=300, check=False)
            if done.returncode != 0:
                absent("npm cannot install express-session and connect-redis")
            if not home.exists():  # another worker may have been quicker
                fresh.rename(home)
    shutil.copyfile(FOLDER / "old_app.mjs", home / "old_app.mjs")
    return home


@contextmanager
def serving(home, **options):
    """Run the application; gives a client of it."""
    process = subprocess.Popen(
        ["node", "old_app.mjs", json.dumps(options)], cwd=home, stdout=subprocess.PIPE, text=True
    )
    try:
        port = process.stdout.readline().strip()
        assert port, "the application does not start"
        with httpx2.Client(base_url=f"http://127.0.0.1:{port}") as client:
            yield client
    finally:
        process.kill()
        process.communicate()
