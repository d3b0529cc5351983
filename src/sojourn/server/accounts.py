"""The server's own accounts: who has which address, password hash and roles."""

from __future__ import annotations

import uuid
from typing import TYPE_CHECKING

import msgspec

from sojourn.errors import InvalidInput, NotFound, SojournError

if TYPE_CHECKING:
    from collections.abc import Sequence

    from sojourn.ports import Clock
    from sojourn.server.database import Connection, Database

NAMESPACE = "accounts"
MIGRATIONS = (
    """
    CREATE TABLE accounts (
        subject TEXT PRIMARY KEY,
        email TEXT NOT NULL UNIQUE,
        password_hash TEXT NOT NULL,
        roles TEXT NOT NULL,
        is_disabled INTEGER NOT NULL,
        version INTEGER NOT NULL,
        created_at_ms INTEGER NOT NULL
    ) STRICT;
    CREATE TABLE throttle (
        name TEXT PRIMARY KEY,
        failures INTEGER NOT NULL,
        since_ms INTEGER NOT NULL
    ) STRICT;
    CREATE INDEX throttle_since ON throttle (since_ms);
    CREATE TABLE familiar (
        account TEXT NOT NULL,
        network TEXT NOT NULL,
        seen_at_ms INTEGER NOT NULL,
        PRIMARY KEY (account, network)
    ) STRICT;
    CREATE TABLE verifiers (
        name TEXT PRIMARY KEY,
        token_hash BLOB NOT NULL UNIQUE,
        created_at_ms INTEGER NOT NULL
    ) STRICT;
    """,
    # The database may be an application's own.
    """
    ALTER TABLE accounts RENAME TO sojourn_accounts;
    ALTER TABLE throttle RENAME TO sojourn_throttle;
    ALTER TABLE familiar RENAME TO sojourn_familiar;
    ALTER TABLE verifiers RENAME TO sojourn_verifiers;
    DROP INDEX throttle_since;
    CREATE INDEX sojourn_throttle_since ON sojourn_throttle (since_ms);
    """,
)
_COLUMNS = "subject, email, password_hash, roles, is_disabled, version, created_at_ms"
_INSERT = (
    f"INSERT INTO sojourn_accounts ({_COLUMNS}) VALUES (?, ?, ?, ?, ?, ?, ?) "  # noqa: S608 - a constant
    "ON CONFLICT DO NOTHING"
)


class AccountExists(SojournError):
    """There is an account with this address already; the one answer that tells."""

    code = "account_exists"
    status = 409


class Account(msgspec.Struct, frozen=True, kw_only=True):
    """One account. `version` moves with every change of password, roles or state."""

    subject: str
    email: str
    password_hash: str
    roles: tuple[str, ...]
    is_disabled: bool
    version: int
    created_at_ms: int

    def __repr__(self) -> str:
        """Show who it is; the hash stays out of logs."""
        return f"Account(subject={self.subject!r}, email={self.email!r})"


def _row(account: Account) -> tuple[str, str, str, str, int, int, int]:
    return (
        account.subject,
        account.email,
        account.password_hash,
        msgspec.json.encode(account.roles).decode(),
        int(account.is_disabled),
        account.version,
        account.created_at_ms,
    )


def _account(row: tuple[str, str, str, str, int, int, int] | None) -> Account | None:
    if row is None:
        return None
    return Account(
        subject=row[0],
        email=row[1],
        password_hash=row[2],
        roles=msgspec.json.decode(row[3], type=tuple[str, ...]),
        is_disabled=bool(row[4]),
        version=row[5],
        created_at_ms=row[6],
    )


class Accounts:
    """The accounts in the server's database.

    Args:
        database: Where they are kept.
        clock: Gives milliseconds since the epoch.
    """

    def __init__(self, database: Database, *, clock: Clock) -> None:
        """Take the database."""
        self._database = database
        self._clock = clock

    async def add(self, email: str, password_hash: str, *, roles: tuple[str, ...] = ()) -> Account:
        """Add an account.

        Raises:
            AccountExists: The address has one.
        """
        account = Account(
            subject=str(uuid.uuid4()),
            email=email,
            password_hash=password_hash,
            roles=roles,
            is_disabled=False,
            version=1,
            created_at_ms=self._clock(),
        )

        if await self.take([account]) != [True]:
            raise AccountExists("there is an account with this address already; sign in instead")
        return account

    async def take(self, accounts: Sequence[Account]) -> list[bool]:
        """Add accounts as they stand, in one step; one whose address or subject is taken is not.

        Returns:
            For each in its order, whether it was added.
        """

        def insert(db: Connection) -> list[bool]:
            return [db.execute(_INSERT, _row(each)).rowcount == 1 for each in accounts]

        return await self._database.write(insert)

    async def by_email(self, email: str) -> Account | None:
        """Find an account by its normalised address."""
        return await self._one("email", email)

    async def by_subject(self, subject: str) -> Account | None:
        """Find an account by its subject."""
        return await self._one("subject", subject)

    async def find(self, text: str) -> Account:
        """Find an account by address or subject, as staff type either.

        Raises:
            NotFound: There is none.
        """
        account = await self.by_email(text.strip().casefold()) or await self.by_subject(text)
        if account is None:
            raise NotFound(f"there is no account {text!r}")
        return account

    async def _one(self, column: str, value: str) -> Account | None:
        sql = f"SELECT {_COLUMNS} FROM sojourn_accounts WHERE {column} = ?"  # noqa: S608 - our own names
        return _account(await self._database.read(lambda db: db.execute(sql, (value,)).fetchone()))

    async def page(self, *, after: str = "", limit: int = 100) -> list[Account]:
        """List accounts by address, after one."""
        sql = f"SELECT {_COLUMNS} FROM sojourn_accounts WHERE email > ? ORDER BY email LIMIT ?"  # noqa: S608
        rows = await self._database.read(lambda db: db.execute(sql, (after, limit)).fetchall())
        return [account for row in rows if (account := _account(row)) is not None]

    async def remove(self, subject: str) -> None:
        """Remove an account."""
        sql = "DELETE FROM sojourn_accounts WHERE subject = ?"
        await self._database.write(lambda db: db.execute(sql, (subject,)).rowcount)

    async def set_password(self, subject: str, password_hash: str, *, version: int | None) -> bool:
        """Replace the hash if the account is still at this version (None: at any); tells whether."""
        return await self._change(subject, version, "password_hash = ?", password_hash)

    async def set_roles(self, subject: str, roles: tuple[str, ...]) -> None:
        """Replace the roles."""
        await self._change(subject, None, "roles = ?", msgspec.json.encode(roles).decode())

    async def set_disabled(self, subject: str, *, is_disabled: bool) -> None:
        """Disable or enable signing in."""
        await self._change(subject, None, "is_disabled = ?", int(is_disabled))

    async def _change(
        self, subject: str, version: int | None, assignment: str, value: str | int
    ) -> bool:
        sql = (
            f"UPDATE sojourn_accounts SET {assignment}, version = version + 1 "  # noqa: S608 - our own names
            "WHERE subject = ? AND version = COALESCE(?, version)"
        )

        def update(db: Connection) -> bool:
            return db.execute(sql, (value, subject, version)).rowcount == 1

        return await self._database.write(update)


def parse_roles(text: str) -> tuple[str, ...]:
    """Read roles as staff type them: names separated by commas."""
    roles = tuple(sorted({part.strip() for part in text.split(",") if part.strip()}))
    if any(any(c.isspace() for c in role) for role in roles):
        raise InvalidInput("a role is a name without white space; separate several by commas")
    return roles
