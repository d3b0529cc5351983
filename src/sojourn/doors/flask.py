"""Flask's sessions: those that Flask-Session keeps on a server, and Flask's own in a signed cookie."""

from __future__ import annotations

from collections.abc import Iterable
from datetime import timedelta
from operator import itemgetter
from types import SimpleNamespace
from typing import Any

from flask import Flask
from flask.sessions import SecureCookieSessionInterface, SessionInterface
from itsdangerous import BadData

from sojourn.arrivals import Arrival
from sojourn.doors.old_session import Reading, cookie_value, ends_in_time, removal
from sojourn.errors import ConfigurationError, StoreError
from sojourn.messages import Incoming

FLASK_LOGIN_KEY = "_user_id"


class FlaskSessions:
    """Carries sessions of Flask-Session over, whatever it keeps them in.

    Args:
        app: The application with its old settings.
        interface: Flask-Session's interface; None for the one the application has now.
        subject_key: The value that names the user; Flask-Login's by default.
        carry: Names of session values that go on in the session's data.

    Raises:
        ConfigurationError: The sessions are not kept on a server.
    """

    name = "flask_session"

    def __init__(
        self,
        app: Flask,
        *,
        interface: SessionInterface | None = None,
        subject_key: str = FLASK_LOGIN_KEY,
        carry: Iterable[str] = (),
    ) -> None:
        """Keep the interface, which another may replace on the application."""
        self.longest_seconds = int(app.permanent_session_lifetime.total_seconds())
        self._app = app
        self._interface: Any = interface or app.session_interface
        self._reading = Reading(subject=itemgetter(subject_key), carry=tuple(carry))
        if not hasattr(self._interface, "serializer") or isinstance(
            self._interface, SecureCookieSessionInterface
        ):
            raise ConfigurationError(
                "this application has no sessions of Flask-Session; give its interface as "
                "interface=, or use FlaskCookies for Flask's own signed cookies"
            )

    def knock(self, incoming: Incoming, *, now_ms: int) -> Arrival | None:
        """See `CookieDoor.knock`."""
        name = self._interface.get_cookie_name(self._app)
        value = cookie_value(incoming, name)
        if not value:
            return None
        try:
            with self._app.app_context():
                request = SimpleNamespace(cookies={name: value})
                session = self._interface.open_session(self._app, request)
        except Exception as error:  # whatever library the sessions are kept by
            raise StoreError("the old sessions of Flask-Session cannot be read") from error
        return self._reading.arrival(
            session,
            proof=session.sid,
            expires_at=now_ms // 1000 + self.longest_seconds,
            remove_cookies=(_removal(self._interface, self._app),),
        )

    def close_behind(self, arrival: Arrival, *, after_seconds: int) -> None:
        """See `CookieDoor.close_behind`."""
        kept: Any = self._interface  # what each of its back ends implements
        place = kept._get_store_id(arrival.proof)  # noqa: SLF001
        try:
            with self._app.app_context():
                content = kept._retrieve_session_data(place)  # noqa: SLF001
                if content is not None and after_seconds > 0:
                    session = kept.session_class(content, sid=arrival.proof)
                    kept._upsert_session(timedelta(seconds=after_seconds), session, place)  # noqa: SLF001
                else:
                    kept._delete_session(place)  # noqa: SLF001
        except Exception as error:  # whatever library the sessions are kept by
            raise StoreError("the old session of Flask-Session cannot be ended") from error


class FlaskCookies:
    """Carries Flask's own sessions over, which stand in a signed cookie.

    Nothing is stored that could be ended: each cookie is taken once, and one of another device, or
    an earlier one of the same, is another.

    Args:
        app: The application with its old SECRET_KEY and settings.
        interface: The old interface, where it was one of your own.
        subject_key: The value that names the user; Flask-Login's by default.
        carry: Names of session values that go on in the session's data.
    """

    name = "flask"

    def __init__(
        self,
        app: Flask,
        *,
        interface: SecureCookieSessionInterface | None = None,
        subject_key: str = FLASK_LOGIN_KEY,
        carry: Iterable[str] = (),
    ) -> None:
        """Make the serializer that verifies.

        Raises:
            ConfigurationError: The application has no SECRET_KEY.
        """
        self.longest_seconds = int(app.permanent_session_lifetime.total_seconds())
        self._app = app
        self._interface = interface or SecureCookieSessionInterface()
        self._reading = Reading(subject=itemgetter(subject_key), carry=tuple(carry))
        serializer = self._interface.get_signing_serializer(app)
        if serializer is None:
            raise ConfigurationError("the application has no SECRET_KEY; set the old one")
        self._serializer = serializer

    def knock(self, incoming: Incoming, *, now_ms: int) -> Arrival | None:
        """See `CookieDoor.knock`."""
        value = cookie_value(incoming, self._interface.get_cookie_name(self._app))
        try:
            session, signed_at = self._serializer.loads(value, return_timestamp=True)
        except BadData:
            return None
        now = now_ms // 1000
        expires_at = int(signed_at.timestamp()) + self.longest_seconds
        latest = now + self.longest_seconds  # beyond it: of a time that has not come
        if now > expires_at or not ends_in_time(expires_at, latest=latest, door=self.name):
            return None
        return self._reading.arrival(
            session,
            # What is signed, without the signature: of that, two spellings could be genuine.
            proof=value.rpartition(".")[0],
            expires_at=expires_at,
            remove_cookies=(_removal(self._interface, self._app),),
        )

    def close_behind(self, arrival: Arrival, *, after_seconds: int) -> None:
        """Nothing is stored; see `CookieDoor.close_behind`."""


def _removal(interface: SessionInterface, app: Flask) -> str:
    return removal(
        interface.get_cookie_name(app),
        path=interface.get_cookie_path(app),
        domain=interface.get_cookie_domain(app),
        is_secure=interface.get_cookie_secure(app),
    )
