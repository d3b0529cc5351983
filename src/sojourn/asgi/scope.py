"""The state of a request in its ASGI scope, and what has a scope."""

from __future__ import annotations

from collections.abc import Awaitable, Callable, Mapping, MutableMapping
from typing import Any, Protocol

from sojourn.adapting import RequestState
from sojourn.errors import ConfigurationError
from sojourn.messages import Incoming

Scope = MutableMapping[str, Any]
Message = MutableMapping[str, Any]
Receive = Callable[[], Awaitable[Message]]
Send = Callable[[Message], Awaitable[None]]
Application = Callable[[Scope, Receive, Send], Awaitable[None]]

_STATE = "sojourn"


class HasScope(Protocol):
    """A framework's request or connection."""

    @property
    def scope(self) -> Any:
        """The ASGI scope."""
        ...


Connection = Scope | HasScope
"""A scope, or a framework's request that has one."""


def scope_of(connection: Connection) -> Mapping[str, Any]:
    """Give the ASGI scope of a request."""
    scope = getattr(connection, "scope", connection)
    assert isinstance(scope, Mapping)  # noqa: S101 - one of the two
    return scope


def keep_state(scope: Scope, state: RequestState) -> None:
    """Put the state of a request into its scope."""
    scope[_STATE] = state


def state_of(connection: Connection) -> RequestState:
    """Give what the middleware keeps of a request.

    Raises:
        ConfigurationError: The middleware is not there.
    """
    state = scope_of(connection).get(_STATE)
    if not isinstance(state, RequestState):
        raise ConfigurationError(
            "Sojourn's middleware is missing before this; call auth.install(app) (in Litestar: "
            "plugins=[auth]), or wrap the application"
        )
    return state


def incoming_of(connection: Connection) -> Incoming:
    """Give what decides about a request."""
    return state_of(connection).incoming
