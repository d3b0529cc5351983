"""Django REST framework: an authentication class, and permission classes for what a route needs.

class Notes(APIView):
    authentication_classes = [SojournAuthentication]
    permission_classes = [IsAuthenticated, needs(scopes={"notes"})]
"""

from __future__ import annotations

from typing import Any, Unpack

from rest_framework.authentication import BaseAuthentication
from rest_framework.exceptions import APIException
from rest_framework.permissions import BasePermission
from rest_framework.request import Request

from sojourn.django.guarding import check, known_user
from sojourn.django.state import state_of
from sojourn.errors import SojournError, Unauthenticated
from sojourn.model import Principal
from sojourn.need import Need, NeedOptions
from sojourn.problems import problem_of


class SojournProblem(APIException):
    """What Sojourn refuses or fails at, in the framework's words.

    Args:
        error: The refusal.
    """

    def __init__(self, error: SojournError) -> None:
        """Take over its status, its code and what a client may know."""
        problem = problem_of(error)
        self.status_code = problem.status
        headers = dict(problem.headers)
        self.auth_header = headers.get("WWW-Authenticate")
        self.wait = int(headers.get("Retry-After", 0))
        document = problem.document
        super().__init__({"code": document["code"], "detail": document["detail"]}, error.code)


class SojournAuthentication(BaseAuthentication):
    """Takes whom the middleware recognised: by bearer, our cookies, or Django's session.

    `request.user` is the user, `request.auth` the principal. Cookies are believed only from the
    site's own pages (Origin, Fetch Metadata), so no CSRF token is asked for.
    """

    def authenticate(self, request: Request) -> tuple[Any, Principal[Any]] | None:
        """Give user and principal; None where no credential was presented."""
        state = state_of(request)
        try:
            principal = state.require()
            return known_user(request), principal
        except Unauthenticated:
            return None
        except SojournError as error:
            raise SojournProblem(error) from error

    def authenticate_header(  # pyright: ignore[reportIncompatibleMethodOverride]  # no types
        self, request: Request
    ) -> str:
        """Have a refusal be 401 with this challenge (RFC 6750 section 3)."""
        del request
        return "Bearer"


def needs(**need: Unpack[NeedOptions]) -> type[BasePermission]:
    """Make a permission class of what `Need.of` takes: roles, scopes, max_age, max_lag, accept."""
    needed = Need.of(**need)

    class Needs(BasePermission):
        """Refuses a principal that does not meet the need, with the code that says why."""

        def has_permission(  # pyright: ignore[reportIncompatibleMethodOverride]  # no types
            self, request: Request, view: Any
        ) -> bool:
            del view
            try:
                check(request, needed)
            except SojournError as error:
                raise SojournProblem(error) from error
            return True

    return Needs
