"""JSON endpoints for pages and other clients; `sojourn.django.urls` gives them their paths.

They are exempt from Django's CSRF tokens, as no page of Django's posts to them: a request with cookies
is believed where Origin or Fetch Metadata say that it comes from the site, or from `trusted_origins`.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import Any, TypeVar

import msgspec
from django.contrib.auth import authenticate, get_user_model, update_session_auth_hash
from django.contrib.auth.password_validation import validate_password
from django.core.exceptions import ValidationError
from django.http import HttpRequest, HttpResponse
from django.views.decorators.csrf import csrf_exempt
from django.views.decorators.debug import sensitive_variables
from django.views.decorators.http import require_http_methods

from sojourn import handles
from sojourn.django import signing
from sojourn.django.conf import get_auth
from sojourn.django.guarding import current
from sojourn.django.middleware import problem_response
from sojourn.django.state import incoming_of, state_of
from sojourn.engine.answers import SessionInfo
from sojourn.errors import InvalidCredentials, InvalidInput, NotFound, SojournError
from sojourn.model import Mode, Principal, Transport
from sojourn.modes import require_stored

T = TypeVar("T")
NO_CONTENT = 204
MAX_BODY_BYTES = 64 * 1024


class LoginBody(msgspec.Struct, forbid_unknown_fields=True):
    """``POST login``: the name that users sign in with, whatever the user model calls it."""

    password: str
    username: str = ""
    email: str = ""
    mode: Mode | None = None
    transport: Transport | None = None
    remember: bool = True


class RefreshBody(msgspec.Struct, forbid_unknown_fields=True):
    """``POST refresh`` of a bearer client."""

    refresh_token: str | None = None


class AudienceBody(msgspec.Struct, forbid_unknown_fields=True):
    """``POST access-token``."""

    audience: str = ""


class PasswordBody(msgspec.Struct, forbid_unknown_fields=True):
    """``POST password``."""

    current: str
    new: str


class ConfirmBody(msgspec.Struct, forbid_unknown_fields=True):
    """``POST confirm``."""

    password: str


def endpoint(*methods: str) -> Callable[[Callable[..., HttpResponse]], Callable[..., Any]]:
    """Make an endpoint: exempt from CSRF tokens, and its refusals are problem documents."""

    def decorate(view: Callable[..., HttpResponse]) -> Callable[..., Any]:
        def answering(request: HttpRequest, **kwargs: Any) -> HttpResponse:
            try:
                return view(request, **kwargs)
            except SojournError as error:
                return problem_response(request, error)

        guarded: Callable[..., Any] = csrf_exempt(require_http_methods(methods)(answering))
        return guarded

    return decorate


@endpoint("POST")
@sensitive_variables("body")
def login(request: HttpRequest) -> HttpResponse:
    """Sign in with a password, through the authentication backends."""
    body = _body(request, LoginBody)
    users: Any = get_user_model()
    name = body.username or body.email
    known = users._default_manager.filter(**{users.USERNAME_FIELD: name}).first()  # noqa: SLF001
    # Taken before the password is checked: what is revoked meanwhile covers this sign-in, too.
    attempt = signing.begin(known) if known is not None else None
    user: Any = authenticate(request, **{users.USERNAME_FIELD: name, "password": body.password})
    if user is None:
        raise InvalidCredentials("the name and the password do not belong together")
    signed_in = signing.login(
        request,
        user,
        attempt=attempt if known == user else None,
        mode=body.mode,
        transport=body.transport,
        remember=body.remember,
        amr=["pwd"],
    )
    return _answer(signed_in.public())


@endpoint("GET")
def session(request: HttpRequest) -> HttpResponse:
    """Say who is signed in."""
    principal = current(request)
    return _answer(
        {
            "subject": principal.subject,
            "sid": principal.sid,
            "mode": principal.mode,
            "roles": sorted(principal.roles),
            "scopes": sorted(principal.scopes),
            "claims": principal.claims,
            "amr": list(principal.amr),
            "auth_time": principal.auth_time,
            "expires_at": principal.expires_at,
        }
    )


@endpoint("POST")
def refresh(request: HttpRequest) -> HttpResponse:
    """Rotate the refresh handle, from the body or the cookie."""
    body = _body(request, RefreshBody)
    return _answer(signing.refresh(request, refresh_token=body.refresh_token).public())


@endpoint("POST")
def access_token(request: HttpRequest) -> HttpResponse:
    """Give a live session's short access token."""
    body = _body(request, AudienceBody)
    return _answer(signing.access_token(request, audience=body.audience).public())


@endpoint("POST")
@sensitive_variables("body")
def confirm(request: HttpRequest) -> HttpResponse:
    """Re-authenticate by password."""
    user = _user(request)
    attempt = signing.begin(user)
    if not user.check_password(_body(request, ConfirmBody).password):
        raise InvalidCredentials("that is not the password")
    return _answer(signing.reauthenticate(request, amr=["pwd"], attempt=attempt).public())


@endpoint("POST")
def logout(request: HttpRequest) -> HttpResponse:
    """End this session; 204 when nothing was signed in too."""
    signing.logout(request)
    return HttpResponse(status=NO_CONTENT)


@endpoint("POST")
def logout_others(request: HttpRequest) -> HttpResponse:
    """End all other sessions of the user."""
    signing.logout_others(request)
    return HttpResponse(status=NO_CONTENT)


@endpoint("POST")
def logout_all(request: HttpRequest) -> HttpResponse:
    """End everything of the user, this session too."""
    signing.logout_all(request)
    return HttpResponse(status=NO_CONTENT)


@endpoint("GET")
def sessions(request: HttpRequest) -> HttpResponse:
    """List the user's sessions."""
    principal = current(request)
    require_stored(principal.mode, "a list of sessions")
    found = get_auth().sessions(principal.subject)
    return _answer({"sessions": [_shown(info, principal) for info in found]})


@endpoint("DELETE")
def end_session(request: HttpRequest, sid: str) -> HttpResponse:
    """End one of the user's sessions; another's is not told from an unknown one."""
    principal = current(request)
    require_stored(principal.mode, "a list of sessions")
    auth = get_auth()
    is_own = handles.is_sid(sid) and sid in {s.sid for s in auth.sessions(principal.subject)}
    if not is_own:
        raise NotFound("you have no session of this name")
    auth.revoke(
        sid,
        subject=principal.subject,
        by=principal.subject,
        reason="logout",
        incoming=incoming_of(request),
    )
    return HttpResponse(status=NO_CONTENT)


@endpoint("POST")
@sensitive_variables("body")
def password(request: HttpRequest) -> HttpResponse:
    """Change the password; other sessions and earlier tokens end, this one goes on."""
    user = _user(request)
    body = _body(request, PasswordBody)
    attempt = signing.begin(user)
    if not user.check_password(body.current):
        raise InvalidCredentials("that is not the current password")
    try:
        validate_password(body.new, user)
    except ValidationError as error:
        raise InvalidInput(" ".join(error.messages)) from error
    # Before anything is revoked: in mode jwt this hands out what the others lose.
    signed_in = signing.reauthenticate(request, amr=["pwd"], attempt=attempt)
    user.set_password(body.new)
    user.save(update_fields=["password"])
    if state_of(request).session is not None:
        update_session_auth_hash(request, user)
    if signed_in.transport == "cookie":
        return HttpResponse(status=NO_CONTENT)
    return _answer(signed_in.public())


@endpoint("GET")
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


# --- the parts ------------------------------------------------------------------------------------


def _answer(value: Any) -> HttpResponse:
    return HttpResponse(
        msgspec.json.encode(value),
        content_type="application/json",
        headers={"Cache-Control": "no-store"},
    )


def _body(request: HttpRequest, kind: type[T]) -> T:
    """Read a JSON body; a form's is as good as none, which some endpoints take."""
    if len(request.body) > MAX_BODY_BYTES:
        raise InvalidInput(f"the body is over {MAX_BODY_BYTES} bytes")
    body = request.body if request.content_type == "application/json" else b""
    try:
        return msgspec.json.decode(body or b"{}", type=kind)
    except (msgspec.MsgspecError, UnicodeDecodeError) as error:
        raise InvalidInput(f"the body is not what this takes: {error}") from error


def _user(request: HttpRequest) -> Any:
    """Give the user that is signed in, loaded now: Django compares passwords of then and later."""
    current(request)
    if not request.user.is_authenticated:
        raise InvalidCredentials("this account is not active")
    return request.user


def _shown(info: SessionInfo, principal: Principal[Any]) -> dict[str, Any]:
    return {
        "sid": info.sid,
        "mode": info.mode,
        "created_at": info.created_at,
        "seen_at": info.seen_at,
        "expires_at": info.expires_at,
        "user_agent": info.user_agent,
        "address": info.address,
        "current": info.sid == principal.sid,
    }
