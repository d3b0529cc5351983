"""Where sessions live. A store is chosen by URL; each keeps the contract of `sojourn.ports`."""

from __future__ import annotations

import importlib
import inspect
import re
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any, cast
from urllib.parse import parse_qsl, unquote, urlsplit

from sojourn.errors import ConfigurationError
from sojourn.ports import AsyncStore, Clock, Store, inline
from sojourn.stores.memory import MemoryStore, system_clock

if TYPE_CHECKING:
    from collections.abc import Callable


@dataclass(frozen=True, slots=True)
class Engine:
    """A kind of store.

    Args:
        module: Imported only where it is used: its client is an extra.
        blocking: The class for `Sojourn`.
        awaited: The class for `AsyncSojourn`; empty where there is none.
        example: A URL, for whoever gave a wrong one.
    """

    module: str
    blocking: str
    awaited: str
    example: str

    def load(self, name: str) -> Callable[..., Any]:
        """Import a class."""
        made: Callable[..., Any] = getattr(importlib.import_module(self.module), name)
        return made


_SQLITE = Engine(
    "sojourn.stores.sqlite", "SqliteStore", "AsyncSqliteStore",
    "sqlite:///path/to/file.db (sqlite:////absolute/path); ?durable=no for speed",
)  # fmt: skip
_POSTGRES = Engine(
    "sojourn.stores.postgres", "PostgresStore", "AsyncPostgresStore",
    "postgresql://user:password@host[,host]/database",
)  # fmt: skip
_REDIS = Engine(
    "sojourn.stores.redis", "RedisStore", "AsyncRedisStore",
    "redis://host:6379/0 (rediss:// with TLS); redis+sentinel://host:26379,host:26379/service; "
    "redis+cluster://host:6379,host:6379",
)  # fmt: skip
_DJANGO = Engine(
    "sojourn.stores.django",
    "DjangoStore",
    "",
    "django://default, a database of Django's by its alias",
)
_NETWORKED = {
    "postgresql": _POSTGRES,
    "postgres": _POSTGRES,
    **{
        f"{name}{tls}{topology}": _REDIS
        for name in ("redis", "valkey")
        for tls in ("", "s")
        for topology in ("", "+sentinel", "+cluster")
    },
}
EXAMPLES = (
    "memory://",
    _SQLITE.example,
    _POSTGRES.example,
    _REDIS.example,
    _DJANGO.example,
)


def async_store(store: str | AsyncStore | Store, *, clock: Clock) -> AsyncStore:
    """Give the store for `AsyncSojourn`.

    Args:
        store: A URL, or a store made by the application.
        clock: The clock of a store that is made here and has none of its own.

    Raises:
        ConfigurationError: The URL names no engine, or the store would block the event loop.
    """
    if isinstance(store, str):
        made = _made(store, clock, is_async=True)
        return inline(made) if isinstance(made, MemoryStore) else cast("AsyncStore", made)
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
        return cast("Store", _made(store, clock, is_async=False))
    if inspect.iscoroutinefunction(getattr(store, "get", None)):
        raise ConfigurationError(
            f"an asynchronous store ({type(store).__name__}) was given to Sojourn; "
            "use AsyncSojourn, or give its blocking form"
        )
    _refuse_no_store(store)
    return store


def scheme_of(url: str) -> str:
    """Tell which engine a URL names: ``memory``, ``sqlite``, ``postgresql``, ``redis`` or ``django``.

    Raises:
        ConfigurationError: None that is known.
    """
    engine = _NETWORKED.get(url.partition(":")[0])
    if engine is not None:
        _refuse_reserved(url)
    parts = urlsplit(url)
    if engine is not None and parts.netloc:
        return "redis" if engine is _REDIS else "postgresql"
    if parts.scheme == "django" and parts.netloc:
        return parts.scheme
    if parts.scheme not in {"memory", "sqlite"} or parts.netloc:
        # Neither the whole URL nor its authority: a password may stand there.
        what = f"{parts.scheme}:…" if parts.scheme else "a text without a scheme"
        raise ConfigurationError(f"there is no store for {what}; known are: {'; '.join(EXAMPLES)}")
    return parts.scheme


def _refuse_reserved(url: str) -> None:
    """Refuse a password that would be taken for something else, and be named in errors as such."""
    rest = url.partition("://")[2]
    authority = re.split(r"[/?#]", rest, maxsplit=1)[0]
    user, _, hosts = authority.rpartition("@")
    if rest.count("@") > authority.count("@") or "@" in user or "[" in user or "]" in user:
        raise ConfigurationError(
            "the password in the url has a reserved character; write / as %2F, @ as %40, # as %23, "
            "? as %3F, [ as %5B and ] as %5D (elsewhere in the url an @ is %40, too)"
        )
    if not re.fullmatch(r"[^\[\]]*(\[[0-9A-Fa-f:.]+\][^\[\]]*)*", hosts):
        raise ConfigurationError("the url has a [ or ] that belongs to no IPv6 address")


def sqlite_path(url: str) -> str:
    """Read the path of a sqlite URL.

    Raises:
        ConfigurationError: There is none.
    """
    path = unquote(urlsplit(url).path).removeprefix("/")
    if not path:
        raise ConfigurationError(
            "sqlite:/// needs a path; use memory:// for a store of the process"
        )
    return path


def _made(url: str, clock: Clock, *, is_async: bool) -> object:
    scheme = scheme_of(url)
    if scheme == "memory":
        return MemoryStore(clock=clock)
    if scheme == "django":
        return _on_django(url, clock, is_async=is_async)
    engine = _SQLITE if scheme == "sqlite" else _NETWORKED[urlsplit(url).scheme]
    make = engine.load(engine.awaited if is_async else engine.blocking)
    if engine is _SQLITE:
        return make(sqlite_path(url), clock=clock, durable=_durable(url))
    # An engine that many machines share has a clock of its own, which alone decides; another one
    # is for tests.
    return make(url, clock=None if clock is system_clock else clock)


def _on_django(url: str, clock: Clock, *, is_async: bool) -> object:
    if is_async:
        # Django refuses to use a connection in an event loop: it blocks, and is its thread's own.
        raise ConfigurationError(
            "django:// is a store on Django's connections, which block and belong to a thread; use "
            "Sojourn (in an asynchronous view within sync_to_async), or give AsyncSojourn the database "
            "by its own URL (postgresql://…)"
        )
    make = _DJANGO.load(_DJANGO.blocking)
    return make(unquote(url.partition("://")[2]), clock=None if clock is system_clock else clock)


def _refuse_no_store(store: object) -> None:
    if not hasattr(store, "get"):
        raise ConfigurationError(
            f"{type(store).__name__} is no store; give a URL as text, such as sqlite:///app.db"
        )


def _durable(url: str) -> bool:
    options = dict(parse_qsl(urlsplit(url).query))
    value = options.get("durable", "yes")
    if value not in {"yes", "no"} or set(options) - {"durable"}:
        raise ConfigurationError("a sqlite url takes ?durable=yes or ?durable=no, nothing else")
    return value == "yes"
