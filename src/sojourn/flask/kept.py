"""How values of `flask.session` are kept in session data: JSON as it is, other types beside it.

`auth.data()` is the same data, and what is written there may come from anybody. A tag says that a value
is Markup, so none is ever read out of such a value: what needs tags is kept under a name of its own.
"""

from __future__ import annotations

import json
from collections.abc import Iterable, Mapping, MutableMapping
from typing import Any

from flask.json.tag import TaggedJSONSerializer

_TAGGED = TaggedJSONSerializer()
_TYPED = "flask:"
"""What the name of a value begins with that is kept with tags."""


def encoded(value: Any) -> str:
    """Write a value as text, with tags.

    Raises:
        TypeError: Flask's sessions hold no such value.
    """
    return _TAGGED.dumps(value)


def decoded(text: str) -> Any:
    """Undo `encoded`."""
    return _TAGGED.loads(text)


def read(data: Mapping[str, Any]) -> dict[str, Any]:
    """Give the values that session data holds; copies, which may be changed."""
    values = {}
    for name, kept in data.items():
        text, key = json.dumps(kept), name.removeprefix(_TYPED)
        if key == name:
            values[key] = json.loads(text)
        elif key.startswith(_TYPED) or key not in data:  # else `auth.data()` has overwritten it
            values[key] = _TAGGED.loads(text)
    return values


def write(data: MutableMapping[str, Any], key: str, text: str | None) -> None:
    """Put an encoded value in, or take one out (None)."""
    for name in names_of([key]):
        data.pop(name, None)
    if text is None:
        return
    kept = json.loads(text)
    is_plain = _TAGGED.loads(text) == kept and not key.startswith(_TYPED)
    data[key if is_plain else _TYPED + key] = kept


def names_of(keys: Iterable[str]) -> list[str]:
    """Give the names under which session data may hold values of `flask.session`."""
    return [
        name
        for key in keys
        for name in (key, _TYPED + key)
        if name != key or not key.startswith(_TYPED)
    ]
