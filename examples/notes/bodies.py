"""What a request carries: a form of a page, or the JSON of another client. Nothing in it is trusted."""

import json
import re
from typing import Any
from urllib.parse import parse_qsl

_MOST_FIELDS = 20
_PATH = re.compile(r"/(?!/)[!-\[\]-~]*")  # a browser takes /\host and //host to another site


class BadInput(Exception):
    """What was sent cannot be used; the message is for whoever sent it."""

    status = 400
    code = "bad_input"

    @property
    def document(self) -> bytes:
        """The problem document (RFC 9457)."""
        about = {"type": "about:blank", "title": "Bad Request", "status": self.status}
        return json.dumps(about | {"code": self.code, "detail": str(self)}).encode()


class Values:
    """The fields of a form, or the members of a JSON object."""

    def __init__(self, values: dict[str, Any]) -> None:
        self._values = values

    def text(self, name: str, *, most: int = 1000) -> str:
        """Give a text that has to be there."""
        value = self._values.get(name)
        if not isinstance(value, str) or not value.strip():
            raise BadInput(f"{name} is missing")
        if len(value) > most:
            raise BadInput(f"{name} is longer than {most} characters")
        if "\0" in value or any("\ud800" <= c <= "\udfff" for c in value):
            raise BadInput(f"{name} holds what is no text")
        return value

    def one_of(self, name: str, *choices: str) -> Any:
        """Give one of these; the first where none is asked for."""
        value = self._values.get(name, choices[0])
        if value not in choices:
            raise BadInput(f"{name} is one of {', '.join(choices)}")
        return value

    def get(self, name: str) -> str | None:
        """Give a text, or None."""
        return self.text(name, most=10_000) if name in self._values else None


def read_values(body: bytes, content_type: str | None) -> Values:
    """Read a body by its Content-Type."""
    kind = (content_type or "").partition(";")[0].strip().lower()
    try:
        if kind == "application/json":
            values = json.loads(body)
        elif kind == "application/x-www-form-urlencoded":
            values = dict(parse_qsl(body.decode(), errors="strict", max_num_fields=_MOST_FIELDS))
        else:
            raise BadInput("the body is neither a form nor JSON")
    except (ValueError, RecursionError) as error:
        raise BadInput("the body cannot be read") from error
    if not isinstance(values, dict):
        raise BadInput("the body is not a JSON object")
    return Values(values)


def safe_next(path: str | None) -> str:
    """Give where to go on to: a path of this site, or the first page."""
    return path if path and _PATH.fullmatch(path) else "/"
