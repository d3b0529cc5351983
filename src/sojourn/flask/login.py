"""Flask-Login's functions, for those who know them: they act on the current application's `Auth`."""

from __future__ import annotations

from collections.abc import Callable, Iterable
from typing import Any, ParamSpec, Unpack, cast

from sojourn.adapting.acts import LoginOptions
from sojourn.engine.answers import Attempt, SignedIn
from sojourn.errors import FreshLoginRequired, Unauthenticated
from sojourn.flask.auth import Auth
from sojourn.flask.guard import before
from sojourn.flask.installed import current_state, here, load_user
from sojourn.flask.users import is_authenticated
from sojourn.need import Need

P = ParamSpec("P")


def login_required(view: Callable[P, Any]) -> Callable[P, Any]:
    """Guard a view, ``async`` or not: somebody has to be signed in. Written below the route."""
    return before(view, _require_user)


def fresh_login_required(view: Callable[P, Any]) -> Callable[P, Any]:
    """Guard a view: somebody has to have signed in within ``SOJOURN_FRESH_SECONDS`` (15 minutes)."""
    return before(view, _require_fresh_user)


def login_user(user: Any, **options: Unpack[LoginOptions]) -> SignedIn[Any] | None:
    """Sign a user in, whose credential the application has just checked.

    As in Flask-Login, the sign-in ends with the browser unless ``remember=True``.

    Args:
        user: The application's user object, or its identifier.
        **options: What `AsyncSojourn.login` takes.

    Returns:
        What was handed out; None where the user says not to be active, and was not signed in.
    """
    if not getattr(user, "is_active", True):
        return None
    options.setdefault("remember", False)
    return _auth().login(user, **options)


def logout_user() -> bool:
    """Sign whoever it is out; also where nobody was signed in."""
    _auth().logout()
    return True


def confirm_login(*, amr: Iterable[str] = (), attempt: Attempt | None = None) -> SignedIn[Any]:
    """Renew a sign-in after its user proved again who they are; see `AsyncSojourn.reauthenticate`.

    Raises:
        Refused: Nobody is signed in.
    """
    return _auth().reauthenticate(amr=amr, attempt=attempt)


def _auth() -> Auth[Any]:
    installed = here()
    assert installed.auth  # noqa: S101 - says what is wrong with a Guard
    return cast("Auth[Any]", installed.adapter)


def _require_user() -> None:
    if not is_authenticated(load_user()):
        current_state().require()
        raise Unauthenticated("this account cannot be used at present")


def _require_fresh_user() -> None:
    _require_user()
    state = current_state()
    if state.principal is None and state.error is None:
        raise FreshLoginRequired("this needs a recent sign-in; no other credential is one")
    state.require(Need.of(max_age=here().fresh))
