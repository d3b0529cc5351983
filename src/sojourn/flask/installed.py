"""What an application of Flask has of Sojourn, and the state of its present request."""

from __future__ import annotations

from dataclasses import dataclass
from datetime import timedelta
from typing import TYPE_CHECKING, Any, cast

from flask import Flask, current_app, request
from werkzeug.local import LocalProxy

from sojourn import wsgi
from sojourn.adapting import RequestState
from sojourn.engine.answers import Checked
from sojourn.errors import ConfigurationError, CrossSite, Unauthenticated
from sojourn.flask.users import AnonymousUser, SignedInUser
from sojourn.wsgi.environ import STATE, Environ
from sojourn.wsgi.middleware import check_request

if TYPE_CHECKING:
    from sojourn.flask.guard import Guard

EXTENSION = "sojourn"
_LATE, _USER = "sojourn.late", "sojourn.user"


@dataclass(frozen=True, slots=True, kw_only=True)
class Installed:
    """What ``app.extensions["sojourn"]`` is.

    Args:
        adapter: The extension.
        guard: What checks this application's requests.
        fresh: How old a sign-in `fresh_login_required` takes.
    """

    adapter: Guard[Any]
    guard: wsgi.Guard[Any]
    fresh: timedelta

    @property
    def auth(self) -> wsgi.Auth[Any]:
        """What signs in and out.

        Raises:
            ConfigurationError: The extension is a `Guard`.
        """
        if not isinstance(self.guard, wsgi.Auth):
            raise ConfigurationError(
                "a Guard verifies what others issue, and signs nobody in or out; use Auth for that"
            )
        return self.guard

    def state_of(self, environ: Environ) -> RequestState:
        """Give the state of a request; one that came past the middleware is checked now.

        Those are of `test_request_context` and `session_transaction`.
        """
        if STATE not in environ:
            environ[_LATE] = True
            check_request(self.guard.checker, environ)
        return cast("RequestState", environ[STATE])

    def is_late(self, environ: Environ) -> bool:
        """Tell whether a request came past the middleware, which will not answer it either."""
        return _LATE in environ


def installed_on(app: Flask) -> Installed:
    """Give what an application has.

    Raises:
        ConfigurationError: The extension was not initialised with it.
    """
    installed = app.extensions.get(EXTENSION)
    if not isinstance(installed, Installed):
        raise ConfigurationError(
            f"Sojourn is not on the application {app.name}; call auth.init_app(app)"
        )
    return installed


def here() -> Installed:
    """Give what the current application has.

    Raises:
        ConfigurationError: The extension was not initialised with it.
        RuntimeError: There is no application context.
    """
    return installed_on(current_app)


def current_state() -> RequestState:
    """Give the state of the current request."""
    return here().state_of(request.environ)


def load_user() -> Any:
    """Give the user object of the current request, loaded once for whoever it is.

    A principal whom the application's `user_loader` does not know is signed in no longer.
    """
    state = current_state()
    checked, user = request.environ.get(_USER, (None, None))
    if checked is not state.checked:
        user = _user_of(here().adapter, state)
        set_user(user)
    return user


current_user: Any = LocalProxy(load_user)
"""The user of the current request: the application's own, by its `user_loader`, or a `SignedInUser`;
an `AnonymousUser` where nobody has signed in."""


def set_user(user: Any) -> None:
    """Have this be the user of the current request, as long as its principal is the same."""
    request.environ[_USER] = (current_state().checked, user)


def _user_of(adapter: Guard[Any], state: RequestState) -> Any:
    if state.principal is None:
        user = None
        # What another site had a browser send gets no second chance by other credentials.
        if adapter.load_by_request and not isinstance(state.checked.refusal, CrossSite):
            user = current_app.ensure_sync(adapter.load_by_request)(request)
        return user or AnonymousUser()
    if adapter.load_by_subject is None:
        return SignedInUser(state.principal)
    user = current_app.ensure_sync(adapter.load_by_subject)(state.principal.subject)
    if not user:
        gone = Unauthenticated("this account is not there any more; sign in with another")
        state.checked = Checked(refusal=gone, now_ms=state.checked.now_ms)
        return AnonymousUser()
    return user
