"""Where a new account's password comes from: a file, stdin, a terminal, or the random source."""

from __future__ import annotations

import secrets
import sys
from pathlib import Path

import click

MAX_BYTES = 4096
GENERATED_BYTES = 18


def generated_password() -> str:
    """Make a password: 144 random bits in 24 characters."""
    return secrets.token_urlsafe(GENERATED_BYTES)


def chosen_password(*, file: Path | None, generate: bool) -> str:
    """Get the password for a new account.

    Args:
        file: Where it stands.
        generate: Whether to make one.

    Raises:
        UsageError: There is none, or it is not one line of text.
    """
    if file is not None and generate:
        raise click.UsageError("--password-file and --generate exclude each other; give one")
    if generate:
        return generated_password()
    if file is not None:
        with file.open("rb") as opened:
            return _one_line(opened.read(MAX_BYTES + 1))
    if sys.stdin.isatty():
        typed: str = click.prompt("Password", hide_input=True, confirmation_prompt=True, err=True)
        return typed
    return _one_line(sys.stdin.buffer.read(MAX_BYTES + 1))


def _one_line(read: bytes) -> str:
    if len(read) > MAX_BYTES:
        raise click.UsageError("that is too long for a password; give a file of one line")
    try:
        text = read.decode()
    except UnicodeDecodeError:
        raise click.UsageError("the password is not UTF-8 text") from None
    text = text.removesuffix("\n").removesuffix("\r")
    if not text:
        raise click.UsageError(
            "no password was given; type it on a terminal, pipe it in, or use --password-file "
            "or --generate"
        )
    if "\n" in text or "\r" in text:
        raise click.UsageError("the password has more than one line; give one line")
    return text
