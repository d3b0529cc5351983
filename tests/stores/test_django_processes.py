"""Several processes of one Django project, with several threads each, on one handle."""

import collections
import json
import os
import secrets
import subprocess
import sys
from pathlib import Path

import pytest
from django.db import connections
from django_databases import KINDS, database
from faults.processes import ending, results_of, wait_until_ready
from stores.django_refresher import URL

from sojourn import Incoming, Sojourn

PROGRAM = Path(__file__).with_name("django_refresher.py")
SECRET = secrets.token_urlsafe(48)
PROCESSES, THREADS, COUNT = 4, 4, 25
TOTAL = PROCESSES * THREADS * COUNT


def start(settings, handle, grace_seconds):
    environment = {k: v for k, v in os.environ.items() if not k.startswith("SOJOURN_")}
    paths = [str(PROGRAM.parents[1]), *filter(None, [os.environ.get("PYTHONPATH")])]
    return subprocess.Popen(
        [sys.executable, PROGRAM, handle, str(COUNT), str(THREADS), str(grace_seconds)],
        env=environment
        | {
            "DJANGO_SETTINGS_MODULE": "django_settings",
            "DJANGO_TEST_DATABASE": json.dumps(settings),
            "PYTHONPATH": os.pathsep.join(paths),
            "SOJOURN_SECRET": SECRET,
        },
        text=True,
        stdin=subprocess.PIPE,
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
    )


@pytest.mark.parametrize("kind", ["sqlite", "sqlite-wal", "postgres"])
@pytest.mark.parametrize(("grace_seconds", "wins"), [(60, TOTAL), (0, 1)])
def test_one_handle_from_four_processes(kind, grace_seconds, wins, tmp_path):
    """One successor exists: all get it within the window, and one of all without one."""
    settings = KINDS[kind](tmp_path)
    with database(settings) as alias:
        options = {"mode": "hybrid", "url": URL, "secret": SECRET}
        with Sojourn(f"django://{alias}", grace_seconds=grace_seconds, **options) as auth:
            signed_in = auth.login(Incoming(), "ann", transport="bearer")
        connections.close_all()
        children = [
            start(settings, signed_in.refresh_token, grace_seconds) for _ in range(PROCESSES)
        ]
        with ending(children):
            wait_until_ready(children)
            for child in children:
                child.stdin.write("go\n")
                child.stdin.flush()
            results = [json.loads(printed) for printed in results_of(children)]
    outcomes = collections.Counter()
    for result in results:
        outcomes.update(result["outcomes"])
    successors = {successor for result in results for successor in result["successors"]}
    print(f"{kind}, {grace_seconds} s of grace: {dict(outcomes)}, {len(successors)} successor(s)")
    assert (TOTAL, wins, 1) == (outcomes.total(), outcomes["ok"], len(successors))
    assert {"ok", "refresh_late"} >= set(outcomes)
