"""`Guard`: who may see what, in the idiom of Flask; for a verifier all there is, `Auth` adds to it."""

from __future__ import annotations

import functools
from collections.abc import Callable
from datetime import timedelta
from typing import Any, Generic, ParamSpec, TypeVar, Unpack, cast, overload

from flask import Flask, Request, current_app, request

from sojourn import wsgi
from sojourn.adapting import RequestState
from sojourn.errors import ConfigurationError, SojournError
from sojourn.flask.config import configured
from sojourn.flask.installed import (
    EXTENSION,
    Installed,
    current_state,
    current_user,
    here,
    load_user,
)
from sojourn.flask.refusing import answer
from sojourn.flask.signals import session_renewed
from sojourn.messages import Incoming
from sojourn.model import ClaimsT, Principal
from sojourn.need import ANYONE_SIGNED_IN, Need, NeedOptions
from sojourn.verifier import Verifier
from sojourn.wsgi.environ import Environ

P = ParamSpec("P")
View = Callable[P, Any]
LoaderT = TypeVar("LoaderT", bound=Callable[[str], Any])
RequestLoaderT = TypeVar("RequestLoaderT", bound=Callable[[Request], Any])
HandlerT = TypeVar("HandlerT", bound=Callable[[], Any])


class Guard(Generic[ClaimsT]):
    """A verifier in a Flask application: a service that checks what another one issues.

    Args:
        checker: The verifier.
        app: The application; or call `init_app` later.
    """

    login_view: str | None = None
    """Where people who have to sign in are led: an endpoint's name, or an address."""
    refresh_view: str | None = None
    """Where people are led whose sign-in is not recent enough."""
    login_message: str | None = None
    """What is flashed to them before; flashing needs a `flask.session`."""
    needs_refresh_message: str | None = None
    """The same, where the sign-in is not recent enough."""
    login_message_category: str = "message"
    """The category of both."""
    load_by_subject: Callable[[str], Any] | None = None
    """The application's `user_loader`."""
    load_by_request: Callable[[Request], Any] | None = None
    """Its `request_loader`."""
    refuse: Callable[[], Any] | None = None
    """Its `unauthorized_handler`."""
    refuse_stale: Callable[[], Any] | None = None
    """Its `needs_refresh_handler`."""

    def __init__(self, checker: Verifier, app: Flask | None = None) -> None:
        """Take the verifier."""
        self._guard = wsgi.Guard[ClaimsT](checker)
        if app is not None:
            self.init_app(app)

    def init_app(self, app: Flask) -> None:
        """Stand before an application."""
        self._install(app, self._guard, fresh=configured(app.config).fresh)

    def _install(self, app: Flask, guard: wsgi.Guard[Any], *, fresh: timedelta) -> None:
        if EXTENSION in app.extensions:
            raise ConfigurationError(
                f"Sojourn is on the application {app.name} already; initialise it once"
            )

        def show(_: Environ, state: RequestState) -> None:
            if state.checked.renewed is not None:
                session_renewed.send(app, signed_in=state.checked.renewed)

        app.extensions[EXTENSION] = Installed(adapter=self, guard=guard, fresh=fresh)
        middleware = wsgi.SojournMiddleware(app.wsgi_app, guard.checker, show=show)
        app.wsgi_app = middleware  # type: ignore[method-assign]
        if SojournError not in app.error_handler_spec[None][None]:  # the application's own is kept
            app.register_error_handler(SojournError, answer)
        app.context_processor(lambda: {"current_user": current_user})

    # --- who it is --------------------------------------------------------------------------------

    def current(self) -> Principal[ClaimsT]:
        """Give the principal of the current request.

        Raises:
            Refused: There is none.
            SojournError: Whether there is one cannot be known now.
        """
        return self.check(ANYONE_SIGNED_IN)

    @property
    def incoming(self) -> Incoming:
        """The request, reduced: for the audit trail, as `auth.sojourn.revoke(…, incoming=…)`."""
        return current_state().incoming

    def optional(self) -> Principal[ClaimsT] | None:
        """Give the principal of the current request, or None."""
        self._load()
        return cast("Principal[ClaimsT] | None", current_state().principal)

    def require(self, **need: Unpack[NeedOptions]) -> Callable[[], Principal[ClaimsT]]:
        """Make a function that gives the current principal where it meets a `Need`."""
        return functools.partial(self.check, Need.of(**need))

    def check(self, need: Need) -> Principal[ClaimsT]:
        """Give the principal of the current request where it meets a need.

        Raises:
            Refused: Why it does not.
            SojournError: Why that cannot be known now.
        """
        current_state()
        here().guard.check(request.environ, need)
        self._load()
        return cast("Principal[ClaimsT]", current_state().require())

    def _load(self) -> None:
        if self.load_by_subject is not None:
            load_user()

    @overload
    def requires(self, view: View[P], /) -> Callable[P, Any]: ...

    @overload
    def requires(self, /, **need: Unpack[NeedOptions]) -> Callable[[View[P]], Callable[P, Any]]: ...

    def requires(self, view: View[P] | None = None, /, **need: Any) -> Any:
        """Guard a view, ``async`` or not; takes what `require` takes.

        Written ``@auth.requires`` or ``@auth.requires(roles={"admin"})``, below the route.
        """
        required = self.require(**need)

        def decorate(guarded: View[P]) -> Callable[P, Any]:
            return before(guarded, required)

        return decorate if view is None else decorate(view)

    # --- what the application says ----------------------------------------------------------------

    def user_loader(self, loader: LoaderT) -> LoaderT:
        """Say how a user is loaded by the subject, a text; None for one that is not there any more."""
        self.load_by_subject = loader
        return loader

    def request_loader(self, loader: RequestLoaderT) -> RequestLoaderT:
        """Say how a request without a sign-in may prove a user by something else; or None."""
        self.load_by_request = loader
        return loader

    def unauthorized_handler(self, handler: HandlerT) -> HandlerT:
        """Say what is answered to whoever has to sign in, in place of `login_view`."""
        self.refuse = handler
        return handler

    def needs_refresh_handler(self, handler: HandlerT) -> HandlerT:
        """Say what is answered to whose sign-in is not recent enough, in place of `refresh_view`."""
        self.refuse_stale = handler
        return handler


def before(view: View[P], act: Callable[[], Any]) -> Callable[P, Any]:
    """Have something done before a view, which runs as Flask would run it."""

    @functools.wraps(view)
    def wrapped(*args: P.args, **kwargs: P.kwargs) -> Any:
        act()
        return current_app.ensure_sync(view)(*args, **kwargs)

    return wrapped
