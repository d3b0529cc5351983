"""`./run --check`, which the README sends people to first, holds what it says."""

import subprocess
import sys
from pathlib import Path

ROOT = Path(__file__).resolve().parents[2]


def test_every_step_holds(tmp_path):
    """It goes through every mode and transport as a client, and ends with "every step held"."""
    done = subprocess.run(
        [sys.executable, ROOT / "tools" / "check.py"],
        cwd=tmp_path,
        capture_output=True,
        text=True,
        timeout=300,
        check=False,
    )
    assert (0, "every step held") == (done.returncode, done.stdout.strip().splitlines()[-1])
