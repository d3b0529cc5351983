"""What is kept of one request, on the request; and the request that a thread or task is at."""

from __future__ import annotations

from contextvars import ContextVar
from typing import TYPE_CHECKING, Any, cast

from django.http import HttpRequest

from sojourn.adapting import RequestState, incoming_of_environ
from sojourn.errors import ConfigurationError
from sojourn.messages import Incoming

if TYPE_CHECKING:
    from sojourn.django.sessions import SessionStore

_ATTRIBUTE = "_sojourn"
current_request: ContextVar[HttpRequest | None] = ContextVar("sojourn_request", default=None)
"""The request that is being answered here, for signals that do not bring one."""


class DjangoState(RequestState):
    """The state of a request of Django's.

    Args:
        incoming: The request, reduced.
    """

    __slots__ = ("begun", "session")

    def __init__(self, incoming: Incoming) -> None:
        """Know nobody yet."""
        super().__init__(incoming)
        self.session: SessionStore | None = None
        """Django's session, where that is what says who it is."""
        self.begun = self.outgoing
        """What was to be handed out when the view began."""


def django_request(request: Any) -> HttpRequest:
    """Give Django's own request within another framework's (Django REST framework)."""
    return cast("HttpRequest", getattr(request, "_request", request))


def keep_state(request: HttpRequest, state: DjangoState) -> None:
    """Put the state onto its request."""
    setattr(request, _ATTRIBUTE, state)


def find_state(request: Any) -> DjangoState | None:
    """Give what the middleware keeps of a request; None where it has not been there."""
    state = getattr(django_request(request), _ATTRIBUTE, None)
    return state if isinstance(state, DjangoState) else None


def state_of(request: Any) -> DjangoState:
    """Give what the middleware keeps of a request.

    Raises:
        ConfigurationError: The middleware is not there.
    """
    state = find_state(request)
    if state is None:
        raise ConfigurationError(
            "Sojourn's middleware has not seen this request; add 'sojourn.django.SojournMiddleware' "
            "to MIDDLEWARE, after Django's AuthenticationMiddleware"
        )
    return state


def incoming_of(request: Any) -> Incoming:
    """Reduce a request to what decides about it."""
    return incoming_of_environ(django_request(request).META)
