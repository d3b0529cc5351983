"""Applications mounted in an application: what is refused there is answered as outside.

Each Starlette application has a handler for exceptions of its own, which knows nothing of the outer
one's and answers 500 for what it does not know, before the outer one hears of it.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator

from starlette.applications import Starlette
from starlette.routing import BaseRoute, Host, Mount, Router

from sojourn.errors import SojournError


def share_handlers(app: Starlette) -> None:
    """Give the applications mounted so far the handlers of our errors that an application has.

    One that has a handler of its own for an error keeps it.
    """
    for kind, handler in app.exception_handlers.items():
        if isinstance(kind, type) and issubclass(kind, SojournError):
            for mounted in _mounted(app.routes):
                mounted.exception_handlers.setdefault(kind, handler)


def _mounted(routes: Iterable[BaseRoute]) -> Iterator[Starlette]:
    for route in routes:
        app = route.app if isinstance(route, Mount | Host) else None
        while app is not None and not isinstance(app, Starlette | Router):
            app = getattr(app, "app", None)  # it is behind a middleware of its own
        if app is not None:
            if isinstance(app, Starlette):
                yield app
            yield from _mounted(app.routes)
