"""JSON endpoints for pages and other clients; `sojourn.django.urls` gives them their paths.

They are exempt from Django's CSRF tokens, as no page of Django's posts to them: a request with cookies
is believed where Origin or Fetch Metadata say that it comes from the site, or from `trusted_origins`.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import msgspec
from django.contrib.auth import authenticate, get_user_model, update_session_auth_hash
from django.contrib.auth.decorators import login_not_required
from django.contrib.auth.password_validation import validate_password
from django.core.exceptions import ValidationError
from django.http import HttpRequest, HttpResponse
from django.views.decorators.csrf import csrf_exempt
from django.views.decorators.debug import sensitive_variables
from django.views.decorators.http import require_http_methods

from sojourn.adapting import endpoints
from sojourn.adapting.endpoints import Answer, Asked, Endpoint, RefreshBody, decoded
from sojourn.django import signing
from sojourn.django.conf import get_auth
from sojourn.django.guarding import current
from sojourn.django.middleware import problem_response
from sojourn.django.state import state_of
from sojourn.django.users import subject_of
from sojourn.errors import BadRequest, InvalidCredentials, SojournError
from sojourn.model import Mode, Transport

View = Callable[..., HttpResponse]


class LoginBody(msgspec.Struct, forbid_unknown_fields=True):
    """``POST login``: the name that users sign in with, whatever the user model calls it."""

    password: str
    username: str = ""
    email: str = ""
    mode: Mode | None = None
    transport: Transport | None = None
    remember: bool = True


class PasswordBody(msgspec.Struct, forbid_unknown_fields=True):
    """``POST password``."""

    current: str
    new: str


class ConfirmBody(msgspec.Struct, forbid_unknown_fields=True):
    """``POST confirm``."""

    password: str


def _open(view: View) -> View:
    """Leave it to the endpoint whom it lets in: no CSRF token, no LoginRequiredMiddleware."""
    opened: View = csrf_exempt(login_not_required(view))
    return opened


def endpoint(method: str) -> Callable[[Callable[..., Answer]], View]:
    """Make a view whose refusals are problem documents."""

    def decorate(answering: Callable[..., Answer]) -> View:
        def view(request: HttpRequest, **kwargs: Any) -> HttpResponse:
            try:
                answer = answering(request, **kwargs)
            except SojournError as error:
                return problem_response(request, error)
            return HttpResponse(
                answer.body,
                status=answer.status,
                content_type="application/json" if answer.body else None,
                headers={"Cache-Control": "no-store"},
            )

        return _open(require_http_methods([method])(view))

    return decorate


def view_of(shared: Endpoint) -> View:
    """Make a view of one of the endpoints that all adapters have; for whom Django knows."""

    @endpoint(shared.method)
    def answering(request: HttpRequest, sid: str = "") -> Answer:
        asked = Asked(body=_body(request), sid=sid)
        if shared.act is endpoints.refresh:
            token = decoded(asked.body, RefreshBody).refresh_token
            return Answer(signing.refresh(request, refresh_token=token).public())
        if shared.act is not endpoints.logout:
            current(request)
        return signing.act(request, lambda core, state: shared.act(core, state, asked))

    return answering


@endpoint("POST")
@sensitive_variables("body")
def login(request: HttpRequest) -> Answer:
    """Sign in with a password, through the authentication backends."""
    body = decoded(_body(request), LoginBody)
    users: Any = get_user_model()
    name = body.username or body.email
    known = users._default_manager.filter(**{users.USERNAME_FIELD: name}).first()  # noqa: SLF001
    # Taken before the password is checked: what is revoked meanwhile covers this sign-in, too. An
    # unknown name takes the same steps; that its password is hashed, too, is the backends' to do.
    attempt = get_auth().begin(subject_of(known) if known is not None else "nobody")
    user: Any = authenticate(request, **{users.USERNAME_FIELD: name, "password": body.password})
    if user is None:
        raise InvalidCredentials("the name and the password do not belong together")
    signed_in = signing.login(
        request,
        user,
        attempt=attempt if known == user else None,  # another backend may know another name
        mode=body.mode,
        transport=body.transport,
        remember=body.remember,
        amr=["pwd"],
    )
    return Answer(signed_in.public())


@endpoint("POST")
@sensitive_variables("body")
def confirm(request: HttpRequest) -> Answer:
    """Re-authenticate by password."""
    user = _user(request)
    attempt = signing.begin(user)
    if not user.check_password(decoded(_body(request), ConfirmBody).password):
        raise InvalidCredentials("that is not the password")
    return Answer(signing.reauthenticate(request, amr=["pwd"], attempt=attempt).public())


@endpoint("POST")
@sensitive_variables("body")
def password(request: HttpRequest) -> Answer:
    """Change the password; other sessions and earlier tokens end, this one goes on."""
    user = _user(request)
    body = decoded(_body(request), PasswordBody)
    attempt = signing.begin(user)
    if not user.check_password(body.current):
        raise InvalidCredentials("that is not the current password")
    try:
        validate_password(body.new, user)
    except ValidationError as error:
        raise BadRequest(" ".join(error.messages)) from error
    # Before anything is revoked: in mode jwt this hands out what the others lose.
    signed_in = signing.reauthenticate(request, amr=["pwd"], attempt=attempt)
    user.set_password(body.new)
    user.save(update_fields=["password"])
    if state_of(request).session is not None:
        update_session_auth_hash(request, user)
    return Answer(None if signed_in.transport == "cookie" else signed_in.public())


@_open
@require_http_methods(["GET", "HEAD"])
def jwks(request: HttpRequest) -> HttpResponse:
    """Publish the public keys."""
    del request
    auth = get_auth()
    return HttpResponse(
        msgspec.json.encode(auth.jwks()),
        content_type="application/jwk-set+json",
        headers={
            "Cache-Control": f"public, max-age={auth.settings.jwks_ttl_seconds}",
            "Access-Control-Allow-Origin": "*",
        },
    )


def _body(request: HttpRequest) -> bytes:
    """Give a JSON body; a form's is as good as none, which most calls take."""
    return request.body if request.content_type == "application/json" else b""


def _user(request: HttpRequest) -> Any:
    """Give the user that is signed in, loaded now: Django compares passwords of then and later."""
    current(request)
    return request.user
