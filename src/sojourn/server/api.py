"""The JSON API under ``/auth`` and the metadata under ``/.well-known``."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import msgspec
from starlette.requests import Request
from starlette.responses import Response
from starlette.routing import Route

from sojourn.adapting.endpoints import ENDPOINTS, Asked, Endpoint
from sojourn.asgi.scope import state_of
from sojourn.errors import NotFound
from sojourn.model import Mode, Transport
from sojourn.server.requests import read_body, read_json, require_json
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


class PasswordBody(msgspec.Struct, forbid_unknown_fields=True):
    """`POST /auth/password`."""

    current: str
    new: str


class ConfirmBody(msgspec.Struct, forbid_unknown_fields=True):
    """`POST /auth/confirm`."""

    password: str


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
            *(self._route(endpoint) for endpoint in ENDPOINTS),
            Route("/auth/confirm", self.confirm, methods=["POST"]),
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

    def _route(self, endpoint: Endpoint) -> Route:
        async def act(request: Request) -> Response:
            body = await read_body(request)
            if body:
                require_json(request)
            asked = Asked(body=body, sid=request.path_params.get("sid", ""))
            done = await endpoint.act(self.auth.sojourn.core, state_of(request), asked)
            self.auth.changed(request)
            if done.document is None:
                return Response(status_code=NO_CONTENT)
            return answer(done.document)

        return Route("/auth" + endpoint.path, act, methods=[endpoint.method], name=endpoint.name)

    async def confirm(self, request: Request) -> Response:
        """Re-authenticate by password."""
        body = await read_json(request, ConfirmBody)
        signed_in = await self.service.confirm(incoming_of(request), body.password)
        return answer(self.auth.hand_out(request, signed_in).public())

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
