"""Signing in, again and out: what a view calls, beside what `django.contrib.auth` has.

`django.contrib.auth.login` signs in to Django's session (``SESSION_ENGINE``); `login` here to whatever
the setting ``MODE`` says, over our own cookies or as bearer. In an asynchronous view call them
within `asgiref.sync.sync_to_async`.
"""

from __future__ import annotations

from collections.abc import Callable, Coroutine, Iterable
from dataclasses import replace
from typing import TYPE_CHECKING, Any, TypeVar, Unpack

from django.contrib.auth import user_logged_in, user_logged_out
from django.contrib.auth.models import AnonymousUser
from django.middleware.csrf import rotate_token

from sojourn import handles
from sojourn.adapting import acts
from sojourn.adapting.acts import LoginOptions
from sojourn.django.conf import get_auth
from sojourn.django.endings import end_unknown
from sojourn.django.guarding import current
from sojourn.django.showing import show
from sojourn.django.state import DjangoState, django_request, state_of
from sojourn.django.users import subject_of
from sojourn.errors import InvalidCredentials, InvalidToken, Refused
from sojourn.messages import NOTHING_TO_SEND
from sojourn.model import Principal, Tombstone

if TYPE_CHECKING:
    from django.contrib.auth.models import AbstractBaseUser

    from sojourn.engine.answers import Attempt, SignedIn
    from sojourn.engine.core import Core
    from sojourn.engine.data import SessionData
    from sojourn.model import Mode

T = TypeVar("T")


def begin(user: AbstractBaseUser) -> Attempt:
    """Take a position before a password is checked; see `AsyncSojourn.begin`."""
    return get_auth().begin(subject_of(user))


def login(
    request: Any, user: AbstractBaseUser, **options: Unpack[LoginOptions]
) -> SignedIn[dict[str, Any]]:
    """Sign a user in whose password the application has just checked (`authenticate`).

    A session of Django's that is somebody's is ended; a visitor's goes on beside.

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
    if state.session is not None:
        if state.principal is not None:
            state.session.flush()
        state.session, state.incoming = None, replace(state.incoming, cookies="")
    signed_in = auth.run(acts.login(auth.core, state, subject_of(user), **options))
    show(request, state, user)
    rotate_token(django_request(request))
    user_logged_in.send(sender=type(user), request=request, user=user)
    return signed_in


def logout(request: Any) -> None:
    """End the session of a request, whichever way it was begun, and empty Django's session."""
    act(request, acts.logout)
    _empty_session(request)


def logout_all(request: Any) -> None:
    """End everything of whoever is signed in, this session too."""
    act(request, acts.logout_all)


def logout_others(request: Any) -> None:
    """End all other sessions and tokens of whoever is signed in."""
    act(request, acts.logout_others)


def refresh(request: Any, *, refresh_token: str | None = None) -> SignedIn[dict[str, Any]]:
    """See `AsyncSojourn.refresh`; what the middleware has just renewed is not rotated again.

    A session that is ended here (a copy of its handle was used, its user is gone) stays ended, also
    where the view's transaction is rolled back.
    """
    state = state_of(request)
    text = refresh_token or get_auth().core.browser.credentials(state.incoming).refresh
    before = state.principal
    if before is not None:
        _require_known(request, state, before)
    try:
        signed_in = act(
            request, lambda core, state: acts.refresh(core, state, refresh_token=refresh_token)
        )
    except Refused:
        handle = handles.parse(text)
        if handle is not None:
            _remember_end(state, handle.sid)
        raise
    if before is None or before.subject != signed_in.principal.subject:
        # A refresh token alone says only now whose it is.
        _require_known(request, state, signed_in.principal)
    return signed_in


def _require_known(request: Any, state: DjangoState, principal: Principal[Any]) -> None:
    try:
        current(request)
    except InvalidToken:
        end_unknown(principal, state.incoming)
        _remember_end(state, principal.sid)
        state.outgoing = state.begun
        raise


def _remember_end(state: DjangoState, sid: str) -> None:
    """Keep what a refused refresh has ended, for the response: by then it may be rolled back."""
    auth = get_auth()
    record = auth.run(auth.core.store.get(sid)).record
    if isinstance(record, Tombstone):
        state.ended = record


def reauthenticate(
    request: Any, *, amr: Iterable[str] = (), attempt: Attempt | None = None
) -> SignedIn[dict[str, Any]]:
    """See `AsyncSojourn.reauthenticate`."""
    current(request)
    return act(
        request, lambda core, state: acts.reauthenticate(core, state, amr=amr, attempt=attempt)
    )


def move(request: Any, *, mode: Mode, refresh_token: str | None = None) -> SignedIn[dict[str, Any]]:
    """See `AsyncSojourn.move`; who was signed in by Django's session goes on with our cookies."""
    current(request)
    return act(
        request, lambda core, state: acts.move(core, state, mode=mode, refresh_token=refresh_token)
    )


def access_token(request: Any, *, audience: str = "") -> SignedIn[dict[str, Any]]:
    """See `AsyncSojourn.access_token`."""
    current(request)
    return act(request, lambda core, state: acts.access_token(core, state, audience=audience))


def data(request: Any) -> SessionData:
    """Load the session's data (or the visitor's) where there is no ``request.session``; saved by itself."""
    return act(request, acts.load_data)


def act(request: Any, what: Callable[[Core, DjangoState], Coroutine[Any, Any, T]]) -> T:
    """Do something with a request, and have Django know what came of it.

    Args:
        request: The request.
        what: One of `sojourn.adapting.acts`.
    """
    auth = get_auth()
    state = state_of(request)
    before = state.principal
    # Loaded while there is one, for those who listen.
    user = request.user if user_logged_out.has_listeners() else None
    result = auth.run(what(auth.core, state))
    if before is not None and state.principal is None:
        _empty_session(request)
        state.session = None
        show(request, state, AnonymousUser())
        user_logged_out.send(sender=type(user), request=request, user=user)
    elif state.principal is not before:
        _go_on(request, state)
    return result


def _go_on(request: Any, state: DjangoState) -> None:
    """Have the new credentials handed out where the old ones are."""
    if state.session is not None:
        if get_auth().core.browser.credentials(state.incoming).handle:
            state.session.take_handle(state.incoming)
            state.outgoing = NOTHING_TO_SEND
        else:  # moved to another mode, which only our own cookies have
            state.session.flush()
            state.session = None
    show(request, state)


def _empty_session(request: Any) -> None:
    session = getattr(request, "session", None)
    if session is not None:
        session.flush()
