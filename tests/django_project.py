"""Running the project of these tests: its commands, its tests and its servers, in processes of their own.

Django's settings are a process's own, and no other test is to have them.
"""

from __future__ import annotations

import ast
import json
import os
import subprocess
import sys
from pathlib import Path

import sojourn

PROJECT = Path(__file__).parent / "django" / "project"
SECONDS = 300


def environment(*, database: dict | None = None, store: str = "", url: str = "", **more: str):
    """Give the environment of a process: the package under test, the project, and nothing of Sojourn.

    Args:
        database: The project's, as in ``DATABASES``; SQLite in memory by default.
        store: ``SOJOURN["STORE"]``.
        url: ``SOJOURN["URL"]``.
        **more: What else.
    """
    inherited = {k: v for k, v in os.environ.items() if not k.startswith(("SOJOURN_", "PROJECT_"))}
    paths = (str(Path(sojourn.__file__).parents[1]), str(PROJECT))
    own = {
        "PYTHONPATH": os.pathsep.join(paths),
        "PYTHONDONTWRITEBYTECODE": "1",
        "DJANGO_SETTINGS_MODULE": "settings",
    }
    if database is not None:
        own["PROJECT_DATABASE"] = json.dumps(database)
    if store:
        own["PROJECT_STORE"] = store
    if url:
        own["PROJECT_URL"] = url
    return inherited | own | more


def run(*command: str, **env) -> str:
    """Run Python in the project, with every warning an error, and give what it printed."""
    done = subprocess.run(
        [sys.executable, "-W", "error", *command],
        cwd=PROJECT,
        env=environment(**env),
        capture_output=True,
        text=True,
        timeout=SECONDS,
        check=False,
    )
    printed = done.stdout + done.stderr
    assert done.returncode == 0, printed[-10_000:]
    return printed


def number_of_tests(*files: Path) -> int:
    """Count the tests that files define, by reading them."""
    return sum(
        _is_test(statement)
        for file in files
        for node in ast.walk(ast.parse(file.read_text()))
        if isinstance(node, ast.ClassDef | ast.Module)
        for statement in node.body
    )


def _is_test(statement: ast.stmt) -> bool:
    match statement:
        case ast.FunctionDef(name=name) | ast.AsyncFunctionDef(name=name):
            return name.startswith("test_")
        case ast.Assign(targets=[ast.Name(id=name)]):
            return name.startswith("test_")
    return False
