"""Server-sent events (WHATWG HTML, "Server-sent events"), as far as the feed uses them."""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from dataclasses import dataclass


@dataclass(frozen=True, slots=True)
class StreamEvent:
    """One event: its name, its data, and the cursor after it where it has one."""

    name: str
    data: bytes
    cursor: str = ""


def events_of(lines: Iterable[bytes]) -> Iterator[StreamEvent]:
    """Put lines together to events; comments and fields of no meaning here are passed over.

    Args:
        lines: Without their ends.
    """
    name, data, cursor = "", b"", ""
    for line in lines:
        if not line:
            if data:
                yield StreamEvent(name, data, cursor)
            name, data, cursor = "", b"", ""
            continue
        key, _, value = line.partition(b":")
        value = value.removeprefix(b" ")
        match key:
            case b"event":
                name = value.decode("ascii", "replace")
            case b"id":
                cursor = value.decode("ascii", "replace")
            case b"data":
                data = value
            case _:
                pass
