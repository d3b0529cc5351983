"""What the verifier asks of the network, as values; whoever decides here does no I/O.

A procedure is a generator that yields a `Fetch` and is sent the `Answer`, or has a `FetchError`
thrown into it. `drive` runs one to its end over something that fetches.
"""

from __future__ import annotations

from collections.abc import Callable, Generator, Iterator, Mapping
from dataclasses import dataclass, field
from typing import Any, Protocol, TypeVar

from sojourn.jose import strict_json
from sojourn.jose.malformed import MalformedError

T = TypeVar("T")
OK = 200


class FetchError(Exception):
    """No answer came, or none that can be believed. The message names no secret."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Fetch:
    """A request.

    Args:
        url: Where to: https, or http on loopback.
        method: The HTTP method.
        headers: What to send beside the usual; may hold secrets, so it is never shown.
        body: What to send.
        max_bytes: The largest body that is read.
        timeout_seconds: Until when the whole answer has to be there; for a stream, the longest
            silence.
    """

    url: str
    method: str = "GET"
    headers: Mapping[str, str] = field(default_factory=dict, repr=False)
    body: bytes | None = field(default=None, repr=False)
    max_bytes: int = 64 * 1024
    timeout_seconds: float = 5.0


@dataclass(frozen=True, slots=True)
class Answer:
    """A response; redirects come back as they are."""

    status: int
    body: bytes = field(repr=False)
    cache_control: str = ""


Procedure = Generator[Fetch, Answer, T]


class Stream(Protocol):
    """An answer that goes on: lines of bytes as they come."""

    def lines(self) -> Iterator[bytes]:
        """Give line after line, without its end; ends with the answer.

        Raises:
            FetchError: Silence lasted too long, or the connection broke.
        """
        ...

    def close(self) -> None:
        """Give the connection up; `lines` in another thread ends. Idempotent."""
        ...


class Fetcher(Protocol):
    """What fetches: `sojourn.verifier.Web`, or an application's own."""

    def fetch(self, request: Fetch) -> Answer:
        """Send a request and read the answer, bounded in size and time; follow no redirect.

        Raises:
            FetchError: There is no complete answer within the bounds.
        """
        ...

    def stream(self, request: Fetch) -> Stream:
        """Open a stream of server-sent events.

        Raises:
            FetchError: The answer is not one.
        """
        ...


def drive(procedure: Procedure[T], fetch: Callable[[Fetch], Answer]) -> T:
    """Run a procedure to its end, blocking.

    Raises:
        FetchError: It gave up.
    """
    try:
        request = next(procedure)
        while True:
            try:
                answer = fetch(request)
            except FetchError as error:
                request = procedure.throw(error)
            else:
                request = procedure.send(answer)
    except StopIteration as stop:
        result: T = stop.value
        return result


def require_ok(answer: Answer, *, what: str) -> None:
    """Refuse an answer of another status than 200.

    Raises:
        FetchError: It is; with the remedy for a redirect.
    """
    if 300 <= answer.status < 400:  # noqa: PLR2004 - redirection (RFC 9110 section 15.4)
        raise FetchError(f"{what} answered with a redirect; configure the address it leads to")
    if answer.status != OK:
        raise FetchError(f"{what} answered {answer.status}")


def read_object(answer: Answer, *, what: str) -> dict[str, Any]:
    """Read an answer that is one strict JSON object.

    Raises:
        FetchError: It is not.
    """
    require_ok(answer, what=what)
    try:
        return strict_json.parse_object(answer.body)
    except MalformedError as error:
        raise FetchError(f"{what} did not answer with acceptable JSON ({error.reason})") from None
