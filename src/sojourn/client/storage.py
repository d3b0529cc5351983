"""Where tokens are kept between requests, and between runs of a program."""

from __future__ import annotations

import fcntl
import json
import os
import stat
import tempfile
import threading
from collections.abc import Iterator
from contextlib import AbstractContextManager, contextmanager, suppress
from dataclasses import asdict
from pathlib import Path
from typing import Protocol

from sojourn.client.tokens import Tokens
from sojourn.errors import ConfigurationError


class TokenStorage(Protocol):
    """A place for the tokens of one sign-in, used from several threads."""

    def load(self) -> Tokens | None:
        """Give what was saved last; None where nothing is. Called for each request."""
        ...

    def save(self, tokens: Tokens) -> None:
        """Replace what is there. Once this returns, `load` gives it, in other processes too.

        The refresh token that was there before is over by now: what fails here must raise.
        """
        ...

    def clear(self) -> None:
        """Forget what is there; without an error where nothing is."""
        ...

    def locked(self) -> AbstractContextManager[object]:
        """Keep out everybody else who would refresh: each thread and process that shares the place.

        Not reentrant. Whoever waits gets in when the holder leaves, or dies.
        """
        ...


class InMemory:
    """Tokens for as long as the program runs."""

    def __init__(self) -> None:
        """Hold nothing."""
        self._tokens: Tokens | None = None
        self._lock = threading.Lock()

    def load(self) -> Tokens | None:
        """See `TokenStorage.load`."""
        return self._tokens

    def save(self, tokens: Tokens) -> None:
        """See `TokenStorage.save`."""
        self._tokens = tokens

    def clear(self) -> None:
        """See `TokenStorage.clear`."""
        self._tokens = None

    def locked(self) -> AbstractContextManager[object]:
        """See `TokenStorage.locked`."""
        return self._lock


class TokenFile:
    """Tokens in a file that its owner alone may read (mode 0600), for any number of processes.

    Args:
        path: The file. Beside it is kept ``<name>.lock``, which is empty.
    """

    def __init__(self, path: str | os.PathLike[str]) -> None:
        """Remember the place; nothing is read or written yet."""
        self._path = Path(path).expanduser()

    def load(self) -> Tokens | None:
        """See `TokenStorage.load`.

        Raises:
            ConfigurationError: Something else than tokens is in the file, or others than its owner
                have a right to it.
        """
        try:
            with self._path.open(encoding="utf-8") as file:
                self._refuse_others(os.fstat(file.fileno()))
                text = file.read()
        except FileNotFoundError:
            return None
        try:
            return Tokens(**json.loads(text))
        except (ValueError, TypeError):
            # Without a cause: the text of the error would show what is in the file.
            raise ConfigurationError(
                f"{self._path} does not hold tokens; remove it and sign in again"
            ) from None

    def save(self, tokens: Tokens) -> None:
        """See `TokenStorage.save`. Written beside and put in its place, so never half there."""
        self._make_folder()
        descriptor, draft = tempfile.mkstemp(dir=self._path.parent, prefix=self._path.name + ".")
        try:
            with os.fdopen(descriptor, "w", encoding="utf-8") as file:
                json.dump(asdict(tokens), file)
                file.flush()
                os.fsync(file.fileno())  # the token before this one is over, also after a power cut
            Path(draft).replace(self._path)
        except BaseException:
            with suppress(FileNotFoundError):
                Path(draft).unlink()
            raise

    def clear(self) -> None:
        """See `TokenStorage.clear`."""
        self._path.unlink(missing_ok=True)

    @contextmanager
    def locked(self) -> Iterator[None]:
        """See `TokenStorage.locked`."""
        self._make_folder()
        beside = self._path.with_name(self._path.name + ".lock")
        descriptor = os.open(beside, os.O_RDWR | os.O_CREAT | os.O_CLOEXEC, 0o600)
        try:
            fcntl.flock(descriptor, fcntl.LOCK_EX)
            yield
        finally:
            os.close(descriptor)

    def _refuse_others(self, status: os.stat_result) -> None:
        """Refuse a file in which another user of the machine finds our tokens, or has left theirs."""
        if status.st_uid != os.geteuid():
            raise ConfigurationError(
                f"{self._path} belongs to another user; remove it and sign in again"
            )
        if stat.S_IMODE(status.st_mode) & 0o077:
            raise ConfigurationError(
                f"{self._path} can be read or changed by other users; take that from them "
                "(chmod 600), or remove it and sign in again"
            )

    def _make_folder(self) -> None:
        folder = self._path.parent
        for missing in reversed([one for one in (folder, *folder.parents) if not one.exists()]):
            missing.mkdir(mode=0o700, exist_ok=True)
