"""An engine or verifier that is open for as long as an application runs, and looked after meanwhile."""

from __future__ import annotations

import asyncio
import logging
import random
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager, suppress
from typing import Any

from sojourn.aio import AsyncSojourn
from sojourn.errors import SojournError
from sojourn.verifier import AsyncVerifier

log = logging.getLogger("sojourn.purge")
PURGE_SECONDS = 300
"""How often what is dead is removed, on average: several processes do not do it in step."""


@asynccontextmanager
async def running(checker: AsyncSojourn[Any] | AsyncVerifier) -> AsyncIterator[None]:
    """Open the checker, and close it at the end; of an engine, purge the store now and then."""
    async with checker:
        if not isinstance(checker, AsyncSojourn):
            yield
            return
        purging = asyncio.create_task(purge_now_and_then(checker))
        try:
            yield
        finally:
            purging.cancel()
            with suppress(asyncio.CancelledError):
                await purging


async def purge_now_and_then(sojourn: AsyncSojourn[Any]) -> None:
    """Remove expired rows, which go by nothing else, every few minutes."""
    while True:
        await asyncio.sleep(PURGE_SECONDS * random.uniform(0.5, 1.5))  # noqa: S311 - no secret
        try:
            await sojourn.purge()
        except SojournError as error:
            log.warning("removing what is dead failed, trying again later: %s", error)
