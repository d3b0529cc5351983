"""Settings from ``app.config``: over the environment, which is over the defaults."""

from __future__ import annotations

import os
from collections.abc import Mapping
from dataclasses import dataclass
from datetime import timedelta
from difflib import get_close_matches
from pathlib import Path
from typing import Any

from sojourn.environment import PREFIX, parsed_setting
from sojourn.errors import ConfigurationError
from sojourn.settings import SETTING_NAMES

FRESH_SECONDS = 15 * 60
_OWN = frozenset({"store", "secret", "secret_file", "fresh_seconds"})
_KNOWN = sorted(PREFIX + name.upper() for name in SETTING_NAMES | _OWN)


@dataclass(frozen=True, slots=True, kw_only=True)
class Config:
    """What ``app.config`` and the environment say.

    Args:
        store: ``SOJOURN_STORE``; None where it is nowhere.
        fresh: ``SOJOURN_FRESH_SECONDS``: how old a sign-in `fresh_login_required` takes.
        options: What `Sojourn` is given: settings of ``app.config``, and the secret.
    """

    store: Any
    fresh: timedelta
    options: dict[str, Any]


def configured(config: Mapping[str, Any], *, environ: Mapping[str, str] | None = None) -> Config:
    """Read the settings of an application; the environment's are left to `Sojourn` itself.

    Flask's own ``SECRET_KEY`` is not looked at: it signs other things, and is often short.

    Args:
        config: The application's, in which ``SOJOURN_MODE`` is the setting `mode`.
        environ: The environment; this process's by default.

    Raises:
        ConfigurationError: There is no such setting, or a value is wrong.
    """
    environ = os.environ if environ is None else environ
    values: dict[str, Any] = {}
    for key, value in config.items():
        if not key.startswith(PREFIX):
            continue
        if key not in _KNOWN:
            near = get_close_matches(key, _KNOWN, n=1)
            hint = f"; did you mean {near[0]}?" if near else ""
            raise ConfigurationError(
                f"app.config has {key}, and there is no such setting{hint} (see docs/settings.md)"
            )
        if value is not None:
            values[key.removeprefix(PREFIX).lower()] = value
    fresh_seconds = values.pop("fresh_seconds", environ.get(PREFIX + "FRESH_SECONDS"))
    return Config(
        store=values.pop("store", environ.get(PREFIX + "STORE")),
        fresh=_fresh(FRESH_SECONDS if fresh_seconds is None else fresh_seconds),
        options=_secret_of(values) | {name: _value(name, given) for name, given in values.items()},
    )


def _secret_of(values: dict[str, Any]) -> dict[str, Any]:
    secret, path = values.pop("secret", None), values.pop("secret_file", None)
    if secret is None and path is not None:
        try:
            secret = Path(path).read_text(encoding="utf-8").split()
        except (OSError, UnicodeDecodeError) as error:
            raise ConfigurationError(f"SOJOURN_SECRET_FILE cannot be read: {error}") from error
    return {} if secret is None else {"secret": secret}


def _value(name: str, given: Any) -> Any:
    """Take a value as `Settings` wants it: Flask reads text, JSON and TOML, which has no tuples."""
    if isinstance(given, str):
        return parsed_setting(name, given)
    return tuple(given) if isinstance(given, list) else given


def _fresh(seconds: Any) -> timedelta:
    try:
        fresh = timedelta(seconds=float(seconds))
    except (TypeError, ValueError, OverflowError) as error:
        raise ConfigurationError(
            f"SOJOURN_FRESH_SECONDS is {seconds!r}; give a number of seconds"
        ) from error
    if fresh < timedelta(0):
        raise ConfigurationError(f"SOJOURN_FRESH_SECONDS is {seconds!r}; it is 0 or more")
    return fresh
