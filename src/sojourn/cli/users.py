"""`sojourn users`: add, import, list, disable, enable, change roles and passwords, remove."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path
from typing import TYPE_CHECKING, Any

import click

from sojourn.cli.commands import command, configured
from sojourn.cli.output import Output, instant
from sojourn.cli.place import Place, operator, with_server
from sojourn.cli.users_import import import_users

if TYPE_CHECKING:
    from sojourn.server.accounts import Account
    from sojourn.server.app import Server

PAGE = 500


def _password_options(function: Callable[..., Any]) -> Callable[..., Any]:
    """Add the options that say where a new password comes from."""
    file = click.option(
        "--password-file",
        type=click.Path(exists=True, dir_okay=False, path_type=Path),
        help="A file with the password in its first and only line.",
    )
    generate = click.option("--generate", is_flag=True, help="Make a password and show it, once.")
    return file(generate(function))


@command(
    "add",
    "sojourn users add ada@example.com",
    "sojourn users add ada@example.com --role admin --generate",
    "sojourn users add ada@example.com --password-file ./password",
    "pass show ada | sojourn users add ada@example.com",
)
@configured
@click.argument("email")
@click.option("--role", "roles", multiple=True, help="A role; may be given several times.")
@_password_options
def add(
    output: Output,
    *,
    place: Place,
    email: str,
    roles: tuple[str, ...],
    password_file: Path | None,
    generate: bool,
) -> None:
    """Add an account.

    The password comes from a file, is made, is asked for on a terminal, or is read from stdin; it
    is never an argument, which others could see.
    """
    from sojourn.cli.passwords import chosen_password
    from sojourn.server.accounts import parse_roles

    named = parse_roles(",".join(roles))
    password = chosen_password(file=password_file, generate=generate)

    async def act(server: Server) -> Account:
        return await server.service.register(email, password, roles=named, by=operator())

    account = with_server(place, act, may_create=True)
    facts = {"subject": account.subject, "email": account.email}
    if generate:
        facts["password"] = password
    output.facts({**_shown(account), **facts}, facts)
    output.say(f"{account.email} can sign in")


@command("list", "sojourn users list", "sojourn users list --json | jq '.users[].email'")
@configured
def list_users(output: Output, *, place: Place) -> None:
    """List the accounts by address."""

    async def act(server: Server) -> list[Account]:
        accounts: list[Account] = []
        while page := await server.accounts.page(
            after=accounts[-1].email if accounts else "", limit=PAGE
        ):
            accounts += page
        return accounts

    shown = [_shown(account) for account in with_server(place, act)]
    rows = (
        (
            account["email"],
            account["subject"],
            account["roles"],
            "disabled" if account["is_disabled"] else "enabled",
            instant(account["created_at"]),
        )
        for account in shown
    )
    output.table({"users": shown}, ("email", "subject", "roles", "state", "created"), rows)


@command(
    "disable",
    "sojourn users disable ada@example.com",
    "sojourn users disable 3f0c6c1e-6f0e-4d2e-9d8e-0c6b1a1f2b3c --quiet",
)
@configured
@click.argument("who", metavar="EMAIL|SUBJECT")
def disable(output: Output, *, place: Place, who: str) -> None:
    """Refuse an account's sign-ins and end everything of it, at once."""
    _switch(output, place, who, is_disabled=True)


@command("enable", "sojourn users enable ada@example.com")
@configured
@click.argument("who", metavar="EMAIL|SUBJECT")
def enable(output: Output, *, place: Place, who: str) -> None:
    """Let an account sign in again."""
    _switch(output, place, who, is_disabled=False)


def _switch(output: Output, place: Place, who: str, *, is_disabled: bool) -> None:
    async def act(server: Server) -> Account:
        account = await server.accounts.find(who)
        await server.service.set_disabled(account, is_disabled=is_disabled, by=operator())
        return await server.accounts.find(account.subject)

    account = with_server(place, act)
    done = "is disabled and signed out everywhere" if is_disabled else "can sign in again"
    _changed(output, account, f"{account.email} {done}")


@command(
    "roles",
    "sojourn users roles ada@example.com admin,editor",
    "sojourn users roles ada@example.com ''",
)
@configured
@click.argument("who", metavar="EMAIL|SUBJECT")
@click.argument("roles", metavar="ROLE,ROLE")
def roles(output: Output, *, place: Place, who: str, roles: str) -> None:
    """Replace an account's roles, in its live sessions too; '' takes all away."""
    from sojourn.server.accounts import parse_roles

    named = parse_roles(roles)

    async def act(server: Server) -> Account:
        account = await server.accounts.find(who)
        await server.service.set_roles(account, named, by=operator())
        return await server.accounts.find(account.subject)

    account = with_server(place, act)
    _changed(output, account, f"{account.email} now has: {', '.join(named) or 'no role'}")


@command(
    "password",
    "sojourn users password ada@example.com --generate",
    "pass show ada | sojourn users password ada@example.com",
)
@configured
@click.argument("who", metavar="EMAIL|SUBJECT")
@_password_options
def reset_password(
    output: Output, *, place: Place, who: str, password_file: Path | None, generate: bool
) -> None:
    """Set a password for somebody who forgot theirs, and sign the account out everywhere."""
    from sojourn.cli.passwords import chosen_password

    password = chosen_password(file=password_file, generate=generate)

    async def act(server: Server) -> Account:
        account = await server.accounts.find(who)
        await server.service.reset_password(account, password, by=operator())
        return await server.accounts.find(account.subject)

    account = with_server(place, act)
    facts = {"subject": account.subject, "email": account.email}
    if generate:
        facts["password"] = password
    output.facts({**_shown(account), **facts}, facts)
    output.say(f"{account.email} has a new password and is signed out everywhere")


@command("remove", "sojourn users remove ada@example.com")
@configured
@click.argument("who", metavar="EMAIL|SUBJECT")
def remove(output: Output, *, place: Place, who: str) -> None:
    """Remove an account and end everything of it; its lines on the audit trail stay."""

    async def act(server: Server) -> Account:
        account = await server.accounts.find(who)
        await server.service.remove(account, by=operator())
        return account

    account = with_server(place, act)
    _changed(output, account, f"{account.email} is removed and signed out everywhere")


def _shown(account: Account) -> dict[str, Any]:
    from sojourn.server.admin import shown_account

    return shown_account(account)


def _changed(output: Output, account: Account, told: str) -> None:
    if output.is_json:
        output.document(_shown(account))
    output.say(told)


users = click.Group(
    "users",
    commands=[add, import_users, list_users, disable, enable, roles, reset_password, remove],
    help="Accounts: add, import, list, disable, enable, change roles and passwords, remove.",
)
