"""The generated parts of docs/ are what the code says today."""

import sys

from docs.pages import DOCS, ROOT

sys.path.insert(0, str(ROOT / "tools"))

import references


def test_generated_parts_are_current():
    """`python tools/references.py --check` finds nothing stale."""
    stale = [page.name for page in references.stale_pages()]
    assert stale == [], "run: python tools/references.py"


def test_every_generated_part_has_its_place():
    """Each part the tool can write stands in exactly one page."""
    used = [name for page in DOCS.glob("*.md") for name in references.blocks_in(page.read_text())]
    assert sorted(used) == sorted(references.BLOCKS)


def test_a_stale_page_is_found(tmp_path):
    """A page whose part says something else is found, with what it should say."""
    page = tmp_path / "page.md"
    page.write_text("before\n<!-- generated: default-lives -->\nold\n<!-- end -->\nafter\n")
    (text,) = references.stale_pages(tmp_path).values()
    assert text.startswith("before\n<!-- generated: default-lives -->\n\n| Mode |")
    assert text.endswith("<!-- end -->\nafter\n")
    page.write_text(text)
    assert references.stale_pages(tmp_path) == {}
