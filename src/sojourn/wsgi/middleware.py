"""The middleware: checks each request that presents a credential, and alone writes headers."""

from __future__ import annotations

from collections.abc import Callable, Iterable
from typing import Any

from sojourn.adapting import RequestState, acts, incoming_of_environ, with_outgoing
from sojourn.errors import SojournError
from sojourn.messages import Outgoing
from sojourn.sync import Sojourn
from sojourn.verifier import Verifier
from sojourn.wsgi.answer import Answer
from sojourn.wsgi.environ import STATE, Application, Environ, StartResponse

Show = Callable[[Environ, RequestState], None]


def show_nothing(_: Environ, __: RequestState) -> None:
    """Leave it at `state_of`; a framework's adapter shows it its own way."""


def check_request(checker: Sojourn[Any] | Verifier, environ: Environ) -> RequestState:
    """Find out who a request is, and keep it in its environment.

    Args:
        checker: The engine, or a verifier.
        environ: The request.
    """
    state = RequestState(incoming_of_environ(environ))
    environ[STATE] = state
    browser = checker.core.browser if isinstance(checker, Sojourn) else None
    try:
        state.take(checker.check(state.incoming), browser)
    except SojournError as error:
        state.error = error
    return state


class SojournMiddleware:
    """Checks each request that presents a credential, and writes what is handed out.

    Args:
        app: The application it stands before.
        checker: The engine, or a verifier, which looks at bearer tokens alone and hands nothing out.
        show: Called with each request that was checked.
    """

    def __init__(
        self,
        app: Application,
        checker: Sojourn[Any] | Verifier,
        *,
        show: Show = show_nothing,
    ) -> None:
        """Stand before an application."""
        self.app = app
        self.checker = checker
        self._show = show
        browser = checker.core.browser if isinstance(checker, Sojourn) else None
        self._shared = browser if browser and browser.is_shared else None

    def __call__(self, environ: Environ, start_response: StartResponse) -> Iterable[bytes]:
        """Handle one request."""
        shared = self._shared if self._shared and environ.get("HTTP_ORIGIN") else None
        if shared and _is_preflight(environ):
            outgoing = shared.cors(incoming_of_environ(environ), preflight=True)
            start_response("204 No Content", with_outgoing([], outgoing))
            return []
        state = check_request(self.checker, environ)
        cors = shared.cors(state.incoming) if shared else Outgoing()
        answer = Answer(environ, start_response, state, cors=cors, save=self._save)
        try:
            self._show(environ, state)
            body = self.app(environ, answer.start_response)
        except Exception as error:  # noqa: BLE001 - raised again where it is not for the client
            return answer.failed(error)
        return answer.over(body)

    def _save(self, state: RequestState) -> None:
        if state.data is not None and isinstance(self.checker, Sojourn):
            self.checker.run(acts.save_data(self.checker.core, state))


def _is_preflight(environ: Environ) -> bool:
    return (
        environ["REQUEST_METHOD"] == "OPTIONS" and "HTTP_ACCESS_CONTROL_REQUEST_METHOD" in environ
    )
