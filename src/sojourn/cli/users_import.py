"""`sojourn users import`: take accounts with the password hashes they have elsewhere."""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Sequence
from itertools import batched
from typing import IO, TYPE_CHECKING, Annotated, NamedTuple

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
TAKEN_ALREADY = "an account has this address or subject already"


class AccountLine(msgspec.Struct, forbid_unknown_fields=True, kw_only=True):
    """One account, as it stands in a line."""

    email: str
    password_hash: str
    kind: str = "account"
    subject: str | int | None = None
    roles: list[str] = []
    is_disabled: bool = False
    created_at: Annotated[int, msgspec.Meta(ge=0, le=MAX_CREATED_AT)] | None = None


class Judged(NamedTuple):
    """A line: an account, or why it is none."""

    number: int
    account: Account | None
    reason: str = ""


@command(
    "import",
    "sojourn users import users.jsonl",
    "sojourn users import users.jsonl --json | jq '.refusals'",
    "sojourn export --data old | sojourn users import - --data new",
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
    with Progress(output) as progress:

        async def act(server: Server) -> tuple[int, list[Judged]]:
            taken = 0
            refused: list[Judged] = []
            for batch in batched(_judged(file, progress), BATCH):  # type: ignore[attr-defined]
                refused += [each for each in batch if each.account is None]
                late = await _take(server, [each for each in batch if each.account is not None])
                refused += late
                taken += sum(each.account is not None for each in batch) - len(late)
            return taken, refused

        taken, refused = with_server(place, act, may_create=True)
    return _told(output, taken, refused)
