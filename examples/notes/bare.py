"""What the applications without a framework share: answers, and finding who gives one."""

import json
import mimetypes
import re
from collections.abc import Callable
from http import HTTPStatus
from typing import Any, NamedTuple
from urllib.parse import parse_qsl

from notes.bodies import BadInput, Values, read_values
from notes.pages import HEADERS, STATIC, page, wants_page

MOST_BYTES = 64 * 1024


class Answer(NamedTuple):
    body: bytes
    status: int
    headers: dict[str, str]


class Request:
    """A request, whole. `scope` or `environ` is what the server gave."""

    def __init__(
        self,
        given: Any,
        *,
        method: str,
        path: str,
        query: str,
        accept: str,
        content_type: str,
        body: bytes,
    ) -> None:
        self.scope = self.environ = given
        self.method, self.path, self.query = method, path, dict(parse_qsl(query))
        self.target = f"{path}?{query}" if query else path
        self.accept, self._content_type, self._body = accept, content_type, body
        self.params: dict[str, str] = {}

    @property
    def values(self) -> Values:
        return read_values(self._body, self._content_type)


class Routes:
    """Who answers which address: `@routes("POST", "/notes/{number}/delete")`."""

    def __init__(self) -> None:
        self._routes: list[tuple[str, re.Pattern[str], Callable[..., Any]]] = []

    def __call__(self, method: str, path: str) -> Callable[[Any], Any]:
        pattern = re.compile(re.sub(r"{(\w+)}", r"(?P<\1>[^/]+)", path))

        def register(view: Callable[..., Any]) -> Callable[..., Any]:
            self._routes.append((method, pattern, view))
            return view

        return register

    def find(self, request: Request) -> Callable[..., Any]:
        """Find the view of a request, and put into its `params` what stands in the address.

        Raises:
            BadInput: There is none.
        """
        found = [(m, match, v) for m, p, v in self._routes if (match := p.fullmatch(request.path))]
        for method, match, view in found:
            if method == request.method:
                request.params = match.groupdict()
                return view
        raise (
            NoSuchMethod("this address does not take that")
            if found
            else NoSuchPage("there is no such page")
        )


class NoSuchPage(BadInput):
    status = HTTPStatus.NOT_FOUND
    code = "not_found"


class NoSuchMethod(BadInput):
    status = HTTPStatus.METHOD_NOT_ALLOWED
    code = "method_not_allowed"


def show(
    request: Request, template: str, *, who: Any = None, live: str = "", **values: Any
) -> Answer:
    """Show a page in a browser, the values alone to other clients."""
    if wants_page(request.accept):
        html = page(template, query=request.query, who=who, live=live, **values)
        return Answer(html.encode(), 200, {"Content-Type": "text/html; charset=utf-8"} | HEADERS)
    return as_json(values)


def done(request: Request, values: Any, *, go_to: str = "/") -> Answer:
    """Lead a browser on, answer other clients with what came of it."""
    if wants_page(request.accept):
        return Answer(b"", HTTPStatus.SEE_OTHER, {"Location": go_to})
    return as_json(values)


def as_json(values: Any) -> Answer:
    body = json.dumps(values).encode()
    return Answer(body, HTTPStatus.OK, {"Content-Type": "application/json"} | HEADERS)


def static_file(request: Request) -> Answer:
    """Give a file that pages refer to."""
    files = {file.name: file for file in STATIC.iterdir()}
    file = files.get(request.params["name"])
    if file is None:
        raise NoSuchPage("there is no such file")
    kind = mimetypes.guess_type(file.name)[0] or "application/octet-stream"
    return Answer(file.read_bytes(), HTTPStatus.OK, {"Content-Type": kind})
