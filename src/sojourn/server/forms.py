"""Reading what the pages' forms send, strictly, and the paths they may lead to."""

from __future__ import annotations

from http import HTTPStatus
from typing import TYPE_CHECKING, Any
from urllib.parse import parse_qsl, urlencode

from sojourn.adapting.next_path import is_own_path
from sojourn.errors import BadRequest, CrossSite, InvalidInput, SojournError
from sojourn.model import is_storable
from sojourn.passwords import normal_email, normal_password
from sojourn.server.requests import UnsupportedMediaType, read_body
from sojourn.server.words import sentence
from sojourn.starlette import incoming_of

if TYPE_CHECKING:
    from starlette.requests import Request

    from sojourn.starlette import Auth

FORM_TYPE = "application/x-www-form-urlencoded"
MAX_FIELDS = 16
HOME = "/"


class FieldError(InvalidInput):
    """A field of a form holds what will not do; for the person filling it in."""

    def __init__(self, field: str, message: str) -> None:
        """Keep which field."""
        super().__init__(message)
        self.field = field


def safe_next(text: str) -> str:
    """Give the path to go on to: one of this origin, or the home page.

    Args:
        text: What a link or form asked for; anything is taken.
    """
    return text if is_own_path(text) else HOME


def with_next(path: str, next_path: str) -> str:
    """Give the address of a page that goes on to another."""
    return path if next_path == HOME else f"{path}?{urlencode({'next': next_path})}"


async def read_form(request: Request, auth: Auth[Any], *names: str) -> dict[str, str]:
    """Read a form that one of our own pages sent.

    Args:
        request: The request.
        auth: The adapter; its browser rules decide about CSRF.
        *names: The fields of the form. One that was not sent is empty; others are left aside, as
            browser extensions add some.

    Raises:
        CrossSite: A page of another origin sent it, whether or not anybody is signed in.
        UnsupportedMediaType: It is not a URL-encoded form.
        ContentTooLarge: It is over 64 KiB.
        BadRequest: It is not UTF-8, holds NUL, has too many fields or one of them twice.
    """
    incoming = incoming_of(request)
    browser = auth.sojourn.core.browser
    if browser.is_cross_site(incoming):
        raise browser.cross_site_error(incoming)
    declared = request.headers.get("content-type", "").partition(";")[0].strip().lower()
    if declared != FORM_TYPE:
        raise UnsupportedMediaType(f"this page takes forms as {FORM_TYPE}")
    body = await read_body(request)
    try:
        pairs = parse_qsl(
            body.decode(),
            keep_blank_values=True,
            errors="strict",
            max_num_fields=MAX_FIELDS,
        )
    except ValueError as error:
        raise BadRequest("the form cannot be read; open the page again and send it anew") from error
    form = dict.fromkeys(names, "")
    seen: set[str] = set()
    for name, value in pairs:
        if not is_storable(value):
            raise BadRequest("the form holds characters that no keyboard types")
        if name in form:
            if name in seen:
                raise BadRequest(f"the form has the field {name} twice")
            seen.add(name)
            form[name] = value
    return form


def check_email(form: dict[str, str], field: str) -> None:
    """Refuse a field that holds no e-mail address.

    Raises:
        FieldError: It is empty or malformed.
    """
    if not form[field].strip():
        raise FieldError(field, "enter your e-mail address")
    try:
        normal_email(form[field])
    except InvalidInput as error:
        raise FieldError(field, str(error)) from error


def check_password(form: dict[str, str], field: str, *, missing: str) -> None:
    """Refuse a field that holds nothing that could be a password.

    Args:
        form: The form.
        field: The field.
        missing: What to say where it is empty.

    Raises:
        FieldError: It is empty or far too long.
    """
    if not form[field]:
        raise FieldError(field, missing)
    try:
        normal_password(form[field])
    except InvalidInput as error:
        raise FieldError(field, str(error)) from error


def form_errors(error: SojournError, **fields: type[SojournError]) -> dict[str, str]:
    """Say in which field of a form an error is shown; the name "" stands for the whole form.

    Args:
        error: What was raised while the form was acted on.
        **fields: The class of error each field is to blame for.

    Raises:
        SojournError: The error itself, where the form's sender cannot mend it there.
    """
    if error.status == HTTPStatus.INTERNAL_SERVER_ERROR or isinstance(error, CrossSite):
        raise error
    if isinstance(error, FieldError):
        return {error.field: sentence(error)}
    named = (name for name, kind in fields.items() if isinstance(error, kind))
    return {next(named, ""): sentence(error)}
