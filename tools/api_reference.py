"""Writes the reference of `sojourn`'s public names from their signatures and docstrings."""

from __future__ import annotations

import inspect
import re
import textwrap
from collections.abc import Iterator
from typing import Any

import sojourn
from sojourn.errors import SojournError
from sojourn.need import ANYONE_SIGNED_IN

_ENTRY = re.compile(r"(\*{0,2}[\w.]+): (.*)")
_LISTS = ("Args", "Raises", "Attributes")
_SECTION = re.compile(rf"^({'|'.join(_LISTS)}|Returns|Yields):\n((?:(?:    .*)?\n)*)", re.MULTILINE)
_TITLES = {"Args": "Takes", "Returns": "Gives", "Yields": "Gives", "Raises": "Raises"}
_TWINS = {"Sojourn": "AsyncSojourn", "Verifier": "AsyncVerifier"}
"""Blocking faces, by the awaited ones that have the same methods."""
_WIDTH = 88


def public_names() -> Iterator[tuple[str, Any]]:
    """Go through what `sojourn` exports, but for the errors, which errors.md has."""
    for name in sojourn.__all__:
        value = getattr(sojourn, name)
        is_error = isinstance(value, type) and issubclass(value, SojournError | Warning)
        if not is_error and not name.startswith("__"):
            yield name, value


def reference() -> str:
    """Write all of it."""
    return "\n".join(section(name, value) for name, value in public_names())


def section(name: str, value: Any) -> str:
    """Write a class with its methods, or a value with its type."""
    if not isinstance(value, type):
        return f"## `{name}`\n\nA value of `{type(value).__name__}`: {meaning_of(name)}\n"
    parts = [f"## `{name}`\n", signature(name, value), prose(inspect.getdoc(value) or "")]
    if name in _TWINS:
        twin = _TWINS[name]
        return "\n".join([*parts, f"Its methods are those of [`{twin}`](#{twin.lower()}).\n"])
    for method, made in methods(value):
        parts += [f"### `{name}.{method}`\n", signature(method, made)]
        parts.append(prose(inspect.getdoc(made) or ""))
    return "\n".join(parts)


def meaning_of(name: str) -> str:
    """Give the words below a value, where it is made."""
    source = inspect.getsource(__import__("sojourn.model", fromlist=["model"]))
    match = re.search(rf'^{name} = .*\n"""(.*?)"""', source, re.MULTILINE | re.DOTALL)
    assert match is not None, f"{name} has no words below it"
    return plain(match[1])


def methods(kind: type) -> Iterator[tuple[str, Any]]:
    """Go through the public methods and properties of a class, in the order of its source."""
    seen: set[str] = set()
    for base in kind.__mro__:
        if not base.__module__.startswith("sojourn."):
            continue
        for name, member in vars(base).items():
            made = member.__func__ if isinstance(member, classmethod | staticmethod) else member
            is_callable = inspect.isfunction(made) or isinstance(made, property)
            if is_callable and not name.startswith("_") and name not in seen and made.__doc__:
                seen.add(name)
                yield name, made


def signature(name: str, value: Any) -> str:
    """Write how something is called; a property as its type."""
    if isinstance(value, property):
        assert value.fget is not None
        gives = inspect.signature(value.fget).return_annotation
        return f"```py\n{name}: {shown(gives)}\n```\n"
    made = inspect.signature(value)
    parameters = [
        parameter for parameter in made.parameters.values() if parameter.name not in {"self", "cls"}
    ]
    word = "async def " if inspect.iscoroutinefunction(value) else ""
    word = word or ("class " if isinstance(value, type) else "def ")
    gives = made.return_annotation
    end = (
        "" if isinstance(value, type) or gives is inspect.Signature.empty else f" -> {shown(gives)}"
    )
    arguments = [str(part) for part in _arguments(parameters)]
    line = f"{word}{name}({', '.join(arguments)}){end}"
    if len(line) > _WIDTH:
        line = f"{word}{name}(\n" + "".join(f"    {part},\n" for part in arguments) + f"){end}"
    return f"```py\n{line}\n```\n"


def _arguments(parameters: list[inspect.Parameter]) -> Iterator[str]:
    is_keyword = False
    for parameter in parameters:
        starts = parameter.kind is inspect.Parameter.KEYWORD_ONLY and not is_keyword
        if starts and not any(p.kind is inspect.Parameter.VAR_POSITIONAL for p in parameters):
            yield "*"
        is_keyword = is_keyword or parameter.kind is inspect.Parameter.KEYWORD_ONLY
        stars = {inspect.Parameter.VAR_POSITIONAL: "*", inspect.Parameter.VAR_KEYWORD: "**"}
        text = stars.get(parameter.kind, "") + parameter.name
        if parameter.annotation is not inspect.Parameter.empty:
            text += f": {shown(parameter.annotation)}"
        if parameter.default is not inspect.Parameter.empty:
            text += f" = {_default(parameter.default)}"
        yield text


def shown(annotation: Any) -> str:
    """Write a type as its source has it."""
    if isinstance(annotation, str):
        return annotation
    text = annotation.__name__ if isinstance(annotation, type) else str(annotation)
    return re.sub(r"\b(?:typing|collections\.abc|sojourn(?:\.\w+)*)\.", "", text)


def _default(value: Any) -> str:
    if value == ANYONE_SIGNED_IN:
        return "ANYONE_SIGNED_IN"
    if isinstance(value, frozenset) and value:  # in one order, whatever the hashes of this process
        return "frozenset({" + ", ".join(sorted(map(repr, value))) + "})"
    text = repr(value)
    return "…" if " at 0x" in text or text.startswith("<") else text


def prose(documented: str) -> str:
    """Turn a docstring in Google's style into Markdown."""
    text = _SECTION.sub(_as_list, textwrap.dedent(documented) + "\n")
    return re.sub(r"\n{3,}", "\n\n", plain_lines(text)).rstrip() + "\n"


def _as_list(match: re.Match[str]) -> str:
    title, body = match[1], textwrap.dedent(match[2]).rstrip()
    if title not in _LISTS:
        return f"{_TITLES[title]}: {plain(body)}\n\n"
    entries: list[str] = []
    for line in body.splitlines():
        own = _ENTRY.fullmatch(line)
        if own and not line.startswith(" "):
            entries.append(f"- `{own[1]}`: {own[2]}")
        elif line.strip() and entries:
            entries[-1] += " " + line.strip()
    return f"{_TITLES.get(title, title)}:\n\n" + "\n".join(entries) + "\n\n"


def plain(text: str) -> str:
    """Write on one line."""
    return re.sub(r"\s+", " ", plain_lines(text)).strip()


def plain_lines(text: str) -> str:
    """Turn literals of a docstring into Markdown's."""
    return text.replace("``", "`")
