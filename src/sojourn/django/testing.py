"""For your tests: signing a user in without a password, and requests of somebody.

With ``SESSION_ENGINE = "sojourn.django.sessions"`` Django's own `client.force_login` is all you need;
these are for what `sojourn.django.login` hands out.
"""

from __future__ import annotations

from collections.abc import Iterable
from typing import TYPE_CHECKING, Any, TypeVar, Unpack

from sojourn.adapting.acts import LoginOptions
from sojourn.django.conf import get_auth
from sojourn.django.showing import show
from sojourn.django.state import DjangoState, incoming_of, keep_state
from sojourn.django.users import subject_of
from sojourn.engine.answers import Checked
from sojourn.messages import Incoming
from sojourn.model import Principal

if TYPE_CHECKING:
    from django.contrib.auth.models import AbstractBaseUser
    from django.http import HttpRequest
    from django.test import AsyncClient, Client

    from sojourn.engine.answers import SignedIn

RequestT = TypeVar("RequestT", bound="HttpRequest")


def sign_in(
    client: Client | AsyncClient, user: AbstractBaseUser, **options: Unpack[LoginOptions]
) -> SignedIn[dict[str, Any]]:
    """Sign a user in on a test client: Django's, ``APIClient``, or ``AsyncClient`` with cookies.

    Args:
        client: Takes the cookies, or the ``Authorization`` header where `transport` is ``bearer``.
        user: The user.
        **options: What `sojourn.django.login` takes.
    """
    signed_in = get_auth().login(Incoming(), subject_of(user), **options)
    if signed_in.transport == "bearer":
        defaults: dict[str, Any] = client.defaults  # type: ignore[assignment]  # META, say the docs
        defaults["HTTP_AUTHORIZATION"] = f"Bearer {signed_in.access_token}"
    for name, value in signed_in.outgoing.headers:
        if name == "Set-Cookie":
            client.cookies.load(value)
    return signed_in


def acting_as(
    request: RequestT,
    user: AbstractBaseUser,
    *,
    roles: Iterable[str] = (),
    scopes: Iterable[str] = (),
    claims: dict[str, Any] | None = None,
) -> RequestT:
    """Make a request of `RequestFactory` one of a user who has just signed in; nothing is stored.

    Args:
        request: The request.
        user: The user.
        roles: The principal's.
        scopes: The principal's.
        claims: The principal's.
    """
    auth = get_auth()
    now_ms = auth.core.clock()
    state = DjangoState(incoming_of(request))
    state.checked = Checked(
        principal=Principal(
            subject=subject_of(user),
            issuer=auth.settings.issuer,
            sid="",
            mode="session",
            transport="cookie",
            auth_time=now_ms // 1000,
            expires_at=now_ms // 1000 + 3600,
            roles=frozenset(roles),
            scopes=frozenset(scopes),
            amr=(),
            claims=claims or {},
            position=0,
        ),
        now_ms=now_ms,
    )
    keep_state(request, state)
    show(request, state, user)
    return request
