"""Litestar configures logging for the whole process; a test must not do that to others."""

import logging

import pytest


@pytest.fixture(autouse=True)
def logging_as_it_was():
    """Give the root logger back as it was."""
    level, handlers = logging.root.level, logging.root.handlers[:]
    yield
    logging.root.setLevel(level)
    logging.root.handlers[:] = handlers
