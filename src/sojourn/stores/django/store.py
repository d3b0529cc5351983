"""Sessions in a database of a Django project, beside the application's own rows.

Rows are written on the connection of the calling thread, in whatever transaction the application
has open there: what it rolls back has signed nobody in or out. They are the tables of the other
stores, made by ``manage.py migrate``: another process may have the same database open by its own
URL (``sqlite:///…``, ``postgresql://…``).

- What is revoked within a transaction holds in it, and from the commit in this process as in all
  others: before, no feed has it.
- What is read within a transaction is kept by nobody: it may be rolled back.
- Ids become visible in order: whoever appends holds a row (PostgreSQL) or the database (SQLite) to
  the end of the transaction. A long one in which somebody is revoked has other revocations wait.
- While tests run (Django's test environment), their rollbacks are taken as such: see
  `sojourn.stores.django.rehearsal`.
"""

from __future__ import annotations

from collections.abc import Callable
from functools import cached_property
from typing import TYPE_CHECKING, Any, Concatenate, ParamSpec, TypeVar

from django.db import connections, transaction

from sojourn.errors import ConfigurationError
from sojourn.ports import Clock, Feed, Page, Store, StoreInfo
from sojourn.stores.django.engines import engine_for
from sojourn.stores.django.feed import DjangoFeed
from sojourn.stores.django.rehearsal import Rehearsal, SilentFeed, is_rehearsal

if TYPE_CHECKING:
    from sojourn.stores.django.engines import Engine

P = ParamSpec("P")
T = TypeVar("T")


def _passed_on(
    promised: Callable[Concatenate[Store, P], T],
) -> Callable[Concatenate[DjangoStore, P], T]:
    name = promised.__name__

    def operation(self: DjangoStore, /, *args: P.args, **kwargs: P.kwargs) -> T:
        answer: T = getattr(self.acting, name)(*args, **kwargs)
        return answer

    operation.__name__, operation.__doc__ = name, f"See `Store.{name}`."
    return operation


class DjangoStore:
    """A `Store` on Django's connections: PostgreSQL (psycopg 3) or SQLite.

    Args:
        alias: The database in ``DATABASES``; looked at when the store is opened.
        clock: A test's clock; without one the server's, or the system's with SQLite.
    """

    def __init__(self, alias: str = "default", *, clock: Clock | None = None) -> None:
        """Connect to nothing yet."""
        self.alias = alias
        self._clock = clock

    @cached_property
    def _engine(self) -> Engine:
        return engine_for(self.alias)(self.alias, clock=self._clock)

    @cached_property
    def _rehearsal(self) -> Rehearsal:
        return Rehearsal(self._engine)

    @property
    def acting(self) -> Any:
        """Whose operations are in force: the engine's, or what stands for it while tests run."""
        return self._rehearsal if is_rehearsal() else self._engine

    def open(self, *, longest_token_ms: int) -> StoreInfo:
        """See `Store.open`; the tables are there before, or it is refused.

        Raises:
            ConfigurationError: The tables are not there, or the database cannot keep sessions.
        """
        if not self._engine.is_migrated():
            database = "" if self.alias == "default" else f" --database={self.alias}"
            raise ConfigurationError(
                f"the tables of sessions are not in the database {self.alias!r}; put 'sojourn.django' "
                f"into INSTALLED_APPS and run: python manage.py migrate{database} (tests need it, too: "
                "leave the app's migrations on)"
            )
        return self._engine.keep_facts(longest_token_ms=longest_token_ms)

    def close(self) -> None:
        """See `Store.close`; connections are Django's to close."""

    def feed(self) -> Feed:
        """See `Store.feed`."""
        if is_rehearsal():
            return SilentFeed()
        own = connections[self.alias].copy()
        return DjangoFeed(self, own, type(self._engine)(self.alias, clock=self._clock, own=own))

    def when_committed(self, act: Callable[[], None]) -> None:
        """Act at the commit of this thread's transaction; now, where there is none."""
        transaction.on_commit(act, using=self.alias)

    def is_tentative(self) -> bool:
        """See `Tentative.is_tentative`."""
        return self._engine.place.is_in_transaction

    def read_tentative(self, shard: int, *, after: int, limit: int = 1000) -> Page:
        """See `Tentative.read_tentative`."""
        page: Page = self.acting.read(shard, after=after, limit=limit)
        return page

    def read(self, shard: int, *, after: int, limit: int = 1000) -> Page:
        """See `Store.read`; what may still be rolled back is in no feed.

        Within the application's transaction it is read on a connection of its own.
        """
        if is_rehearsal() or not self.is_tentative():
            return self.read_tentative(shard, after=after, limit=limit)
        feed = self.feed()
        try:
            return feed.read({shard: after}, limit=limit)[shard]
        finally:
            feed.close()

    head = _passed_on(Store.head)
    create = _passed_on(Store.create)
    get = _passed_on(Store.get)
    replace = _passed_on(Store.replace)
    delete = _passed_on(Store.delete)
    delete_subject = _passed_on(Store.delete_subject)
    list = _passed_on(Store.list)
    append = _passed_on(Store.append)
    get_data = _passed_on(Store.get_data)
    put_data = _passed_on(Store.put_data)
    get_document = _passed_on(Store.get_document)
    put_document = _passed_on(Store.put_document)
    read_audit = _passed_on(Store.read_audit)
    purge = _passed_on(Store.purge)
