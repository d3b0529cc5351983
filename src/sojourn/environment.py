"""Settings and the server secret from the environment: what is given in code wins over it."""

from __future__ import annotations

import os
import secrets
from collections.abc import Mapping, Sequence
from dataclasses import fields
from difflib import get_close_matches
from pathlib import Path
from typing import Any, get_args, get_type_hints

import msgspec

from sojourn.errors import ConfigurationError
from sojourn.server_secret import ServerSecrets
from sojourn.settings import SETTING_NAMES, Settings

PREFIX = "SOJOURN_"
_HINTS = get_type_hints(Settings)


def settings_from(
    options: Mapping[str, Any], *, environ: Mapping[str, str] | None = None
) -> Settings:
    """Build the settings: code over ``SOJOURN_*`` over the default.

    Args:
        options: What the application gave.
        environ: The environment; this process's by default.

    Raises:
        ConfigurationError: A value is wrong, or `url` is missing.
    """
    environ = os.environ if environ is None else environ
    values = dict(options)
    for field in fields(Settings):
        text = environ.get(PREFIX + field.name.upper())
        if field.init and text is not None and field.name not in values:
            values[field.name] = parsed_setting(field.name, text)
    if not values.get("url"):
        raise ConfigurationError(
            "no url was given; say where browsers reach the application: "
            "url='https://app.example.com', or SOJOURN_URL"
        )
    for name in values:
        if name not in SETTING_NAMES:
            near = get_close_matches(name, SETTING_NAMES, n=1)
            hint = f"; did you mean {near[0]}?" if near else ""
            raise ConfigurationError(f"there is no setting {name!r}{hint} (see docs/settings.md)")
    return Settings(**values)


def parsed_setting(name: str, text: str) -> Any:
    """Read a setting from text, as the environment and frameworks' configurations give it.

    Args:
        name: The setting's name.
        text: Its value; a tuple's members are separated by commas.

    Raises:
        ConfigurationError: It is no value of the setting's type.
    """
    hint = _HINTS[name]
    try:
        if "tuple" in str(hint):
            return tuple(part.strip() for part in text.split(",") if part.strip())
        return msgspec.convert(text, hint, strict=False)
    except msgspec.ValidationError as error:
        choices = get_args(hint)
        words = f"; choose one of {', '.join(map(str, choices))}" if choices else ""
        raise ConfigurationError(f"{PREFIX}{name.upper()} is {text!r}: {error}{words}") from error


def secrets_from(
    given: str | Sequence[str] | None,
    *,
    is_development: bool,
    is_kept: bool,
    environ: Mapping[str, str] | None = None,
) -> ServerSecrets:
    """Find the server secret.

    In order: what is given in code, ``SOJOURN_SECRET``, the file ``SOJOURN_SECRET_FILE`` (each may
    hold several, white space between, the current one first). In development a file of mode 0600
    is made under ``SOJOURN_DATA``; in production the absence is refused.

    Args:
        given: The secret(s) given in code.
        is_development: Whether the url is plain http on loopback.
        is_kept: Whether the store outlives the process; else a secret of the process is enough.
        environ: The environment; this process's by default.
    """
    environ = os.environ if environ is None else environ
    if given:
        return ServerSecrets(given)
    text = environ.get(PREFIX + "SECRET", "").strip()
    path = environ.get(PREFIX + "SECRET_FILE", "")
    if not text and path:
        try:
            text = Path(path).read_text(encoding="utf-8")
        except (OSError, UnicodeDecodeError) as error:
            raise ConfigurationError(f"SOJOURN_SECRET_FILE cannot be read: {error}") from error
        if not text.strip():
            raise ConfigurationError(f"SOJOURN_SECRET_FILE {path} is empty")
    if text:
        return ServerSecrets(text.split())
    if not is_development:
        raise ConfigurationError(
            "no server secret is set, and without it nobody could be recognised after a restart; "
            "set SOJOURN_SECRET or SOJOURN_SECRET_FILE (make one with: "
            "python -c 'import secrets; print(secrets.token_urlsafe(48))')"
        )
    if not is_kept:
        return ServerSecrets(secrets.token_urlsafe(48))
    return ServerSecrets(secret_file(Path(environ.get(PREFIX + "DATA") or ".sojourn")))


def secret_file(folder: Path) -> str:
    """Read the secret kept in a data folder, making it (0600) where there is none.

    Several processes may start at once: the file appears whole, and the first one's is everybody's.

    Raises:
        ConfigurationError: The folder cannot be used.
    """
    try:
        return _secret_file(folder)
    except (OSError, UnicodeDecodeError) as error:
        raise ConfigurationError(
            f"the development secret cannot be kept in {folder}: {error}; set SOJOURN_DATA to a "
            "folder that can be written, or set SOJOURN_SECRET"
        ) from error


def _secret_file(folder: Path) -> str:
    if not folder.exists():
        folder.mkdir(parents=True, exist_ok=True, mode=0o700)
        # Made by itself in a developer's working directory: it must not be committed by itself too.
        ignore = folder / ".gitignore"
        ignore.touch(mode=0o600)
        ignore.write_text("*\n", encoding="utf-8")
    path = folder / "secret"
    if not path.exists():
        draft = folder / f"secret.{os.getpid()}.{secrets.token_hex(4)}"
        descriptor = os.open(draft, os.O_WRONLY | os.O_CREAT | os.O_EXCL, 0o600)
        with os.fdopen(descriptor, "w") as file:
            file.write(secrets.token_urlsafe(48) + "\n")
            file.flush()
            os.fsync(file.fileno())
        try:
            path.hardlink_to(draft)
        except FileExistsError:
            pass
        finally:
            draft.unlink()
    return path.read_text(encoding="utf-8").strip()
