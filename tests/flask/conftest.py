"""Every engine that a test opened is closed after it: applications of WSGI have no end of their own."""

import pytest

from sojourn.engine import core
from sojourn.sync import drive


@pytest.fixture(autouse=True)
def closing():
    before = set(core._cores)
    yield
    for each in set(core._cores) - before:
        if each.is_open:
            drive(each.close())
