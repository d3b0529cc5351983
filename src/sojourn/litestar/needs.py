"""Guards: what a route asks for, in the shape that Litestar calls."""

from __future__ import annotations

import re
from collections.abc import Awaitable, Callable, Iterable
from typing import Any
from urllib.parse import unquote

from litestar.connection import ASGIConnection
from litestar.handlers import BaseRouteHandler
from litestar.routes import HTTPRoute

from sojourn.errors import ConfigurationError
from sojourn.need import ANYONE_SIGNED_IN, Need

Check = Callable[[Any, Need], Awaitable[Any]]
EXCLUDE_KEY = "exclude_from_auth"
"""The key in a route's ``opt`` that Litestar's own authentication has."""


class NeedGuard:
    """A guard that asks for a need.

    Args:
        check: Raises where a request does not meet it.
        need: What is asked for.
    """

    def __init__(self, check: Check, need: Need) -> None:
        """Take the need."""
        self.need = need
        self.check = check

    async def __call__(
        self, connection: ASGIConnection[Any, Any, Any, Any], _: BaseRouteHandler
    ) -> None:
        """Refuse a request that does not meet it."""
        await self.check(connection, self.need)

    def concerns(self, handler: BaseRouteHandler, path: str) -> bool:
        """Tell whether a route below this guard asks for it."""
        del handler, path
        return True


class SignedInUnless(NeedGuard):
    """The guard of a whole application: everybody is signed in, but for what is excluded.

    Args:
        check: Raises where nobody is signed in.
        exclude: Patterns of paths, matched from the path's beginning.
    """

    def __init__(self, check: Check, exclude: str | Iterable[str]) -> None:
        """Compile the patterns."""
        super().__init__(check, ANYONE_SIGNED_IN)
        patterns = [exclude] if isinstance(exclude, str) else list(exclude)
        try:
            self._patterns = [re.compile(pattern) for pattern in patterns]
        except re.error as error:
            raise ConfigurationError(
                f"exclude has a pattern that is no regular expression: {error}"
            ) from error

    async def __call__(
        self, connection: ASGIConnection[Any, Any, Any, Any], handler: BaseRouteHandler
    ) -> None:
        """Refuse a request of nobody, unless its route is excluded."""
        scope = connection.scope
        if scope.get("method") == "OPTIONS" and handler.fn.__module__ == HTTPRoute.__module__:
            return  # asks what may be asked; Litestar answers it itself
        # Within a mounted application `path` is what is left below the mount.
        is_mount = getattr(handler, "is_mount", False)
        path = unquote(scope["raw_path"].decode("latin-1")) if is_mount else scope["path"]
        if _leads_elsewhere(path) or self.concerns(handler, path):
            await super().__call__(connection, handler)

    def concerns(self, handler: BaseRouteHandler, path: str) -> bool:
        """Tell whether a route is not excluded."""
        is_excluded = handler.opt.get(EXCLUDE_KEY) or any(p.match(path) for p in self._patterns)
        return not is_excluded


def _leads_elsewhere(path: str) -> bool:
    """Tell whether a path has ``..`` in it, which what is mounted may follow out of what is excluded."""
    return ".." in path.replace("\\", "/").split("/")
