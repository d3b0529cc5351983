"""`sojourn users import`: take accounts with the password hashes they have elsewhere."""

from __future__ import annotations

import uuid
from collections.abc import Iterable
from dataclasses import dataclass, field
from itertools import islice
from typing import IO, TYPE_CHECKING, Annotated, Any

import click
import msgspec

from sojourn.cli.commands import command, configured
from sojourn.cli.ending import NEGATIVE
from sojourn.cli.output import Output
from sojourn.cli.place import Place, operator, with_server
from sojourn.cli.progress import Progress
from sojourn.errors import ConfigurationError, InvalidInput

if TYPE_CHECKING:
    from sojourn.server.accounts import Account
    from sojourn.server.app import Server

BATCH = 500
MAX_LINE_BYTES = 64 * 1024
MAX_CREATED_AT = 253_402_300_799


class AccountLine(msgspec.Struct, forbid_unknown_fields=True, kw_only=True):
    """An account as it stands in a line."""

    email: str
    password_hash: str
    kind: str = "account"
    subject: str | int | None = None
    roles: list[str] = []
    is_disabled: bool = False
    created_at: Annotated[int, msgspec.Meta(ge=0, le=MAX_CREATED_AT)] | None = None


class AnyLine(msgspec.Struct):
    """What is read of a line first."""

    kind: str = "account"


@dataclass(slots=True)
class Count:
    """What became of the lines."""

    taken: int = 0
    skipped: int = 0
    refusals: dict[int, str] = field(default_factory=dict)


@command(
    "import",
    "sojourn users import users.jsonl",
    "sojourn users import users.jsonl --json | jq '.refusals'",
    "sojourn users import everything.jsonl --data new",
)
@configured
@click.argument("file", type=click.File("rb"), metavar="FILE.jsonl")
def import_users(output: Output, *, place: Place, file: IO[bytes]) -> int:
    """Take accounts from elsewhere, one JSON object a line; '-' is stdin.

    A line has email and password_hash, and may have subject, roles, is_disabled and created_at
    (seconds). The hash is one of Argon2, bcrypt, PBKDF2, scrypt or SHA-crypt, as Django, passlib,
    werkzeug and pwdlib write them; it is replaced when its owner signs in. Lines of other kinds, as
    sojourn export writes them, are skipped. What cannot be taken is told by its line, and the exit
    code is then 1.
    """
    count = Count()

    async def act(server: Server) -> None:
        lines = enumerate(progress.counted(file), 1)
        while batch := list(islice(lines, BATCH)):
            await _take(server, batch, count)

    with Progress(output) as progress:
        with_server(place, act, may_create=True)
    refused = len(count.refusals)
    facts = {"taken": count.taken, "refused": refused, "skipped": count.skipped}
    told = [{"line": number, "reason": reason} for number, reason in count.refusals.items()]
    output.facts({**facts, "refusals": told}, facts)
    for number, reason in count.refusals.items():
        output.warn(f"line {number}: {reason}")
    return NEGATIVE if refused else 0


async def _take(server: Server, lines: Iterable[tuple[int, bytes]], count: Count) -> None:
    """Take the accounts of some lines in one step, and write them on the trail."""
    accounts: dict[int, Account] = {}
    for number, line in lines:
        try:
            account = _account(line, now_ms=server.sojourn.core.clock())
        except (InvalidInput, ConfigurationError, msgspec.MsgspecError, UnicodeDecodeError) as why:
            count.refusals[number] = str(why)
            continue
        if account is None:
            count.skipped += 1
        else:
            accounts[number] = account
    added = await server.accounts.take(list(accounts.values()))
    core, records = server.sojourn.core, []
    for (number, account), is_added in zip(accounts.items(), added, strict=True):
        if is_added:
            subject, by = account.subject, operator()
            records.append(core.audit("registered", subject=subject, by=by, reason="imported"))
        else:
            count.refusals[number] = "an account has this address or subject already"
    count.taken += len(records)
    if records:
        await core.store.append(0, (), audit=records)


def _account(line: bytes, *, now_ms: int) -> Account | None:
    """Read a line; None where it is empty or of another kind.

    Raises:
        InvalidInput: Address, subject or roles will not do, or the line is too long.
        ConfigurationError: The hash could never be verified.
        MsgspecError: It is no JSON object of these fields.
    """
    from sojourn.doors.passwords import check_hash
    from sojourn.model import canonical_subject
    from sojourn.passwords import normal_email
    from sojourn.server.accounts import Account
    from sojourn.server.service import account_roles

    if len(line) > MAX_LINE_BYTES:
        raise InvalidInput(f"the line has more than {MAX_LINE_BYTES} bytes")
    if not line.strip() or _decoded(line, AnyLine).kind != "account":
        return None
    found: AccountLine = _decoded(line, AccountLine)
    check_hash(found.password_hash)
    created_at_ms = now_ms if found.created_at is None else found.created_at * 1000
    subject = str(uuid.uuid4()) if found.subject is None else canonical_subject(found.subject)
    return Account(
        subject=subject,
        email=normal_email(found.email),
        password_hash=found.password_hash,
        roles=account_roles(found.roles),
        is_disabled=found.is_disabled,
        version=1,
        created_at_ms=created_at_ms,
    )


def _decoded(line: bytes, shape: type[Any]) -> Any:
    return msgspec.json.decode(line, type=shape)
