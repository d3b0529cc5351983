"""What a door says where what it needs is away or other than it was told."""

import pytest
from redis.exceptions import ConnectionError as RedisIsAway

from sojourn import Incoming, StoreError
from sojourn.arrivals import Arrival
from sojourn.doors.express import ExpressSessions
from sojourn.doors.tokens import Tokens


class Away:
    """A Redis that does not answer."""

    def expire(self, name, seconds):
        raise RedisIsAway(f"{name} cannot be reached")


def test_old_sessions_that_cannot_be_ended():
    """The engine is told, logs it, and the session is carried over all the same."""
    door = ExpressSessions(Away(), secrets=["a-secret-of-the-express-application-0123"])
    with pytest.raises(StoreError, match="cannot be ended"):
        door.close_behind(Arrival(subject="ann", proof="sid"), after_seconds=10)


def test_tokens_of_simplejwt_under_another_key():
    """What was signed by something else is nobody's, whichever kind it says it is."""
    door = Tokens.simplejwt("a-signing-key-of-a-django-application-0123456789")
    assert "simplejwt" == door.name
    assert door.read_access("a.b.c", now_ms=0) is None
    assert door.read_refresh("a.b.c", now_ms=0) is None


def test_cookie_that_is_no_text():
    """Percent-encoded bytes that are no UTF-8 are nobody's, and Redis is not asked."""
    door = ExpressSessions(Away(), secrets=["a-secret-of-the-express-application-0123"])
    assert door.knock(Incoming(cookies="connect.sid=s%3A%ff%fe.x"), now_ms=0) is None
