"""What the tests of `sojourn.jose` share."""

from __future__ import annotations

import pytest
from jose_core import vectors as public


@pytest.fixture(scope="session")
def vectors() -> public.Vectors:
    """The public vectors; their absence is a skip, or a failure in CI."""
    return public.find()
