"""Closing a long connection when the session of whoever opened it ends.

To the application it is as if the client had left: a receive gives a disconnect, a send fails with
an `OSError` (ASGI specification 2.4). The client is told at once, whatever the application waits for.
"""

from __future__ import annotations

import asyncio
import logging
from collections.abc import Iterator
from contextlib import AsyncExitStack
from typing import TYPE_CHECKING, Any

from sojourn.asgi.problems import CLOSE_SIGNED_OUT, close_message
from sojourn.asgi.scope import Message, Receive, Scope, Send
from sojourn.errors import SojournError

if TYPE_CHECKING:
    from sojourn.model import Principal
    from sojourn.watching import Watching

log = logging.getLogger("sojourn.watch")

_EVENT_STREAM = b"text/event-stream"


class SessionEndedError(OSError):
    """The connection was closed because its session ended; to an application, the client left."""


class Closing:
    """The two ends of one connection.

    Args:
        scope: The connection's.
        receive: The server's.
        send: The server's.
    """

    def __init__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """Pass everything on, until `watch` is called and the session ends."""
        self._is_websocket = scope["type"] == "websocket"
        self._receive = receive
        self._send = send
        self._over: asyncio.Future[None] | None = None
        """Done when the connection was closed here; made when somebody first waits for it."""
        self._receiving: asyncio.Task[Message] | None = None
        self._may_wait = False
        self._is_done = False
        self._code = ""
        self._telling: asyncio.Task[None] | None = None
        self._watches: AsyncExitStack | None = None

    async def stop(self) -> None:
        """Let go of what is watched and awaited, when the application is done."""
        if self._watches is not None:
            await self._watches.aclose()
        if self._receiving is not None:
            self._receiving.cancel()
            await asyncio.wait({self._receiving})
        if self._telling is not None:
            await self._telling  # an application may be done before its client was told

    async def watch(self, watching: Watching, principal: Principal[Any]) -> None:
        """Close the connection when this principal's session ends."""
        self._watches = self._watches or AsyncExitStack()
        ended = await self._watches.enter_async_context(watching.ended(principal))
        if ended.done():
            self._end(ended.result())
        else:
            ended.add_done_callback(self._on_ended)

    @property
    def _is_over(self) -> bool:
        return self._over is not None and self._over.done()

    def _made_over(self) -> asyncio.Future[None]:
        if self._over is None:
            self._over = asyncio.get_running_loop().create_future()
        return self._over

    def _on_ended(self, ended: asyncio.Future[SojournError]) -> None:
        self._end(ended.result())

    def _end(self, error: SojournError) -> None:
        if not self._is_done and not self._is_over:
            log.info("closing a connection: %s", error)
            self._code = error.code
            self._made_over().set_result(None)
            self._telling = asyncio.create_task(self._tell(error))

    async def _tell(self, error: SojournError) -> None:
        message: Message = {"type": "http.response.body", "body": b"", "more_body": False}
        if self._is_websocket:
            message = close_message(error)
        try:
            await self._send(message)
        except Exception as failure:  # noqa: BLE001 - the client may have left by itself meanwhile
            log.debug("telling a client that its session ended failed: %r", failure)

    async def receive(self) -> Message:
        """Receive for the application."""
        # The beginning is there or on its way: a request's body, a WebSocket's "connect".
        if not self._may_wait and not self._is_over:
            message = await self._receive()
            self._may_wait = not message.get("more_body", False)
            return message
        while not self._is_over:
            task = self._receiving or asyncio.ensure_future(self._receive())
            self._receiving = task
            if not task.done():  # it may have come after an earlier wait was given up
                either: list[asyncio.Future[Any]] = [task, self._made_over()]
                await asyncio.wait(either, return_when=asyncio.FIRST_COMPLETED)
            if task.done() and self._receiving is task:  # else another receive has taken it
                self._receiving = None
                return task.result()
        return self._disconnect()

    def _disconnect(self) -> Message:
        if self._is_websocket:
            return {"type": "websocket.disconnect", "code": CLOSE_SIGNED_OUT, "reason": self._code}
        return {"type": "http.disconnect"}

    async def send(self, message: Message) -> None:
        """Send for the application."""
        if self._is_over:
            raise SessionEndedError("the session ended, and the connection was closed")
        kind = message["type"]
        if kind == "websocket.close" or (
            kind == "http.response.body" and not message.get("more_body", False)
        ):
            self._is_done = True
        try:
            await self._send(message)
        except OSError as error:
            if self._is_over:  # the client was told while this was on its way
                raise SessionEndedError("the session ended meanwhile") from error
            raise

    def explains(self, error: BaseException) -> bool:
        """Tell whether an application failed because its connection was closed."""
        return self._is_over and (
            isinstance(error, SojournError)
            or any(isinstance(cause, SessionEndedError) for cause in _causes(error))
        )


def _causes(error: BaseException) -> Iterator[BaseException]:
    """Give an error and all it came of, those of task groups too."""
    left: list[BaseException | None] = [error]
    while left:
        one = left.pop()
        if one is not None:
            yield one
            left.append(one.__cause__ or one.__context__)
        if isinstance(one, BaseExceptionGroup):
            left += one.exceptions


def is_event_stream(message: Message) -> bool:
    """Tell whether a response that begins is a stream of server-sent events."""
    return any(
        name.lower() == b"content-type" and value.lower().startswith(_EVENT_STREAM)
        for name, value in message.get("headers", ())
    )
