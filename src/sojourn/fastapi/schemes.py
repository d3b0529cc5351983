"""How a request may say who it is, as OpenAPI describes it: the Authorize button of ``/docs``."""

from __future__ import annotations

from typing import Any

from fastapi import FastAPI
from fastapi.openapi.models import APIKey, APIKeyIn, HTTPBearer as HTTPBearerModel, SecurityBase
from fastapi.security.base import SecurityBase as Scheme

from sojourn.problems import MEDIA_TYPE


class Shown(Scheme):
    """A security scheme that is shown and asked nothing: the middleware has checked the request.

    Args:
        name: Under which OpenAPI lists it.
        model: What OpenAPI says of it.
    """

    def __init__(self, name: str, model: SecurityBase) -> None:
        """Take what is shown."""
        self.scheme_name = name
        self.model = model

    def __call__(self) -> None:
        """Ask nothing."""


def bearer() -> Shown:
    """Show that a token may be sent in the Authorization header (RFC 6750)."""
    description = "The access_token of a sign-in with transport `bearer`."
    return Shown("bearerAuth", HTTPBearerModel(description=description))


def cookie(name: str) -> Shown:
    """Show that a browser sends a cookie by itself."""
    description = "Set by a sign-in with transport `cookie`; a browser sends it by itself."
    return Shown(
        "cookieAuth",
        APIKey.model_validate({"in": APIKeyIn.cookie, "name": name, "description": description}),
    )


_PROBLEM: dict[str, Any] = {
    "type": "object",
    "required": ["type", "title", "status", "code", "detail"],
    "properties": {
        "type": {"type": "string"},
        "title": {"type": "string"},
        "status": {"type": "integer"},
        "code": {"type": "string", "description": "Stable; see Sojourn's errors."},
        "detail": {"type": "string"},
    },
}
_REFUSALS = {
    "401": "Nobody is signed in, or not recently enough.",
    "403": "Whoever is signed in may not do this.",
}


def describe_refusals(app: FastAPI) -> None:
    """Have OpenAPI say of each guarded operation how it refuses (RFC 9457)."""
    describe = app.openapi

    def openapi() -> dict[str, Any]:
        document = describe()
        for operations in document.get("paths", {}).values():
            for operation in operations.values():
                if isinstance(operation, dict) and operation.get("security"):
                    for status, description in _REFUSALS.items():
                        content = {MEDIA_TYPE: {"schema": _PROBLEM}}
                        refusal = {"description": description, "content": content}
                        operation.setdefault("responses", {}).setdefault(status, refusal)
        return document

    # FastAPI's documented way to extend what it generates.
    app.openapi = openapi  # type: ignore[method-assign]
