"""One question to a Valkey server, independent of the client library under test."""

from __future__ import annotations

import socket
from collections.abc import Callable
from typing import Any, BinaryIO

from services_keeper import HOST

ASK_SECONDS = 2


class RefusedError(Exception):
    """The server answered a question with an error."""


def ask(port: int, *words: object) -> Any:
    """Send one command to a server and give the answer; text, a number, a list or None.

    Raises:
        RefusedError: It answered with an error.
        OSError: It did not answer.
    """
    parts = [str(word).encode() for word in words]
    request = b"".join(b"$%d\r\n%s\r\n" % (len(part), part) for part in parts)
    with socket.create_connection((HOST, port), ASK_SECONDS) as server:
        server.sendall(b"*%d\r\n%s" % (len(parts), request))
        with server.makefile("rb") as replies:
            return _reply(replies)


def _reply(replies: BinaryIO) -> Any:
    line = replies.readline().decode().rstrip()
    kind, rest = line[:1], line[1:]
    match kind:
        case "+":
            return rest
        case "-":
            raise RefusedError(rest)
        case ":":
            return int(rest)
        case "$":
            return replies.read(int(rest) + 2)[:-2].decode() if rest != "-1" else None
        case "*":
            return [_reply(replies) for _ in range(int(rest))] if rest != "-1" else None
    raise ConnectionError("the server closed the connection")


def info(port: int, *words: object) -> dict[str, str]:
    """Ask for lines of `name:value`."""
    lines = ask(port, *words).splitlines()
    return dict(line.split(":", 1) for line in lines if ":" in line)


def fields(flat: list[str]) -> dict[str, str]:
    """Pair what a server lists flat."""
    return dict(zip(flat[::2], flat[1::2], strict=True))


def patient(is_so: Callable[[], bool]) -> Callable[[], bool]:
    """Take a refusal or silence for a no."""

    def answer() -> bool:
        try:
            return is_so()
        except (OSError, RefusedError):
            return False

    return answer
