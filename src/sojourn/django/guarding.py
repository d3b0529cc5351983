"""What a view asks of a request: `requires`, above functions and classes, ``async`` or not."""

from __future__ import annotations

import functools
from collections.abc import Callable
from typing import Any, ParamSpec, TypeVar, Unpack, cast, overload

from asgiref.sync import iscoroutinefunction, sync_to_async

from sojourn.adapting import RequestState
from sojourn.django.conf import get_checker
from sojourn.django.state import state_of
from sojourn.model import Principal
from sojourn.need import ANYONE_SIGNED_IN, Need, NeedOptions

P = ParamSpec("P")
T = TypeVar("T")


def current(request: Any) -> Principal[Any]:
    """Give the principal of a request.

    Raises:
        Refused: There is none.
        SojournError: Whether there is one cannot be known now.
    """
    return check(state_of(request), ANYONE_SIGNED_IN)


def check(state: RequestState, need: Need) -> Principal[Any]:
    """Give the principal where it meets a need; asks the store again where that is needed.

    Raises:
        Refused: Why it does not.
        SojournError: Why that cannot be known now.
    """
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
    has Django's `login_required`. Above a class: ``@method_decorator(requires, name="dispatch")``.

    Args:
        view: A function whose first argument is the request.
        **need: What `Need.of` takes.
    """
    needed = Need.of(**need)

    def decorate(guarded: Callable[P, T]) -> Callable[P, T]:
        if iscoroutinefunction(guarded):

            @functools.wraps(guarded)
            async def waiting(request: Any, *args: Any, **kwargs: Any) -> Any:
                if needed.max_lag_seconds is None:
                    check(state_of(request), needed)
                else:  # asks the store, which blocks
                    await sync_to_async(check)(state_of(request), needed)
                return await cast("Any", guarded)(request, *args, **kwargs)

            return cast("Callable[P, T]", waiting)

        @functools.wraps(guarded)
        def wrapped(request: Any, *args: Any, **kwargs: Any) -> Any:
            check(state_of(request), needed)
            return cast("Any", guarded)(request, *args, **kwargs)

        return cast("Callable[P, T]", wrapped)

    return decorate if view is None else decorate(view)
