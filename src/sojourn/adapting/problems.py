"""What a client is told of an error; what a developer has to know goes to the log."""

from __future__ import annotations

import logging

from sojourn.engine.core import shown_text
from sojourn.errors import (
    CrossSite,
    InvalidInput,
    InvalidToken,
    SojournError,
    UnsupportedInMode,
)
from sojourn.problems import Problem, problem_of

log = logging.getLogger("sojourn.requests")
_INTERNAL, _UNAVAILABLE = 500, 503
MAX_SHOWN_CHARACTERS = 300


class Failed(SojournError):
    """The application failed in a request that had to hand something out; its own error is raised too."""

    code = "internal"


def told(error: SojournError, *, method: str, path: str) -> Problem:
    """Log an error that ends a request, and give the problem document to answer with.

    Args:
        error: What was raised.
        method: The request's method.
        path: Its path.
    """
    what = shown_text(f"{method} {path}", MAX_SHOWN_CHARACTERS)  # a path may hold line breaks
    if error.status == _INTERNAL:
        log.error("%s: %s", what, error, exc_info=error)
    elif error.status == _UNAVAILABLE or isinstance(error, InvalidInput | UnsupportedInMode):
        log.warning("%s: %s", what, error)
    elif isinstance(error, CrossSite):
        log.info("%s: %s", what, error)
    elif isinstance(error, InvalidToken):
        log.info("%s: %s (%s)", what, error, error.reason)  # the reason is not for the client
    return problem_of(error)
