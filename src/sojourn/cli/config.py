"""`sojourn config check`: every setting in force, where it came from, and what is weak."""

from __future__ import annotations

from dataclasses import asdict, dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any

import click

from sojourn.cli.commands import command, configured
from sojourn.cli.files import is_private
from sojourn.cli.output import Output
from sojourn.cli.place import Place, check_store

if TYPE_CHECKING:
    from sojourn.server.config import ServerConfig

PREFIX = "SOJOURN_"
OWN = ("host", "port", "data", "workers", "store", "database", "open_registration")
OTHER = ("CONFIG", "SECRET", "SECRET_FILE")


@dataclass(frozen=True, slots=True, kw_only=True)
class Secret:
    """What may be shown of the server secret.

    Args:
        is_set: Whether there is one already.
        id: Its public id; empty where it is yet to be made.
        source: Where it comes from.
    """

    is_set: bool
    id: str
    source: str


@command(
    "check",
    "sojourn config check",
    "sojourn config check --config sojourn.toml",
    "sojourn config check --json | jq .warnings",
)
@configured
def check(output: Output, *, place: Place) -> None:
    """Show all settings with where each comes from, and warn of weak ones; exit 3 if one is wrong.

    Nothing is written, and no secret is shown: only its public id.
    """
    from sojourn.server.config import read_config_file

    environ = place.environ()
    from_file = read_config_file(environ.get(PREFIX + "CONFIG", ""))
    config, weak, secret = _load(place, environ, from_file)
    check_store(config)
    warnings = [*weak, *_doubts(config, environ, from_file)]
    given = place.given

    def source(name: str) -> str:
        if name in given:
            return "command line"
        if PREFIX + name.upper() in environ:
            return "environment"
        return "file" if name in from_file else "default"

    settings = {
        name: {"value": value, "source": source(name)} for name, value in _values(config).items()
    }
    rows = [(name, _text(one["value"]), one["source"]) for name, one in settings.items()]
    shown = f"set, id {secret.id}" if secret.is_set else "made at the first start"
    output.table(
        {"ok": True, "settings": settings, "secret": asdict(secret), "warnings": warnings},
        ("setting", "value", "from"),
        [*rows, ("secret", shown, secret.source)],
    )
    for warning in warnings:
        output.warn(warning)
    output.say("the configuration is sound")


def _load(
    place: Place, environ: dict[str, str], from_file: dict[str, Any]
) -> tuple[ServerConfig, list[str], Secret]:
    """Read the configuration, without making the secret that a first start would make."""
    source = _secret_source(environ, from_file)
    if source is None:
        config, weak = place.look()
        kept = config.data / "secret"
        if config.settings.is_development and not kept.exists():
            return config, weak, Secret(is_set=False, id="", source=f"will be {kept}")
        source = str(kept)
    config, weak = place.load()
    return config, weak, Secret(is_set=True, id=config.secrets.current.id, source=source)


def _secret_source(environ: dict[str, str], from_file: dict[str, Any]) -> str | None:
    for name in ("SECRET", "SECRET_FILE"):
        if environ.get(PREFIX + name):
            return f"environment ({PREFIX}{name})"
    return "file (secret_file)" if "secret_file" in from_file else None


def _values(config: ServerConfig) -> dict[str, Any]:
    from sojourn.server.config import shown_url
    from sojourn.settings import Options

    own = {
        "host": config.host,
        "port": config.port,
        "data": str(config.data),
        "workers": config.workers,
        "store": shown_url(config.store),
        "database": shown_url(config.database),
        "open_registration": config.is_open,
    }
    return own | {name: getattr(config.settings, name) for name in Options.__annotations__}


def _text(value: object) -> object:
    return "-" if value in {None, "", ()} else value


def _doubts(config: ServerConfig, environ: dict[str, str], from_file: dict[str, Any]) -> list[str]:
    from sojourn.settings import SETTING_NAMES

    known = {name.upper() for name in (*OWN, *SETTING_NAMES)} | set(OTHER)
    doubts = [
        f"{name} in the environment is no setting of Sojourn"
        for name in sorted(environ)
        if name.startswith(PREFIX) and name.removeprefix(PREFIX) not in known
    ]
    named = environ.get(PREFIX + "SECRET_FILE") or from_file.get("secret_file")
    path = Path(str(named)) if named else config.data / "secret"
    if not is_private(path):
        doubts.append(f"others can read {path}; correct it with: chmod 600 {path}")
    return doubts


config = click.Group("config", commands=[check], help="The configuration: check it.")
