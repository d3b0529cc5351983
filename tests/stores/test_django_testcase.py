"""An application's own tests, under Django's test runner: their rollbacks are rollbacks."""

import json
import os
import subprocess
import sys
from pathlib import Path

import pytest
from django_databases import KINDS
from services import new_namespace

TESTS = Path(__file__).parent
LIMIT_SECONDS = 120


@pytest.mark.parametrize("kind", ["memory", "sqlite", "postgres"])
def test_django_tests_roll_back(kind, tmp_path):
    """`TestCase` leaves no row and no memory of one; the test database can be made and dropped."""
    environment = {k: v for k, v in os.environ.items() if not k.startswith("SOJOURN_")}
    environment["DJANGO_SETTINGS_MODULE"] = "django_settings"
    environment["PYTHONPATH"] = os.pathsep.join(
        [str(TESTS), str(TESTS.parent), *filter(None, [os.environ.get("PYTHONPATH")])]
    )
    if kind != "memory":
        settings = KINDS[kind](tmp_path)
        settings.pop("OPTIONS", None)  # a schema, which the test database has not
        settings["TEST"] = {"NAME": f"{settings['NAME']}_{new_namespace()}"}
        environment["DJANGO_TEST_DATABASE"] = json.dumps(settings)
    done = subprocess.run(
        [sys.executable, "-W", "error", "-m", "django", "test", "django_cases", "--noinput"],
        check=False,
        capture_output=True,
        text=True,
        cwd=tmp_path,
        env=environment,
        timeout=LIMIT_SECONDS,
    )
    assert done.returncode == 0, done.stderr
    assert "Ran 20 tests" in done.stderr
    assert "feed" not in done.stderr, "a rollback was worth a warning"
