"""What is kept of one request, on the request; and the request that a thread or task is at."""

from __future__ import annotations

from contextvars import ContextVar
from typing import TYPE_CHECKING, Any, Self, cast

from django.http import HttpRequest

from sojourn.adapting import RequestState, incoming_of_environ
from sojourn.errors import ConfigurationError
from sojourn.messages import Incoming
from sojourn.model import Principal, Tombstone

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

    __slots__ = ("begun", "begun_key", "ended", "is_looked_at", "session")

    def __init__(self, incoming: Incoming) -> None:
        """Know nobody yet."""
        super().__init__(incoming)
        self.session: SessionStore | None = None
        """Django's session, where that is what says who it is."""
        self.begun = self.outgoing
        """What was to be handed out when the view began."""
        self.begun_key: str | None = None
        """The key of Django's session when the view began, where that is ours."""
        self.ended: Tombstone | None = None
        """The session that a refused refresh ended: it stays so where the view is rolled back."""
        self.is_looked_at = False
        """Whether the response may depend on who the request is; caches are told."""


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
    """Give what the middleware keeps of a request; the response counts as one that depends on it.

    Raises:
        ConfigurationError: The middleware is not there.
    """
    state = find_state(request)
    if state is None:
        raise ConfigurationError(
            "Sojourn's middleware has not seen this request; add 'sojourn.django.SojournMiddleware' "
            "to MIDDLEWARE, after Django's AuthenticationMiddleware"
        )
    state.is_looked_at = True
    return state


class _Shown:
    """`request.principal`: found at each look, so that the look is noticed.

    A plain attribute that somebody sets on a request goes before it.
    """

    def __get__(self, request: HttpRequest | None, owner: type) -> Self | Principal[Any] | None:
        """Give the principal of a request that the middleware has seen."""
        del owner
        if request is None:
            return self
        if find_state(request) is None:
            raise AttributeError("the request has no principal; Sojourn's middleware sets it")
        return state_of(request).principal


HttpRequest.principal = _Shown()  # type: ignore[attr-defined]  # Django's stubs know it not


def incoming_of(request: Any) -> Incoming:
    """Reduce a request to what decides about it."""
    return incoming_of_environ(django_request(request).META)
