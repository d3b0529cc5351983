"""A User-Agent header in plain words: enough for somebody to recognise their own devices.

What a client says of itself proves nothing; this is a label, never a decision.
"""

from __future__ import annotations

import re

_BROWSERS = (
    # Each names itself beside those it claims to be like, so the most particular comes first.
    ("Edg/", "Edge"),
    ("EdgA/", "Edge"),
    ("EdgiOS/", "Edge"),
    ("OPR/", "Opera"),
    ("Vivaldi/", "Vivaldi"),
    ("YaBrowser/", "Yandex Browser"),
    ("SamsungBrowser/", "Samsung Internet"),
    ("DuckDuckGo/", "DuckDuckGo"),
    ("FxiOS/", "Firefox"),
    ("Firefox/", "Firefox"),
    ("CriOS/", "Chrome"),
    ("Chromium/", "Chromium"),
    ("HeadlessChrome/", "Headless Chrome"),
    ("Chrome/", "Chrome"),
)
_SYSTEMS = (
    ("iPhone", "iPhone"),
    ("iPad", "iPad"),
    ("Android", "Android"),
    ("CrOS", "ChromeOS"),
    ("Windows", "Windows"),
    ("Macintosh", "macOS"),
    ("Mac OS X", "macOS"),
    ("FreeBSD", "FreeBSD"),
    ("OpenBSD", "OpenBSD"),
    ("Linux", "Linux"),
)
_PRODUCT = re.compile(r"([A-Za-z][A-Za-z0-9.+_-]{0,31})(?:/|\s|$)")


def describe_agent(user_agent: str) -> str:
    """Name the browser and the system, as "Firefox on Linux".

    Args:
        user_agent: The header as it was kept; anything is taken.

    Returns:
        A program that is no browser is called by its own name, as "curl".
    """
    system = _first(_SYSTEMS, user_agent)
    if not user_agent.startswith("Mozilla/"):
        product = _PRODUCT.match(user_agent)
        return product.group(1) if product else "An unknown program"
    browser = _first(_BROWSERS, user_agent)
    if not browser and "Version/" in user_agent and "Safari/" in user_agent:
        browser = "Safari"
    if not browser:
        return f"A browser on {system}" if system else "An unknown browser"
    return f"{browser} on {system}" if system else browser


def _first(table: tuple[tuple[str, str], ...], text: str) -> str:
    return next((word for mark, word in table if mark in text), "")
