"""Errors as pages: what happened, in words, and the way out."""

from __future__ import annotations

from http import HTTPStatus
from typing import TYPE_CHECKING

from sojourn.errors import FreshLoginRequired
from sojourn.server.forms import HOME, safe_next, with_next
from sojourn.server.html import page, see_other
from sojourn.server.statics import PREFIX
from sojourn.server.words import sentence

if TYPE_CHECKING:
    from starlette.requests import Request
    from starlette.responses import Response

    from sojourn.errors import SojournError

PAGE_PATHS = frozenset(("/", "/register", "/login", "/logout", "/confirm", "/devices", "/password"))
_OTHERS = ("/auth", "/admin", "/.well-known", PREFIX.rstrip("/"))
_OPERATIONS = frozenset(("/livez", "/readyz", "/metrics", "/openapi.json"))

_TITLES = {
    "not_found": "There is no such page",
    "method_not_allowed": "That cannot be done here",
    "cross_site": "This form came from elsewhere",
    "unsupported_in_mode": "Not in this mode",
    "insufficient_user_authentication": "Please confirm that it is you",
    "forbidden": "That is not open to you",
}
_TITLES_BY_STATUS = {
    400: "That could not be read",
    401: "You are not signed in",
    403: "That was refused",
    413: "That is too much",
    415: "That could not be read",
    429: "Too many attempts",
    500: "Something failed here",
    503: "Please try again in a moment",
}
_TEXTS = {
    "not_found": "Perhaps the address was mistyped, or the page has moved.",
    "method_not_allowed": "This address does not take what was sent to it. Start from its page.",
    "internal": "It is not your doing. The server's log says what it was.",
    "store_unavailable": "The place where sessions are kept does not answer. "
    "Nothing was changed, and you are still as signed in as before.",
}
_REMEDIES = {
    "cross_site": "Nothing was changed. If you run this server: its own address is the setting "
    "SOJOURN_URL, and pages of other origins that may send forms are SOJOURN_TRUSTED_ORIGINS.",
}


def is_page(request: Request) -> bool:
    """Tell whether a request is for a page rather than for the API.

    The pages' own addresses always are; an address that nobody serves is, where a browser asks.
    """
    path: str = request.scope["path"]
    if path in PAGE_PATHS:
        return True
    if path in _OPERATIONS or any(path == p or path.startswith(p + "/") for p in _OTHERS):
        return False
    return "text/html" in request.headers.get("accept", "")


def error_page(request: Request, error: SojournError) -> Response:
    """Show an error to a person; who has to sign in or to confirm is led there."""
    is_read = request.method in {"GET", "HEAD"}
    here = _path_of(request) if is_read else safe_next(request.scope["path"])
    way_out = {"href": HOME, "words": "Go to the first page"}
    if error.status == HTTPStatus.UNAUTHORIZED:
        is_fresh_due = isinstance(error, FreshLoginRequired)
        way_out = {
            "href": with_next("/confirm" if is_fresh_due else "/login", here),
            "words": "Confirm your password" if is_fresh_due else "Sign in",
        }
        if is_read:
            return see_other(way_out["href"])
    return page(
        request,
        "error",
        error=error,
        title=_TITLES.get(error.code) or _TITLES_BY_STATUS.get(error.status, "That was refused"),
        text=_TEXTS.get(error.code) or sentence(error),
        remedy=_REMEDIES.get(error.code, ""),
        way_out=way_out,
    )


def _path_of(request: Request) -> str:
    query = request.scope["query_string"].decode("latin-1")
    path = request.scope["path"]
    return safe_next(f"{path}?{query}" if query else path)
