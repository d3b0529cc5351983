"""The account that is ready in development, so that trying the server needs no preparation."""

from __future__ import annotations

from contextlib import suppress
from dataclasses import dataclass, field
from pathlib import Path
from typing import TYPE_CHECKING

from sojourn.cli.files import read_or_make
from sojourn.cli.passwords import generated_password

if TYPE_CHECKING:
    from sojourn.server.app import Server

EMAIL = "demo@example.com"
ROLES = ("admin",)
FILE_NAME = "demo-account"


@dataclass(frozen=True, slots=True, kw_only=True)
class ReadyAccount:
    """Who can sign in at once.

    Args:
        email: The address.
        password: The password; empty where it was changed since, or is not kept.
        file: Where it is kept, mode 0600.
    """

    email: str
    password: str = field(repr=False)
    file: Path


async def ensure_ready_account(server: Server) -> ReadyAccount:
    """Make the account, or find it again; its password is made once and kept in a file.

    An account whose password somebody changed, or whose file somebody removed, is left alone.
    """
    from sojourn.server.accounts import AccountExists

    file = server.config.data / FILE_NAME
    account = await server.accounts.by_email(EMAIL)
    if account is None:
        # Kept before it is used: should this process die in between, the next one goes on.
        password = read_or_make(file, generated_password())
        with suppress(AccountExists):  # another process started just now, with the same file
            await server.service.register(EMAIL, password, roles=ROLES)
        return ReadyAccount(email=EMAIL, password=password, file=file)
    password = file.read_text(encoding="utf-8").strip() if file.exists() else ""
    works = await server.hasher.verify(password, account.password_hash)
    is_ready = works and not account.is_disabled
    return ReadyAccount(email=EMAIL, password=password if is_ready else "", file=file)
