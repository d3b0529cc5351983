"""Every engine that a test opened is closed after it: applications of WSGI have no end of their own."""

import pytest

from sojourn.engine import core
from sojourn.sync import drive


@pytest.fixture(autouse=True)
def closing():
    yield
    for each in list(core._cores):
        if each.is_open:
            drive(each.close())
