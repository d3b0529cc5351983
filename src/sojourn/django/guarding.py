"""What a view asks of a request: `requires`, above functions and classes, ``async`` or not."""

from __future__ import annotations

import functools
from collections.abc import Callable
from typing import Any, ParamSpec, TypeVar, Unpack, cast, overload

from asgiref.sync import iscoroutinefunction, sync_to_async
from django.contrib.auth.models import AnonymousUser

from sojourn.adapting import RequestState
from sojourn.django.caching import tell_caches
from sojourn.django.conf import get_checker, is_verifying
from sojourn.django.showing import show
from sojourn.django.state import django_request, state_of
from sojourn.django.users import unknown_user
from sojourn.model import Principal
from sojourn.need import ANYONE_SIGNED_IN, Need, NeedOptions

P = ParamSpec("P")
T = TypeVar("T")


def current(request: Any) -> Principal[Any]:
    """Give the principal of a request, whose user is loaded: it may block.

    Raises:
        Refused: There is none, or Django knows its user no more.
        SojournError: Whether there is one cannot be known now.
    """
    return check(request, ANYONE_SIGNED_IN)


def check(request: Any, need: Need) -> Principal[Any]:
    """Give the principal where it meets a need and `request.user` is somebody.

    Raises:
        Refused: Why it does not.
        SojournError: Why that cannot be known now.
    """
    principal = _meeting(state_of(request), need)
    known_user(request)
    return principal


async def acheck(request: Any, need: Need) -> Principal[Any]:
    """See `check`."""
    state = state_of(request)
    if need.max_lag_seconds is None:
        principal = _meeting(state, need)
    else:  # asks the store, which blocks
        principal = await sync_to_async(_meeting)(state, need)
    if not is_verifying():
        show(request, state, _known(await request.auser()))  # who looks again loads nothing
    return principal


def known_user(request: Any) -> Any:
    """Give the user of whoever is signed in, loaded once; a service that verifies has its own.

    Raises:
        InvalidToken: No authentication backend gives one, or their session is out of date.
    """
    if is_verifying():
        return getattr(django_request(request), "user", None) or AnonymousUser()
    return _known(django_request(request).user)


def _known(user: Any) -> Any:
    if not user.is_authenticated:
        raise unknown_user()
    return user


def _meeting(state: RequestState, need: Need) -> Principal[Any]:
    """Give the principal where it meets a need; asks the store again where that is needed."""
    if need.max_lag_seconds is not None:
        state.error = None
        state.checked = get_checker().check(state.incoming, need=need, renew=False)
    return state.require(need)


@overload
def requires(view: Callable[P, T], /) -> Callable[P, T]: ...


@overload
def requires(
    view: None = None, /, **need: Unpack[NeedOptions]
) -> Callable[[Callable[P, T]], Callable[P, T]]: ...


def requires(view: Any = None, /, **need: Any) -> Any:
    """Guard a view: ``@requires`` or ``@requires(roles={"admin"}, max_age=timedelta(minutes=5))``.

    What is refused is answered with a problem document; a page that should lead to the sign-in
    has Django's `login_required`. The user is loaded, once: whom Django knows no more is refused. Above a class: ``@method_decorator(requires, name="dispatch")``.

    Args:
        view: A function whose first argument is the request.
        **need: What `Need.of` takes.
    """
    needed = Need.of(**need)

    def decorate(guarded: Callable[P, T]) -> Callable[P, T]:
        if iscoroutinefunction(guarded):

            @functools.wraps(guarded)
            async def waiting(request: Any, *args: Any, **kwargs: Any) -> Any:
                await acheck(request, needed)
                return tell_caches(request, await cast("Any", guarded)(request, *args, **kwargs))

            return cast("Callable[P, T]", waiting)

        @functools.wraps(guarded)
        def wrapped(request: Any, *args: Any, **kwargs: Any) -> Any:
            check(request, needed)
            return tell_caches(request, cast("Any", guarded)(request, *args, **kwargs))

        return cast("Callable[P, T]", wrapped)

    return decorate if view is None else decorate(view)
