"""The worked example of many services does what it prints."""

import re
import subprocess
from pathlib import Path

import pytest
from services_postgres import find_postgres
from services_valkey import find_valkey

EXAMPLE = Path(__file__).parents[2] / "examples" / "many-services" / "run"


@pytest.mark.slow
def test_each_service_refuses_within_the_bound():
    """One command starts everything, signs in, revokes, and every service refuses within a second."""
    find_valkey(), find_postgres()
    done = subprocess.run(
        [EXAMPLE, "--times", "3"], capture_output=True, text=True, timeout=120, check=False
    )
    assert done.returncode == 0, done.stderr
    print(done.stdout)
    rows = re.findall(r"^ *\d+ +([\d.]+) +([\d.]+) +([\d.]+)$", done.stdout, re.MULTILINE)
    assert len(rows) == 3
    assert all(float(milliseconds) < 1000 for row in rows for milliseconds in row)
