"""What the tests of the doors share: requests with an old cookie, and the present."""

import time

from hypothesis import strategies as st
from redis import Redis
from redis.backoff import NoBackoff
from redis.retry import Retry

from sojourn.messages import Incoming

DAY_MS = 86_400_000

COOKIE_TEXTS = st.text(st.characters(min_codepoint=0, max_codepoint=255, exclude_characters=";"))
"""What a header can hold; the server gives each byte as a character."""


def redis_that_is_gone() -> Redis:
    """Make a client of a server that does not answer, without patience."""
    return Redis(port=1, retry=Retry(NoBackoff(), 0))


def now_ms() -> int:
    """Give the present; the old libraries stamp by it, and cannot be given another."""
    return time.time_ns() // 1_000_000


def with_cookie(name: str, value: str) -> Incoming:
    """Make the request of a browser that has kept one cookie."""
    return Incoming(cookies=f"theme=dark; {name}={value}")


def cookie_in(set_cookies: list[str], name: str) -> str:
    """Find what a response sets a cookie to."""
    pairs = (each.partition(";")[0].partition("=") for each in set_cookies)
    return next(value for found, _, value in pairs if found == name)


def variants(value: str) -> list[str]:
    """Give the value with each of its characters replaced, and cut and stretched."""
    flipped = [
        value[:at] + ("A" if value[at] != "A" else "B") + value[at + 1 :]
        for at in range(len(value))
    ]
    return [*flipped, value[:-1], value + "A", value.upper(), ""]
