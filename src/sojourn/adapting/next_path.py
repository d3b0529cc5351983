"""Where to go on to after a sign-in: only ever a path of the same site."""

from __future__ import annotations

import re

MAX_CHARACTERS = 2000
# Visible ASCII without a backslash. A browser reads "\" as "/" and drops tabs and line feeds, so
# that "/\t/host" would lead to another site as "//host" does. No segment is "." or "..", written in
# whatever way: whoever resolves "/.//host" before sending it on is left with "//host".
_DOTS = r"[^?#]*/(?:\.|%2[Ee]){1,2}(?:[/?#]|\Z)"
_PATH = re.compile(rf"(?!{_DOTS})/(?!/)[!-\[\]-~]*")


def is_own_path(text: str) -> bool:
    """Tell whether a text is a path of this site, with or without a query; anything is taken."""
    return len(text) <= MAX_CHARACTERS and _PATH.fullmatch(text) is not None
