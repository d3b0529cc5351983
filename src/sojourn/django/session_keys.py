"""Session keys of Django's as credentials of ours, and what Django's session of somebody holds."""

from __future__ import annotations

from typing import Any

from django.conf import settings
from django.contrib.auth import BACKEND_SESSION_KEY, HASH_SESSION_KEY, SESSION_KEY

from sojourn import handles
from sojourn.django.users import user_of
from sojourn.engine.core import Core
from sojourn.messages import Incoming
from sojourn.model import Purpose


def presenting(core: Core, key: str | None, client: Incoming) -> Incoming:
    """Give a request as it would be if one of our own cookies presented a session key.

    It is Django that guards forms here: no cross-site request comes as far as this.

    Args:
        core: The engine.
        key: The session key, of an earlier engine perhaps, which a door may know.
        client: Whose request it is, for the trail.
    """
    name = _cookie_of(core, key or "")
    return Incoming(
        cookies=f"{name}={key}" if name else "",
        user_agent=client.user_agent,
        forwarded_for=client.forwarded_for,
        peer=client.peer,
    )


def auth_values(subject: str) -> dict[str, Any]:
    """Give what `django.contrib.auth.login` writes, of somebody whom a door has let in."""
    user = user_of(subject)
    if user is None:
        return {}
    return {
        SESSION_KEY: subject,
        BACKEND_SESSION_KEY: user.backend,
        HASH_SESSION_KEY: user.get_session_auth_hash(),
    }


def _cookie_of(core: Core, key: str) -> str:
    handle = handles.parse(key)
    if handle is not None:
        names = core.browser.names
        return names.guest if handle.purpose is Purpose.GUEST else names.handle
    # Who comes in by a door gets a session of the configured mode: of others, in our own cookies.
    return settings.SESSION_COOKIE_NAME if key and core.settings.mode == "session" else ""
