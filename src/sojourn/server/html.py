"""Making a page: the templates, and the headers every page has."""

from __future__ import annotations

from collections.abc import Mapping
from http import HTTPStatus
from pathlib import Path
from typing import TYPE_CHECKING, Any

from jinja2 import Environment, FileSystemLoader, StrictUndefined
from starlette.responses import HTMLResponse, RedirectResponse

from sojourn.problems import problem_of
from sojourn.server.forms import with_next
from sojourn.server.statics import static_url
from sojourn.server.words import DONE

if TYPE_CHECKING:
    from starlette.requests import Request
    from starlette.responses import Response

    from sojourn.errors import SojournError

CONTENT_SECURITY_POLICY = (
    "default-src 'none'; style-src 'self'; img-src 'self'; form-action 'self'; "
    "base-uri 'none'; frame-ancestors 'none'"
)
PAGE_HEADERS = {
    "Cache-Control": "no-store",
    "Content-Security-Policy": CONTENT_SECURITY_POLICY,
    "X-Frame-Options": "DENY",
}
NO_ERRORS: Mapping[str, str] = {}

_TEMPLATES = Environment(
    loader=FileSystemLoader(Path(__file__).parent / "templates"),
    autoescape=True,
    undefined=StrictUndefined,
    auto_reload=False,
    trim_blocks=True,
    lstrip_blocks=True,
)
_TEMPLATES.globals |= {"static_url": static_url, "with_next": with_next}


def page(
    request: Request,
    template: str,
    *,
    error: SojournError | None = None,
    errors: Mapping[str, str] = NO_ERRORS,
    **values: Any,
) -> Response:
    """Make a page.

    Args:
        request: What it answers.
        template: The template's name, without ``.html``.
        error: Why it is not what was asked for; gives the status and its headers.
        errors: The sentences to show, by the field they are about (empty: the whole form).
        **values: What the template needs.
    """
    user = request.scope.get("user")
    text = _TEMPLATES.get_template(f"{template}.html").render(
        values,
        errors=errors,
        path=request.scope["path"],
        is_signed_in=getattr(user, "is_authenticated", False),
        done=_done(request),
    )
    status = HTTPStatus.OK if error is None else error.status
    return HTMLResponse(text, status_code=status, headers=PAGE_HEADERS | _headers_of(error))


def see_other(path: str, *, done: str = "") -> Response:
    """Lead to another page after something was done (RFC 9110 section 15.4.4).

    Args:
        path: A path of this origin.
        done: The word of `DONE` for what to say there.
    """
    if done:
        path += f"{'&' if '?' in path else '?'}done={done}"
    return RedirectResponse(path, status_code=HTTPStatus.SEE_OTHER, headers=PAGE_HEADERS)


def _done(request: Request) -> str:
    # A link on another site could carry the word too, and would have us say what is not so.
    if request.headers.get("sec-fetch-site", "same-origin") != "same-origin":
        return ""
    return DONE.get(request.query_params.get("done", ""), "")


def _headers_of(error: SojournError | None) -> dict[str, str]:
    if error is None:
        return {}
    wait = getattr(error, "retry_after_seconds", None)
    headers = dict(problem_of(error, retry_after_seconds=wait).headers)
    del headers["Content-Type"]
    return headers
