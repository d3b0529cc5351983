"""The server's accounts inside an application of your own, for those who have no users table yet.

    auth = Auth("sqlite:///app.db", url="http://127.0.0.1:8000")
    accounts = Accounts(auth, "sqlite:///app.db")
    accounts.install(app)

Addresses, Argon2id password hashes, throttled sign-ins, roles, disabling: what `sojourn serve` does,
with the same calls under ``/auth``. An application with users of its own does not need it:
``auth.login(request, subject)`` is enough.
"""

from __future__ import annotations

from collections.abc import AsyncIterator, Iterable
from contextlib import asynccontextmanager
from typing import TYPE_CHECKING, Any

from sojourn.asgi.scope import incoming_of
from sojourn.engine.answers import SignedIn
from sojourn.model import Mode, Transport
from sojourn.server.accounts import MIGRATIONS, NAMESPACE, Account, Accounts as Stored
from sojourn.server.api import Api
from sojourn.server.database import database_of
from sojourn.server.hashing import Hasher
from sojourn.server.service import Service
from sojourn.server.throttle import Throttle

if TYPE_CHECKING:
    from starlette.applications import Starlette
    from starlette.requests import HTTPConnection
    from starlette.routing import Route

    from sojourn.starlette import Auth

__all__ = ["Account", "Accounts"]


class Accounts:
    """Accounts in a Starlette or FastAPI application.

    Args:
        auth: The adapter that keeps people signed in.
        database: Where the accounts are kept: the URL of an SQLite file or of PostgreSQL; it may be
            the store's own, its tables begin with ``sojourn_``.
        is_open: Whether anybody may register by the routes.
    """

    def __init__(self, auth: Auth[Any], database: str, *, is_open: bool = True) -> None:
        """Put the parts together; nothing is opened yet."""
        clock = auth.sojourn.core.clock
        self._auth = auth
        self._is_open = is_open
        self._database = database_of(database, beside=auth.sojourn.core.store)
        self._hasher = Hasher()
        self._stored = Stored(self._database, clock=clock)
        self._service = Service(
            auth.sojourn, self._stored, self._hasher, Throttle(self._database, clock=clock)
        )

    def install(self, app: Starlette) -> None:
        """Add the routes, and opening and closing with the application; before `auth.install`."""
        app.router.routes.extend(self.routes())
        inner = app.router.lifespan_context

        @asynccontextmanager
        async def lifespan(running: Any) -> AsyncIterator[Any]:
            async with self.opened(), inner(running) as state:
                yield state

        app.router.lifespan_context = lifespan

    def routes(self) -> list[Route]:
        """Give the server's calls under ``/auth``: register, login, session, password, ..."""
        return Api(self._auth, self._service, is_open=self._is_open).routes()

    @asynccontextmanager
    async def opened(self) -> AsyncIterator[None]:
        """Bring the tables up to date, and close at the end."""
        await self._auth.sojourn.core.ready()
        await self._database.open(namespace=NAMESPACE, migrations=MIGRATIONS)
        try:
            yield
        finally:
            self._hasher.close()
            await self._database.close()

    async def register(self, email: str, password: str, *, roles: Iterable[str] = ()) -> Account:
        """Add an account; nobody is signed in.

        Raises:
            AccountExists: The address has one.
            InvalidInput: The address or the password will not do.
        """
        return await self._service.register(email, password, roles=tuple(roles))

    async def login(
        self,
        request: HTTPConnection,
        email: str,
        password: str,
        *,
        mode: Mode | None = None,
        transport: Transport | None = None,
        remember: bool = True,
    ) -> SignedIn[Any]:
        """Sign in with a password; what fails, fails alike and takes alike.

        Raises:
            InvalidCredentials: Wrong password, unknown or disabled account.
            RateLimited: Too many failed before.
        """
        signed_in = await self._service.login(
            incoming_of(request),
            email,
            password,
            mode=mode,
            transport=transport,
            remember=remember,
        )
        return self._auth.hand_out(request, signed_in)

    async def confirm(self, request: HTTPConnection, password: str) -> SignedIn[Any]:
        """Re-authenticate whoever is signed in by their password.

        Raises:
            Refused: Nobody is signed in, or the password is wrong.
        """
        signed_in = await self._service.confirm(incoming_of(request), password)
        return self._auth.hand_out(request, signed_in)

    async def change_password(
        self, request: HTTPConnection, current: str, new: str
    ) -> SignedIn[Any]:
        """Change the password of whoever is signed in; their other sessions end, this one goes on.

        Raises:
            InvalidCredentials: The current password is wrong.
            InvalidInput: The new one will not do.
        """
        principal = await self._auth.current(request)
        signed_in = await self._service.change_password(
            incoming_of(request), principal, current, new
        )
        return self._auth.hand_out(request, signed_in)

    async def find(self, text: str) -> Account:
        """Find an account by its address or subject.

        Raises:
            NotFound: There is none.
        """
        return await self._stored.find(text)

    async def set_roles(self, account: Account, roles: Iterable[str], *, by: str = "") -> None:
        """Replace an account's roles, in its live sessions too."""
        await self._service.set_roles(account, tuple(roles), by=by)

    async def set_disabled(self, account: Account, *, is_disabled: bool, by: str = "") -> None:
        """Disable an account and end everything of it, or enable it again."""
        await self._service.set_disabled(account, is_disabled=is_disabled, by=by)

    async def remove(self, account: Account, *, by: str = "") -> None:
        """Remove an account and end everything of it."""
        await self._service.remove(account, by=by)
