"""`sojourn keys`: the signing keys and their rotation."""

from __future__ import annotations

import sys
from typing import TYPE_CHECKING, Any

import click

from sojourn.cli.commands import command, configured
from sojourn.cli.output import Output, instant
from sojourn.cli.place import Place, operator, with_server

if TYPE_CHECKING:
    from sojourn.keyring import RingKey
    from sojourn.server.app import Server

COLUMNS = ("kid", "alg", "state", "created", "signs from", "signs until", "gone after")
_INSTANTS = ("created_at", "signs_from", "signs_until", "dies_at")


@command("list", "sojourn keys list", "sojourn keys list --json | jq '.keys[].kid'")
@configured
def list_keys(output: Output, *, place: Place) -> None:
    """List the signing keys: what is public of them, and which of them signs."""

    async def act(server: Server) -> list[dict[str, Any]]:
        return _shown(server)

    keys = with_server(place, act)
    rows = (
        (key["kid"], key["alg"], key["state"], *(instant(key[name]) for name in _INSTANTS))
        for key in keys
    )
    output.table({"keys": keys}, COLUMNS, rows)


@command(
    "rotate",
    "sojourn keys rotate",
    "sojourn keys rotate --emergency",
    "sojourn keys rotate --emergency --yes --quiet",
)
@configured
@click.option("--emergency", is_flag=True, help="A key was stolen: refuse all its tokens now.")
@click.option("--yes", is_flag=True, help="Do not ask.")
def rotate(output: Output, *, place: Place, emergency: bool, yes: bool) -> None:
    """Publish a new signing key, which takes over once verifiers have had time to fetch it.

    With --emergency it signs at once, and every token of the earlier keys is refused: clients of
    mode hybrid refresh, those of mode jwt sign in again.
    """
    if emergency and not yes and not _is_sure():
        raise click.exceptions.Abort

    async def act(server: Server) -> list[dict[str, Any]]:
        await server.sojourn.rotate_keys(by=operator(), is_emergency=emergency)
        return _shown(server)

    keys = with_server(place, act)
    new = max(keys, key=lambda key: int(key["signs_from"]))
    output.text({"kid": new["kid"], "signs_from": new["signs_from"], "keys": keys}, new["kid"])
    if emergency:
        output.say("the new key signs; tokens of all earlier keys are refused")
    else:
        output.say(f"the new key signs from {instant(new['signs_from'])}")


def _is_sure() -> bool:
    if not sys.stdin.isatty():
        raise click.UsageError("--emergency refuses every token there is; confirm it with --yes")
    return click.confirm("Refuse every token of the present keys, at once?", err=True)


def _shown(server: Server) -> list[dict[str, Any]]:
    from sojourn.server.admin import shown_key

    core = server.sojourn.core
    ring, now_ms = core.keys.ring, core.clock()
    signer = ring.signer(alg=core.settings.signing_algorithm, now_ms=now_ms)

    def state(key: RingKey) -> str:
        if key == signer:
            return "signs"
        return "next" if key.signs_from_ms > now_ms else "verifies"

    return [{**shown_key(key), "state": state(key)} for key in ring.keys]


keys = click.Group("keys", commands=[list_keys, rotate], help="Signing keys: list and rotate them.")
