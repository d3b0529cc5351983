"""Password hashes: Argon2id, off the event loop, and no more at once than there are cores.

Accounts that were imported are verified by the hash they came with, and get one of ours thereby.

A hash costs tens of milliseconds and 19 MiB; on the loop it would stop every check, and unbounded
it would let a login storm take all memory. Beyond the queue a login is answered "busy".
"""

from __future__ import annotations

import asyncio
import os
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from typing import TypeVar

from argon2 import PasswordHasher
from argon2.exceptions import InvalidHashError
from argon2.low_level import Type

from sojourn.doors.passwords import UNUSABLE, UnknownHash, verify_password
from sojourn.errors import SojournError

T = TypeVar("T")
QUEUE_PER_CORE = 32


class Busy(SojournError):
    """More sign-ins are waiting than can be served soon; retry shortly."""

    code = "busy"
    status = 503


class Hasher:
    """Hashes and verifies passwords in a bounded pool of threads.

    The parameters are OWASP's: Argon2id, 19 MiB, two passes, one lane.

    Args:
        workers: How many processes share the cores.
    """

    def __init__(self, *, workers: int = 1) -> None:
        """Make the pool, and the hash that stands for accounts that do not exist."""
        cores = max(1, (os.cpu_count() or 1) // workers)
        self._argon = PasswordHasher(time_cost=2, memory_cost=19_456, parallelism=1, type=Type.ID)
        self._pool = ThreadPoolExecutor(cores, thread_name_prefix="sojourn-hash")
        self._limit = cores * QUEUE_PER_CORE
        self._waiting = 0
        self._of_nobody = self._argon.hash("the password of nobody")

    async def hash(self, password: str) -> str:
        """Hash a new password, as a PHC string.

        Raises:
            Busy: Too many are waiting.
        """
        return await self._run(lambda: self._argon.hash(password))

    async def verify(self, password: str, phc: str | None) -> bool:
        """Verify a password; for an account that does not exist it takes as long and says no.

        Args:
            password: As presented, normalised.
            phc: The account's hash; None where there is no account. One that was imported may take
                another time than ours, until its owner has signed in.

        Raises:
            Busy: Too many are waiting.
        """
        matches = await self._run(lambda: self._verify(password, phc or self._of_nobody))
        return matches and phc is not None

    def needs_rehash(self, phc: str) -> bool:
        """Tell whether a hash was made elsewhere, or with other parameters than today's."""
        try:
            return self._argon.check_needs_rehash(phc)
        except InvalidHashError:
            return True

    def _verify(self, password: str, phc: str) -> bool:
        is_usable = not phc.startswith(UNUSABLE)
        try:
            # What no password fits takes as long as what one may fit.
            matches = verify_password(password, phc if is_usable else self._of_nobody)
        except UnknownHash:
            return False
        return matches and is_usable

    async def _run(self, work: Callable[[], T]) -> T:
        if self._waiting >= self._limit:
            raise Busy("too many people are signing in at this moment; try again in a second")
        self._waiting += 1
        try:
            return await asyncio.get_running_loop().run_in_executor(self._pool, work)
        finally:
            self._waiting -= 1

    def close(self) -> None:
        """Finish what was begun."""
        self._pool.shutdown()
