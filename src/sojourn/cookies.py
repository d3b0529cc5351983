"""Cookies as bytes on the wire: a strict reader and a writer, for our own names only.

The standard library's reader keeps the last of two cookies of one name and can be made to swallow
others inside a quoted ``$Version`` string. This one splits on ``;`` as every browser does
(RFC 6265bis section 5.6), takes nothing but exact names, and refuses a name that occurs twice: who
could plant a second one could choose the session.
"""

from __future__ import annotations

import re
from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Literal

from sojourn.errors import InvalidInput

MAX_COOKIE_BYTES = 4096
"""Name and value together; a browser drops more (RFC 6265bis section 5.7)."""
MAX_HEADER_CHARACTERS = 64 * 1024

_VALUE = re.compile(r"[!#-+\--:<-\[\]-~]*")
"""cookie-octet of RFC 6265bis section 4.1.1: visible ASCII without quotes, comma, ; and backslash."""


@dataclass(frozen=True, slots=True)
class FoundCookies:
    """The cookies that were asked for, and whether one of them occurred twice."""

    values: Mapping[str, str] = field(repr=False)
    duplicated: frozenset[str]
    copies: tuple[tuple[str, str], ...] = field(default=(), repr=False)
    """Name and value of whatever occurs twice: none is believed."""


def read_cookies(header: str, names: frozenset[str]) -> FoundCookies:
    """Find cookies of exactly these names in a Cookie header.

    Args:
        header: The header's text; anything is taken without an error.
        names: The exact, case-sensitive names.

    Returns:
        The values. A name that occurs twice, or whose value is not made of cookie-octets, has none.
    """
    values: dict[str, str] = {}
    duplicated: set[str] = set()
    copies: list[tuple[str, str]] = []
    if len(header) > MAX_HEADER_CHARACTERS:
        return FoundCookies(values, frozenset())
    for pair in header.split(";"):
        name, equals, value = pair.partition("=")
        name = name.strip(" \t")
        if not equals or name not in names:
            continue
        value = value.strip(" \t")
        if name in values:
            duplicated.add(name)
            copies += [(name, values[name]), (name, value)]
        values[name] = value
    for name in [n for n, v in values.items() if n in duplicated or not _VALUE.fullmatch(v)]:
        del values[name]
    return FoundCookies(values, frozenset(duplicated), tuple(dict.fromkeys(copies)))


def write_cookie(
    name: str,
    value: str,
    *,
    secure: bool,
    same_site: Literal["lax", "strict", "none"],
    max_age_seconds: int | None,
    domain: str | None = None,
) -> str:
    """Write a Set-Cookie value: HttpOnly, Path=/, and no Domain unless one is given.

    Args:
        name: The whole name, prefix included.
        value: Cookie-octets; empty with ``max_age_seconds=0`` to remove.
        secure: Whether to send it over TLS only.
        same_site: The SameSite attribute.
        max_age_seconds: The life, at most 400 days; None until the browser closes.
        domain: Share with subdomains of this.

    Raises:
        InvalidInput: The value would be dropped or cut by a browser.
    """
    if not _VALUE.fullmatch(value):
        raise InvalidInput(f"the value of cookie {name} is not made of cookie-octets")
    if len(name) + len(value) > MAX_COOKIE_BYTES:
        raise InvalidInput(
            f"cookie {name} would be {len(name) + len(value)} bytes and browsers keep "
            f"{MAX_COOKIE_BYTES}; put fewer claims into the token, or use mode 'session'"
        )
    parts = [f"{name}={value}", "Path=/", "HttpOnly", f"SameSite={same_site.capitalize()}"]
    if secure:
        parts.append("Secure")
    if max_age_seconds is not None:
        parts.append(f"Max-Age={max_age_seconds}")
    if domain is not None:
        parts.append(f"Domain={domain}")
    return "; ".join(parts)
