"""The setting ``SOJOURN`` of a project, and the one `Sojourn` of a process that comes of it."""

from __future__ import annotations

import inspect
import os
import threading
from collections.abc import Mapping
from difflib import get_close_matches
from typing import Any

from django.conf import settings
from django.core.signals import setting_changed
from django.dispatch import receiver
from django.utils.crypto import salted_hmac
from django.utils.module_loading import import_string

from sojourn.environment import PREFIX
from sojourn.errors import ConfigurationError
from sojourn.modes import DAY
from sojourn.settings import SETTING_NAMES
from sojourn.sync import Sojourn
from sojourn.verifier import Verifier

DEFAULT_STORE = "django://default"
ENGINE = "sojourn.django.sessions"
_OF_SOJOURN = frozenset(
    name
    for name, parameter in inspect.signature(Sojourn).parameters.items()
    if parameter.kind is not inspect.Parameter.VAR_KEYWORD
)
NAMES = frozenset(name.upper() for name in _OF_SOJOURN | SETTING_NAMES)
"""What ``SOJOURN`` may hold: every argument of `Sojourn`, in capitals."""
_DECIDE = frozenset(
    ("SOJOURN", "SESSION_ENGINE", "SESSION_COOKIE_AGE", "SECRET_KEY", "SECRET_KEY_FALLBACKS")
)
_GUEST_SECONDS = (60, 30 * DAY)


class _Made:
    """The process's own, and whose turn it is to make it."""

    lock = threading.Lock()
    auth: Sojourn | None = None
    verifier: Verifier | None = None


def get_auth() -> Sojourn:
    """Give the process's `Sojourn`, made at first use from ``settings.SOJOURN``.

    Raises:
        ConfigurationError: A setting is missing or wrong; ``manage.py check`` says so, too.
    """
    if _Made.auth is None:
        with _Made.lock:
            if _Made.auth is None:
                _Made.auth = Sojourn(**arguments())
    return _Made.auth


def is_verifying() -> bool:
    """Whether this is a service without a store, which verifies what another one issued."""
    return "VERIFIER" in getattr(settings, "SOJOURN", {})


def get_checker() -> Sojourn | Verifier:
    """Give what checks requests: the process's `Sojourn`, or the `Verifier` of the settings.

    Raises:
        ConfigurationError: ``SOJOURN["VERIFIER"]`` is none.
    """
    if not is_verifying():
        return get_auth()
    if _Made.verifier is None:
        given = settings.SOJOURN["VERIFIER"]
        verifier = import_string(given) if isinstance(given, str) else given
        if not isinstance(verifier, Verifier):
            raise ConfigurationError(
                "SOJOURN['VERIFIER'] is a sojourn.Verifier, or the dotted path of one; its blocking "
                "form, in asynchronous projects too"
            )
        if settings.SOJOURN.keys() != {"VERIFIER"}:
            raise ConfigurationError(
                "SOJOURN has VERIFIER and settings of a store; a service is one or the other"
            )
        _Made.verifier = verifier
    return _Made.verifier


def use(auth: Sojourn | None) -> None:
    """Have this be the process's `Sojourn` (None: made anew at the next use); for tests."""
    with _Made.lock:
        before, _Made.auth = _Made.auth, auth
    if before is not None:
        before.close()


@receiver(setting_changed)
def _on_setting_changed(*, setting: str, **_: Any) -> None:
    if setting in _DECIDE:
        use(None)
        _Made.verifier = None


def is_session_engine() -> bool:
    """Whether ``request.session`` is kept by Sojourn."""
    return bool(settings.SESSION_ENGINE == ENGINE)


def stored_in() -> str | None:
    """Give the database of Django's in which, and in whose transactions, sessions are; None elsewhere."""
    store = str(_store(getattr(settings, "SOJOURN", {})))
    alias = store.removeprefix("django://")
    return alias if alias != store else None


def _store(given: Mapping[str, Any]) -> Any:
    return given.get("STORE") or _environ("STORE") or DEFAULT_STORE


def _environ(name: str) -> str:
    return os.environ.get(PREFIX + name, "")


def arguments() -> dict[str, Any]:
    """Give the keyword arguments of `Sojourn`.

    Where ``request.session`` is ours, sessions are among the modes, and a visitor's data lives
    as long as Django says.

    Raises:
        ConfigurationError: There is no such setting.
    """
    given: Mapping[str, Any] = getattr(settings, "SOJOURN", {})
    for name in given:
        if name not in NAMES:
            near = get_close_matches(str(name).upper(), NAMES, n=1)
            hint = f"; did you mean {near[0]}?" if near else ""
            raise ConfigurationError(f"SOJOURN has no setting {name!r}{hint} (see docs/django.md)")
    found = {name.lower(): _value(name, value) for name, value in given.items()}
    found["store"] = _store(given)
    if not (_environ("SECRET") or _environ("SECRET_FILE")):
        found.setdefault("secret", _derived_secrets())
    return _with_sessions(found) if is_session_engine() else found


def _with_sessions(found: dict[str, Any]) -> dict[str, Any]:
    """Add what follows where ``request.session`` is ours, as far as nobody says it otherwise."""
    low, high = _GUEST_SECONDS
    follows = {
        "mode": "session",
        "guest_ttl_seconds": max(low, min(high, int(settings.SESSION_COOKIE_AGE))),
    }
    defaults = {name: value for name, value in follows.items() if not _environ(name.upper())}
    others = found.get("modes") or filter(None, map(str.strip, _environ("MODES").split(",")))
    return {**defaults, **found, "modes": tuple(dict.fromkeys((*others, "session")))}


def _value(name: str, value: Any) -> Any:
    """Import what is named by its dotted path, as Django's settings name things."""
    if name == "DOORS":
        return tuple(
            _made(import_string(door) if isinstance(door, str) else door) for door in value
        )
    if name in {"FACTS", "CLAIMS"} and isinstance(value, str):
        return import_string(value)
    return tuple(value) if isinstance(value, list) else value


def _made(door: Any) -> Any:
    return door() if isinstance(door, type) else door


def _derived_secrets() -> tuple[str, ...]:
    """Derive the server secrets from SECRET_KEY and its fallbacks, which rotate them, too."""
    keys = (settings.SECRET_KEY, *settings.SECRET_KEY_FALLBACKS)
    return tuple(
        salted_hmac("sojourn.django", "server secret", secret=key, algorithm="sha256").hexdigest()
        for key in keys
    )
