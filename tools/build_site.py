"""Builds the documentation site from docs/ by zensical, strictly: a link that leads nowhere fails.

    python tools/build_site.py            # into site/
    python tools/build_site.py FOLDER     # elsewhere

The pages are read on a code host too, where links may lead out of docs/. What they lead to (a document,
an example) becomes a page of the site. zensical works on a copy, so that nothing is left in the tree.
"""

from __future__ import annotations

import os
import re
import shutil
import subprocess
import sys
import tempfile
from pathlib import Path

ROOT = Path(__file__).resolve().parents[1]
DOCS = ROOT / "docs"
CONFIG = "zensical.toml"
OUTSIDE = "source"
"""The folder of the site for what stands outside of docs/."""

LANGUAGES = {
    ".css": "css", ".html": "html", ".js": "javascript", ".json": "json", ".mjs": "javascript",
    ".py": "python", ".sh": "sh", ".toml": "toml", ".ts": "typescript", ".yaml": "yaml",
}  # fmt: skip

_FENCE = re.compile(r"^(```+).*?^\1$", re.MULTILINE | re.DOTALL)
_LINK = re.compile(r"(\[[^\]]*\]\()([^)\s#]+)((?:#[^)\s]*)?\))")


class Staging:
    """A copy of docs/ that is complete in itself.

    Args:
        folder: Where the copy is made.
    """

    def __init__(self, folder: Path) -> None:
        self.docs = folder / "docs"
        self._staged: set[Path] = set()
        shutil.copytree(DOCS, self.docs)
        shutil.copy(ROOT / CONFIG, folder)
        for page in sorted(DOCS.rglob("*.md")):
            place = self.docs / page.relative_to(DOCS)
            place.write_text(self._rewritten(page, place), encoding="utf-8")

    def _rewritten(self, page: Path, place: Path) -> str:
        """Give the text of a page with its links as they are at its place in the copy."""

        def moved(link: re.Match[str]) -> str:
            target = (page.parent / link[2]).resolve()
            if "://" in link[2] or not target.exists() or not target.is_relative_to(ROOT):
                return link[0]  # zensical says so where that is wrong
            return f"{link[1]}{os.path.relpath(self._place_of(target), place.parent)}{link[3]}"

        text = page.read_text(encoding="utf-8")
        parts, end = [], 0
        for fence in _FENCE.finditer(text):
            parts += [_LINK.sub(moved, text[end : fence.start()]), fence[0]]
            end = fence.end()
        return "".join([*parts, _LINK.sub(moved, text[end:])])

    def _place_of(self, target: Path) -> Path:
        """Say where something of the repository is in the copy, and put it there if it is not."""
        if target.is_relative_to(DOCS):
            return self.docs / target.relative_to(DOCS)
        name = target.relative_to(ROOT).as_posix().removesuffix(".md")
        place = self.docs / OUTSIDE / f"{name}.md"
        if target not in self._staged:
            self._staged.add(target)  # before its own links, which may lead back
            place.parent.mkdir(parents=True, exist_ok=True)
            is_page = target.suffix == ".md"
            text = self._rewritten(target, place) if is_page else shown(target)
            place.write_text(text, encoding="utf-8")
        return place


def shown(target: Path) -> str:
    """Write a page that shows a file, or the files of a folder."""
    name = target.relative_to(ROOT)
    if target.is_file():
        return f"# {name}\n\n{fenced(target)}"
    files = [
        path
        for path in sorted(target.rglob("*"))
        if path.is_file() and not {"__pycache__", "node_modules"} & set(path.parts)
    ]
    return f"# {name}\n\n" + "".join(
        f"## {path.relative_to(target)}\n\n{fenced(path)}\n" for path in files if is_text(path)
    )


def is_text(path: Path) -> bool:
    """Tell whether a file can be shown."""
    try:
        path.read_text(encoding="utf-8")
    except UnicodeDecodeError:
        return False
    return True


def fenced(path: Path) -> str:
    """Write a file as a block of code."""
    text = path.read_text(encoding="utf-8")
    first = text.partition("\n")[0]
    language = "python" if "python" in first and first.startswith("#!") else "sh"
    return f"````{LANGUAGES.get(path.suffix, language)}\n{text.rstrip()}\n````\n"


def build(target: Path) -> None:
    """Build the site into a folder, which is replaced.

    Raises:
        subprocess.CalledProcessError: zensical found something wrong; it has said what.
    """
    zensical = Path(sys.executable).with_name("zensical")
    with tempfile.TemporaryDirectory(prefix="sojourn-docs-") as folder:
        Staging(Path(folder))
        subprocess.run([zensical, "build", "--strict"], cwd=folder, check=True)
        shutil.rmtree(target, ignore_errors=True)
        shutil.copytree(Path(folder) / "site", target)


def main() -> int:
    """Build, and say where it is."""
    target = Path(sys.argv[1]) if len(sys.argv) > 1 else ROOT / "site"
    try:
        build(target)
    except subprocess.CalledProcessError:
        print("the site was not built: see above", file=sys.stderr)
        return 1
    print(target / "index.html")
    return 0


if __name__ == "__main__":
    sys.exit(main())
