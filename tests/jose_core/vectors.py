"""The public test vectors, wherever they are kept, and the verdicts a strict verifier overrules."""

from __future__ import annotations

import json
import os
from pathlib import Path
from typing import Any

import pytest

_DEFAULT = Path(__file__).parents[2] / ".." / "shared" / "vectors"


def services_are_required() -> bool:
    """Whether anything that is missing is a failure instead of a skip (CI)."""
    return os.environ.get("SOJOURN_REQUIRE_SERVICES") == "1"


def absent(what: str) -> None:
    """Skip visibly, or fail where everything is required."""
    if services_are_required():
        pytest.fail(f"{what}, and SOJOURN_REQUIRE_SERVICES=1 demands it")
    pytest.skip(what)


class Vectors:
    """The folder of vectors."""

    def __init__(self, folder: Path) -> None:
        self.folder = folder

    def text(self, name: str) -> str:
        """Read a file."""
        return (self.folder / name).read_text()

    def json(self, name: str) -> Any:
        """Read a JSON file."""
        return json.loads(self.text(name))

    def wycheproof(self, name: str) -> list[dict[str, Any]]:
        """Read the groups of a Wycheproof file."""
        return self.json(f"wycheproof/{name}.json")["testGroups"]

    def override(self, name: str, tc_id: int, published: str) -> bool:
        """Tell whether a strict verifier accepts, from the published result and the overrides."""
        overrides = self.json("strict_overrides.json")["overrides"].get(name, {})
        verdict = overrides.get(str(tc_id), [None, None])[1]
        return {"accept": True, "reject": False, None: published == "valid"}[verdict]


def find() -> Vectors:
    """Find the folder, from SOJOURN_VECTORS or beside the repository."""
    folder = Path(os.environ.get("SOJOURN_VECTORS") or _DEFAULT)
    if not (folder / "SOURCES.md").is_file():
        absent("no public vectors found; set SOJOURN_VECTORS to their folder")
    return Vectors(folder)
