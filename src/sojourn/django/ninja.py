"""Django Ninja: ``NinjaAPI(auth=SojournAuth())``, or for a route ``auth=SojournAuth(scopes={"notes"})``."""

from __future__ import annotations

from typing import Any, Unpack

from django.http import HttpRequest
from ninja.security.base import AuthBase

from sojourn.django.guarding import check
from sojourn.model import Principal
from sojourn.need import Need, NeedOptions


class SojournAuth(AuthBase):
    """Takes whom the middleware recognised; `request.auth` is the principal.

    What is refused is answered by the middleware, with a problem document.

    Args:
        **need: What `Need.of` takes.
    """

    openapi_type = "http"
    openapi_scheme = "bearer"

    def __init__(self, **need: Unpack[NeedOptions]) -> None:
        """Take what is needed."""
        super().__init__()
        self._need = Need.of(**need)

    def __call__(self, request: HttpRequest) -> Any | None:
        """Give the principal, or raise the refusal."""
        principal: Principal[Any] = check(request, self._need)
        return principal
