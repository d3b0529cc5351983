"""Django's own tests of a session engine, from its sdist, pass for ours on every kind of store.

They are not in the wheel. Nothing of them is kept here but in pytest's cache.
"""

from __future__ import annotations

import re
import subprocess
import sys
import tarfile
from pathlib import Path

import django
import pytest
from django_project import run
from services import absent

TESTS = 65
"""What `SessionTestsMixin` of Django 5.2 holds."""


@pytest.fixture(scope="session")
def django_tests(request, tmp_path_factory) -> Path:
    """The folder ``tests`` of the sdist of the very Django that is installed."""
    version = django.__version__
    cache = getattr(request.config, "cache", None)
    kept = cache.mkdir("django") if cache else tmp_path_factory.mktemp("django")
    home = kept / f"django-{version}"
    if not (home / "tests" / "sessions_tests").is_dir():
        fresh = tmp_path_factory.mktemp("sdist")
        command = ("-m", "pip", "download", "--no-binary", ":all:", "--no-deps", "--quiet")
        fetched = subprocess.run(
            [sys.executable, *command, "--dest", str(fresh), f"django=={version}"],
            capture_output=True,
            timeout=600,
            check=False,
        )
        archives = list(fresh.glob("*.tar.gz"))
        if fetched.returncode != 0 or not archives:
            absent(f"pip cannot fetch the sdist of Django {version}")
        with tarfile.open(archives[0]) as archive:
            archive.extractall(fresh, filter="data")
        (unpacked,) = (path for path in fresh.iterdir() if path.is_dir())
        if not home.exists():  # another worker may have been quicker
            (fresh / unpacked.name).rename(home)
    return home / "tests"


@pytest.mark.parametrize("kind", ["django", "memory", "sqlite"])
def test_djangos_own_tests(kind, django_tests, tmp_path):
    """`SessionTestsMixin`, in both the blocking and the asynchronous half."""
    store = {
        "django": "django://default",
        "memory": "memory://",
        "sqlite": f"sqlite:///{tmp_path / 'sessions.db'}",
    }[kind]
    printed = run(
        "manage.py",
        "test",
        "suite.djangos_own",
        store=store,
        PROJECT_DJANGO_TESTS=str(django_tests),
    )
    assert [str(TESTS)] == re.findall(r"Ran (\d+) tests", printed)
