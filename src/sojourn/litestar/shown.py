"""What Litestar reads of a checked request, and how a refusal is answered."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

from litestar import Request, Response
from litestar.exceptions import WebSocketException

from sojourn.adapting import RequestState
from sojourn.asgi.problems import close_message, told
from sojourn.asgi.scope import Scope
from sojourn.errors import SojournError
from sojourn.model import Principal


@dataclass(frozen=True, slots=True)
class SignedInUser:
    """`request.user` of a signed-in request; None for others.

    Args:
        principal: Who it is.
    """

    principal: Principal[Any]

    @property
    def is_authenticated(self) -> bool:
        """Always; for templates that several frameworks share."""
        return True

    @property
    def display_name(self) -> str:
        """The subject; an application knows better names."""
        return self.principal.subject

    @property
    def identity(self) -> str:
        """The subject."""
        return self.principal.subject


def show(scope: Scope, state: RequestState) -> None:
    """Set what `request.user` and `request.auth` read."""
    principal = state.principal
    scope["user"] = None if principal is None else SignedInUser(principal)
    scope["auth"] = principal


def problem_response(request: Request[Any, Any, Any], error: SojournError) -> Response[bytes]:
    """Answer an error with its problem document; what a developer has to know goes to the log."""
    problem = told(request, error)
    headers = dict(problem.headers)
    media_type = headers.pop("Content-Type")
    return Response(
        problem.body, status_code=problem.status, headers=headers, media_type=media_type
    )


def refused_socket(error: SojournError) -> WebSocketException:
    """Say an error in the way in which Litestar closes a WebSocket for it."""
    message = close_message(error)
    return WebSocketException(code=message["code"], detail=message["reason"])
