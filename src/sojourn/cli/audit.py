"""`sojourn audit`: the trail of who did what, to whom, and why."""

from __future__ import annotations

import asyncio
from typing import TYPE_CHECKING, Any

import click

from sojourn.cli.commands import command, configured
from sojourn.cli.output import Output, as_json, instant
from sojourn.cli.place import Place, with_server

if TYPE_CHECKING:
    from sojourn.ports import AuditLine
    from sojourn.server.app import Server

FIELDS = ("number", "at", "action", "subject", "sid", "by", "reason", "mode", "address")
POLL_SECONDS = 0.25


@command(
    "tail",
    "sojourn audit tail -n 50",
    "sojourn audit tail --follow",
    "sojourn audit tail --subject ada@example.com --json | jq '.lines[].action'",
    "sojourn audit tail --sid AFr1l0mKQ3Wv2c8sB9x7Zw",
)
@configured
@click.option(
    "-n", "--lines", "count", type=click.IntRange(0, 1_000_000), default=20, show_default=True,
    help="How many lines, from the end.",
)  # fmt: skip
@click.option("-f", "--follow", is_flag=True, help="Go on with what happens; Ctrl-C ends it.")
@click.option("--subject", metavar="EMAIL|SUBJECT", help="Only what concerns an account.")
@click.option("--sid", help="Only what concerns a session.")
def tail(
    output: Output,
    *,
    place: Place,
    count: int,
    follow: bool,
    subject: str | None,
    sid: str | None,
) -> None:
    """Show the last lines of the trail: sign-ins, refusals, revocations, keys.

    With --follow, --json gives one document a line.
    """

    async def act(server: Server) -> None:
        from sojourn.cli.trail import Tail, Trail

        trail = Trail(server.sojourn.core.store, subject=await _subject(server, subject), sid=sid)
        lines = await trail.last(count)
        if not follow:
            rows = [_row(line) for line in lines]
            output.table({"lines": [_shown(line) for line in lines]}, FIELDS, rows)
            return
        tail = Tail(trail, [line.number for line in lines] or [await trail.end()])
        while True:
            for line in lines:
                _give(output, line)
            await asyncio.sleep(POLL_SECONDS)
            lines = await tail.more()

    with_server(place, act)


async def _subject(server: Server, text: str | None) -> str | None:
    """Take an address for its account's subject; what is no account may still be on the trail."""
    if text is None:
        return None
    account = await server.accounts.by_email(text.strip().casefold())
    return account.subject if account else text


def _give(output: Output, line: AuditLine) -> None:
    if output.is_json:
        click.echo(as_json(_shown(line)))
    else:
        output.line(_row(line))


def _shown(line: AuditLine) -> dict[str, Any]:
    from sojourn.server.admin import shown_record

    return {"number": line.number, **shown_record(line.record)}


def _row(line: AuditLine) -> tuple[object, ...]:
    record = line.record
    return (
        line.number,
        instant(record.at_ms // 1000),
        *(getattr(record, name) for name in FIELDS[2:]),
    )


audit = click.Group("audit", commands=[tail], help="The audit trail: who did what, and why.")
