"""The one internal error of the decoders; the public functions turn it into theirs."""

from __future__ import annotations


class MalformedError(ValueError):
    """Text is not what it claims to be; only `sojourn.jose` itself catches this.

    Args:
        reason: A stable snake_case word; never a part of the text.
    """

    def __init__(self, reason: str) -> None:
        super().__init__(reason)
        self.reason = reason
