"""Reading what the server refuses with: a problem document becomes the library's own error."""

from __future__ import annotations

import json
from typing import Any

from sojourn import errors
from sojourn.client.sending import Answer
from sojourn.errors import InvalidInput, IssuerUnavailable, SojournError

_PROBLEM = "application/problem+json"
_TOO_MANY, _SERVER_ERROR = 429, 500
_CLASSES: dict[str, type[SojournError]] = {
    kind.code: kind
    for kind in vars(errors).values()
    if isinstance(kind, type) and issubclass(kind, SojournError) and "code" in vars(kind)
}


def error_of(answer: Answer) -> SojournError:
    """Turn an answer that is no success into an error.

    Args:
        answer: The answer.

    Returns:
        The class of `sojourn.errors` with the problem's code; `InvalidInput` for a code that is none
        of them. `IssuerUnavailable` where the answer says "later", and where it is no problem document.
    """
    problem = problem_in(answer)
    code, detail = problem.get("code"), str(problem.get("detail", ""))
    if not isinstance(code, str):
        return IssuerUnavailable(
            f"the answer ({answer.status}) is none of a Sojourn server; check url and prefix"
        )
    if answer.status == _TOO_MANY or answer.status >= _SERVER_ERROR:
        return IssuerUnavailable(f"{detail} ({code})")
    kind = _CLASSES.get(code)
    return kind(detail) if kind else InvalidInput(f"{detail} ({code})")


def problem_in(answer: Answer) -> dict[str, Any]:
    """Read the problem document of an answer (RFC 9457); empty where there is none."""
    if answer.content_type.partition(";")[0].strip().lower() != _PROBLEM:
        return {}
    return object_in(answer)


def object_in(answer: Answer) -> dict[str, Any]:
    """Read the JSON object of an answer; empty where there is none."""
    try:
        value = json.loads(answer.body)
    except (ValueError, RecursionError):
        return {}
    return value if isinstance(value, dict) else {}
