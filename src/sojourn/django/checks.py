"""What ``manage.py check`` says of a project: each finding has a stable id and a hint."""

from __future__ import annotations

import sys
from collections.abc import Iterator, Mapping, Sequence
from typing import Any

from django.apps import AppConfig
from django.conf import settings
from django.core.checks import CheckMessage, Error, Tags, Warning as CheckWarning, register
from django.utils.module_loading import import_string

from sojourn.browser import CookieNames
from sojourn.django.conf import (
    arguments,
    get_checker,
    is_session_engine,
    is_verifying,
    stored_in,
)
from sojourn.environment import settings_from
from sojourn.errors import SojournError
from sojourn.settings import SETTING_NAMES, Settings

_MIDDLEWARE = "sojourn.django.SojournMiddleware"
_SESSION_MIDDLEWARE = "django.contrib.sessions.middleware.SessionMiddleware"
_SERIALIZER = "django.contrib.sessions.serializers.JSONSerializer"


@register(Tags.security)
def check_settings(app_configs: Sequence[AppConfig] | None = None, **_: Any) -> list[CheckMessage]:
    """Look at the settings, ours and those of Django that concern us."""
    del app_configs
    try:
        if is_verifying():
            get_checker()
            return list(_check_middleware())
        given = arguments()
        ours = _settings(given)
    except (SojournError, ImportError) as error:
        return [
            Error(
                f"SOJOURN: {error}",
                hint="Correct the setting SOJOURN; docs/django.md names what it takes.",
                id="sojourn.E001",
            )
        ]
    found = [*_check_store(), *_check_middleware()]
    if is_session_engine():
        found += [*_check_engine(ours), *_check_session_cookie(ours)]
    return found


def _settings(given: Mapping[str, Any]) -> Settings:
    return settings_from({name: given[name] for name in given if name in SETTING_NAMES})


def _check_store() -> Iterator[CheckMessage]:
    alias = stored_in()
    if alias is not None and alias not in settings.DATABASES:
        yield Error(
            f"SOJOURN['STORE'] is 'django://{alias}', and there is no database {alias!r}.",
            hint="Name an alias of DATABASES.",
            id="sojourn.E002",
        )


def _check_middleware() -> Iterator[CheckMessage]:
    order = [_class_of(name) for name in settings.MIDDLEWARE]
    ours = _place(order, _MIDDLEWARE)
    if ours is None:
        if is_session_engine():
            yield CheckWarning(
                f"{_MIDDLEWARE} is not in MIDDLEWARE.",
                hint="Add it after AuthenticationMiddleware; without it the trail knows no address "
                "and no browser, and a change of password ends the session that made it, too.",
                id="sojourn.W003",
            )
        return
    for name in (_SESSION_MIDDLEWARE, "django.contrib.auth.middleware.AuthenticationMiddleware"):
        place = _place(order, name)
        if place is not None and place > ours:
            yield Error(
                f"{_MIDDLEWARE} stands before {name} in MIDDLEWARE.",
                hint="Put it after: it sets request.user where our own credentials say who it is.",
                id="sojourn.E003",
            )


def _class_of(name: str) -> Any:
    try:
        return import_string(name)
    except ImportError:
        return None  # Django says so itself


def _place(order: list[Any], name: str) -> int | None:
    wanted = import_string(name)
    places = [i for i, c in enumerate(order) if isinstance(c, type) and issubclass(c, wanted)]
    return places[0] if places else None


def _check_engine(ours: Settings) -> Iterator[CheckMessage]:
    if settings.SESSION_SERIALIZER != _SERIALIZER:
        yield Error(
            "SESSION_SERIALIZER is set, and Sojourn keeps session data as JSON by itself.",
            hint="Remove the setting, and keep dates and the like as text.",
            id="sojourn.E004",
        )
    age = settings.SESSION_COOKIE_AGE
    longest = min(
        ours.absolute_seconds("session", remember=True), ours.idle_seconds("session") or age
    )
    if age > longest:
        yield CheckWarning(
            f"SESSION_COOKIE_AGE is {age} s, and SOJOURN ends a session after {longest} s.",
            hint="Raise ABSOLUTE_TTL_SECONDS and IDLE_TTL_SECONDS, or lower SESSION_COOKIE_AGE.",
            id="sojourn.W004",
        )


def _check_session_cookie(ours: Settings) -> Iterator[CheckMessage]:
    name = settings.SESSION_COOKIE_NAME
    if name in CookieNames.of(ours).every:
        yield Error(
            f"SESSION_COOKIE_NAME is {name!r}, which is a cookie of Sojourn's own.",
            hint="Leave it at 'sessionid', or choose another name.",
            id="sojourn.E005",
        )
    if ours.is_development == settings.SESSION_COOKIE_SECURE:
        yield CheckWarning(
            f"SESSION_COOKIE_SECURE is {settings.SESSION_COOKIE_SECURE}, and SOJOURN['URL'] is "
            f"{ours.url}.",
            hint="SESSION_COOKIE_SECURE = True on a site with https, False on http://localhost.",
            id="sojourn.W005",
        )
    if not settings.SESSION_COOKIE_HTTPONLY:
        yield CheckWarning(
            "SESSION_COOKIE_HTTPONLY is False: any script of a page can read the handle.",
            hint="Remove the setting.",
            id="sojourn.W006",
        )
    theirs = str(settings.SESSION_COOKIE_SAMESITE or "none").lower()
    if theirs != ours.same_site or ours.cookie_domain != settings.SESSION_COOKIE_DOMAIN:
        yield CheckWarning(
            "The cookie of Django's session and those of Sojourn go to different pages.",
            hint="Make SESSION_COOKIE_SAMESITE and SAME_SITE the same, and SESSION_COOKIE_DOMAIN "
            "and COOKIE_DOMAIN.",
            id="sojourn.W007",
        )


@register(Tags.security, deploy=True)
def check_deployment(
    app_configs: Sequence[AppConfig] | None = None, **_: Any
) -> list[CheckMessage]:
    """Look at what is right in development only; with ``manage.py check --deploy``."""
    del app_configs
    try:
        if is_verifying():
            return []
        given = arguments()
        ours = _settings(given)
    except (SojournError, ImportError):
        return []  # said above
    found: list[CheckMessage] = []
    if str(given["store"]).startswith("memory:"):
        found.append(
            CheckWarning(
                "SOJOURN['STORE'] is the memory of each process.",
                hint="With several processes each has its own sessions; use django://default.",
                id="sojourn.W001",
            )
        )
    if ours.is_development:
        found.append(
            CheckWarning(
                f"SOJOURN['URL'] is {ours.url}: development, so cookies are not Secure.",
                hint="Say where browsers reach the site, with https://, also behind a proxy.",
                id="sojourn.W002",
            )
        )
    return found


@register(Tags.database)
def check_tables(
    app_configs: Sequence[AppConfig] | None = None,
    databases: Sequence[str] | None = None,
    **_: Any,
) -> list[CheckMessage]:
    """Look whether the tables are there; with ``manage.py check --database default``."""
    del app_configs
    alias = None if is_verifying() else stored_in()
    is_migrating = sys.argv[1:2] == ["migrate"]  # which asks before it makes them
    if alias is None or alias not in (databases or ()) or is_migrating:
        return []
    from django.db import connections  # noqa: PLC0415 - only where databases are asked about

    if "sojourn_sessions" in connections[alias].introspection.table_names():
        return []
    return [
        CheckWarning(
            f"The tables of sessions are not in the database {alias!r}.",
            hint=f"Run: python manage.py migrate sojourn --database={alias}",
            id="sojourn.W008",
        )
    ]
