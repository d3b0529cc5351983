"""What an application says of a subject at a sign-in and at each refresh: roles, scopes, claims.

With a loader, a role that is taken away in the application's own tables is gone at the next refresh,
and a subject that the application no longer knows is signed out by it.
"""

from __future__ import annotations

import inspect
from collections.abc import Awaitable, Callable, Iterable, Mapping
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

import msgspec

from sojourn.errors import Forbidden
from sojourn.model import Session

if TYPE_CHECKING:
    from sojourn.engine.core import Core


@dataclass(frozen=True, slots=True, kw_only=True)
class Facts:
    """What holds of a subject now.

    Args:
        roles: What the subject may do, as names without white space.
        scopes: What the client may do on the subject's behalf.
        claims: Facts visible to the client.
    """

    roles: Iterable[str] = ()
    scopes: Iterable[str] = ()
    claims: Mapping[str, Any] | msgspec.Struct | None = None


FactsLoader = Callable[[str], Facts | Awaitable[Facts | None] | None]
"""Given a subject, what holds of it; None for one that may not be signed in (any more)."""


async def load(core: Core, subject: str) -> Facts | None:
    """Ask the application."""
    loader = core.application.facts
    assert loader is not None  # noqa: S101 - asked where there is one
    if inspect.iscoroutinefunction(loader):
        loaded: Facts | None = await loader(subject)
        return loaded
    called: Facts | None = await core.application.call(loader, subject)
    return called


async def at_login(
    core: Core,
    subject: str,
    *,
    roles: Iterable[str],
    scopes: Iterable[str],
    claims: Mapping[str, Any] | msgspec.Struct | None,
) -> Facts:
    """Give what a login was told, and what the application says of the rest.

    Raises:
        Forbidden: The application does not know the subject.
    """
    told = Facts(roles=roles, scopes=scopes, claims=claims)
    if core.application.facts is None:
        return told
    loaded = await load(core, subject)
    if loaded is None:
        raise Forbidden("this account may not sign in")
    return Facts(
        roles=told.roles or loaded.roles,
        scopes=told.scopes or loaded.scopes,
        claims=loaded.claims if told.claims is None else told.claims,
    )


def is_changed(old: Session, new: Session) -> bool:
    """Tell whether a session's facts differ."""
    return (old.roles, old.scopes, old.claims) != (new.roles, new.scopes, new.claims)
