"""The pages for registering, signing in and out, and confirming who one is."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from starlette.requests import Request
from starlette.responses import Response
from starlette.routing import Route

from sojourn.errors import InvalidCredentials, NotFound, Refused, SojournError, Unauthenticated
from sojourn.passwords import MIN_CHARACTERS, WeakPassword
from sojourn.server.accounts import AccountExists
from sojourn.server.forms import (
    FieldError,
    check_email,
    check_password,
    form_errors,
    read_form,
    safe_next,
    with_next,
)
from sojourn.server.html import page, see_other
from sojourn.server.words import MODES, sentence
from sojourn.starlette import incoming_of

if TYPE_CHECKING:
    from sojourn.model import Principal
    from sojourn.server.service import Service
    from sojourn.starlette import Auth

_MISSING = "enter your password"


class SignInPages:
    """The pages.

    Args:
        auth: The adapter.
        service: The accounts.
        is_open: Whether anybody may register.
    """

    def __init__(self, auth: Auth[Any], service: Service, *, is_open: bool) -> None:
        """Take the parts."""
        self._auth = auth
        self._service = service
        self._is_open = is_open

    def routes(self) -> list[Route]:
        """Give the routes."""
        return [
            Route("/register", self.show_register, methods=["GET"]),
            Route("/register", self.register, methods=["POST"]),
            Route("/login", self.show_login, methods=["GET"]),
            Route("/login", self.login, methods=["POST"]),
            Route("/logout", self.logout, methods=["POST"]),
            Route("/confirm", self.show_confirm, methods=["GET"]),
            Route("/confirm", self.confirm, methods=["POST"]),
        ]

    # --- registering ------------------------------------------------------------------------------

    async def show_register(self, request: Request) -> Response:
        """Show the form."""
        self._require_open()
        return self._register_page(request, email="", next_path=_next_of(request))

    async def register(self, request: Request) -> Response:
        """Add an account, and lead to signing in with it."""
        form = await read_form(request, self._auth, "email", "password", "next")
        self._require_open()
        next_path = safe_next(form["next"])
        try:
            check_email(form, "email")
            check_password(form, "password", missing="choose a password")
            await self._service.register(
                form["email"], form["password"], incoming=incoming_of(request)
            )
        except SojournError as error:
            return self._register_page(
                request,
                email=form["email"],
                next_path=next_path,
                error=error,
                errors=form_errors(error, email=AccountExists, password=WeakPassword),
            )
        return see_other(with_next("/login", next_path), done="registered")

    def _require_open(self) -> None:
        if not self._is_open:
            raise NotFound("registration is closed; ask an administrator for an account")

    def _register_page(self, request: Request, **values: Any) -> Response:
        return page(request, "register", min_characters=MIN_CHARACTERS, **values)

    # --- signing in -------------------------------------------------------------------------------

    async def show_login(self, request: Request) -> Response:
        """Show the form, and why somebody has to sign in again; who is signed in goes on."""
        next_path = _next_of(request)
        why = ""
        try:
            await self._auth.current(request)
        except Refused as error:
            # Only who presented a credential hears more than that a sign-in is needed.
            why = "" if isinstance(error, Unauthenticated) else sentence(error)
        else:
            return see_other(next_path)
        mode = self._auth.sojourn.settings.mode
        return self._login_page(
            request, why=why, email="", mode=mode, remember=True, next_path=next_path
        )

    async def login(self, request: Request) -> Response:
        """Sign in with a password, and go on."""
        form = await read_form(request, self._auth, "email", "password", "mode", "remember", "next")
        next_path = safe_next(form["next"])
        mode = form["mode"] or self._auth.sojourn.settings.mode
        remember = form["remember"] == "yes"
        try:
            check_email(form, "email")
            check_password(form, "password", missing=_MISSING)
            if mode not in self._auth.sojourn.settings.allowed_modes:
                raise FieldError("mode", "choose one of these")
            signed_in = await self._service.login(
                incoming_of(request),
                form["email"],
                form["password"],
                mode=mode,
                transport="cookie",
                remember=remember,
            )
        except SojournError as error:
            return self._login_page(
                request,
                why="",
                email=form["email"],
                mode=mode,
                remember=remember,
                next_path=next_path,
                error=error,
                errors=form_errors(error),
            )
        self._auth.hand_out(request, signed_in)
        return see_other(next_path)

    def _login_page(self, request: Request, **values: Any) -> Response:
        allowed = self._auth.sojourn.settings.allowed_modes
        modes = [(mode, words) for mode, words in MODES.items() if mode in allowed]
        return page(request, "login", modes=modes, is_open=self._is_open, **values)

    # --- signing out ------------------------------------------------------------------------------

    async def logout(self, request: Request) -> Response:
        """End this session; where nobody was signed in too."""
        await read_form(request, self._auth)
        await self._auth.logout(request)
        return see_other("/", done="signed-out")

    # --- confirming -------------------------------------------------------------------------------

    async def show_confirm(self, request: Request) -> Response:
        """Ask for the password of whoever is signed in."""
        principal = await self._auth.current(request)
        return await self._confirm_page(request, principal, next_path=_next_of(request))

    async def confirm(self, request: Request) -> Response:
        """Re-authenticate, and go on."""
        form = await read_form(request, self._auth, "password", "next")
        principal = await self._auth.current(request)
        next_path = safe_next(form["next"])
        try:
            check_password(form, "password", missing=_MISSING)
            signed_in = await self._service.confirm(incoming_of(request), form["password"])
        except SojournError as error:
            return await self._confirm_page(
                request,
                principal,
                next_path=next_path,
                error=error,
                errors=form_errors(error, password=InvalidCredentials),
            )
        self._auth.hand_out(request, signed_in)
        return see_other(next_path)

    async def _confirm_page(
        self, request: Request, principal: Principal[Any], **values: Any
    ) -> Response:
        account = await self._service.accounts.by_subject(principal.subject)
        return page(request, "confirm", email=account.email if account else "", **values)


def _next_of(request: Request) -> str:
    return safe_next(request.query_params.get("next", ""))
