"""The sessions of Django 5.2, whichever engine keeps them.

Django itself reads them and judges whose they are, the session hash included, so that a session
from before a change of password is not carried over.
"""

from __future__ import annotations

from collections.abc import Iterable
from datetime import UTC, datetime, timedelta
from importlib import import_module
from types import SimpleNamespace
from typing import Any

import django.db
from django.conf import settings
from django.contrib.auth import get_user
from django.contrib.sessions.backends.base import UpdateError

from sojourn.arrivals import Arrival
from sojourn.doors.old_session import carried, cookie_value, ends_in_time, removal, usable_subject
from sojourn.errors import StoreError
from sojourn.messages import Incoming


class DjangoSessions:
    """Carries sessions of `django.contrib.sessions` and `django.contrib.auth` over.

    Args:
        engine: The SESSION_ENGINE that keeps the old sessions.
        cookie_name: The old SESSION_COOKIE_NAME; None for the one of the settings.
        longest_seconds: The longest life of a session; None for SESSION_COOKIE_AGE. More where
            `set_expiry` gave more.
        carry: Names of session values that go on in the session's data.
    """

    name = "django"

    def __init__(
        self,
        *,
        engine: str = "django.contrib.sessions.backends.db",
        cookie_name: str | None = None,
        longest_seconds: int | None = None,
        carry: Iterable[str] = (),
    ) -> None:
        """Keep what to look for; nothing of Django's settings is read yet."""
        self._engine = engine
        self._cookie_name = cookie_name
        self._longest_seconds = longest_seconds
        self._carry = tuple(carry)

    @property
    def longest_seconds(self) -> int:
        """See `CookieDoor.longest_seconds`."""
        given = self._longest_seconds
        return settings.SESSION_COOKIE_AGE if given is None else given

    def knock(self, incoming: Incoming, *, now_ms: int) -> Arrival | None:
        """See `CookieDoor.knock`."""
        name = self._cookie_name or settings.SESSION_COOKIE_NAME
        key = cookie_value(incoming, name)
        if not key:
            return None
        try:
            _drop_old_connections()
            return self._arrival(name, key, now_ms)
        except (django.db.Error, OSError) as error:
            raise StoreError("the old sessions of Django cannot be read; try again") from error
        finally:
            _drop_old_connections()

    def close_behind(self, arrival: Arrival, *, after_seconds: int) -> None:
        """See `CookieDoor.close_behind`."""
        try:
            store = self._store(arrival.proof)
            if after_seconds > 0 and store.exists(arrival.proof):
                # An instant, which later requests of the old application do not move.
                store.set_expiry(timedelta(seconds=after_seconds))
                store.save()
            else:
                store.delete()
        except UpdateError:
            pass  # somebody has ended it meanwhile
        except (django.db.Error, OSError) as error:
            raise StoreError("the old session of Django cannot be ended; try again") from error
        finally:
            _drop_old_connections()

    def _arrival(self, name: str, key: str, now_ms: int) -> Arrival | None:
        store = self._store(key)
        session = store.load()
        user: Any = get_user(SimpleNamespace(session=_Untouched(session)))  # type: ignore[arg-type]
        subject = usable_subject(user.pk)
        if not user.is_authenticated or subject is None:
            return None
        now = datetime.fromtimestamp(now_ms // 1000, UTC)
        expires_at = int(store.get_expiry_date(modification=now).timestamp())
        latest = now_ms // 1000 + self.longest_seconds
        if not ends_in_time(expires_at, latest=latest, door=self.name):
            return None
        return Arrival(
            subject=subject,
            proof=key,
            expires_at=expires_at,
            data=carried(session, self._carry),
            remove_cookies=(
                removal(
                    name,
                    path=settings.SESSION_COOKIE_PATH,
                    domain=settings.SESSION_COOKIE_DOMAIN,
                    is_secure=settings.SESSION_COOKIE_SECURE,
                ),
            ),
        )

    def _store(self, key: str) -> Any:
        return import_module(self._engine).SessionStore(key)


def _drop_old_connections() -> None:
    """Drop connections that the database has closed meanwhile, but none in a transaction.

    Within Django's own requests one may be open, and Django itself would take it for broken.
    """
    for connection in django.db.connections.all(initialized_only=True):
        if not connection.in_atomic_block:
            connection.close_if_unusable_or_obsolete()


class _Untouched(dict[str, Any]):
    """A session's content for `get_user`, which would renew or empty the session it judges."""

    def cycle_key(self) -> None:
        """Leave the session under its key, where a fallback secret verified it."""

    def flush(self) -> None:
        """Leave the session as it is, where its hash is another."""
