"""`SignIn`: a client's sign-in at one server: who carries it asks here for tokens."""

from __future__ import annotations

import asyncio
import logging
import time
from collections.abc import Callable, Mapping
from typing import Any
from urllib.parse import urlsplit

from sojourn.client.flight import SingleFlight
from sojourn.client.problems import error_of, object_in
from sojourn.client.sending import Answer, Send, Urllib
from sojourn.client.storage import InMemory, TokenStorage
from sojourn.client.tokens import Tokens
from sojourn.errors import (
    ConfigurationError,
    Expired,
    InvalidToken,
    RefreshLate,
    RefreshRequired,
    RefreshReuse,
    Refused,
    Revoked,
    SojournError,
    Unauthenticated,
    UnsupportedInMode,
)
from sojourn.settings import is_loopback, normal_origin

log = logging.getLogger("sojourn.client")
_OK, _NO_CONTENT, UNAUTHORIZED = 200, 204, 401
_MENDABLE = (RefreshRequired, Expired, Revoked, InvalidToken)
"""A 401 with one of these is put to the refresh endpoint, which mends it or knows why it cannot be."""
_DUE = RefreshRequired("the access token is over, or nearly")
_OVER = (Revoked, RefreshReuse, RefreshLate, Expired, InvalidToken)


class SignIn:
    """Tokens of one sign-in: kept, renewed by one request for all who need it, and forgotten at the end.

    Any number of threads, event loops and (with a `TokenFile`) processes use one sign-in.

    Args:
        url: The server; tokens go to its origin only.
        storage: Where the tokens are kept; in memory by default.
        on_signed_out: Called with the code and the detail when the sign-in turns out to be over,
            once, in the thread of the refresh, before the refused request returns. Not by `logout`,
            here or in another process.
        prefix: The path under which the server has its login, refresh and logout.
        send: What sends those three; the standard library's client by default.
        clock: Milliseconds since the epoch.

    Raises:
        ConfigurationError: The url is not https, or http on this machine.
    """

    def __init__(
        self,
        url: str,
        *,
        storage: TokenStorage | None = None,
        on_signed_out: Callable[[str, str], None] | None = None,
        prefix: str = "/auth",
        send: Send | None = None,
        clock: Callable[[], int] = lambda: time.time_ns() // 1_000_000,
    ) -> None:
        """Read nothing yet."""
        self._origin = _checked_origin(url)
        self._base = url.rstrip("/") + prefix
        self._storage = InMemory() if storage is None else storage
        self._on_signed_out = on_signed_out
        self._send = Urllib() if send is None else send
        self._clock = clock
        self._flight: SingleFlight[Tokens] = SingleFlight()
        self.why_signed_out: Refused | None = None
        """Why the server ended the sign-in, once it has; None again after the next login."""

    def __repr__(self) -> str:
        """Name the server."""
        return f"{type(self).__name__}({self._origin!r})"

    @property
    def is_signed_in(self) -> bool:
        """Whether there are tokens; the server may know better at the next request."""
        return self._storage.load() is not None

    # --- signing in and out -----------------------------------------------------------------------

    def login(self, email: str, password: str, *, mode: str | None = None) -> dict[str, Any]:
        """Sign in at a Sojourn server.

        Args:
            email: The account's address.
            password: Its password.
            mode: ``session``, ``jwt`` or ``hybrid``; the server's own by default.

        Returns:
            ``subject``, ``sid``, ``mode`` and ``expires_at``.

        Raises:
            InvalidCredentials: The address and the password do not belong together.
            IssuerUnavailable: No answer, or "later": what was decided is not known.
            SojournError: What else the server refuses with.
        """
        body = {"email": email, "password": password, "transport": "bearer"}
        answer = self._send(f"{self._base}/login", body | ({"mode": mode} if mode else {}))
        if answer.status != _OK:
            raise error_of(answer)
        told = object_in(answer)
        self.adopt(told)
        return {name: told.get(name) for name in ("subject", "sid", "mode", "expires_at")}

    def adopt(self, answer: Mapping[str, Any]) -> None:
        """Go on with other tokens: those of a login made elsewhere, or of a changed password.

        Args:
            answer: The JSON object that the server gave to a bearer client.

        Raises:
            InvalidInput: There are no tokens in it.
        """
        tokens = Tokens.of(answer, now_ms=self._clock())
        with self._storage.locked():
            self._keep(tokens)

    def logout(self) -> None:
        """Sign out: the server ends the session, and the tokens are forgotten in any case.

        Raises:
            IssuerUnavailable: The server was not reached; there the session lives on until it expires.
        """
        with self._storage.locked():  # not while a refresh is handing out other tokens
            tokens = self._storage.load()
            self._storage.clear()
        if tokens is not None:
            answer = self._send(f"{self._base}/logout", {}, authorization=tokens.authorization)
            if answer.status != _NO_CONTENT:
                raise error_of(answer)

    def refresh(self) -> None:
        """Renew the access token now; one refresh is made however many ask.

        Raises:
            Refused: The sign-in is over: `Revoked`, `Expired`, `RefreshReuse`, `RefreshLate`,
                `InvalidToken`, or `Unauthenticated` where there is none.
            UnsupportedInMode: There is no refresh token, as in the modes ``session`` and ``jwt``.
            IssuerUnavailable: The server was not reached or is not able to answer; nothing is lost.
        """
        used = self._storage.load()
        if used is None:
            raise self.why_signed_out or Unauthenticated("nobody is signed in; use login")
        if not used.refresh_token:
            raise UnsupportedInMode(
                "only mode 'hybrid' has refresh tokens; sign in again at the end"
            )
        self._flight.join(lambda: self._renew(used, _DUE)).result()

    # --- for what carries the tokens --------------------------------------------------------------

    def is_own(self, url: str) -> bool:
        """Tell whether tokens may go to an address: of the very origin of the server."""
        return normal_origin(url) == self._origin

    def ready(self) -> Tokens | None:
        """Give tokens for a request, renewed where they are nearly over; None where there are none."""
        used = self._storage.load()
        if used is None or not used.is_renewal_due(self._clock()):
            return used
        return self._waited(used, _DUE) or used

    async def ready_async(self) -> Tokens | None:
        """See `ready`."""
        used = self._storage.load()
        if used is None or not used.is_renewal_due(self._clock()):
            return used
        return await self._awaited(used, _DUE) or used

    def mended(self, used: Tokens, refused: Answer) -> Tokens | None:
        """Give tokens to repeat a refused request with; None where that would not help.

        Args:
            used: The tokens that the request carried.
            refused: The answer to it.
        """
        error = _mendable(refused)
        return None if error is None else self._waited(used, error)

    async def mended_async(self, used: Tokens, refused: Answer) -> Tokens | None:
        """See `mended`."""
        error = _mendable(refused)
        return None if error is None else await self._awaited(used, error)

    # --- renewing ---------------------------------------------------------------------------------

    def _waited(self, used: Tokens, error: Refused) -> Tokens | None:
        try:
            return self._flight.join(lambda: self._renew(used, error)).result()
        except SojournError:
            return None  # told to `on_signed_out`, or logged; the caller gets the server's own 401

    async def _awaited(self, used: Tokens, error: Refused) -> Tokens | None:
        flight = self._flight.join(lambda: self._renew(used, error))
        try:
            return await asyncio.wrap_future(flight)
        except SojournError:
            return None

    def _renew(self, used: Tokens, error: Refused) -> Tokens:
        try:
            with self._storage.locked():
                return self._renewed(used, error)
        except Refused as refusal:
            if self._on_signed_out is not None and refusal is self.why_signed_out:
                self._on_signed_out(refusal.code, str(refusal))
            raise

    def _renewed(self, used: Tokens, error: Refused) -> Tokens:
        """Exchange tokens for their successors, unless somebody who shares the storage has done so.

        Args:
            used: The tokens that will do no longer.
            error: Why not.
        """
        stored = self._storage.load()
        if stored is None:
            raise Unauthenticated("it is over already, or somebody signed out; sign in again")
        if stored != used:
            return stored
        if not used.refresh_token:
            raise self._over(error)
        try:
            answer = self._send(f"{self._base}/refresh", {"refresh_token": used.refresh_token})
            if answer.status == _OK:
                return self._keep(Tokens.of(object_in(answer), now_ms=self._clock()))
            raise error_of(answer)
        except _OVER as refusal:
            raise self._over(refusal) from None
        except SojournError as failure:
            log.warning("a refresh failed and will be tried again: %s", failure)
            raise

    def _keep(self, tokens: Tokens) -> Tokens:
        self._storage.save(tokens)  # before they are used: the ones before them are over
        self.why_signed_out = None
        return tokens

    def _over(self, refusal: Refused) -> Refused:
        self._storage.clear()
        self.why_signed_out = refusal
        return refusal


def _mendable(refused: Answer) -> Refused | None:
    """Read a refusal that the refresh endpoint may mend."""
    error = error_of(refused) if refused.status == UNAUTHORIZED else None
    return error if isinstance(error, _MENDABLE) else None


def _checked_origin(url: str) -> str:
    origin = normal_origin(url)
    if origin is None:
        raise ConfigurationError(f"url is {url!r}; give the server's, as https://app.example.com")
    if origin.startswith("http://") and not is_loopback(urlsplit(url).hostname or ""):
        raise ConfigurationError(
            f"url {url!r} is plain http to another machine, where anybody on the way could take "
            "the tokens; use https"
        )
    return origin
