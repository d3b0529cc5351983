"""Answering a refusal: a page to sign in at for people, a problem document for programs."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any
from urllib.parse import quote, urlencode

from flask import Response, current_app, flash, redirect, request, url_for
from flask.typing import ResponseReturnValue
from werkzeug.exceptions import default_exceptions

from sojourn.adapting import told
from sojourn.adapting.next_path import is_own_path
from sojourn.errors import (
    FreshLoginRequired,
    InvalidCredentials,
    Refused,
    SojournError,
)
from sojourn.flask.installed import here
from sojourn.flask.signals import user_needs_refresh, user_unauthorized

if TYPE_CHECKING:
    from flask import Flask

    from sojourn.flask.guard import Guard

_UNAUTHORIZED = 401
_SAFE_IN_PATHS = "/:@!$&'()*+,;=~"


def answer(error: SojournError) -> ResponseReturnValue:
    """Answer an error in a request; registered for `SojournError`."""
    try:
        reply = _reply_to(error)
    except SojournError as failure:  # of the session in which a message would be flashed
        return shown(failure)
    return shown(error) if reply is None else reply


def _reply_to(error: SojournError) -> ResponseReturnValue | None:
    """Answer as the application wants it; None where it does not say, or a program asks."""
    adapter = here().adapter
    app: Flask = current_app._get_current_object()  # type: ignore[attr-defined]  # noqa: SLF001 - what Flask documents for senders
    if isinstance(error, FreshLoginRequired):
        user_needs_refresh.send(app, error=error)
        message = adapter.needs_refresh_message
        return _lead(adapter.refuse_stale, adapter.refresh_view, message, adapter)
    if _is_of_nobody(error):
        user_unauthorized.send(app, error=error)
        return _lead(adapter.refuse, adapter.login_view, adapter.login_message, adapter)
    return None


def _is_of_nobody(error: SojournError) -> bool:
    """Tell whether a sign-in would help; a wrong password is told where it was typed."""
    is_refused = isinstance(error, Refused) and error.status == _UNAUTHORIZED
    return is_refused and not isinstance(error, InvalidCredentials)


def _lead(
    handler: Any, view: str | None, message: str | None, adapter: Guard[Any]
) -> ResponseReturnValue | None:
    """Ask the application's handler, or lead a person to a page; None for a program."""
    if handler is not None:
        return current_app.ensure_sync(handler)()  # type: ignore[no-any-return]
    if view is None or not is_page_wanted():
        return None
    if message:
        flash(message, category=adapter.login_message_category)
    return redirect(_with_next(view))


def shown(error: SojournError) -> ResponseReturnValue:
    """Answer with the page the application registered for the status, or a problem document."""
    response = problem_response(error)
    kind = default_exceptions.get(error.status)
    if kind is None:  # no page can be registered for it
        return response
    return current_app.handle_http_exception(kind(str(error), response=response))


def problem_response(error: SojournError) -> Response:
    """Answer with a problem document; what a developer has to know goes to the log."""
    problem = told(error, method=request.method, path=request.script_root + request.path)
    return Response(problem.body, status=problem.status, headers=list(problem.headers))


def is_page_wanted() -> bool:
    """Tell whether a person looks at the answer: a browser going somewhere, with its cookies."""
    accepted = request.accept_mimetypes
    is_bearer = request.headers.get("Authorization", "").lower().startswith("bearer ")
    return not is_bearer and accepted["text/html"] > accepted["application/json"]


def _with_next(view: str) -> str:
    """Give the address of a page that leads back to this one afterwards."""
    path = quote(request.script_root + request.path, safe=_SAFE_IN_PATHS)
    query = request.query_string.decode("latin-1")
    here_path = f"{path}?{query}" if query else path
    is_returned_to = request.method == "GET" and is_own_path(here_path)
    values: dict[str, Any] = {"next": here_path} if is_returned_to else {}
    if "/" in view:  # an address; an endpoint's name has none
        return f"{view}{'&' if '?' in view else '?'}{urlencode(values)}" if values else view
    return url_for(view, **values)


def safe_next(default: str = "/") -> str:
    """Give the path to go on to after a sign-in: the request's ``next``, or the default.

    Only ever a path of this site: whatever else a link asks for would lead people to somebody
    else's page, who have just signed in and believe what they see.

    Args:
        default: Where to go where `next` is missing, or not a path of this site.
    """
    text = request.args.get("next") or request.form.get("next") or ""
    return text if is_own_path(text) else default
