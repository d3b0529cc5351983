"""`sojourn sessions`: list and revoke, in force in a running server within milliseconds."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import click
import msgspec

from sojourn.cli.commands import command, configured
from sojourn.cli.output import Output, instant
from sojourn.cli.place import Place, operator, with_server
from sojourn.errors import NotFound

if TYPE_CHECKING:
    from sojourn.engine.answers import SessionInfo
    from sojourn.server.app import Server

COLUMNS = ("sid", "mode", "created", "seen", "expires", "address", "user agent")


@command(
    "list",
    "sojourn sessions list ada@example.com",
    "sojourn sessions list ada@example.com --json | jq -r '.sessions[].sid'",
)
@configured
@click.argument("who", metavar="EMAIL|SUBJECT")
def list_sessions(output: Output, *, place: Place, who: str) -> None:
    """List the live sessions of an account, oldest first; tokens of mode jwt are not stored."""

    async def act(server: Server) -> tuple[str, list[SessionInfo]]:
        subject, _ = await _whose(server, who)
        return subject, await server.sojourn.sessions(subject)

    subject, infos = with_server(place, act)
    rows = (
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
    )
    shown = [_shown(info) for info in infos]
    output.table({"subject": subject, "sessions": shown}, COLUMNS, rows)


@command(
    "revoke",
    "sojourn sessions revoke AFr1l0mKQ3Wv2c8sB9x7Zw",
    "sojourn sessions revoke --all ada@example.com",
    "sojourn sessions revoke --all ada@example.com --keep AFr1l0mKQ3Wv2c8sB9x7Zw",
)
@configured
@click.argument("sid", required=False)
@click.option("--all", "who", metavar="EMAIL|SUBJECT", help="End everything of an account.")
@click.option("--keep", metavar="SID", help="With --all: the one session to leave alone.")
def revoke(
    output: Output, *, place: Place, sid: str | None, who: str | None, keep: str | None
) -> None:
    """End one session, or everything of an account: sessions, tokens and sign-ins under way.

    To revoke again what is over is no error; a SID that this store never handed out is.
    """
    if (sid is None) == (who is None):
        raise click.UsageError("give either one SID, or --all with an EMAIL or SUBJECT")
    if sid is not None:
        if keep is not None:
            raise click.UsageError("--keep goes with --all; one SID ends nothing else")
        _revoke_one(output, place, sid)
    elif who is not None:
        _revoke_all(output, place, who, keep)


def _revoke_one(output: Output, place: Place, sid: str) -> None:
    async def act(server: Server) -> tuple[bool, str | None]:
        from sojourn.model import ANY

        was_alive = await server.sojourn.revoke(sid, subject=ANY, by=operator())
        return was_alive, None if was_alive else await _mode_of(server, sid)

    was_alive, mode = with_server(place, act)
    if not was_alive and mode is None:
        raise NotFound(
            f"no sign-in of this store has the sid {sid}; take it from: sojourn sessions list, or "
            "sojourn audit tail (were it a token's, it is refused from now on)"
        )
    if output.is_json:
        output.document({"sid": sid, "was_alive": was_alive})
    if was_alive:
        output.say(f"{sid} is over")
    elif mode == "jwt":
        output.say(f"{sid} is a token with nothing stored; it is refused from now on")
    else:
        output.say(f"{sid} was over already")


async def _mode_of(server: Server, sid: str) -> str | None:
    """Find out from the trail how a session that is not stored was signed in; None if never."""
    lines = await server.sojourn.core.store.read_audit(sid=sid)
    return next((line.record.mode for line in lines if line.record.action == "login"), None)


def _revoke_all(output: Output, place: Place, who: str, keep: str | None) -> None:
    async def act(server: Server) -> tuple[str, str, int]:
        subject, shown = await _whose(server, who)
        ended = await server.sojourn.revoke_all(subject, keep=keep, by=operator())
        return subject, shown, ended

    subject, shown, ended = with_server(place, act)
    if output.is_json:
        output.document({"subject": subject, "ended": ended, "kept": keep})
    output.say(f"{shown}: {ended} stored session(s) ended, and all tokens from before")


async def _whose(server: Server, who: str) -> tuple[str, str]:
    """Find an account's subject and address; in an application's own database, take the subject."""
    try:
        account = await server.accounts.find(who)
    except NotFound:
        if await server.accounts.page(limit=1):
            raise
        return who, who
    return account.subject, account.email


def _shown(info: SessionInfo) -> dict[str, Any]:
    return {name: value for name, value in msgspec.to_builtins(info).items() if name != "subject"}


sessions = click.Group(
    "sessions",
    commands=[list_sessions, revoke],
    help="Sessions: list those of an account, revoke one or all.",
)
