"""Where the public vectors come from, and what their absence means."""

from __future__ import annotations

import pytest
from jose_core import vectors


def test_the_folder_is_named_by_the_environment(monkeypatch, tmp_path):
    """SOJOURN_VECTORS names the folder."""
    (tmp_path / "SOURCES.md").write_text("none")
    monkeypatch.setenv("SOJOURN_VECTORS", str(tmp_path))
    assert tmp_path == vectors.find().folder


def test_absence_is_a_visible_skip(monkeypatch, tmp_path):
    """Without vectors the tests are skipped, and say how to get them."""
    monkeypatch.setenv("SOJOURN_VECTORS", str(tmp_path))
    monkeypatch.delenv("SOJOURN_REQUIRE_SERVICES", raising=False)
    with pytest.raises(pytest.skip.Exception, match="SOJOURN_VECTORS"):
        vectors.find()


def test_absence_is_a_failure_where_everything_is_required(monkeypatch, tmp_path):
    """In CI nothing is skipped."""
    monkeypatch.setenv("SOJOURN_VECTORS", str(tmp_path))
    monkeypatch.setenv("SOJOURN_REQUIRE_SERVICES", "1")
    with pytest.raises(pytest.fail.Exception, match="SOJOURN_VECTORS"):
        vectors.find()
