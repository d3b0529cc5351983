"""Plain HTML pages that work without JavaScript."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from starlette.routing import Route

from sojourn.server.account_pages import AccountPages
from sojourn.server.error_pages import error_page, is_page
from sojourn.server.sign_in_pages import SignInPages
from sojourn.server.statics import PREFIX, serve_static

if TYPE_CHECKING:
    from sojourn.server.service import Service
    from sojourn.starlette import Auth


class Pages:
    """The pages.

    Args:
        auth: The adapter.
        service: The accounts.
        is_open: Whether anybody may register.
    """

    def __init__(self, auth: Auth[Any], service: Service, *, is_open: bool) -> None:
        """Take the parts."""
        self._signing_in = SignInPages(auth, service, is_open=is_open)
        self._account = AccountPages(auth, service, is_open=is_open)

    def routes(self) -> list[Route]:
        """Give the routes."""
        return [
            *self._account.routes(),
            *self._signing_in.routes(),
            Route(PREFIX + "{name}", serve_static, methods=["GET"]),
        ]


__all__ = ["Pages", "error_page", "is_page"]
