"""``flask sojourn …``: sessions, keys and the trail, from an application's own command line."""

from __future__ import annotations

import functools
from collections.abc import Callable, Iterable, Sequence
from typing import Any

import click
import msgspec
from flask.cli import with_appcontext

from sojourn.cli.ending import exit_code
from sojourn.cli.output import as_json, instant, printable
from sojourn.cli.place import operator
from sojourn.cli.trail import Trail
from sojourn.errors import SojournError
from sojourn.flask.installed import here
from sojourn.model import ANY
from sojourn.sync import Sojourn

Function = Callable[..., None]
MAX_LINES = 1_000_000

group = click.Group("sojourn", help="Who is signed in: sessions, signing keys, the audit trail.")


def _command(name: str) -> Callable[[Function], Function]:
    """Make a function a command of the group; it is given the application's engine first."""

    def decorate(function: Function) -> Function:
        @group.command(name)
        @click.option("--json", "is_json", is_flag=True, help="One JSON document.")
        @with_appcontext
        @functools.wraps(function)
        def run(**values: Any) -> None:
            try:
                function(here().auth.sojourn, **values)
            except SojournError as error:
                click.echo(f"sojourn: {printable(str(error))}", err=True)
                raise click.exceptions.Exit(exit_code(error)) from error

        return function

    return decorate


def _give(
    document: Any, columns: Sequence[str], rows: Iterable[Sequence[object]], *, is_json: bool
) -> None:
    """Print a table: as JSON, or as lines with tabs."""
    if is_json:
        click.echo(as_json(document))
        return
    for row in (columns, *rows):
        click.echo("\t".join(printable(str(cell)) for cell in row))


@_command("sessions")
@click.argument("subject")
def sessions(sojourn: Sojourn[Any], *, subject: str, is_json: bool) -> None:
    """List the live sessions of SUBJECT, oldest first."""
    infos = sojourn.sessions(subject)
    _give(
        {"sessions": [msgspec.to_builtins(info) for info in infos]},
        ("sid", "mode", "created", "seen", "expires", "address", "user agent"),
        (
            (
                info.sid,
                info.mode,
                instant(info.created_at),
                instant(info.seen_at),
                instant(info.expires_at),
                info.address,
                info.user_agent,
            )
            for info in infos
        ),
        is_json=is_json,
    )


@_command("revoke")
@click.argument("sid")
def revoke(sojourn: Sojourn[Any], *, sid: str, is_json: bool) -> None:
    """End the session SID; what is over already stays over."""
    was_alive = sojourn.revoke(sid, subject=ANY, by=operator())
    _say({"sid": sid, "was_alive": was_alive}, f"{sid} is over", is_json=is_json)


@_command("revoke-all")
@click.argument("subject")
@click.option("--keep", metavar="SID", help="The one session to leave alone.")
def revoke_all(sojourn: Sojourn[Any], *, subject: str, keep: str | None, is_json: bool) -> None:
    """End everything of SUBJECT: sessions, tokens and sign-ins under way."""
    ended = sojourn.revoke_all(subject, keep=keep, by=operator())
    _say(
        {"subject": subject, "ended": ended, "kept": keep},
        f"{subject}: {ended} stored session(s) ended, and all tokens from before",
        is_json=is_json,
    )


@_command("keys")
def keys(sojourn: Sojourn[Any], *, is_json: bool) -> None:
    """List the signing keys: what is public of them."""
    jwks = sojourn.jwks()
    _give(
        jwks,
        ("kid", "alg", "kty"),
        ((key["kid"], key["alg"], key["kty"]) for key in jwks["keys"]),
        is_json=is_json,
    )


@_command("rotate-keys")
@click.option("--emergency", is_flag=True, help="A key was stolen: refuse all its tokens now.")
@click.option("--yes", is_flag=True, help="Do not ask.")
def rotate_keys(sojourn: Sojourn[Any], *, emergency: bool, yes: bool, is_json: bool) -> None:
    """Publish a new signing key, which takes over once verifiers have had time to fetch it."""
    if emergency and not yes:
        click.confirm("Refuse every token of the present keys, at once?", abort=True, err=True)
    sojourn.rotate_keys(by=operator(), is_emergency=emergency)
    jwks = sojourn.jwks()
    _say(jwks, f"{len(jwks['keys'])} key(s) are published", is_json=is_json)


@_command("purge")
def purge(sojourn: Sojourn[Any], *, is_json: bool) -> None:
    """Remove what is dead from the store; to be run every few minutes."""
    removed = sojourn.purge()
    _say({"removed": removed}, f"{removed} row(s) removed", is_json=is_json)


@_command("audit")
@click.option(
    "-n", "--lines", "count", type=click.IntRange(0, MAX_LINES), default=20, show_default=True,
    help="How many lines, from the end.",
)  # fmt: skip
@click.option("--subject", help="Only what concerns a subject.")
@click.option("--sid", help="Only what concerns a session.")
def audit(
    sojourn: Sojourn[Any], *, count: int, subject: str | None, sid: str | None, is_json: bool
) -> None:
    """Show the last lines of the trail: sign-ins, refusals, revocations, keys."""
    lines = sojourn.run(Trail(sojourn.core.store, subject=subject, sid=sid).last(count))
    columns = ("action", "subject", "sid", "by", "reason", "mode", "address")
    _give(
        {
            "lines": [
                {"number": line.number, **msgspec.structs.asdict(line.record)} for line in lines
            ]
        },
        ("number", "at", *columns),
        (
            (
                line.number,
                instant(line.record.at_ms // 1000),
                *(getattr(line.record, name) for name in columns),
            )
            for line in lines
        ),
        is_json=is_json,
    )


def _say(document: Any, text: str, *, is_json: bool) -> None:
    click.echo(as_json(document) if is_json else printable(text))
