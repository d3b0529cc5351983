"""Answering an error with its problem document, without a framework."""

from __future__ import annotations

from sojourn import adapting
from sojourn.asgi.scope import Connection, Message, Send, scope_of
from sojourn.errors import Refused, SojournError
from sojourn.problems import Problem

CLOSE_SIGNED_OUT = 4401
"""The close code of a WebSocket that is refused, or whose session ended (401 in the range for
applications, RFC 6455 section 7.4.2); before it is accepted, servers answer 403 for it."""
CLOSE_TRY_AGAIN = 1013
"""Whether the session goes on cannot be known at this moment (IANA registry, "Try Again Later")."""
CLOSE_INTERNAL = 1011
"""A mistake of the application's own (RFC 6455 section 7.4.1)."""
_INTERNAL = 500


def told(connection: Connection, error: SojournError) -> Problem:
    """Log an error, and give what the client is told of it."""
    scope = scope_of(connection)
    return adapting.told(error, method=scope.get("method", "WEBSOCKET"), path=scope["path"])


def close_message(error: SojournError) -> Message:
    """Write the message that closes a WebSocket for an error; the reason is its stable code."""
    code = CLOSE_SIGNED_OUT if isinstance(error, Refused) else CLOSE_TRY_AGAIN
    if error.status == _INTERNAL:
        code = CLOSE_INTERNAL
    return {"type": "websocket.close", "code": code, "reason": error.code}


async def send_problem(connection: Connection, error: SojournError, send: Send) -> None:
    """Answer a request, or refuse a WebSocket, with an error."""
    problem = told(connection, error)
    if scope_of(connection)["type"] == "websocket":
        await send(close_message(error))
        return
    headers = [(name.encode(), value.encode()) for name, value in problem.headers]
    headers.append((b"Content-Length", str(len(problem.body)).encode()))
    await send({"type": "http.response.start", "status": problem.status, "headers": headers})
    await send({"type": "http.response.body", "body": problem.body})
