"""JSON as RFC 8259 and RFC 7515 section 10.12 have it: one meaning, or refused.

Refused are duplicate names at any depth, a byte order mark, anything but UTF-8, lone surrogates,
NUL, more than 16 levels, integers beyond 2^53 - 1 (RFC 8259 section 6) and numbers that are not
finite. `msgspec` decodes into types quickly but overlooks duplicates, and whatever stands in
members it does not know; the standard library's parser is exact with the hooks below, and slower.
"""

from __future__ import annotations

import json
import re
from math import isfinite
from typing import Annotated, Any, NoReturn

import msgspec

from sojourn.jose.malformed import MalformedError

MAX_DEPTH = 16
MAX_INTEGER = 2**53 - 1
_MAX_DIGITS = 16
BACKSLASH = 0x5C

_Scalar = Annotated[int, msgspec.Meta(ge=-MAX_INTEGER, le=MAX_INTEGER)] | str | float | bool | None
_OneLevel = _Scalar | list[_Scalar] | dict[str, _Scalar]
_TwoLevels = _Scalar | list[_OneLevel] | dict[str, _OneLevel]
_plain_decoder = msgspec.json.Decoder(dict[str, _TwoLevels])
encode = msgspec.json.Encoder().encode


# A string that does not end is taken to the end of the text, so that the search stays linear.
_STRING_OR_BRACKET = re.compile(r'"[^"\\]*(?:\\.[^"\\]*)*"?|[][{}]', re.DOTALL)
_STEP = {"[": 1, "{": 1, "]": -1, "}": -1}


def _object(pairs: list[tuple[str, Any]]) -> dict[str, Any]:
    members = dict(pairs)
    if len(members) != len(pairs):
        raise MalformedError("json_duplicate_name")
    return members


def _integer(text: str) -> int:
    # Length first: the conversion itself is quadratic, and refuses over 4,300 digits its own way.
    if len(text.removeprefix("-")) > _MAX_DIGITS:
        raise MalformedError("json_integer_range")
    return int(text)


def _constant(_name: str) -> NoReturn:
    raise MalformedError("json_not_a_number")  # NaN, Infinity: no JSON (RFC 8259 section 6)


_exact_decoder = json.JSONDecoder(
    object_pairs_hook=_object, parse_int=_integer, parse_constant=_constant
)


def judge(value: object, depth: int = 0) -> None:
    """Refuse what both parsers let pass, at every place it can stand.

    Args:
        value: Something parsed: dict, list, tuple, str, int, float, bool or None.
        depth: How many arrays and objects stand around it.

    Raises:
        MalformedError: It holds NUL, a lone surrogate, a number out of range, or is too deep.
    """
    if isinstance(value, str):
        if "\x00" in value:
            raise MalformedError("json_nul")
        if not value.isascii() and any("\ud800" <= c <= "\udfff" for c in value):
            raise MalformedError("json_surrogate")
    elif isinstance(value, int):
        if not -MAX_INTEGER <= value <= MAX_INTEGER:
            raise MalformedError("json_integer_range")
    elif isinstance(value, float):
        if not isfinite(value):
            raise MalformedError("json_not_finite")
    elif isinstance(value, list | tuple | dict):
        if depth == MAX_DEPTH:
            raise MalformedError("json_depth")
        if isinstance(value, dict):
            for name in value:
                judge(name, depth)
        for item in value.values() if isinstance(value, dict) else value:
            judge(item, depth + 1)


def _check_depth(text: str) -> None:
    """Refuse nesting before anything is built for it."""
    if text.count("[") + text.count("{") <= MAX_DEPTH:
        return
    depth = 0
    for match in _STRING_OR_BRACKET.finditer(text):
        depth += _STEP.get(match[0], 0)
        if depth > MAX_DEPTH:
            raise MalformedError("json_depth")


def parse(raw: bytes) -> Any:
    """Parse strictly and exactly; the reference that everything quicker is tested against.

    Args:
        raw: UTF-8. The caller bounds its length.

    Returns:
        dict, list, str, int, float, bool or None.

    Raises:
        MalformedError: It is not JSON, or not unambiguous.
    """
    try:
        text = raw.decode()
    except UnicodeDecodeError:
        raise MalformedError("json_not_utf8") from None
    _check_depth(text)
    try:
        value = _exact_decoder.decode(text)
    except MalformedError:
        raise
    except ValueError:
        raise MalformedError("json_malformed") from None
    judge(value)
    return value


def parse_object(raw: bytes) -> dict[str, Any]:
    """Parse strictly what has to be an object.

    Args:
        raw: UTF-8. The caller bounds its length.

    Returns:
        Its members.

    Raises:
        MalformedError: It is not JSON, not unambiguous, or not an object.
    """
    value = parse(raw)
    if not isinstance(value, dict):
        raise MalformedError("json_not_an_object")
    return value


def is_plain(raw: bytes) -> bool:
    """Tell, quickly, that `parse_object` would accept; False says nothing.

    A value decoded into plain types is written again. Bytes that come back as they went in hold no
    duplicate, since a dict has none to write, and no white space. The decoder's type bounds depth
    and integers; it checks UTF-8 and that numbers are finite. NUL and lone surrogates could only
    be written with a backslash. A property test holds this against `parse_object`.

    Args:
        raw: The text. The caller bounds its length.
    """
    try:
        return encode(_plain_decoder.decode(raw)) == raw and BACKSLASH not in raw
    except (msgspec.DecodeError, UnicodeDecodeError, RecursionError):
        return False


def check_object(raw: bytes) -> None:
    """Refuse what `parse_object` refuses, but quickly where that is possible.

    Args:
        raw: UTF-8. The caller bounds its length.

    Raises:
        MalformedError: It is not JSON, not unambiguous, or not an object.
    """
    if not is_plain(raw):
        parse_object(raw)
