"""The middleware: says who each request is, and writes what is handed out."""

from __future__ import annotations

from collections.abc import Awaitable, Callable
from dataclasses import replace
from typing import Any

from asgiref.sync import iscoroutinefunction, markcoroutinefunction, sync_to_async
from django.conf import settings
from django.db import connections
from django.http import HttpRequest, HttpResponse
from django.http.response import HttpResponseBase
from django.utils.cache import patch_vary_headers

from sojourn import adapting
from sojourn.adapting import acts
from sojourn.cookies import read_cookies
from sojourn.django.caching import tell_caches
from sojourn.django.conf import get_auth, get_checker, is_verifying, stored_in
from sojourn.django.endings import end_unknown
from sojourn.django.sessions import SessionStore
from sojourn.django.showing import show
from sojourn.django.state import (
    DjangoState,
    current_request,
    find_state,
    incoming_of,
    keep_state,
)
from sojourn.django.users import unknown_user, user_of
from sojourn.engine.answers import Checked
from sojourn.errors import SojournError
from sojourn.messages import Incoming, Outgoing
from sojourn.model import Principal, Session

SERVER_ERROR = 500


class SojournMiddleware:
    """Checks each request that presents a credential; stands after AuthenticationMiddleware.

    There is `request.principal` behind it, and `request.user` where one of our cookies or a bearer
    credential says who it is. Otherwise `request.user` stays what Django's session makes it.

    Args:
        get_response: What comes next, ``async`` or not.
    """

    sync_capable = True
    async_capable = True

    def __init__(
        self, get_response: Callable[[HttpRequest], HttpResponseBase | Awaitable[HttpResponseBase]]
    ) -> None:
        """Take what comes next."""
        self._next: Callable[[HttpRequest], Any] = get_response
        self._is_async = iscoroutinefunction(get_response)
        if self._is_async:
            markcoroutinefunction(self)

    def __call__(self, request: HttpRequest) -> Any:
        """Answer a request."""
        if self._is_async:
            return self._answer(request)
        preflight = _preflight(request)
        if preflight is not None:
            return preflight
        state = begin(request)
        token = current_request.set(request)
        try:
            response = self._next(request)
        finally:
            current_request.reset(token)
        return _finish(request, state, response)

    async def _answer(self, request: HttpRequest) -> HttpResponseBase:
        preflight = _preflight(request)
        if preflight is not None:
            return preflight
        state = await sync_to_async(begin)(request)
        token = current_request.set(request)
        try:
            response = await self._next(request)
        finally:
            current_request.reset(token)
        if state.data is None and state.ended is None and response.status_code < SERVER_ERROR:
            return _finish(request, state, response)
        return await sync_to_async(_finish)(request, state, response)

    def process_exception(self, request: HttpRequest, error: Exception) -> HttpResponse | None:
        """Answer what a view refused or failed at with its problem document."""
        state = find_state(request)
        if state is not None and _is_rolled_back(request):
            state.outgoing = state.begun  # what the view was handed out is there no more
            session = getattr(request, "session", None)
            if isinstance(session, SessionStore) and state.begun_key is not None:
                session.go_back_to(state.begun_key)
        if isinstance(error, SojournError):
            return problem_response(request, error)
        return None


# --- the parts ------------------------------------------------------------------------------------


def begin(request: HttpRequest) -> DjangoState:
    """Find out who a request is; what fails is raised by those who need to know."""
    incoming = incoming_of(request)
    if is_verifying():
        return _verified(request, incoming)
    auth = get_auth()
    browser = auth.core.browser
    session = getattr(request, "session", None)
    if isinstance(session, SessionStore):
        session.client = incoming
        if settings.SESSION_COOKIE_NAME in _duplicated(incoming):
            session.disown()
        if auth.settings.mode == "session":
            incoming = _without_session_cookie(incoming)
    state = DjangoState(incoming)
    keep_state(request, state)
    user = None
    try:
        presented = browser.credentials(incoming)
        may_arrive = auth.core.cookie_doors and incoming.cookies
        if not presented.is_empty or presented.is_ambiguous:
            state.take(auth.check(incoming), browser)
        elif isinstance(session, SessionStore) and session.presented.cookies:
            _by_session(state, session)
        elif may_arrive:
            state.take(auth.check(incoming), browser)
        if state.checked.renewed is not None and state.session is None:
            user = _renewed_user(state, state.checked.renewed.principal)
    except SojournError as error:
        state.error = error
    state.begun = state.outgoing
    if state.session is not None:
        state.begun_key = state.session.session_key
    show(request, state, user)
    return state


def _renewed_user(state: DjangoState, principal: Principal[Any]) -> Any:
    """Load the user of who was renewed in passing; whom Django knows no more is handed nothing."""
    user = user_of(principal.subject)
    if user is None:
        end_unknown(principal, state.incoming)
        state.checked = Checked(refusal=unknown_user())
        state.outgoing = get_auth().core.browser.remove_cookies()
    return user


def _verified(request: HttpRequest, incoming: Incoming) -> DjangoState:
    """Recognise by a bearer token of another service; its subjects are no users of this one."""
    state = DjangoState(incoming)
    keep_state(request, state)
    try:
        state.take(get_checker().check(incoming), None)
    except SojournError as error:
        state.error = error
    return state


def _by_session(state: DjangoState, session: SessionStore) -> None:
    """Recognise by Django's session.

    Django guards its forms by tokens of its own; what asks for `request.principal` may do without
    them, so that it is refused to a page of another site.
    """
    browser = get_auth().core.browser
    asked = state.incoming
    state.session = session
    if browser.is_cross_site(asked):
        state.checked = Checked(refusal=browser.cross_site_error(asked))
        return
    state.checked = session.identify()
    state.incoming = replace(
        session.presented,
        method=asked.method,
        origin=asked.origin,
        sec_fetch_site=asked.sec_fetch_site,
    )


def _without_session_cookie(incoming: Incoming) -> Incoming:
    """Leave the cookie of Django's session to Django's session; a door would take it, too."""
    kept = [
        pair
        for pair in incoming.cookies.split(";")
        if pair.partition("=")[0].strip() != settings.SESSION_COOKIE_NAME
    ]
    return replace(incoming, cookies=";".join(kept))


def _duplicated(incoming: Incoming) -> frozenset[str]:
    """Find the cookie of Django's session where it came twice: who planted one could choose it."""
    return read_cookies(incoming.cookies, frozenset({settings.SESSION_COOKIE_NAME})).duplicated


def _finish(
    request: HttpRequest, state: DjangoState, response: HttpResponseBase
) -> HttpResponseBase:
    if is_verifying():
        return tell_caches(request, response)
    auth = get_auth()
    try:
        if state.ended is not None:
            _end_again(state)
        if state.data is not None:
            auth.run(acts.save_data(auth.core, state))
        session = getattr(request, "session", None)
        if isinstance(session, SessionStore) and response.status_code >= SERVER_ERROR:
            session.hand_out(response, request.COOKIES.get(settings.SESSION_COOKIE_NAME))
    except SojournError as error:
        response = problem_response(request, error)
    browser = auth.core.browser
    cors = browser.cors(incoming_of(request)) if browser.is_shared else Outgoing()
    _write(response, state.outgoing + cors)
    return tell_caches(request, response)


def _end_again(state: DjangoState) -> None:
    """End the session that a refused refresh ended, where the view's transaction took that back."""
    auth, ended = get_auth(), state.ended
    assert ended is not None  # noqa: S101 - asked before
    if isinstance(auth.run(auth.core.store.get(ended.sid)).record, Session):
        auth.revoke(ended.sid, subject=ended.subject, reason=ended.reason, incoming=state.incoming)


def _write(response: HttpResponseBase, outgoing: Outgoing) -> None:
    for name, value in outgoing.headers:
        match name:
            case "Set-Cookie":
                response.cookies.load(value)
            case "Vary":
                patch_vary_headers(response, (value,))
            case _:
                response.headers[name] = value


def _preflight(request: HttpRequest) -> HttpResponse | None:
    """Answer the browser's question whether a page of another origin may ask (Fetch, "CORS")."""
    if request.method != "OPTIONS" or "HTTP_ACCESS_CONTROL_REQUEST_METHOD" not in request.META:
        return None
    if is_verifying():
        return None
    browser = get_auth().core.browser
    if not browser.is_shared or "HTTP_ORIGIN" not in request.META:
        return None
    response = HttpResponse(status=204)
    _write(response, browser.cors(incoming_of(request), preflight=True))
    return response


def _is_rolled_back(request: HttpRequest) -> bool:
    """Whether what a view that failed has written to the store is taken back (ATOMIC_REQUESTS)."""
    alias = None if is_verifying() else stored_in()
    if alias is None or not connections[alias].settings_dict["ATOMIC_REQUESTS"]:
        return False
    view: Any = request.resolver_match.func if request.resolver_match else None
    return alias not in getattr(view, "_non_atomic_requests", ())


def problem_response(request: HttpRequest, error: SojournError) -> HttpResponse:
    """Answer an error with its problem document; what a developer has to know goes to the log."""
    problem = adapting.told(error, method=request.method or "", path=request.path)
    return HttpResponse(problem.body, status=problem.status, headers=dict(problem.headers))
