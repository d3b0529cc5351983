"""How a request may say who it is, and how it is refused, as OpenAPI describes it."""

from __future__ import annotations

from copy import copy
from dataclasses import dataclass
from typing import Any

from litestar.handlers import HTTPRouteHandler
from litestar.openapi import ResponseSpec
from litestar.openapi.config import OpenAPIConfig
from litestar.openapi.spec import Components, SecurityScheme

from sojourn.aio import AsyncSojourn
from sojourn.modes import MODES
from sojourn.need import Need
from sojourn.problems import MEDIA_TYPE
from sojourn.verifier import AsyncVerifier

_SCHEME_OF = {"cookie": "cookieAuth", "bearer": "bearerAuth"}


@dataclass(frozen=True)
class ProblemDocument:
    """An RFC 9457 problem; `code` is stable, see Sojourn's errors."""

    type: str
    title: str
    status: int
    code: str
    detail: str


_REFUSALS = {
    401: "Nobody is signed in, or not recently enough.",
    403: "Whoever is signed in may not do this.",
}


def schemes_of(checker: AsyncSojourn[Any] | AsyncVerifier) -> dict[str, SecurityScheme]:
    """Give the schemes that a checker takes: a verifier looks at bearer tokens alone."""
    schemes = {
        "bearerAuth": SecurityScheme(
            type="http",
            scheme="bearer",
            description="The access_token of a sign-in with transport `bearer`.",
        )
    }
    if isinstance(checker, AsyncSojourn):
        names, rules = checker.core.browser.names, MODES[checker.settings.mode]
        schemes["cookieAuth"] = SecurityScheme(
            type="apiKey",
            name=names.access if rules.has_access_token else names.handle,
            security_scheme_in="cookie",
            description="Set by a sign-in with transport `cookie`; a browser sends it by itself.",
        )
    return schemes


def with_schemes(config: OpenAPIConfig, schemes: dict[str, SecurityScheme]) -> OpenAPIConfig:
    """Give a configuration with our schemes beside the application's own components."""
    own = config.components
    components = [*own] if isinstance(own, list) else [own]
    ours = copy(config)  # dataclasses.replace would warn of settings nobody made
    ours.components = [*components, Components(security_schemes=dict(schemes))]
    return ours


def describe(
    handler: HTTPRouteHandler, needs: list[Need], schemes: dict[str, SecurityScheme]
) -> None:
    """Say of a route what it asks for, and how it refuses; what it says itself stays."""
    scopes = sorted(frozenset[str]().union(*(need.scopes for need in needs)))
    transports = [t for t in _SCHEME_OF if all(t in need.accept for need in needs)]
    handler.security = [
        *(handler.security or ()),
        *({_SCHEME_OF[t]: scopes} for t in transports if _SCHEME_OF[t] in schemes),
    ]
    handler.responses = {
        status: ResponseSpec(
            ProblemDocument,
            description=description,
            media_type=MEDIA_TYPE,
            generate_examples=False,
        )
        for status, description in _REFUSALS.items()
    } | dict(handler.responses or {})
