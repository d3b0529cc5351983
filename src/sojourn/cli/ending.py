"""How a command ends: one table from error to exit code, one way to tell an error."""

from __future__ import annotations

import json
import os
import sys
from collections.abc import Callable
from contextlib import suppress
from http import HTTPStatus
from typing import Any

import click

from sojourn.cli import NEEDS_EXTRA
from sojourn.cli.output import printable
from sojourn.errors import SojournError

NEGATIVE = 1
USAGE = 2
CONFIGURATION = 3
UNREACHABLE = 4
INTERRUPTED = 130
BROKEN_PIPE = 141
"""As a shell reports a program that SIGPIPE ended."""

EXIT_CODES = {
    "error": NEGATIVE,  # the root of all: a refusal, something not found, unsuitable input
    "configuration": CONFIGURATION,
    "port_taken": CONFIGURATION,
    "store_unavailable": UNREACHABLE,
    "stale": UNREACHABLE,
    "busy": UNREACHABLE,
}
"""By the code of an error's class, or of the nearest class it derives from."""

_OF_THE_EXTRA = {
    "argon2",
    "granian",
    "jinja2",
    "multipart",
    "prometheus_client",
    "rich",
    "starlette",
}


def exit_code(error: SojournError) -> int:
    """Look the exit code of an error up."""
    codes = (vars(kind).get("code") for kind in type(error).__mro__)
    return next(EXIT_CODES[code] for code in codes if code in EXIT_CODES)


def code_of(command: Callable[[], Any], *, is_json: bool) -> int:
    """Run a command and say how it ended.

    Args:
        command: What to run; an int it gives is its exit code.
        is_json: Whether errors are told as problem documents.

    Returns:
        The exit code.
    """
    try:
        result = command()
    except click.exceptions.Abort:
        return INTERRUPTED
    except click.ClickException as error:
        if is_json:
            _tell(_problem("usage", error.format_message(), exit_code=USAGE))
        else:
            error.show()
        return USAGE
    except SojournError as error:
        return _failed(error.code, str(error), exit_code(error), is_json=is_json, **_more_of(error))
    except ModuleNotFoundError as error:
        if (error.name or "").partition(".")[0] not in _OF_THE_EXTRA:
            raise
        return _failed("configuration", NEEDS_EXTRA, CONFIGURATION, is_json=is_json)
    except OSError as error:
        what = f"{error.filename}: {error.strerror}" if error.filename else str(error)
        detail = f"{what}; check the path, the address and the permissions"
        return _failed("configuration", detail, CONFIGURATION, is_json=is_json)
    return result if isinstance(result, int) else 0


def _more_of(error: SojournError) -> dict[str, Any]:
    reason = getattr(error, "reason", "") or ("expired" if error.code == "expired" else "")
    more = {"status": error.status, "title": HTTPStatus(error.status).phrase}
    return {**more, "reason": reason} if reason else more


def _failed(code: str, detail: str, exit_code: int, *, is_json: bool, **more: Any) -> int:
    if is_json:
        _tell(_problem(code, detail, exit_code=exit_code, **more))
    else:
        reason = f" ({more['reason']})" if "reason" in more else ""
        _tell(f"sojourn: {printable(detail)}{reason}")
    return exit_code


def _problem(code: str, detail: str, *, exit_code: int, **more: Any) -> str:
    """Write a problem document (RFC 9457); the operator is told what a stranger is not."""
    members = {"type": "about:blank", "title": code, **more}
    return json.dumps({**members, "code": code, "detail": detail, "exit_code": exit_code})


def _tell(text: str) -> None:
    with suppress(BrokenPipeError):
        click.echo(text, err=True)


def silence() -> None:
    """Let what is still buffered for a reader that went away go nowhere."""
    with suppress(OSError, ValueError):
        os.dup2(os.open(os.devnull, os.O_WRONLY), sys.stdout.fileno())
