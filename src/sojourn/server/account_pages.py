"""The pages of whoever is signed in: who one is, one's devices, one's password."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from starlette.requests import Request
from starlette.responses import Response
from starlette.routing import Route

from sojourn.adapting.endpoints import end_own
from sojourn.asgi.scope import state_of
from sojourn.errors import InvalidCredentials, Refused, SojournError, Unauthenticated
from sojourn.passwords import MIN_CHARACTERS, WeakPassword
from sojourn.server.agents import describe_agent
from sojourn.server.forms import check_password, form_errors, read_form
from sojourn.server.html import page, see_other
from sojourn.server.words import MODES, instant, recognised_by, sentence
from sojourn.starlette import incoming_of

if TYPE_CHECKING:
    from sojourn.engine.answers import SessionInfo
    from sojourn.model import Principal
    from sojourn.server.service import Service
    from sojourn.starlette import Auth


class AccountPages:
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
            Route("/", self.home, methods=["GET"]),
            Route("/devices", self.show_devices, methods=["GET"]),
            Route("/devices", self.end_sessions, methods=["POST"]),
            Route("/password", self.show_password, methods=["GET"]),
            Route("/password", self.change_password, methods=["POST"]),
        ]

    # --- who one is -------------------------------------------------------------------------------

    async def home(self, request: Request) -> Response:
        """Say who is signed in and by what; to others, what this is."""
        try:
            principal = await self._auth.current(request)
        except Refused as error:
            why = "" if isinstance(error, Unauthenticated) else sentence(error)
            return page(request, "welcome", why=why, is_open=self._is_open)
        return page(
            request,
            "home",
            email=await self._email_of(principal),
            mode=MODES[principal.mode],
            since=instant(principal.auth_time, now=self._now()),
            recognised_by=recognised_by(principal),
            roles=sorted(principal.roles),
        )

    # --- devices ----------------------------------------------------------------------------------

    async def show_devices(self, request: Request) -> Response:
        """List the sessions, this one first; a JWT has none and is told what it can do."""
        principal = await self._auth.current(request)
        if principal.mode == "jwt":
            allowed = self._auth.sojourn.settings.allowed_modes
            listed = [
                words.name for mode, words in MODES.items() if mode in allowed and mode != "jwt"
            ]
            return page(request, "devices_jwt", listed_modes=listed)
        now = self._now()
        infos = await self._auth.sojourn.sessions(principal.subject)
        devices = [_shown(info, now=now, current=principal.sid) for info in infos]
        devices.sort(key=lambda device: (not device["is_current"], -device["seen_at"]))
        return page(request, "devices", devices=devices)

    async def end_sessions(self, request: Request) -> Response:
        """End one session by its sid, all others, or everything."""
        form = await read_form(request, self._auth, "end")
        principal = await self._auth.current(request)
        match form["end"]:
            case "others":
                await self._revoke_all(request, principal, keep=principal.sid)
                return see_other("/devices", done="others-ended")
            case "everywhere":
                await self._revoke_all(request, principal, keep=None)
                await self._auth.logout(request)
                return see_other("/", done="signed-out-everywhere")
            case principal.sid:
                await self._auth.logout(request)
                return see_other("/", done="signed-out")
            case sid:
                await end_own(self._auth.sojourn.core, state_of(request), sid)
                return see_other("/devices", done="session-ended")

    async def _revoke_all(
        self, request: Request, principal: Principal[Any], *, keep: str | None
    ) -> None:
        await self._auth.sojourn.revoke_all(
            principal.subject,
            keep=keep,
            by=principal.subject,
            reason="logout_others" if keep else "logout_all",
            incoming=incoming_of(request),
        )

    # --- the password -----------------------------------------------------------------------------

    async def show_password(self, request: Request) -> Response:
        """Show the form."""
        principal = await self._auth.current(request)
        return await self._password_page(request, principal)

    async def change_password(self, request: Request) -> Response:
        """Change the password; other sessions end, this one goes on."""
        form = await read_form(request, self._auth, "current", "new")
        principal = await self._auth.current(request)
        try:
            check_password(form, "current", missing="enter your current password")
            check_password(form, "new", missing="choose a new password")
            renewed = await self._service.change_password(
                incoming_of(request), principal, form["current"], form["new"]
            )
        except SojournError as error:
            return await self._password_page(
                request,
                principal,
                error=error,
                errors=form_errors(error, current=InvalidCredentials, new=WeakPassword),
            )
        self._auth.hand_out(request, renewed)
        return see_other("/", done="password-changed")

    async def _password_page(
        self, request: Request, principal: Principal[Any], **values: Any
    ) -> Response:
        return page(
            request,
            "password",
            email=await self._email_of(principal),
            min_characters=MIN_CHARACTERS,
            **values,
        )

    # --- the parts --------------------------------------------------------------------------------

    async def _email_of(self, principal: Principal[Any]) -> str:
        account = await self._service.accounts.by_subject(principal.subject)
        return account.email if account else principal.subject

    def _now(self) -> int:
        return self._auth.sojourn.core.clock() // 1000


def _shown(info: SessionInfo, *, now: int, current: str) -> dict[str, Any]:
    return {
        "sid": info.sid,
        "name": describe_agent(info.user_agent),
        "address": info.address or "unknown",
        "mode": MODES[info.mode].name,
        "seen_at": info.seen_at,
        "seen": instant(info.seen_at, now=now),
        "since": instant(info.created_at, now=now),
        "is_current": info.sid == current,
    }
