"""The server's own settings: ``SOJOURN_*`` over a TOML file over the default."""

from __future__ import annotations

import os
import re
import tomllib
from collections.abc import Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, get_type_hints
from urllib.parse import quote

import msgspec

from sojourn.environment import PREFIX, secret_file, secrets_from, settings_from
from sojourn.errors import ConfigurationError
from sojourn.server_secret import ServerSecrets
from sojourn.settings import SETTING_NAMES, Settings, is_loopback
from sojourn.stores import scheme_of

MAX_WORKERS = 256
_QUERY_SECRET = re.compile(r"(?i)([?&](?:password|sslpassword)=)[^&]*")


@dataclass(frozen=True, slots=True, kw_only=True)
class ServerConfig:
    """Everything `sojourn serve` runs by.

    Args:
        host: The address to listen on.
        port: The port to listen on; 0 takes a free one.
        data: The folder of the database, the secret and the ready account, mode 0700.
        workers: How many processes answer requests.
        store: Where sessions live; by default ``sojourn.db`` in the data folder.
        database: Where accounts and verifiers are kept, and the audit trail of sessions in Redis;
            the store itself by default.
        is_open: Whether anybody may register.
        settings: The library's settings.
        secrets: The server secrets in force.
    """

    host: str
    port: int
    data: Path
    workers: int
    store: str = field(repr=False)
    database: str = field(repr=False)
    is_open: bool
    settings: Settings
    secrets: ServerSecrets = field(repr=False)


_YES = frozenset({"yes", "true", "1", "on"})
_NO = frozenset({"no", "false", "0", "off"})
_SHAPES: dict[str, Any] = {
    "host": str,
    "port": int,
    "data": str,
    "workers": int,
    "store": str,
    "database": str,
    "open_registration": bool | str,
    "secret": object,
    "secret_file": str,
    **{name: hint for name, hint in get_type_hints(Settings).items() if name in SETTING_NAMES},
}
"""What each setting of the file is; without a look at it, a number would be taken for a name."""


def load_config(
    *, environ: Mapping[str, str] | None = None, overrides: Mapping[str, Any] | None = None
) -> ServerConfig:
    """Read the configuration.

    Args:
        environ: The environment; this process's by default. ``SOJOURN_CONFIG`` names the file.
        overrides: What the command line says; it wins.

    Raises:
        ConfigurationError: A value is wrong or unknown, or the file cannot be read.
    """
    environ = os.environ if environ is None else environ
    from_file = read_config_file(environ.get(PREFIX + "CONFIG", ""))
    given = {k: v for k, v in (overrides or {}).items() if v is not None}

    def value(name: str, default: Any) -> Any:
        return given.get(name, environ.get(PREFIX + name.upper(), from_file.get(name, default)))

    host = str(value("host", "127.0.0.1"))
    port = _whole_number("port", value("port", 8000), 0, 65_535)
    data = Path(str(value("data", ".sojourn")))
    options = {k: v for k, v in from_file.items() if k in SETTING_NAMES}
    for name in list(options):
        if PREFIX + name.upper() in environ:
            del options[name]  # the environment wins over the file
    options |= {k: v for k, v in given.items() if k in SETTING_NAMES}
    if not options.get("url") and not environ.get(PREFIX + "URL"):
        options["url"] = _default_url(host, port)
    if "modes" not in options and PREFIX + "MODES" not in environ:
        preset = options.get("preset") or environ.get(PREFIX + "PRESET")
        options["modes"] = ("session", "hybrid") if preset in {"aal2", "aal3"} else (
            "session", "jwt", "hybrid",
        )  # fmt: skip
    settings = settings_from(options, environ=environ)
    store = str(value("store", "")) or f"sqlite:///{quote(str(data.resolve() / 'sojourn.db'))}"
    return ServerConfig(
        host=host,
        port=port,
        data=data,
        workers=_whole_number("workers", value("workers", 1), 1, MAX_WORKERS),
        store=store,
        database=str(value("database", "")) or _default_database(store, settings, data),
        is_open=_yes_or_no("open_registration", value("open_registration", "yes")),
        settings=settings,
        secrets=_secrets(environ, from_file, settings, data),
    )


def _secrets(
    environ: Mapping[str, str], from_file: Mapping[str, Any], settings: Settings, data: Path
) -> ServerSecrets:
    if "secret" in from_file:
        raise ConfigurationError(
            "a secret stands in the configuration file; put it into a file of its own, of mode "
            "0600, and name that as secret_file"
        )
    named = {k: environ[k] for k in (PREFIX + "SECRET", PREFIX + "SECRET_FILE") if k in environ}
    if not named and "secret_file" in from_file:
        named = {PREFIX + "SECRET_FILE": str(from_file["secret_file"])}
    if not named and settings.is_development:
        return ServerSecrets(secret_file(data))
    return secrets_from(None, is_development=False, is_kept=True, environ=named)


def _default_url(host: str, port: int) -> str:
    if not is_loopback(host):
        raise ConfigurationError(
            f"the server listens on {host}, and no url says where browsers reach it; "
            "set SOJOURN_URL=https://your.host (behind a TLS-terminating proxy)"
        )
    shown = f"[{host}]" if ":" in host else host
    return f"http://{shown}:{port}"


def _default_database(store: str, settings: Settings, data: Path) -> str:
    if scheme_of(store) != "redis":
        return store
    if not settings.is_development:
        raise ConfigurationError(
            "sessions are in Redis, and no database is named for the accounts; set "
            "SOJOURN_DATABASE=postgresql://… (or sqlite:///… for one machine)"
        )
    return f"sqlite:///{quote(str(data.resolve() / 'accounts.db'))}"


def shown_url(url: str) -> str:
    """Give a URL as it may be shown: without the password."""
    scheme, separator, rest = url.partition("://")
    if scheme == "sqlite":
        return url
    # Up to the last "@": a password that should have been written otherwise is one all the same.
    user, at, place = rest.rpartition("@")
    name, colon, _ = user.partition(":")
    return f"{scheme}{separator}{name}{colon and ':…'}{at}" + _QUERY_SECRET.sub(r"\1…", place)


def _whole_number(name: str, value: Any, low: int, high: int) -> int:
    try:
        number = int(value)
    except (TypeError, ValueError):
        number = low - 1
    if not low <= number <= high:
        raise ConfigurationError(f"{name} is {value!r}; it ranges from {low} to {high}")
    return number


def _yes_or_no(name: str, value: Any) -> bool:
    text = str(value).lower()
    if text not in _YES | _NO:
        raise ConfigurationError(f"{name} is {value!r}; it is yes or no")
    return text in _YES


def read_config_file(name: str) -> dict[str, Any]:
    """Read the TOML file of settings; empty where none is named.

    Raises:
        ConfigurationError: It cannot be read, or has a setting that there is not.
    """
    if not name:
        return {}
    try:
        with Path(name).open("rb") as file:
            read = tomllib.load(file)
    except (OSError, tomllib.TOMLDecodeError, UnicodeDecodeError) as error:
        raise ConfigurationError(f"SOJOURN_CONFIG {name} cannot be read: {error}") from error
    unknown = sorted(set(read) - set(_SHAPES))
    if unknown:
        raise ConfigurationError(f"{name} has unknown settings: {', '.join(unknown)}")
    return {key: _of_shape(key, value, name) for key, value in read.items()}


def _of_shape(key: str, value: Any, file: str) -> Any:
    try:
        return msgspec.convert(value, _SHAPES[key])
    except msgspec.ValidationError as error:
        raise ConfigurationError(f"{key} in {file} is of the wrong type: {error}") from error
