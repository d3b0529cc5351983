"""Files of secrets: readable by their owner alone from the first byte, and never half written."""

from __future__ import annotations

import os
import secrets
from pathlib import Path

PRIVATE = 0o600


def write_new(path: Path, text: str, *, mode: int = PRIVATE) -> None:
    """Write a file that must not exist yet.

    Raises:
        FileExistsError: There is one.
    """
    descriptor = os.open(path, os.O_WRONLY | os.O_CREAT | os.O_EXCL, mode)
    with os.fdopen(descriptor, "w", encoding="utf-8") as file:
        os.fchmod(descriptor, mode)  # whatever the umask
        file.write(text)


def read_or_make(path: Path, text: str) -> str:
    """Read a secret, or keep this one where there is none; the first of several makers wins.

    Args:
        path: The file.
        text: What to keep, one line.

    Returns:
        What the file says now.
    """
    if not path.exists():
        draft = path.with_name(f"{path.name}.{os.getpid()}.{secrets.token_hex(4)}")
        write_new(draft, text + "\n")
        try:
            path.hardlink_to(draft)
        except FileExistsError:
            pass
        finally:
            draft.unlink()
    return path.read_text(encoding="utf-8").strip()


def is_private(path: Path) -> bool:
    """Tell whether nobody but the owner can read a file; true of one that is not there."""
    return not path.exists() or path.stat().st_mode & 0o077 == 0
