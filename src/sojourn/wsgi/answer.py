"""Beginning an answer: once its session data is saved, and with what is handed out."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator
from http import HTTPStatus
from typing import Any

from sojourn.adapting import Failed, RequestState, as_personal, told, with_outgoing
from sojourn.errors import SojournError
from sojourn.messages import Outgoing
from sojourn.wsgi.environ import Environ, Headers, StartResponse


class Answer:
    """The answer to one request.

    What the application says by `start_response` is held back until its body is there: until then
    the session data may fail to be saved, and the answer must not claim that it was.

    Args:
        environ: The request.
        start_response: The server's.
        state: What is known of the request.
        cors: What lets a page of another origin read the answer.
        save: Saves the session data.
    """

    __slots__ = (
        "_cors",
        "_environ",
        "_held_back",
        "_save",
        "_start_response",
        "_state",
        "_write",
        "has_begun",
    )

    def __init__(
        self,
        environ: Environ,
        start_response: StartResponse,
        state: RequestState,
        *,
        cors: Outgoing,
        save: Callable[[RequestState], None],
    ) -> None:
        """Wait for the application."""
        self._environ = environ
        self._start_response = start_response
        self._state = state
        self._cors = cors
        self._save = save
        self._held_back: tuple[str, Headers] | None = None
        self._write: Callable[[bytes], Any] | None = None
        self.has_begun = False

    def start_response(
        self, status: str, headers: Headers, exc_info: Any = None
    ) -> Callable[[bytes], None]:
        """Take what the application says; again after a failure (PEP 3333, "Error Handling")."""
        self._held_back = (status, headers)
        if self.has_begun:
            self._start(exc_info)  # the server replaces what it has not sent, or raises it
        return self.write

    def write(self, data: bytes) -> None:
        """Write a part of the body, as old applications do."""
        self.begin()
        assert self._write is not None  # noqa: S101 - what begin is for
        self._write(data)

    def begin(self) -> None:
        """Save the session data and begin the answer, where the application has said how.

        Raises:
            SojournError: The session data could not be saved.
        """
        if self.has_begun or self._held_back is None:
            return
        self._save(self._state)
        self.has_begun = True
        self._start()

    def _start(self, *exc_info: Any) -> None:
        assert self._held_back is not None  # noqa: S101 - looked at by whoever calls
        status, headers = self._held_back
        headers = with_outgoing(headers, self._state.outgoing + self._cors)
        if self._state.is_personal:
            headers = as_personal(headers)
        self._write = self._start_response(status, headers, *exc_info)

    def over(self, body: Iterable[bytes]) -> Iterable[bytes]:
        """Give the body that the application returned.

        As it is, in the usual case: servers look at its length, or hand a file to the kernel.
        """
        if self._held_back is None:
            return self._late(body)
        try:
            self.begin()
        except SojournError as error:
            _close(body)
            return self.problem(error)
        return body

    def _late(self, body: Iterable[bytes]) -> Iterator[bytes]:
        """Give the body of an application that says nothing until its body is asked for."""
        try:
            for part in body:
                self.begin()
                yield part
            self.begin()
        except Exception as error:  # noqa: BLE001 - raised again where it is not for the client
            yield from self.failed(error)
        finally:
            _close(body)

    def failed(self, error: Exception) -> Iterable[bytes]:
        """Give the body to answer with after the application failed.

        The server's own 500 knows nothing of us. A handle that was rotated in this request has to
        reach the browser all the same, or the old one will look stolen; the error is raised again
        once it has.
        """
        if isinstance(error, SojournError) and not self.has_begun:
            return self.problem(error)
        if self.has_begun or not self._state.outgoing.headers:
            raise error
        self._state.data = None
        return _then_raise(self.problem(Failed("something failed here")), error)

    def problem(self, error: SojournError) -> Iterable[bytes]:
        """Answer with a problem document."""
        method = self._environ["REQUEST_METHOD"]
        path = self._environ.get("SCRIPT_NAME", "") + self._environ.get("PATH_INFO", "")
        problem = told(error, method=method, path=path)
        length = ("Content-Length", str(len(problem.body)))
        status = f"{problem.status} {HTTPStatus(problem.status).phrase}"
        self.start_response(status, [*problem.headers, length])
        try:
            self.begin()
        except SojournError as failure:  # of saving; there is nothing to save any more
            return self.problem(failure)
        return [] if method == "HEAD" else [problem.body]


def _then_raise(body: Iterable[bytes], error: Exception) -> Iterator[bytes]:
    yield from body
    raise error


def _close(body: Iterable[bytes]) -> None:
    close = getattr(body, "close", None)
    if close is not None:
        close()
