"""`Auth`: Sojourn in the idiom of Flask."""

from __future__ import annotations

from collections.abc import Iterable
from typing import Any, Unpack, cast

from blinker import Signal
from flask import Blueprint, Flask, current_app, request

from sojourn import wsgi
from sojourn.adapting.acts import LoginOptions
from sojourn.engine.answers import Attempt, SignedIn
from sojourn.engine.data import SessionData
from sojourn.errors import ConfigurationError
from sojourn.flask.commands import group
from sojourn.flask.config import configured
from sojourn.flask.endpoints import new_blueprint
from sojourn.flask.guard import Guard
from sojourn.flask.installed import current_state, here, load_user, set_user
from sojourn.flask.kept import names_of
from sojourn.flask.signals import (
    session_renewed,
    user_logged_in,
    user_logged_out,
    user_login_confirmed,
)
from sojourn.flask.users import subject_of
from sojourn.model import ClaimsT, Mode, Subject
from sojourn.ports import Store
from sojourn.sync import Sojourn


class Auth(Guard[ClaimsT]):
    """Sojourn in Flask applications; one may serve several, each with its own settings.

    Args:
        app: The application; or call `init_app` later, from a factory.
        store: A store URL, a blocking store, or a `Sojourn` that was made elsewhere;
            ``SOJOURN_STORE`` of ``app.config`` or the environment by default.
        **options: Everything `Sojourn` takes; ``SOJOURN_*`` of ``app.config``, then of the
            environment, where not given.
    """

    def __init__(
        self,
        app: Flask | None = None,
        *,
        store: str | Store | Sojourn[ClaimsT] | None = None,
        **options: Any,
    ) -> None:
        """Keep what every application is given."""
        self._store = store
        self._options = options
        if app is not None:
            self.init_app(app)

    def init_app(
        self,
        app: Flask,
        *,
        store: str | Store | Sojourn[ClaimsT] | None = None,
        **options: Any,
    ) -> None:
        """Stand before an application; the store is opened at its first use in each process.

        Args:
            app: The application; its ``app.config`` is complete.
            store: As in `Auth`, for this application.
            **options: The same.

        Raises:
            ConfigurationError: A setting is missing or wrong, or there are two extensions.
            UnsupportedInMode: A setting asks the mode for what it cannot know.
        """
        config = configured(app.config)
        chosen = store or self._store or config.store
        if chosen is None:
            raise ConfigurationError(
                "no store was given; say where sessions live: "
                "app.config['SOJOURN_STORE'] = 'sqlite:///app.db', or SOJOURN_STORE"
            )
        given = {**config.options, **self._options, **options}
        self._install(app, wsgi.Auth(chosen, **given), fresh=config.fresh)
        app.cli.add_command(group)

    @property
    def sojourn(self) -> Sojourn[ClaimsT]:
        """The engine of the current application, for all that needs no request."""
        return here().auth.sojourn

    def begin(self, subject: Subject) -> Attempt:
        """See `AsyncSojourn.begin`."""
        return self.sojourn.begin(subject)

    def login(self, user: Any, **options: Unpack[LoginOptions]) -> SignedIn[ClaimsT]:
        """See `AsyncSojourn.login`; cookies are written with the response.

        Args:
            user: A subject (text, int or UUID), or the application's user object.
            **options: What `AsyncSojourn.login` takes.
        """
        subject = subject_of(user)
        keys = options.get("carry", ())
        if not isinstance(keys, str):  # which is refused
            options["carry"] = names_of(keys)
        signed_in = self._here.login(self._environ, subject, **options)
        if subject is not user:
            set_user(user)
        _tell(user_logged_in)
        return self._given(signed_in)

    def login_failed(self, subject: str, *, reason: str) -> None:
        """Put a failed sign-in on the audit trail; see `AsyncSojourn.login_failed`."""
        self.sojourn.login_failed(current_state().incoming, subject, reason=reason)

    def refresh(self, *, refresh_token: str | None = None) -> SignedIn[ClaimsT]:
        """See `AsyncSojourn.refresh`; what was just renewed in passing is not rotated again."""
        signed_in = self._here.refresh(self._environ, refresh_token=refresh_token)
        if signed_in is not current_state().checked.renewed:
            session_renewed.send(_app(), signed_in=signed_in)
        return self._given(signed_in)

    def reauthenticate(
        self, *, amr: Iterable[str] = (), attempt: Attempt | None = None
    ) -> SignedIn[ClaimsT]:
        """See `AsyncSojourn.reauthenticate`."""
        signed_in = self._here.reauthenticate(self._environ, amr=amr, attempt=attempt)
        _tell(user_login_confirmed)
        return self._given(signed_in)

    def move(self, *, mode: Mode, refresh_token: str | None = None) -> SignedIn[ClaimsT]:
        """See `AsyncSojourn.move`."""
        return self._given(self._here.move(self._environ, mode=mode, refresh_token=refresh_token))

    def access_token(self, *, audience: str = "") -> SignedIn[ClaimsT]:
        """See `AsyncSojourn.access_token`."""
        return self._given(self._here.access_token(self._environ, audience=audience))

    def logout(self) -> None:
        """See `AsyncSojourn.logout`."""
        user = _heard_by(user_logged_out)
        self._here.logout(self._environ)
        _tell(user_logged_out, user)

    def logout_all(self) -> None:
        """End everything of whoever is signed in, this session too."""
        user = _heard_by(user_logged_out)
        self._here.logout_all(self._environ)
        _tell(user_logged_out, user)

    def logout_others(self) -> None:
        """End all other sessions and tokens of whoever is signed in."""
        self._here.logout_others(self._environ)

    def data(self) -> SessionData:
        """Load the session's data (or the visitor's); saved by itself with the response."""
        return self._here.data(self._environ)

    def hand_out(self, signed_in: SignedIn[ClaimsT]) -> SignedIn[ClaimsT]:
        """Have the response hand out what a login that was made elsewhere gave."""
        return self._given(self._here.hand_out(self._environ, signed_in))

    def blueprint(self, name: str = "sojourn", *, url_prefix: str = "/auth") -> Blueprint:
        """Make the JSON endpoints of a client's own sign-in: the session, refresh, logout, devices.

        Paths and answers are those of the standalone server. Signing in is the application's own.

        Args:
            name: The blueprint's name.
            url_prefix: What the paths begin with.
        """
        return new_blueprint(name, url_prefix=url_prefix)

    @property
    def _here(self) -> wsgi.Auth[Any]:
        return here().auth

    @property
    def _environ(self) -> Any:
        current_state()  # where the middleware was not passed, the request is checked now
        return request.environ

    @staticmethod
    def _given(signed_in: SignedIn[Any]) -> SignedIn[ClaimsT]:
        return cast("SignedIn[ClaimsT]", signed_in)


def _app() -> Flask:
    return cast("Flask", cast("Any", current_app)._get_current_object())  # noqa: SLF001 - as Flask documents


def _heard_by(signal: Signal) -> Any:
    """Load the user for those who listen; at no cost where nobody does."""
    return load_user() if signal.receivers else None


def _tell(signal: Signal, user: Any = None) -> None:
    if signal.receivers:
        signal.send(_app(), user=load_user() if user is None else user)
