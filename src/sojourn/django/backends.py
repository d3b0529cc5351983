"""An authentication backend for whoever calls `authenticate` to ask who a request is."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from django.contrib.auth.backends import BaseBackend, ModelBackend

from sojourn.django.state import find_state
from sojourn.django.users import user_of

if TYPE_CHECKING:
    from django.http import HttpRequest


class SojournBackend(BaseBackend):
    """Gives the user of the credential that a request presents.

    For libraries that call ``authenticate(request)`` without a password; put it beside
    ``ModelBackend``, which checks passwords and permissions.
    """

    def authenticate(self, request: HttpRequest | None, **credentials: Any) -> Any:
        """Give the user of a request that our middleware recognised, asked for without credentials."""
        state = find_state(request) if request is not None and not credentials else None
        if state is None:
            return None
        state.is_looked_at = True
        return None if state.principal is None else user_of(state.principal.subject)

    def get_user(self, user_id: Any) -> Any:
        """Give an active user, as ``ModelBackend`` does."""
        return ModelBackend().get_user(user_id)
