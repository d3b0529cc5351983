"""Plain HTML pages that work without JavaScript."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from starlette.requests import Request
from starlette.responses import Response
from starlette.routing import Route

from sojourn.errors import SojournError

if TYPE_CHECKING:
    from sojourn.server.api import Api
    from sojourn.server.service import Service
    from sojourn.starlette import Auth


def is_page(request: Request) -> bool:
    """Tell whether a request is for a page rather than for the API."""
    return False


def error_page(request: Request, error: SojournError) -> Response:
    """Show an error to a person."""
    raise NotImplementedError


class Pages:
    """The pages."""

    def __init__(self, auth: Auth[Any], service: Service, api: Api, *, is_open: bool) -> None:
        """Take the parts."""

    def routes(self) -> list[Route]:
        """Give the routes."""
        return []
