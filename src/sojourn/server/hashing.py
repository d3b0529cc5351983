"""Password hashes: Argon2id, off the event loop, and no more at once than there are cores.

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
from argon2.exceptions import InvalidHashError, VerificationError
from argon2.low_level import Type

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
            phc: The account's hash; None where there is no account.

        Raises:
            Busy: Too many are waiting.
        """
        matches = await self._run(lambda: self._verify(password, phc or self._of_nobody))
        return matches and phc is not None

    def needs_rehash(self, phc: str) -> bool:
        """Tell whether a hash was made with other parameters than today's."""
        return self._argon.check_needs_rehash(phc)

    def _verify(self, password: str, phc: str) -> bool:
        try:
            return self._argon.verify(phc, password)
        except (VerificationError, InvalidHashError):
            return False

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
