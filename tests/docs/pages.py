"""Reading the pages: their code blocks, and how each is marked."""

from __future__ import annotations

import re
from dataclasses import dataclass
from pathlib import Path

ROOT = Path(__file__).resolve().parents[2]
DOCS = ROOT / "docs"
PAGES = [ROOT / "README.md", *sorted(DOCS.rglob("*.md"))]
NOT_EXECUTED = "<!-- not executed -->"

_FILE = re.compile(r"<!-- file: ([\w./-]+) -->")
_FENCE = re.compile(r"^```(\w+)\n(.*?)^```$", re.MULTILINE | re.DOTALL)


@dataclass(frozen=True)
class Block:
    """A code block.

    Args:
        page: Where it stands.
        line: The line of its first code, from 1.
        language: As after the fence.
        code: What is in it.
        mark: The comment on the line before it; empty for none.
    """

    page: Path
    line: int
    language: str
    code: str
    mark: str

    @property
    def is_executed(self) -> bool:
        """Whether the page lets it be executed."""
        return self.mark != NOT_EXECUTED

    @property
    def file(self) -> str:
        """The file it stands for; empty where it is executed as it is."""
        match = _FILE.fullmatch(self.mark)
        return match[1] if match else ""

    @property
    def padded(self) -> str:
        """The code behind as many lines as stand before it, so that tracebacks point to the page."""
        return "\n" * (self.line - 1) + self.code


def blocks_of(page: Path, *languages: str) -> list[Block]:
    """Give the blocks of a page in some languages."""
    text = page.read_text(encoding="utf-8")
    found = []
    for fence in _FENCE.finditer(text):
        before = text[: fence.start()].rstrip("\n").rpartition("\n")[2]
        mark = before if before.startswith("<!--") else ""
        line = text.count("\n", 0, fence.start(2)) + 1
        found.append(Block(page, line, fence[1], fence[2], mark))
    return [block for block in found if not languages or block.language in languages]


def name_of(page: Path) -> str:
    """Name a page in a test's id."""
    return str(page.relative_to(ROOT))
