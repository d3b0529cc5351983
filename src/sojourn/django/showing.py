"""`request.user` of whoever our own cookies or a bearer credential say, loaded when it is looked at."""

from __future__ import annotations

from functools import partial
from typing import Any

from django.contrib.auth.models import AnonymousUser
from django.utils.functional import SimpleLazyObject

from sojourn.django.state import DjangoState
from sojourn.django.users import auser_of, user_of


def show(request: Any, state: DjangoState, user: Any = None) -> None:
    """Set `request.user` and `request.auser` where it is not Django's session that says it.

    Args:
        request: The request.
        state: What is kept of it.
        user: The user that is loaded already.
    """
    is_ours = state.session is None and (state.principal is not None or state.error is not None)
    if user is not None:
        request.user = user
        request.auser = partial(_given, user)
    elif is_ours or not hasattr(request, "user"):
        request.user = SimpleLazyObject(partial(_user, state))
        request.auser = partial(_auser, state)


async def _given(user: Any) -> Any:
    return user


def _user(state: DjangoState) -> Any:
    subject = _looked_at(state)
    return (subject and user_of(subject)) or AnonymousUser()


async def _auser(state: DjangoState) -> Any:
    subject = _looked_at(state)
    return (subject and await auser_of(subject)) or AnonymousUser()


def _looked_at(state: DjangoState) -> str:
    state.is_looked_at = True
    if state.error is not None:
        raise state.error
    return state.principal.subject if state.principal is not None else ""
