"""The JSON API under ``/auth`` and the metadata under ``/.well-known``."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import msgspec
from starlette.requests import Request
from starlette.responses import Response
from starlette.routing import Route

from sojourn.engine.answers import SessionInfo
from sojourn.errors import NotFound, UnsupportedInMode
from sojourn.handles import is_sid
from sojourn.model import Mode, Principal, Tombstone, Transport
from sojourn.server.requests import read_json, read_optional_json
from sojourn.starlette import Auth, incoming_of

if TYPE_CHECKING:
    from sojourn.server.service import Service


class RegisterBody(msgspec.Struct, forbid_unknown_fields=True):
    """`POST /auth/register`."""

    email: str
    password: str


class LoginBody(msgspec.Struct, forbid_unknown_fields=True):
    """`POST /auth/login`."""

    email: str
    password: str
    mode: Mode | None = None
    transport: Transport | None = None
    remember: bool = True


class RefreshBody(msgspec.Struct, forbid_unknown_fields=True):
    """`POST /auth/refresh` of a bearer client."""

    refresh_token: str | None = None


class AudienceBody(msgspec.Struct, forbid_unknown_fields=True):
    """`POST /auth/access-token`."""

    audience: str = ""


class PasswordBody(msgspec.Struct, forbid_unknown_fields=True):
    """`POST /auth/password`."""

    current: str
    new: str


class ConfirmBody(msgspec.Struct, forbid_unknown_fields=True):
    """`POST /auth/confirm`."""

    password: str


class MoveBody(msgspec.Struct, forbid_unknown_fields=True):
    """`POST /auth/mode`; bearer clients of mode hybrid send their refresh token too."""

    mode: Mode
    refresh_token: str | None = None


def answer(value: Any, status: int = 200) -> Response:
    """Answer with JSON that no cache keeps."""
    return Response(
        msgspec.json.encode(value),
        status_code=status,
        media_type="application/json",
        headers={"Cache-Control": "no-store"},
    )


NO_CONTENT = 204


class Api:
    """The endpoints.

    Args:
        auth: The adapter.
        service: The accounts.
        is_open: Whether anybody may register.
    """

    def __init__(self, auth: Auth[Any], service: Service, *, is_open: bool) -> None:
        """Take the parts."""
        self.auth = auth
        self.service = service
        self._is_open = is_open

    def routes(self) -> list[Route]:
        """Give the routes."""
        return [
            Route("/auth/register", self.register, methods=["POST"]),
            Route("/auth/login", self.login, methods=["POST"]),
            Route("/auth/session", self.session, methods=["GET"]),
            Route("/auth/refresh", self.refresh, methods=["POST"]),
            Route("/auth/access-token", self.access_token, methods=["POST"]),
            Route("/auth/mode", self.move, methods=["POST"]),
            Route("/auth/confirm", self.confirm, methods=["POST"]),
            Route("/auth/logout", self.logout, methods=["POST"]),
            Route("/auth/logout-others", self.logout_others, methods=["POST"]),
            Route("/auth/logout-all", self.logout_all, methods=["POST"]),
            Route("/auth/sessions", self.sessions, methods=["GET"]),
            Route("/auth/sessions/{sid}", self.end_session, methods=["DELETE"]),
            Route("/auth/password", self.password, methods=["POST"]),
            Route("/.well-known/jwks.json", self.jwks, methods=["GET"]),
            Route("/.well-known/openid-configuration", self.metadata, methods=["GET"]),
        ]

    async def register(self, request: Request) -> Response:
        """Add an account; nobody is signed in."""
        if not self._is_open:
            raise NotFound("registration is closed; ask an administrator for an account")
        body = await read_json(request, RegisterBody)
        account = await self.service.register(
            body.email, body.password, incoming=incoming_of(request)
        )
        return answer({"subject": account.subject}, 201)

    async def login(self, request: Request) -> Response:
        """Sign in with a password."""
        body = await read_json(request, LoginBody)
        signed_in = await self.service.login(
            incoming_of(request),
            body.email,
            body.password,
            mode=body.mode,
            transport=body.transport,
            remember=body.remember,
        )
        return answer(self.auth.hand_out(request, signed_in).public())

    async def session(self, request: Request) -> Response:
        """Say who is signed in."""
        return answer(shown_principal(await self.auth.current(request)))

    async def refresh(self, request: Request) -> Response:
        """Rotate the refresh handle, from the body or the cookie."""
        body = await read_optional_json(request, RefreshBody())
        signed_in = await self.auth.refresh(request, refresh_token=body.refresh_token)
        return answer(signed_in.public())

    async def access_token(self, request: Request) -> Response:
        """Give a live session's short access token."""
        body = await read_optional_json(request, AudienceBody())
        signed_in = await self.auth.access_token(request, audience=body.audience)
        return answer(signed_in.public())

    async def move(self, request: Request) -> Response:
        """Exchange a live session for one of another mode."""
        body = await read_json(request, MoveBody)
        moved = await self.auth.move(request, mode=body.mode, refresh_token=body.refresh_token)
        return answer(moved.public())

    async def confirm(self, request: Request) -> Response:
        """Re-authenticate by password."""
        body = await read_json(request, ConfirmBody)
        signed_in = await self.service.confirm(incoming_of(request), body.password)
        return answer(self.auth.hand_out(request, signed_in).public())

    async def logout(self, request: Request) -> Response:
        """End this session; 204 when nothing was signed in too."""
        await self.auth.logout(request)
        return Response(status_code=NO_CONTENT)

    async def logout_others(self, request: Request) -> Response:
        """End all other sessions of the subject."""
        await self.auth.logout_others(request)
        return Response(status_code=NO_CONTENT)

    async def logout_all(self, request: Request) -> Response:
        """End everything of the subject, this session too."""
        await self.auth.logout_all(request)
        return Response(status_code=NO_CONTENT)

    async def sessions(self, request: Request) -> Response:
        """List the subject's sessions."""
        principal = stored(await self.auth.current(request))
        infos = await self.auth.sojourn.sessions(principal.subject)
        listed = [{**shown_session(info), "current": info.sid == principal.sid} for info in infos]
        return answer({"sessions": listed})

    async def end_session(self, request: Request) -> Response:
        """End one of the subject's sessions; another's is not told from an unknown one."""
        principal = stored(await self.auth.current(request))
        await self.end_own(request, principal, request.path_params["sid"])
        return Response(status_code=NO_CONTENT)

    async def end_own(self, request: Request, principal: Principal[Any], sid: str) -> None:
        """End a session if it is the principal's; one that is over already counts as ended.

        Raises:
            NotFound: It is another's, or there is none.
        """
        core = self.auth.sojourn.core
        record = (await core.store.get(sid)).record if is_sid(sid) else None
        if record is None or record.subject != principal.subject:
            raise NotFound("you have no session of this name")
        if not isinstance(record, Tombstone):
            await self.auth.sojourn.revoke(
                sid,
                subject=principal.subject,
                by=principal.subject,
                reason="logout",
                incoming=incoming_of(request),
            )

    async def password(self, request: Request) -> Response:
        """Change the password; other sessions and earlier tokens end, this one goes on."""
        principal = await self.auth.current(request)
        body = await read_json(request, PasswordBody)
        renewed = await self.service.change_password(
            incoming_of(request), principal, body.current, body.new
        )
        handed_out = self.auth.hand_out(request, renewed)
        if handed_out.transport == "cookie":
            return Response(status_code=NO_CONTENT)
        return answer(handed_out.public())

    async def jwks(self, request: Request) -> Response:
        """Publish the public keys."""
        seconds = self.auth.sojourn.settings.jwks_ttl_seconds
        return Response(
            msgspec.json.encode(await self.auth.sojourn.jwks()),
            media_type="application/jwk-set+json",
            headers={
                "Cache-Control": f"public, max-age={seconds}",
                "Access-Control-Allow-Origin": "*",
            },
        )

    async def metadata(self, request: Request) -> Response:
        """Publish the issuer's metadata (OpenID Connect Discovery section 3, RFC 8414)."""
        settings = self.auth.sojourn.settings
        url = settings.issuer
        document = {
            "issuer": url,
            "jwks_uri": f"{url}/.well-known/jwks.json",
            "token_endpoint": f"{url}/auth/refresh",
            "response_types_supported": ["token"],
            "subject_types_supported": ["public"],
            "grant_types_supported": ["refresh_token"],
            "token_endpoint_auth_methods_supported": ["none"],
            "id_token_signing_alg_values_supported": [settings.signing_algorithm],
        }
        return Response(
            msgspec.json.encode(document),
            media_type="application/json",
            headers={"Cache-Control": "public, max-age=600", "Access-Control-Allow-Origin": "*"},
        )


def stored(principal: Principal[Any]) -> Principal[Any]:
    """Refuse what only a stored session can answer.

    Raises:
        UnsupportedInMode: The principal was recognised by a JWT with nothing stored behind it.
    """
    if principal.mode == "jwt":
        raise UnsupportedInMode(
            "a JWT has no session in the store to list or end; sign in in mode 'session' or 'hybrid'"
        )
    return principal


def shown_session(info: SessionInfo) -> dict[str, Any]:
    """Describe a session to its subject, and to staff."""
    return {
        "sid": info.sid,
        "mode": info.mode,
        "created_at": info.created_at,
        "seen_at": info.seen_at,
        "expires_at": info.expires_at,
        "user_agent": info.user_agent,
        "address": info.address,
    }


def shown_principal(principal: Principal[Any]) -> dict[str, Any]:
    """Describe a principal to its client."""
    return {
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
