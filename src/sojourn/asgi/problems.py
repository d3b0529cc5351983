"""Answering an error with its problem document, without a framework."""

from __future__ import annotations

from sojourn import adapting
from sojourn.asgi.scope import Connection, Send, scope_of
from sojourn.errors import SojournError
from sojourn.problems import Problem

_POLICY_VIOLATION = 1008
"""RFC 6455 section 7.4.1; before a WebSocket is accepted, servers answer 403 for it."""


def told(connection: Connection, error: SojournError) -> Problem:
    """Log an error, and give what the client is told of it."""
    scope = scope_of(connection)
    return adapting.told(error, method=scope.get("method", "WEBSOCKET"), path=scope["path"])


async def send_problem(connection: Connection, error: SojournError, send: Send) -> None:
    """Answer a request, or refuse a WebSocket, with an error."""
    problem = told(connection, error)
    if scope_of(connection)["type"] == "websocket":
        await send({"type": "websocket.close", "code": _POLICY_VIOLATION, "reason": error.code})
        return
    headers = [(name.encode(), value.encode()) for name, value in problem.headers]
    headers.append((b"Content-Length", str(len(problem.body)).encode()))
    await send({"type": "http.response.start", "status": problem.status, "headers": headers})
    await send({"type": "http.response.body", "body": problem.body})
