"""What Starlette reads of a checked request: ``request.user`` and ``request.auth``."""

from __future__ import annotations

from typing import Any

from starlette.authentication import AuthCredentials, BaseUser, UnauthenticatedUser
from starlette.requests import Request
from starlette.responses import Response

from sojourn.adapting import RequestState
from sojourn.asgi.problems import told
from sojourn.asgi.scope import Scope
from sojourn.errors import SojournError
from sojourn.model import Principal


class SignedInUser(BaseUser):
    """`request.user` of a signed-in request.

    Args:
        principal: Who it is.
    """

    def __init__(self, principal: Principal[Any]) -> None:
        """Wrap the principal."""
        self.principal = principal

    @property
    def is_authenticated(self) -> bool:
        """Always: others are Starlette's UnauthenticatedUser."""
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
    """Set what Starlette's `request.user` and `request.auth` read."""
    principal = state.principal
    if principal is None:
        scope["user"], scope["auth"] = UnauthenticatedUser(), AuthCredentials()
        return
    scope["user"] = SignedInUser(principal)
    scope["auth"] = AuthCredentials(["authenticated", *sorted(principal.scopes)])


async def problem_response(request: Request, error: Exception) -> Response:
    """Answer an error with its problem document; what a developer has to know goes to the log."""
    assert isinstance(error, SojournError)  # noqa: S101 - registered for it
    problem = told(request, error)
    return Response(problem.body, status_code=problem.status, headers=dict(problem.headers))
