"""Sojourn for Django: ``INSTALLED_APPS = ["sojourn.django", …]``.

Two ways, alone or together:

- Django's own sessions, kept by Sojourn: ``SESSION_ENGINE = "sojourn.django.sessions"``. Nothing else
  changes; what an administrator ends is refused at the next request in every process.
- Tokens, hybrid or sessions over our own cookies and as bearer: `login` and its kin, with
  ``"sojourn.django.SojournMiddleware"`` after Django's ``AuthenticationMiddleware``.

Users stay Django's. ``SOJOURN = {"URL": …}`` holds the settings, and `get_auth` gives the `Sojourn`.
"""

from __future__ import annotations

from importlib import import_module
from typing import TYPE_CHECKING, Any

try:
    import django  # noqa: F401 - looked at only to say what to install
except ModuleNotFoundError as error:
    raise ModuleNotFoundError(
        "sojourn.django needs Django; install it with: pip install 'sojourn[django]'"
    ) from error

if TYPE_CHECKING:
    from sojourn.django.backends import SojournBackend
    from sojourn.django.conf import get_auth
    from sojourn.django.guarding import current, requires
    from sojourn.django.middleware import SojournMiddleware
    from sojourn.django.signing import (
        access_token,
        begin,
        data,
        login,
        logout,
        logout_all,
        logout_others,
        move,
        reauthenticate,
        refresh,
    )
    from sojourn.django.state import incoming_of, state_of
    from sojourn.django.users import groups_as_roles, subject_of

__all__ = [
    "SojournBackend",
    "SojournMiddleware",
    "access_token",
    "begin",
    "current",
    "data",
    "get_auth",
    "groups_as_roles",
    "incoming_of",
    "login",
    "logout",
    "logout_all",
    "logout_others",
    "move",
    "reauthenticate",
    "refresh",
    "requires",
    "state_of",
    "subject_of",
]
_PLACES = {
    "SojournBackend": "backends",
    "SojournMiddleware": "middleware",
    "current": "guarding",
    "get_auth": "conf",
    "groups_as_roles": "users",
    "incoming_of": "state",
    "requires": "guarding",
    "state_of": "state",
    "subject_of": "users",
}


def __getattr__(name: str) -> Any:
    """Import what is asked for at first use: Django imports this before its models are there."""
    if name in __all__:
        return getattr(import_module(f"sojourn.django.{_PLACES.get(name, 'signing')}"), name)
    raise AttributeError(f"module {__name__!r} has no attribute {name!r}")
