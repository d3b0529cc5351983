"""What the documents point to is there: pages, headings, files, tests."""

import ast
import re

import pytest
from docs.pages import DOCS, ROOT, name_of

DOCUMENTS = [*sorted(ROOT.glob("*.md")), *sorted(DOCS.rglob("*.md"))]
SRC = ROOT / "src" / "sojourn"

_LINK = re.compile(r"\[[^\]]*\]\(([^)\s]+)\)")
_HEADING = re.compile(r"^#+ (.*)$", re.MULTILINE)
_FENCE = re.compile(r"^```.*?^```$", re.MULTILINE | re.DOTALL)
_PATH = re.compile(r"`((?:src|tests|tools|docs|examples|bench)/[\w./-]*)(?:::(\w+))?`")


def prose(path):
    """Read a document without its code blocks."""
    return _FENCE.sub("", path.read_text(encoding="utf-8"))


def anchors(path):
    """Give the anchors of a document's headings, as Markdown hosts make them."""
    titles = [title.replace("`", "") for title in _HEADING.findall(prose(path))]
    return {re.sub(r"[^\w\- ]", "", title.lower()).replace(" ", "-") for title in titles}


def broken_links(path):
    """Find the relative links of a document that lead nowhere."""
    broken = []
    for link in _LINK.findall(prose(path)):
        target, _, anchor = link.partition("#")
        if "://" in target:
            continue
        file = (path.parent / target).resolve() if target else path
        if not file.exists() or (anchor and anchor not in anchors(file)):
            broken.append(link)
    return broken


def functions_in(path):
    """Name the functions of a file."""
    tree = ast.parse(path.read_text(encoding="utf-8"))
    kinds = (ast.FunctionDef, ast.AsyncFunctionDef)
    return {node.name for node in ast.walk(tree) if isinstance(node, kinds)}


def missing_paths(path):
    """Find the files and tests that a document names and that are not there."""
    missing = []
    for name, test in _PATH.findall(prose(path)):
        file = ROOT / name
        if not file.exists() or (test and test not in functions_in(file)):
            missing.append(f"{name}::{test}" if test else name)
    return missing


@pytest.mark.parametrize("path", DOCUMENTS, ids=name_of)
def test_links_lead_somewhere(path):
    """Each relative link leads to a file that exists, and to a heading it has."""
    assert broken_links(path) == []


@pytest.mark.parametrize("path", DOCUMENTS, ids=name_of)
def test_named_files_and_tests_exist(path):
    """Each path of the repository in backticks exists, and each test that is named after it."""
    assert missing_paths(path) == []


def test_each_of_the_twelve_checks_has_its_test():
    """security.md has the twelve checks of a token, each with tests that are there."""
    text = (DOCS / "security.md").read_text(encoding="utf-8")
    table = text.partition("\n## The twelve checks of a token\n")[2].partition("\n## ")[0]
    rows = re.findall(r"^\| (\d+) \| .*$", table, re.MULTILINE)
    assert rows == [str(number) for number in range(1, 13)]
    for row in re.findall(r"^\| \d+ \| .*$", table, re.MULTILINE):
        tests = [(name, test) for name, test in _PATH.findall(row) if test]
        assert tests, row
        assert [name for name, test in tests if test not in functions_in(ROOT / name)] == []


def test_where_to_change_what_is_there():
    """Each place that CONTRIBUTING.md sends somebody to exists."""
    text = (ROOT / "CONTRIBUTING.md").read_text(encoding="utf-8")
    rows = [line for line in text.splitlines() if line.startswith("| ") and " | " in line]
    places = [
        place.removeprefix("src/sojourn/")
        for row in rows
        for place in re.findall(r"`([\w./]+(?:\.py|/))`", row.split(" | ")[1])
    ]
    assert len(places) > 20
    assert [place for place in places if not (SRC / place).exists()] == []


def test_the_checks_find_what_is_broken(tmp_path):
    """A link or name that leads nowhere is found."""
    page = tmp_path / "page.md"
    page.write_text(
        "# A title\n[good](#a-title) [bad](#another) [gone](gone.md)\n"
        "`tests/docs/pages.py::blocks_of` `tests/docs/pages.py::no_such` `src/gone.py`\n"
        "```sh\n[not a link](here.md)\n```\n"
    )
    assert broken_links(page) == ["#another", "gone.md"]
    assert missing_paths(page) == ["tests/docs/pages.py::no_such", "src/gone.py"]
