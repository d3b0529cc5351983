"""Adding what is handed out to the headers of a response that an application made."""

from __future__ import annotations

from collections.abc import Iterable

from sojourn.messages import Outgoing

_VARY = Outgoing(headers=(("Vary", "Cookie"),))


def with_outgoing(headers: Iterable[tuple[str, str]], outgoing: Outgoing) -> list[tuple[str, str]]:
    """Give a response's headers with those of an answer.

    Cookies are added to the application's own, ``Vary`` is joined with it, and what else we say
    (``Cache-Control: no-store`` beside a cookie) replaces what it said.
    """
    merged = list(headers)
    for name, value in outgoing.headers:
        lower = name.lower()
        if lower == "set-cookie":
            merged.append((name, value))
            continue
        existing = [text for other, text in merged if other.lower() == lower]
        merged = [pair for pair in merged if pair[0].lower() != lower]
        merged.append((name, _joined(*existing, value) if lower == "vary" else value))
    return merged


def as_personal(headers: Iterable[tuple[str, str]]) -> list[tuple[str, str]]:
    """Give the headers of a response to somebody whom a cookie says: no cache may serve it to others.

    What the application says itself of caching stays; ``public`` there is its word for it.
    """
    personal = with_outgoing(headers, _VARY)
    if not any(name.lower() == "cache-control" for name, _ in personal):
        personal.append(("Cache-Control", "private"))
    return personal


def _joined(*lines: str) -> str:
    """Join lines of Vary, each name once; ``*`` says it all (RFC 9110 section 12.5.5)."""
    each = [name.strip() for line in lines for name in line.split(",")]
    return "*" if "*" in each else ", ".join(dict.fromkeys(filter(None, each)))
