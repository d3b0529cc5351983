"""Where sessions live. A store is chosen by URL; each keeps the contract of `sojourn.ports`."""

from __future__ import annotations

import inspect
from typing import TYPE_CHECKING, Any, cast
from urllib.parse import parse_qsl, unquote, urlsplit

from sojourn.errors import ConfigurationError
from sojourn.ports import AsyncStore, Clock, Store, inline

if TYPE_CHECKING:
    from collections.abc import Mapping

SCHEMES = {
    "memory": "memory://",
    "sqlite": "sqlite:///path/to/file.db (sqlite:////absolute/path); ?durable=no for speed",
}


def async_store(store: str | AsyncStore | Store, *, clock: Clock) -> AsyncStore:
    """Give the store for `AsyncSojourn`.

    Args:
        store: A URL, or a store made by the application.
        clock: The clock of a store that is made here.

    Raises:
        ConfigurationError: The URL names no engine, or the store would block the event loop.
    """
    if isinstance(store, str):
        scheme, path, options = _parts(store)
        if scheme == "memory":
            from sojourn.stores.memory import MemoryStore  # noqa: PLC0415 - only where used

            return inline(MemoryStore(clock=clock))
        from sojourn.stores.sqlite import AsyncSqliteStore  # noqa: PLC0415 - only where used

        return AsyncSqliteStore(path, clock=clock, durable=_durable(options))
    if inspect.iscoroutinefunction(getattr(store, "get", None)):
        return cast("AsyncStore", store)
    _refuse_no_store(store)
    if getattr(store, "never_blocks", False):
        return inline(cast("Store", store))
    raise ConfigurationError(
        f"a blocking store ({type(store).__name__}) was given to AsyncSojourn and would stop the "
        "event loop at each look-up; give its asynchronous form, or use Sojourn"
    )


def blocking_store(store: str | Store, *, clock: Clock) -> Store:
    """Give the store for `Sojourn`.

    Raises:
        ConfigurationError: The URL names no engine, or the store is asynchronous.
    """
    if isinstance(store, str):
        scheme, path, options = _parts(store)
        if scheme == "memory":
            from sojourn.stores.memory import MemoryStore  # noqa: PLC0415 - only where used

            return MemoryStore(clock=clock)
        from sojourn.stores.sqlite import SqliteStore  # noqa: PLC0415 - only where used

        return SqliteStore(path, clock=clock, durable=_durable(options))
    if inspect.iscoroutinefunction(getattr(store, "get", None)):
        raise ConfigurationError(
            f"an asynchronous store ({type(store).__name__}) was given to Sojourn; "
            "use AsyncSojourn, or give its blocking form"
        )
    _refuse_no_store(store)
    return store


def _refuse_no_store(store: object) -> None:
    if not hasattr(store, "get"):
        raise ConfigurationError(
            f"{type(store).__name__} is no store; give a URL as text, such as sqlite:///app.db"
        )


def _parts(url: str) -> tuple[str, str, Mapping[str, str]]:
    parts = urlsplit(url)
    if parts.scheme not in SCHEMES or parts.netloc:
        known = "; ".join(SCHEMES.values())
        # Neither the whole URL nor its authority: a password may stand there.
        what = f"{parts.scheme}:…" if parts.scheme else "a text without a scheme"
        raise ConfigurationError(f"there is no store for {what}; known are: {known}")
    path = unquote(parts.path).removeprefix("/")
    if parts.scheme == "sqlite" and not path:
        raise ConfigurationError(
            "sqlite:/// needs a path; use memory:// for a store of the process"
        )
    return parts.scheme, path, dict(parse_qsl(parts.query))


def _durable(options: Mapping[str, Any]) -> bool:
    value = options.get("durable", "yes")
    if value not in {"yes", "no"} or set(options) - {"durable"}:
        raise ConfigurationError("a sqlite url takes ?durable=yes or ?durable=no, nothing else")
    return bool(value == "yes")
