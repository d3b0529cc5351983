"""What the server does for an account: register, sign in, change a password, disable."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import msgspec

from sojourn.engine.answers import SignedIn
from sojourn.engine.login import MAX_FACTS_BYTES, names, refuse_cross_site
from sojourn.errors import InvalidCredentials, InvalidInput, Superseded
from sojourn.messages import Incoming
from sojourn.model import Mode, Principal, Transport
from sojourn.passwords import new_password, normal_email, normal_password
from sojourn.server.hashing import Busy

if TYPE_CHECKING:
    from collections.abc import Iterable

    from sojourn.aio import AsyncSojourn
    from sojourn.server.accounts import Account, Accounts
    from sojourn.server.hashing import Hasher
    from sojourn.server.throttle import Throttle

MAX_ROLES_BYTES = MAX_FACTS_BYTES - 256
"""Beside the roles, a sign-in carries how it was made."""
_WRONG = "the address and the password do not belong together"


class Service:
    """Accounts and sessions together.

    Args:
        sojourn: The engine.
        accounts: The accounts.
        hasher: The password hashes.
        throttle: The counters of failures.
    """

    def __init__(
        self,
        sojourn: AsyncSojourn[Any],
        accounts: Accounts,
        hasher: Hasher,
        throttle: Throttle,
    ) -> None:
        """Take the parts."""
        self.sojourn = sojourn
        self.accounts = accounts
        self._hasher = hasher
        self._throttle = throttle

    def _address(self, incoming: Incoming) -> str:
        return self.sojourn.core.browser.client_address(incoming)

    async def register(
        self,
        email: str,
        password: str,
        *,
        roles: tuple[str, ...] = (),
        by: str = "",
        incoming: Incoming | None = None,
    ) -> Account:
        """Add an account; nobody is signed in.

        Args:
            email: Its address.
            password: Its first password.
            roles: Its roles.
            by: Who adds it; empty where somebody registers.
            incoming: The request of somebody who registers, counted by its network.

        Raises:
            AccountExists: The address has one.
            InvalidInput: The address or the password will not do.
            RateLimited: Too many accounts were made from this network.
            Busy: Too many passwords are being hashed.
        """
        email = normal_email(email)
        password = new_password(password, email=email)
        if incoming is not None:
            await self._throttle.admit_registration(self._address(incoming))
        password_hash = await self._hasher.hash(password)
        account = await self.accounts.add(email, password_hash, roles=roles)
        await self._note("registered", account, by=by)
        return account

    async def login(
        self,
        incoming: Incoming,
        email: str,
        password: str,
        *,
        mode: Mode | None = None,
        transport: Transport | None = None,
        remember: bool = True,
    ) -> SignedIn[Any]:
        """Sign in with a password. What fails, fails alike and takes alike.

        Raises:
            InvalidCredentials: Wrong password, unknown account or disabled account.
            RateLimited: Too many failed before.
            Busy: Too many passwords are being hashed.
            SojournError: What `AsyncSojourn.login` raises.
        """
        # Before the password is looked at: another site's page learns nothing by trying.
        core = self.sojourn.core
        refuse_cross_site(core, incoming, transport or core.settings.transport)
        email, password = normal_email(email), normal_password(password)
        await self._throttle.admit(email, self._address(incoming))
        account = await self.accounts.by_email(email)
        # An unknown address takes the same steps under a name of its own.
        attempt = await self.sojourn.begin(account.subject if account else "nobody")
        matches = await self._verified(
            email, incoming, password, account.password_hash if account else None
        )
        if account is None or not matches or account.is_disabled:
            await self.sojourn.login_failed(
                incoming,
                account.subject if account else "",
                reason=_why_failed(account, matches=matches),
            )
            raise InvalidCredentials(_WRONG)
        await self._throttle.succeeded(email, self._address(incoming))
        signed_in = await self.sojourn.login(
            incoming,
            account.subject,
            attempt=attempt,
            mode=mode,
            transport=transport,
            remember=remember,
            roles=account.roles,
            amr=["pwd"],
        )
        await self._require_unchanged(signed_in, account, version=account.version)
        if self._hasher.needs_rehash(account.password_hash):
            rehashed = await self._hasher.hash(password)
            await self.accounts.set_password(account.subject, rehashed, version=account.version)
        return signed_in

    async def confirm(self, incoming: Incoming, password: str) -> SignedIn[Any]:
        """Re-authenticate whoever is signed in by their password.

        Raises:
            Refused: Nobody is signed in, or the password is wrong.
        """
        principal = (await self.sojourn.check(incoming)).require()
        attempt = await self.sojourn.begin(principal.subject)
        await self._proved(incoming, principal, password)
        return await self.sojourn.reauthenticate(incoming, amr=["pwd"], attempt=attempt)

    async def change_password(
        self, incoming: Incoming, principal: Principal[Any], current: str, new: str
    ) -> SignedIn[Any]:
        """Change the password: other sessions and earlier proofs end, this one goes on.

        Returns:
            New proofs of the session that goes on; in ``jwt`` a new token.

        Raises:
            InvalidCredentials: The current password is wrong.
            InvalidInput: The new one will not do.
        """
        account = await self._proved(incoming, principal, current)
        password = new_password(new, email=account.email)
        password_hash = await self._hasher.hash(password)
        is_stored = principal.mode != "jwt"
        keep = principal.sid if is_stored else None
        # Others end before the password changes, so that a failure in between can be repeated with
        # the old one; and once more after it, for whoever signed in with the old one meanwhile.
        await self._end_others(incoming, principal, keep=keep)
        changed = await self.accounts.set_password(
            account.subject, password_hash, version=account.version
        )
        if not changed:
            raise Superseded("the account changed meanwhile; sign in again")
        await self._end_others(incoming, principal, keep=keep)
        if is_stored:
            # Copies of this session's own proofs end too: it goes on under new ones.
            return await self.sojourn.reauthenticate(incoming, amr=["pwd"])
        signed_in = await self.sojourn.login(
            incoming,
            account.subject,
            mode="jwt",
            transport=principal.transport,
            roles=account.roles,
            amr=["pwd"],
        )
        await self._require_unchanged(signed_in, account, version=account.version + 1)
        return signed_in

    async def _end_others(
        self, incoming: Incoming, principal: Principal[Any], *, keep: str | None
    ) -> None:
        await self.sojourn.revoke_all(
            principal.subject,
            keep=keep,
            by=principal.subject,
            reason="password_changed",
            incoming=incoming,
        )

    async def _require_unchanged(
        self, signed_in: SignedIn[Any], account: Account, *, version: int
    ) -> None:
        """End what was just signed in where the account has changed meanwhile.

        Accounts live beside the sessions: they are read again after the session exists.
        """
        now = await self.accounts.by_subject(account.subject)
        if now is None or now.version != version or now.is_disabled:
            await self.sojourn.revoke(
                signed_in.principal.sid, subject=account.subject, reason="account_changed"
            )
            raise Superseded("the account changed meanwhile; sign in again")

    async def reset_password(self, account: Account, new: str, *, by: str) -> None:
        """Set a password for somebody who forgot theirs; everything of the account ends.

        Raises:
            InvalidInput: The new one will not do.
        """
        password = new_password(new, email=account.email)
        await self.accounts.set_password(
            account.subject, await self._hasher.hash(password), version=None
        )
        await self._note("password_reset", account, by=by)
        await self.sojourn.revoke_all(account.subject, by=by, reason="password_changed")

    async def remove(self, account: Account, *, by: str) -> None:
        """Remove an account and end everything of it; its lines on the trail stay."""
        await self.accounts.remove(account.subject)
        await self._note("removed", account, by=by)
        await self.sojourn.revoke_all(account.subject, by=by, reason="account_removed")

    async def set_disabled(self, account: Account, *, is_disabled: bool, by: str) -> None:
        """Disable an account and end everything of it, or enable it again."""
        await self.accounts.set_disabled(account.subject, is_disabled=is_disabled)
        await self._note("disabled" if is_disabled else "enabled", account, by=by)
        if is_disabled:
            await self.sojourn.revoke_all(account.subject, by=by, reason="account_disabled")

    async def set_roles(self, account: Account, roles: tuple[str, ...], *, by: str) -> None:
        """Replace an account's roles, in its live sessions too."""
        named = account_roles(roles)
        await self.accounts.set_roles(account.subject, named)
        await self.sojourn.update(account.subject, roles=named, by=by)

    async def _proved(
        self, incoming: Incoming, principal: Principal[Any], password: str
    ) -> Account:
        account = await self.accounts.by_subject(principal.subject)
        if account is None:
            raise InvalidCredentials(_WRONG)
        await self._throttle.admit(account.email, self._address(incoming))
        matches = await self._verified(
            account.email, incoming, normal_password(password), account.password_hash
        )
        if not matches or account.is_disabled:
            await self.sojourn.login_failed(incoming, account.subject, reason="wrong_password")
            raise InvalidCredentials("the current password is wrong")
        await self._throttle.succeeded(account.email, self._address(incoming))
        return account

    async def _verified(
        self, email: str, incoming: Incoming, password: str, phc: str | None
    ) -> bool:
        """Verify a password; where that could not be done, the attempt is not counted as failed."""
        try:
            return await self._hasher.verify(password, phc)
        except Busy:
            await self._throttle.take_back(email, self._address(incoming))
            raise

    async def _note(self, action: str, account: Account, *, by: str = "") -> None:
        core = self.sojourn.core
        await core.ready()
        record = core.audit(action, subject=account.subject, by=by)
        await core.store.append(0, (), audit=(record,))


def account_roles(roles: Iterable[str]) -> tuple[str, ...]:
    """Check and order the roles of an account.

    Raises:
        InvalidInput: One is no name, or they are too many for a sign-in to carry.
    """
    named = names(roles, "roles")
    if len(msgspec.json.encode(named)) > MAX_ROLES_BYTES:
        raise InvalidInput(f"the roles of an account may be {MAX_ROLES_BYTES} bytes together")
    return named


def _why_failed(account: Account | None, *, matches: bool) -> str:
    """Name for the trail what the client is not told."""
    if account is None:
        return "unknown_account"
    return "account_disabled" if matches else "wrong_password"
