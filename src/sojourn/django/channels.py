"""Django Channels: who opens a WebSocket, and its end when their session ends.

    application = ProtocolTypeRouter({
        "http": get_asgi_application(),
        "websocket": SojournMiddleware(URLRouter([...])),
    })

Sets ``scope["user"]`` and ``scope["principal"]`` (None for nobody). A handshake is believed with our
cookies, a bearer credential or the cookie of Django's session, and from the site's own pages.
"""

from __future__ import annotations

from collections.abc import Coroutine
from dataclasses import replace
from types import SimpleNamespace
from typing import Any, cast
from weakref import WeakKeyDictionary

from channels.db import database_sync_to_async
from django.conf import settings
from django.contrib.auth import get_user
from django.contrib.auth.models import AnonymousUser
from django.http import HttpRequest

from sojourn.asgi.closing import Closing
from sojourn.asgi.problems import send_problem
from sojourn.asgi.scope import Application, Receive, Scope, Send
from sojourn.cookies import read_cookies
from sojourn.django.conf import get_auth, is_session_engine
from sojourn.django.session_keys import presenting
from sojourn.django.sessions import SessionStore
from sojourn.django.users import user_of
from sojourn.engine.core import Core
from sojourn.engine.watch import WatchedCore
from sojourn.errors import SojournError
from sojourn.messages import Incoming
from sojourn.model import Principal
from sojourn.watching import Watchings

_watchings: WeakKeyDictionary[Core, Watchings] = WeakKeyDictionary()


class SojournMiddleware:
    """Checks the credential of each WebSocket, and closes it when the session ends.

    Args:
        inner: The application, of Channels or any other ASGI.
    """

    def __init__(self, inner: Application) -> None:
        """Stand before an application."""
        self.inner = inner

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """Answer a connection."""
        if scope["type"] != "websocket":
            await self.inner(scope, receive, send)
            return
        scope = dict(scope)  # as every middleware of Channels does
        try:
            principal, user = await database_sync_to_async(_who)(incoming_of(scope))
        except SojournError as error:
            await send_problem(scope, error, send)
            return
        scope["principal"], scope["user"] = principal, user
        closing = Closing(scope, receive, send)
        try:
            if principal is not None:
                await closing.watch(_watching().here, principal)
            await self.inner(scope, closing.receive, closing.send)
        except Exception as error:
            if not closing.explains(error):
                raise
        finally:
            await closing.stop()


def incoming_of(scope: Scope) -> Incoming:
    """Reduce a handshake; it counts as unsafe, since a page of any site may try one with our cookies."""
    client = scope.get("client")
    return Incoming.of("WEBSOCKET", scope["headers"], peer=client[0] if client else "")


def _who(incoming: Incoming) -> tuple[Principal[Any] | None, Any]:
    auth = get_auth()
    presented, key = incoming, None
    if is_session_engine() and auth.core.browser.credentials(incoming).is_empty:
        name = settings.SESSION_COOKIE_NAME
        key = read_cookies(incoming.cookies, frozenset({name})).values.get(name)
        presented = replace(incoming, cookies=presenting(auth.core, key, incoming).cookies)
    principal = auth.check(presented, renew=False).principal
    if principal is None:
        return None, AnonymousUser()
    if key is not None:  # Django looks whether the session has outlived a password
        user = get_user(cast("HttpRequest", SimpleNamespace(session=SessionStore(key))))
    else:
        user = user_of(principal.subject) or AnonymousUser()
    return (principal if user.is_authenticated else None), user


def _watching() -> Watchings:
    core = get_auth().core
    found = _watchings.get(core)
    if found is None:
        found = _watchings[core] = Watchings(WatchedCore(core, _in_a_thread), core.clock)
    return found


async def _in_a_thread(coroutine: Coroutine[Any, Any, Any]) -> Any:
    """Run a coroutine of the engine: its store blocks, and uses a connection of Django's perhaps."""
    return await database_sync_to_async(get_auth().run)(coroutine)
