"""`Auth`: Sojourn in the idiom of FastAPI."""

from __future__ import annotations

from functools import cached_property
from typing import Any

import msgspec
from fastapi import APIRouter
from starlette.requests import HTTPConnection, Request
from starlette.responses import Response

from sojourn import starlette
from sojourn.adapting import acts
from sojourn.adapting.endpoints import ENDPOINTS, MAX_BODY_BYTES, Asked, Endpoint
from sojourn.asgi.scope import state_of
from sojourn.engine.data import SessionData
from sojourn.fastapi.guard import Dependency, Guard
from sojourn.model import ClaimsT


class Auth(Guard[ClaimsT], starlette.Auth[ClaimsT]):
    """Sojourn in a FastAPI application.

    Args:
        sojourn: A store URL, or an `AsyncSojourn` that was made elsewhere.
        **options: Everything `AsyncSojourn` takes.
    """

    @cached_property
    def data(self) -> Dependency:  # type: ignore[override]
        """Give the session's data (or the visitor's); saved by itself with the response."""

        async def data(request: HTTPConnection) -> SessionData:
            return await acts.load_data(self.sojourn.core, state_of(request))

        return data

    @cached_property
    def session(self) -> Dependency:
        """Have `request.session` be that data, for libraries that look there (Authlib)."""

        async def session(request: HTTPConnection) -> SessionData:
            return await self.load_session(request)

        return session

    def router(self, *, prefix: str = "/auth", tags: tuple[str, ...] = ("auth",)) -> APIRouter:
        """Make a router for what a client may ask about its own sign-in.

        Who is signed in, refresh, sign out here, elsewhere or everywhere, list and end sessions: the
        paths and answers of the standalone server. Signing in is the application's own endpoint.

        Args:
            prefix: Before every path.
            tags: How ``/docs`` groups them.
        """
        router = APIRouter(prefix=prefix, tags=list(tags))
        for endpoint in ENDPOINTS:
            router.add_api_route(
                endpoint.path,
                self._route(endpoint),
                methods=[endpoint.method],
                name=endpoint.name,
                summary=endpoint.summary,
                response_class=Response,
                openapi_extra=_described(endpoint),
            )
        return router

    def _route(self, endpoint: Endpoint) -> Any:
        async def act(request: Request) -> Response:
            asked = Asked(body=await _body_of(request), sid=request.path_params.get("sid", ""))
            answer = await endpoint.act(self.sojourn.core, state_of(request), asked)
            self.changed(request)
            return Response(
                answer.body or None,
                status_code=answer.status,
                media_type="application/json" if answer.body else None,
                headers={"Cache-Control": "no-store"},
            )

        return act


async def _body_of(request: Request) -> bytes:
    """Read a body up to a little more than any call takes, so that the endpoint refuses the rest."""
    body = b""
    async for part in request.stream():
        body += part
        if len(body) > MAX_BODY_BYTES:
            break
    return body


def _described(endpoint: Endpoint) -> dict[str, Any] | None:
    """Describe the body of a call, which FastAPI does not read itself."""
    if endpoint.body is None:
        return None
    schema = msgspec.json.schema(endpoint.body, ref_template="#/components/schemas/{name}")
    inline = schema["$defs"][endpoint.body.__name__]
    return {"requestBody": {"content": {"application/json": {"schema": inline}}}}
