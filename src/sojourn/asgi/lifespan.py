"""Opening the checker before an application starts, and closing it after it has stopped."""

from __future__ import annotations

import logging
from contextlib import AsyncExitStack
from typing import Any

from sojourn.aio import AsyncSojourn
from sojourn.asgi.running import running
from sojourn.asgi.scope import Application, Message, Receive, Scope, Send
from sojourn.errors import SojournError
from sojourn.verifier import AsyncVerifier

log = logging.getLogger("sojourn.requests")


async def run_with(
    checker: AsyncSojourn[Any] | AsyncVerifier,
    app: Application,
    scope: Scope,
    receive: Receive,
    send: Send,
) -> None:
    """Run an application's lifespan within the checker's.

    An application without a lifespan (it fails at the scope, or ends without a word) is given one
    here, so that what was opened is closed.

    Args:
        checker: What to open and close.
        app: The application.
        scope: The lifespan's.
        receive: The server's.
        send: The server's.
    """
    has_started, has_spoken = False, False

    async def receive_noted() -> Message:
        nonlocal has_started
        message = await receive()
        has_started = True
        return message

    async def send_noted(message: Message) -> None:
        nonlocal has_spoken
        has_spoken = True
        await send(message)

    stack = AsyncExitStack()
    try:
        await stack.enter_async_context(running(checker))
    except SojournError as error:
        await receive()
        await send({"type": "lifespan.startup.failed", "message": str(error)})
        return
    async with stack:
        try:
            await app(scope, receive_noted, send_noted)
        except Exception:
            if has_spoken:
                raise
            log.info("the application takes no part in the lifespan", exc_info=True)
        if not has_spoken:
            if not has_started:
                await receive()
            await send({"type": "lifespan.startup.complete"})
            await receive()
            await send({"type": "lifespan.shutdown.complete"})
