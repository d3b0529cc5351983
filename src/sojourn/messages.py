"""What goes in and out at the edge: a request reduced to what decides, and the headers to answer with.

An adapter turns its framework's request into an `Incoming` and applies an `Outgoing`; it holds no
policy.
"""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass, field

_WANTED = {
    b"cookie": "cookies",
    b"authorization": "authorization",
    b"origin": "origin",
    b"sec-fetch-site": "sec_fetch_site",
    b"user-agent": "user_agent",
    b"x-forwarded-for": "forwarded_for",
}
_JOINED_BY = {"cookies": "; ", "authorization": ", ", "forwarded_for": ", "}


@dataclass(frozen=True, slots=True, kw_only=True)
class Incoming:
    """The parts of a request that decide anything.

    Args:
        method: The HTTP method, in capitals.
        cookies: The Cookie header as sent; several joined by ``"; "`` (RFC 9113 section 8.2.3).
        authorization: The Authorization header as sent; two of them are joined and so refused.
        origin: The Origin header; empty where absent.
        sec_fetch_site: The Sec-Fetch-Site header; empty where absent.
        user_agent: The User-Agent header.
        forwarded_for: The X-Forwarded-For header; believed from trusted proxies only.
        peer: The address of the connection's other end.
    """

    method: str = "GET"
    cookies: str = field(default="", repr=False)
    authorization: str = field(default="", repr=False)
    origin: str = ""
    sec_fetch_site: str = ""
    user_agent: str = ""
    forwarded_for: str = ""
    peer: str = ""

    @classmethod
    def of(cls, method: str, headers: Iterable[tuple[bytes, bytes]], *, peer: str = "") -> Incoming:
        """Reduce a request.

        Args:
            method: The HTTP method.
            headers: Lower-case names and values as bytes, as ASGI gives them.
            peer: The address of the connection's other end.
        """
        found: dict[str, str] = {}
        for name, value in headers:
            part = _WANTED.get(name)
            if part is None:
                continue
            text = value.decode("latin-1")
            if part in found:
                text = found[part] + _JOINED_BY.get(part, ", ") + text
            found[part] = text
        return cls(method=method, peer=peer, **found)


@dataclass(frozen=True, slots=True, kw_only=True)
class Outgoing:
    """Headers to add to the response, in order; Set-Cookie may occur several times."""

    headers: tuple[tuple[str, str], ...] = ()

    def __repr__(self) -> str:
        """Show the names; the value of a Set-Cookie is a secret."""
        return f"Outgoing({', '.join(name for name, _ in self.headers)})"

    def __add__(self, other: Outgoing) -> Outgoing:
        """Join two; a header that both carry the same way is sent once."""
        return Outgoing(headers=tuple(dict.fromkeys(self.headers + other.headers)))

    def overtaken_by(self, later: Outgoing) -> Outgoing:
        """Join what was handed out later in the same request: its cookies replace those of a name."""
        names = {_cookie_name(header) for header in later.headers} - {""}
        kept = tuple(header for header in self.headers if _cookie_name(header) not in names)
        return Outgoing(headers=kept) + later


def _cookie_name(header: tuple[str, str]) -> str:
    return header[1].partition("=")[0] if header[0] == "Set-Cookie" else ""


NOTHING_TO_SEND = Outgoing()
