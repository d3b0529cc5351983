"""An application's own tests, in Django's runner and in pytest-django, run as its developers run them."""

from __future__ import annotations

import re

import pytest
from django_databases import postgres_settings, wal_settings
from django_project import PROJECT, number_of_tests, run

CASES = sorted((PROJECT / "suite").glob("cases_*.py"))


@pytest.mark.parametrize("kind", ["in memory", "postgres"])
def test_djangos_runner(kind, tmp_path):
    """Every case of the suite runs and passes, on the sessions of Django's own database."""
    database = None
    if kind == "postgres":
        # The runner makes a database of its own beside this one, and drops it.
        database = postgres_settings(tmp_path) | {"OPTIONS": {}}
    printed = run("manage.py", "test", "--pattern", "cases_*.py", database=database)
    assert int(re.findall(r"Ran (\d+) tests", printed)[0]) == number_of_tests(*CASES)


def test_pytest_django():
    """The fixtures of pytest-django work as ever."""
    file = PROJECT / "suite" / "pytest_cases.py"
    printed = run("-m", "pytest", "-q", str(file))
    assert f"{number_of_tests(file)} passed" in printed


@pytest.mark.parametrize("kind", ["sqlite", "postgres"])
def test_migrations_are_complete(kind, tmp_path):
    """`makemigrations` finds nothing to do, and `check` nothing to say, once `migrate` has run."""
    settings = wal_settings(tmp_path) if kind == "sqlite" else postgres_settings(tmp_path)
    printed = run("manage.py", "migrate", "--verbosity=0", database=settings)
    assert "sojourn.W008" not in printed  # it is what makes the tables
    printed = run("manage.py", "makemigrations", "--check", "--dry-run", database=settings)
    assert "No changes detected" in printed
    printed = run("manage.py", "check", "--database", "default", database=settings)
    assert "no issues" in printed


def test_missing_tables_are_told(tmp_path):
    """`check --database` names the remedy."""
    printed = run("manage.py", "check", "--database", "default", database=wal_settings(tmp_path))
    assert "sojourn.W008" in printed
    assert "manage.py migrate sojourn" in printed
