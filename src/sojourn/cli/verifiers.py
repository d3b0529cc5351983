"""`sojourn verifiers`: the services that may follow the revocation feed over HTTP."""

from __future__ import annotations

import errno
import os
from pathlib import Path
from typing import TYPE_CHECKING

import click

from sojourn.cli.commands import command, configured
from sojourn.cli.files import write_new
from sojourn.cli.output import Output, instant
from sojourn.cli.place import Place, operator, with_server

if TYPE_CHECKING:
    from sojourn.server.app import Server
    from sojourn.server.verifiers import VerifierInfo


@command(
    "add",
    "sojourn verifiers add billing",
    "sojourn verifiers add billing --out ./billing-feed-token",
)
@configured
@click.argument("name")
@click.option(
    "--out", type=click.Path(dir_okay=False, path_type=Path),
    help="A new file of mode 0600 for the token, instead of stdout.",
)  # fmt: skip
def add(output: Output, *, place: Place, name: str, out: Path | None) -> None:
    """Give a service a token for the feed; a name that is there already gets a new one.

    The token is shown this once: only a hash of it is kept.
    """
    if out is not None and out.exists():  # before the service's earlier token is replaced
        raise FileExistsError(errno.EEXIST, os.strerror(errno.EEXIST), str(out))

    async def act(server: Server) -> str:
        text = await server.verifiers.add(name)
        await _note(server, "verifier_added", name)
        return text

    feed_token = with_server(place, act)
    if out is None:
        output.text({"name": name, "feed_token": feed_token}, feed_token)
    else:
        write_new(out, feed_token + "\n")
        output.text({"name": name, "file": str(out)}, str(out))
    output.say(f"{name} can follow the feed; its token is shown this once")


@command("list", "sojourn verifiers list", "sojourn verifiers list --json | jq '.verifiers[].name'")
@configured
def list_verifiers(output: Output, *, place: Place) -> None:
    """List the services that may follow the feed, by name."""

    async def act(server: Server) -> tuple[VerifierInfo, ...]:
        return await server.verifiers.list()

    infos = with_server(place, act)
    shown = [{"name": info.name, "created_at": info.created_at_ms // 1000} for info in infos]
    rows = [(info.name, instant(info.created_at_ms // 1000)) for info in infos]
    output.table({"verifiers": shown}, ("name", "created"), rows)


@command("remove", "sojourn verifiers remove billing")
@configured
@click.argument("name")
def remove(output: Output, *, place: Place, name: str) -> None:
    """Take a service's token back; a stream it holds open ends within a minute."""

    async def act(server: Server) -> None:
        await server.verifiers.remove(name)
        await _note(server, "verifier_removed", name)

    with_server(place, act)
    if output.is_json:
        output.document({"name": name, "removed": True})
    output.say(f"{name} cannot follow the feed any more")


async def _note(server: Server, action: str, name: str) -> None:
    core = server.sojourn.core
    record = core.audit(action, by=operator(), reason=name)
    await core.store.append(0, (), audit=(record,))


verifiers = click.Group(
    "verifiers",
    commands=[add, list_verifiers, remove],
    help="Services that follow the revocation feed: add, list, remove.",
)
