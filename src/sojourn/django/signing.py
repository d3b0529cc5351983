"""Signing in, again and out: what a view calls, beside what `django.contrib.auth` has.

`django.contrib.auth.login` signs in to Django's session (``SESSION_ENGINE``); `login` here to whatever
the setting ``MODE`` says, over our own cookies or as bearer. In an asynchronous view call them
within `asgiref.sync.sync_to_async`.
"""

from __future__ import annotations

from collections.abc import Iterable
from typing import TYPE_CHECKING, Any, Unpack

from django.contrib.auth import user_logged_in, user_logged_out
from django.contrib.auth.models import AnonymousUser
from django.middleware.csrf import rotate_token

from sojourn.adapting import acts
from sojourn.adapting.acts import LoginOptions
from sojourn.django.conf import get_auth
from sojourn.django.middleware import show
from sojourn.django.state import DjangoState, django_request, state_of
from sojourn.django.users import subject_of
from sojourn.errors import InvalidCredentials, UnsupportedInMode
from sojourn.messages import NOTHING_TO_SEND

if TYPE_CHECKING:
    from django.contrib.auth.models import AbstractBaseUser

    from sojourn.engine.answers import Attempt, SignedIn
    from sojourn.engine.data import SessionData
    from sojourn.model import Mode


def begin(user: AbstractBaseUser) -> Attempt:
    """Take a position before a password is checked; see `AsyncSojourn.begin`."""
    return get_auth().begin(subject_of(user))


def login(
    request: Any, user: AbstractBaseUser, **options: Unpack[LoginOptions]
) -> SignedIn[dict[str, Any]]:
    """Sign a user in whose password the application has just checked (`authenticate`).

    Args:
        request: The request; the middleware writes the cookies.
        user: The user.
        **options: What `AsyncSojourn.login` takes: `mode`, `transport`, `roles`, `scopes`, …

    Raises:
        InvalidCredentials: The user is not active.
    """
    if not user.is_active:
        raise InvalidCredentials("this account is not active")
    auth = get_auth()
    state = state_of(request)
    signed_in = auth.run(acts.login(auth.core, state, subject_of(user), **options))
    state.session = None
    show(request, state, user)
    rotate_token(django_request(request))
    user_logged_in.send(sender=type(user), request=request, user=user)
    return signed_in


def logout(request: Any) -> None:
    """End the session of a request, whichever way it was begun, and empty Django's session."""
    state = state_of(request)
    _tell_logout(request)
    get_auth().run(acts.logout(get_auth().core, state))
    _nobody(request, state)


def logout_all(request: Any) -> None:
    """End everything of whoever is signed in, this session too."""
    state = state_of(request)
    state.require()
    _tell_logout(request)
    get_auth().run(acts.logout_all(get_auth().core, state))
    _nobody(request, state)


def logout_others(request: Any) -> None:
    """End all other sessions and tokens of whoever is signed in."""
    get_auth().run(acts.logout_others(get_auth().core, state_of(request)))


def refresh(request: Any, *, refresh_token: str | None = None) -> SignedIn[dict[str, Any]]:
    """See `AsyncSojourn.refresh`; what the middleware has just renewed is not rotated again."""
    state = state_of(request)
    auth = get_auth()
    signed_in = auth.run(acts.refresh(auth.core, state, refresh_token=refresh_token))
    return _done(request, state, signed_in)


def reauthenticate(
    request: Any, *, amr: Iterable[str] = (), attempt: Attempt | None = None
) -> SignedIn[dict[str, Any]]:
    """See `AsyncSojourn.reauthenticate`."""
    state = state_of(request)
    auth = get_auth()
    signed_in = auth.run(acts.reauthenticate(auth.core, state, amr=amr, attempt=attempt))
    return _done(request, state, signed_in)


def move(request: Any, *, mode: Mode, refresh_token: str | None = None) -> SignedIn[dict[str, Any]]:
    """See `AsyncSojourn.move`; what Django's session signs in stays there.

    Raises:
        UnsupportedInMode: It is Django's session that says who this is.
    """
    state = state_of(request)
    if state.session is not None:
        raise UnsupportedInMode("a session of Django's has no other mode; use access_token")
    auth = get_auth()
    signed_in = auth.run(acts.move(auth.core, state, mode=mode, refresh_token=refresh_token))
    return _done(request, state, signed_in)


def access_token(request: Any, *, audience: str = "") -> SignedIn[dict[str, Any]]:
    """See `AsyncSojourn.access_token`."""
    auth = get_auth()
    return auth.run(acts.access_token(auth.core, state_of(request), audience=audience))


def data(request: Any) -> SessionData:
    """Load the session's data (or the visitor's) where there is no ``request.session``; saved by itself."""
    auth = get_auth()
    return auth.run(acts.load_data(auth.core, state_of(request)))


def _done(
    request: Any, state: DjangoState, signed_in: SignedIn[dict[str, Any]]
) -> SignedIn[dict[str, Any]]:
    if state.session is not None and signed_in.transport == "cookie":
        # Its new handle goes where the old one is: into the cookie that Django writes.
        state.session.take_handle(state.incoming)
        state.outgoing = NOTHING_TO_SEND
        request.principal = state.principal
    else:
        show(request, state)
    return signed_in


def _tell_logout(request: Any) -> None:
    user = getattr(request, "user", None)
    known = user if getattr(user, "is_authenticated", False) else None
    user_logged_out.send(sender=type(known), request=request, user=known)


def _nobody(request: Any, state: DjangoState) -> None:
    session = getattr(request, "session", None)
    if session is not None:
        session.flush()
    state.session = None
    show(request, state, AnonymousUser())
