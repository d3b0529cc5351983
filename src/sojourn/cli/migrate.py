"""`sojourn migrate`: bring store and database up to date before a new version serves."""

from __future__ import annotations

from typing import TYPE_CHECKING

from sojourn.cli.commands import command, configured
from sojourn.cli.output import Output
from sojourn.cli.place import Place, with_server

if TYPE_CHECKING:
    from sojourn.ports import StoreInfo
    from sojourn.server.app import Server


@command(
    "migrate",
    "sojourn migrate",
    "SOJOURN_STORE=postgresql://sojourn@db/sojourn sojourn migrate --json",
)
@configured
def migrate(output: Output, *, place: Place) -> None:
    """Make the tables of store and database, or bring them up to date.

    The server does so by itself when it starts; this is for deployments where its own role may not
    change tables. Safe to run again, and by several at once. What a newer version has written is
    refused.
    """
    from sojourn.server.config import shown_url

    async def act(server: Server) -> StoreInfo:
        return server.sojourn.core.opened

    info = with_server(place, act, may_create=True)
    config, _ = place.look()
    value = {
        "store": shown_url(config.store),
        "database": shown_url(config.database),
        "shards": info.shards,
    }
    output.facts(value, value)
    output.say("store and database are up to date")
