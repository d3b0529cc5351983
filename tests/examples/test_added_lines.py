"""Adding Sojourn to an application costs at most 15 lines."""

from __future__ import annotations

import difflib

import httpx2
import pytest
from examples.applications import EXAMPLES, SERVERS, running

MOST_LINES = 15
OWN_VIEWS = "# --- signing in and out: the application's own views "
NEXT_PART = "# --- "


def lines_of(name: str, file: str) -> list[str]:
    """Give an application's lines, without its docstring, blank lines and its own views' code."""
    lines, is_own = [], False
    for line in (EXAMPLES / name / file).read_text().partition("\n")[2].splitlines():
        if line.startswith(NEXT_PART):
            is_own = line.startswith(OWN_VIEWS)
        elif line.strip() and (not is_own or line.startswith(("import ", "from "))):
            lines.append(line)
    return lines


@pytest.mark.parametrize("name", SERVERS)
def test_at_most_fifteen_lines_are_added(name):
    """What the notes application gains with Sojourn, imports and changed lines counted, is little.

    Compared are `without_sojourn.py` and `app.py`, formatted alike. Left out is what an application
    adds for itself, whatever keeps its people signed in: the forms and views for signing in and out,
    devices, the password and the administrator, with their addresses. They stand together, below
    "signing in and out: the application's own views", up to the next such line. What they import is
    counted; guarding the notes' own views, and showing who is signed in, is too.
    """
    difference = difflib.unified_diff(
        lines_of(name, "without_sojourn.py"), lines_of(name, "app.py"), n=0, lineterm=""
    )
    added = [line[1:] for line in difference if line.startswith("+") and line[:3] != "+++"]
    print(f"{name}: {len(added)} lines are added")
    print(*added, sep="\n")
    assert 0 < len(added) <= MOST_LINES


@pytest.mark.parametrize("name", SERVERS)
def test_the_application_without_sojourn_works(name, tmp_path):
    """What Sojourn is added to is a working application that knows nothing of it."""
    source = (EXAMPLES / name / "without_sojourn.py").read_text().partition("\n")[2]
    assert "sojourn" not in source.lower()
    with (
        running(name, "session", tmp_path, module="without_sojourn") as application,
        httpx2.Client(base_url=application.url) as client,
    ):
        note = client.post("/notes", json={"text": "buy tea"}).json()
        assert {"notes": [note]} == client.get("/").json()
        assert "buy tea" in client.get("/", headers={"Accept": "text/html"}).text
        assert client.post("/notes", json={}).status_code == 400
        assert client.post(f"/notes/{note['id']}/delete").status_code == 200
        assert client.post(f"/notes/{note['id']}/delete").status_code == 404
        assert {"deleted": 0} == client.post("/notes/clear").json()
