"""Which addresses are asked: https, or plain http on loopback for tests and development."""

from __future__ import annotations

from urllib.parse import urlsplit

from sojourn.errors import ConfigurationError
from sojourn.settings import is_loopback, normal_origin

_FORBIDDEN = frozenset("\\#@<>\"'`{}|^ ")


def checked_url(url: object, *, what: str) -> str:
    """Give an address back if it may be asked.

    Args:
        url: The address.
        what: What it is, for the message.

    Raises:
        ConfigurationError: It is of another scheme (``file:`` too), without a host, with
            credentials or a fragment, or plain http to another machine.
    """
    is_plain = isinstance(url, str) and url.isascii() and url.isprintable()
    if not isinstance(url, str) or not is_plain or not _FORBIDDEN.isdisjoint(url):
        raise ConfigurationError(f"{what} is no plain URL; give one as https://auth.example.com")
    origin = normal_origin(url)
    if origin is None:
        raise ConfigurationError(f"{what} {url!r} is no https URL; nothing else is ever asked")
    if origin.startswith("http://") and not is_loopback(urlsplit(url).hostname or ""):
        raise ConfigurationError(
            f"{what} {url!r} is plain http to another machine, where anybody on the way could "
            "answer; use https"
        )
    return url


def host_of(url: str) -> str:
    """Give the host of an address that was checked, with its port where one is named."""
    return (normal_origin(url) or "").partition("://")[2]
