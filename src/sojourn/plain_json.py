"""Writing JSON strictly: what would come back as something else is refused, not bent.

The usual encoders write NaN as ``null`` or as no JSON at all, and texts that no engine can keep.
"""

from __future__ import annotations

import json
from typing import Any

from sojourn.errors import InvalidInput


def encode_json(value: Any, what: str) -> bytes:
    """Encode a value that reads back as itself, with its keys in order.

    Args:
        value: Text, numbers, booleans, None, and lists and dictionaries (with text keys) of them.
        what: What the value is, for the message.

    Raises:
        InvalidInput: It holds anything else, NaN, or a lone surrogate.
    """
    try:
        _require_text_keys(value)
        text = json.dumps(
            value, allow_nan=False, ensure_ascii=False, sort_keys=True, separators=(",", ":")
        )
        return text.encode()
    except (TypeError, ValueError, RecursionError) as error:
        raise InvalidInput(f"{what} holds a value that is not JSON: {error}") from error


def _require_text_keys(value: Any) -> None:
    if isinstance(value, dict):
        for key, inner in value.items():
            if not isinstance(key, str):
                raise TypeError(f"keys are text, not {type(key).__name__}")
            _require_text_keys(inner)
    elif isinstance(value, list | tuple):
        for inner in value:
            _require_text_keys(inner)
