"""The state of a request in its WSGI environment (PEP 3333), and what has an environment."""

from __future__ import annotations

from collections.abc import Callable, Iterable, MutableMapping
from typing import Any, Protocol, cast

from sojourn.adapting import RequestState
from sojourn.errors import ConfigurationError
from sojourn.messages import Incoming

Environ = MutableMapping[str, Any]
Headers = list[tuple[str, str]]
StartResponse = Callable[..., Any]
"""Takes the status line, the headers and, after a failure, ``exc_info``."""
Application = Callable[[Any, StartResponse], Iterable[bytes]]

STATE = "sojourn.state"


class HasEnviron(Protocol):
    """A framework's request."""

    @property
    def environ(self) -> Any:
        """The WSGI environment."""
        ...


Connection = Environ | HasEnviron
"""An environment, or a framework's request that has one."""


def environ_of(connection: Connection) -> Environ:
    """Give the WSGI environment of a request."""
    return cast("Environ", getattr(connection, "environ", connection))


def state_of(connection: Connection) -> RequestState:
    """Give what the middleware keeps of a request.

    Raises:
        ConfigurationError: The middleware is not there.
    """
    state = environ_of(connection).get(STATE)
    if not isinstance(state, RequestState):
        raise ConfigurationError(
            "Sojourn's middleware is missing before this; serve what auth.wrap(application) gives"
        )
    return state


def incoming_of(connection: Connection) -> Incoming:
    """Give what decides about a request."""
    return state_of(connection).incoming
