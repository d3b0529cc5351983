"""`sojourn serve`: run the server, with an account ready in development."""

from __future__ import annotations

import os
from pathlib import Path
from typing import TYPE_CHECKING, Any
from urllib.parse import urlsplit

import click

from sojourn.cli.commands import command, configured
from sojourn.cli.output import Output
from sojourn.cli.place import Place, run_with_server
from sojourn.errors import ConfigurationError

if TYPE_CHECKING:
    from sojourn.cli.ready_account import ReadyAccount
    from sojourn.server.app import Server
    from sojourn.server.config import ServerConfig


@command(
    "serve",
    "sojourn serve",
    "sojourn serve --port 9000 --data ./data",
    "SOJOURN_SECRET_FILE=/run/secrets/sojourn sojourn serve --url https://auth.example.com",
    "sojourn serve --config sojourn.toml --mode session",
    "SOJOURN_STORE=postgresql://sojourn@db/sojourn sojourn serve --workers 4",
)
@configured
@click.option("--host", help="The address to listen on.  [default: 127.0.0.1]")
@click.option("--port", type=click.IntRange(0, 65_535), help="0: any free one.  [default: 8000]")
@click.option("--url", help="Where browsers reach the server.  [default: by host and port]")
@click.option("--workers", type=click.IntRange(1, 256), help="How many processes.  [default: 1]")
@click.option("--mode", type=click.Choice(["session", "jwt", "hybrid"]), help="[default: hybrid]")
def serve(
    output: Output,
    *,
    place: Place,
    host: str | None,
    port: int | None,
    url: str | None,
    workers: int | None,
    mode: str | None,
) -> None:
    """Serve until Ctrl-C or SIGTERM; requests in flight finish.

    On plain http and loopback, which is development, a secret and an administrator's account are
    made and kept in the data folder. Anything else needs SOJOURN_URL and SOJOURN_SECRET.
    """
    from sojourn.server.serve import counting_together, find_port

    asked = place.but(host=host, port=port, url=url, workers=workers, mode=mode)
    config, _ = asked.load()
    free = find_port(config.host, config.port)
    config, weak = asked.but(port=free).load()
    config.data.mkdir(parents=True, exist_ok=True, mode=0o700)
    with counting_together(config.workers):
        _serve(output, place, config, weak)


def _serve(output: Output, place: Place, config: ServerConfig, weak: list[str]) -> None:
    from sojourn.server.serve import serve as run_server

    # Whatever is wrong with store or secret shows here, and not in a worker's log.
    account = run_with_server(config, _prepare)
    for warning in [*weak, *_doubts(config)]:
        output.warn(warning)
    if place.config_file is not None:
        os.environ["SOJOURN_CONFIG"] = str(place.config_file)  # the worker reads it again
    _announce(output, config, account)
    try:
        run_server(config)
    except SystemExit as stop:
        if stop.code:
            raise ConfigurationError(
                "the server could not go on; the lines above say why, and sojourn config check "
                "shows what it runs by"
            ) from stop
    output.say("stopped")


async def _prepare(server: Server) -> ReadyAccount | None:
    from sojourn.cli.ready_account import ensure_ready_account

    return await ensure_ready_account(server) if server.config.settings.is_development else None


def _doubts(config: ServerConfig) -> list[str]:
    settings = config.settings
    if not settings.is_development:
        return []
    doubts = ["cookies are not Secure: plain http on loopback is for development only"]
    port = urlsplit(settings.url).port or 80
    if port != config.port:
        doubts.append(f"the url has port {port}, and the server listens on {config.port}")
    return doubts


def _announce(output: Output, config: ServerConfig, account: ReadyAccount | None) -> None:
    settings = config.settings
    value: dict[str, Any] = {
        "url": settings.url,
        "host": config.host,
        "port": config.port,
        "mode": settings.mode,
        "data": str(config.data),
        "workers": config.workers,
        "is_development": settings.is_development,
        "account": account and _shown(account),
    }
    if output.is_json:
        output.document(value)
    output.say(f"Sojourn starts at {settings.url} (mode {settings.mode}, data in {config.data})")
    if account is not None and account.password:
        output.say(f"ready account: {account.email}  password: {account.password}")
        output.say(f"               role admin; kept in {account.file}")
    elif account is not None:
        output.say(
            f"ready account: {account.email}; its password is in the folder of the server that made "
            f"it, or was changed (another one: sojourn users password {account.email} --generate)"
        )
    output.say("Ctrl-C stops it")


def _shown(account: ReadyAccount) -> dict[str, str | None]:
    file: Path | None = account.file if account.password else None
    return {
        "email": account.email,
        "password": account.password or None,
        "file": str(file) if file else None,
    }
