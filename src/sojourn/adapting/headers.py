"""Adding what is handed out to the headers of a response that an application made."""

from __future__ import annotations

from collections.abc import Iterable

from sojourn.messages import Outgoing


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


def _joined(*lines: str) -> str:
    """Join lines of Vary, each name once; ``*`` says it all (RFC 9110 section 12.5.5)."""
    each = [name.strip() for line in lines for name in line.split(",")]
    return "*" if "*" in each else ", ".join(dict.fromkeys(filter(None, each)))
