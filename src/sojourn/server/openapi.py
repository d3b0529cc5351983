"""The API described in OpenAPI 3.1, made from one table and the shapes the endpoints decode."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

import msgspec
from starlette.requests import Request
from starlette.responses import Response
from starlette.routing import Route

from sojourn._version import __version__
from sojourn.adapting import endpoints
from sojourn.browser import CookieNames
from sojourn.problems import MEDIA_TYPE
from sojourn.server import admin, api
from sojourn.settings import Settings


@dataclass(frozen=True, slots=True)
class Call:
    """One call of the API."""

    method: str
    path: str
    summary: str
    success: int = 200
    body: type[msgspec.Struct] | None = None
    is_public: bool = False
    codes: tuple[str, ...] = ()
    """Codes of refusals beyond those of every call."""


CALLS = (
    Call("POST", "/auth/register", "Add an account; nobody is signed in", 201, api.RegisterBody,
         is_public=True, codes=("account_exists", "weak_password", "invalid_input")),
    Call("POST", "/auth/login", "Sign in with a password", 200, api.LoginBody, is_public=True,
         codes=("invalid_credentials", "rate_limited", "session_limit", "superseded", "busy")),
    Call("GET", "/auth/session", "Say who is signed in"),
    Call("POST", "/auth/refresh", "Rotate the refresh token", 200, endpoints.RefreshBody,
         is_public=True, codes=("refresh_reuse", "refresh_late", "unsupported_in_mode")),
    Call("POST", "/auth/access-token", "Give a live session's short access token", 200,
         endpoints.AudienceBody, codes=("invalid_input",)),
    Call("POST", "/auth/mode", "Move the session to another mode", 200, endpoints.MoveBody,
         codes=("unsupported_in_mode",)),
    Call("POST", "/auth/confirm", "Confirm who is signed in by their password", 200,
         api.ConfirmBody, codes=("invalid_credentials", "rate_limited")),
    Call("POST", "/auth/logout", "End this session", 204, is_public=True),
    Call("POST", "/auth/logout-others", "End all other sessions", 204),
    Call("POST", "/auth/logout-all", "End everything of the subject", 204),
    Call("GET", "/auth/sessions", "List the subject's sessions", codes=("unsupported_in_mode",)),
    Call("DELETE", "/auth/sessions/{sid}", "End one of the subject's sessions", 204,
         codes=("unsupported_in_mode", "not_found")),
    Call("POST", "/auth/password", "Change the password; other sessions end", 204,
         api.PasswordBody, codes=("invalid_credentials", "weak_password", "rate_limited")),
    Call("GET", "/auth/revocations", "Follow the revocation feed, with a verifier's token",
         is_public=True, codes=("invalid_token",)),
    Call("GET", "/.well-known/jwks.json", "The public signing keys", is_public=True),
    Call("GET", "/.well-known/openid-configuration", "The issuer's metadata", is_public=True),
    Call("GET", "/admin/users", "List accounts", codes=("forbidden",)),
    Call("PATCH", "/admin/users/{subject}", "Change roles, disable or enable", 200,
         admin.AccountBody, codes=("forbidden", "insufficient_user_authentication", "not_found")),
    Call("GET", "/admin/users/{subject}/sessions", "List the sessions of an account",
         codes=("forbidden", "not_found")),
    Call("DELETE", "/admin/users/{subject}/sessions", "End everything of an account", 204,
         codes=("forbidden", "insufficient_user_authentication", "not_found")),
    Call("DELETE", "/admin/sessions/{sid}", "End one session", 204,
         codes=("forbidden", "insufficient_user_authentication", "invalid_input")),
    Call("GET", "/admin/keys", "List the signing keys", codes=("forbidden",)),
    Call("POST", "/admin/keys/rotate", "Put a new signing key into service", 204,
         admin.RotateBody, codes=("forbidden", "insufficient_user_authentication")),
    Call("GET", "/admin/audit", "Read the audit trail", codes=("forbidden",)),
    Call("GET", "/livez", "Whether the process answers", is_public=True),
    Call("GET", "/readyz", "Whether the store answers", is_public=True),
    Call("GET", "/metrics", "Metrics in Prometheus' format", is_public=True),
)  # fmt: skip


def document(settings: Settings) -> dict[str, Any]:
    """Describe the API of a server with these settings."""
    bodies = [call.body for call in CALLS if call.body is not None]
    _, schemas = msgspec.json.schema_components(bodies, ref_template="#/components/schemas/{name}")
    schemas["Problem"] = _PROBLEM
    names = CookieNames.of(settings)
    paths: dict[str, dict[str, Any]] = {}
    for call in CALLS:
        paths.setdefault(call.path, {})[call.method.lower()] = _operation(call)
    return {
        "openapi": "3.1.0",
        "info": {"title": "Sojourn", "version": __version__},
        "servers": [{"url": settings.issuer}],
        "paths": paths,
        "components": {
            "schemas": schemas,
            "securitySchemes": {
                "bearerAuth": {"type": "http", "scheme": "bearer"},
                "sessionCookie": {"type": "apiKey", "in": "cookie", "name": names.handle},
                "accessCookie": {"type": "apiKey", "in": "cookie", "name": names.access},
            },
        },
    }


_PROBLEM = {
    "type": "object",
    "description": "RFC 9457",
    "required": ["type", "title", "status", "code", "detail"],
    "properties": {
        "type": {"type": "string"},
        "title": {"type": "string"},
        "status": {"type": "integer"},
        "code": {"type": "string", "description": "Stable; what a program decides by"},
        "detail": {"type": "string", "description": "What to do about it, for a person"},
    },
}


def _operation(call: Call) -> dict[str, Any]:
    codes = ("invalid_request", "cross_site", *call.codes)
    if not call.is_public:
        codes = (
            "unauthenticated",
            "expired",
            "revoked",
            "refresh_required",
            "invalid_token",
            *codes,
        )
    problem = {
        "description": "Refused; `code` is one of " + ", ".join(dict.fromkeys(codes)),
        "content": {MEDIA_TYPE: {"schema": {"$ref": "#/components/schemas/Problem"}}},
    }
    operation: dict[str, Any] = {
        "summary": call.summary,
        "responses": {str(call.success): {"description": "Done"}, "default": problem},
    }
    if "{" in call.path:
        name = call.path.partition("{")[2].partition("}")[0]
        operation["parameters"] = [
            {"name": name, "in": "path", "required": True, "schema": {"type": "string"}}
        ]
    if call.body is not None:
        schema = {"$ref": f"#/components/schemas/{call.body.__name__}"}
        operation["requestBody"] = {"content": {"application/json": {"schema": schema}}}
    if not call.is_public:
        operation["security"] = [{"bearerAuth": []}, {"sessionCookie": []}, {"accessCookie": []}]
    return operation


def route(settings: Settings) -> Route:
    """Serve the description."""
    encoded = msgspec.json.encode(document(settings))

    async def openapi(request: Request) -> Response:
        return Response(encoded, media_type="application/json")

    return Route("/openapi.json", openapi, methods=["GET"])
