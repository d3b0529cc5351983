"""``SESSION_ENGINE = "sojourn.django.sessions"``: Django's sessions, kept by Sojourn.

A session's key is one of our handles: a guest's before anybody signs in, a session's afterwards.
Whoever `django.contrib.auth` signs in becomes a signed-in session at the save that ends the request:
what tells is ``_auth_user_id`` in the data. Django's middleware writes the cookie, by Django's
settings.
"""

from __future__ import annotations

from typing import Any

from asgiref.sync import sync_to_async
from django.conf import settings
from django.contrib.auth import SESSION_KEY
from django.contrib.sessions.backends.base import SessionBase, UpdateError
from django.core.exceptions import PermissionDenied
from django.http.response import HttpResponseBase
from django.utils.cache import patch_vary_headers

from sojourn.django.conf import get_auth
from sojourn.django.session_keys import auth_values, presenting
from sojourn.engine.adjust import end_after, rekey
from sojourn.engine.answers import Checked
from sojourn.engine.data import SessionData, become_guest, end_guest, put, too_large
from sojourn.engine.grant import mint_current
from sojourn.errors import ConfigurationError, Conflict, Refused
from sojourn.messages import Incoming
from sojourn.model import Purpose
from sojourn.need import Need
from sojourn.plain_json import encode_json
from sojourn.ports import MAX_DATA_BYTES

SERIALIZER = "django.contrib.sessions.serializers.JSONSerializer"
_ASKING = Need(max_lag_seconds=0)


class SessionStore(SessionBase):
    """A session of Django's, kept by Sojourn.

    Args:
        session_key: One of our handles; anything else is nobody's.
    """

    client = Incoming()
    """Who asks, for the audit trail; the middleware sets it."""

    def __init__(self, session_key: str | None = None) -> None:
        """Read nothing yet."""
        if settings.SESSION_SERIALIZER != SERIALIZER:
            raise ConfigurationError(
                "SESSION_SERIALIZER is set, and Sojourn keeps session data as JSON by itself, so "
                "that two requests can save different keys; remove the setting"
            )
        super().__init__(session_key)
        self._checked: Checked[Any] | None = None
        self._kept: SessionData | None = None

    # --- who it is --------------------------------------------------------------------------------

    @property
    def presented(self) -> Incoming:
        """The request as our own cookies would present this session."""
        return presenting(get_auth().core, self.session_key, self.client)

    def identify(self) -> Checked[Any]:
        """Find out whose session this is; reads nothing while the picture of revocations is fresh."""
        if self._checked is None:
            auth = get_auth()
            incoming = self.presented
            self._checked = auth.check(incoming)
            if self._checked.renewed is not None:  # it came by a door
                self.take_handle(auth.core.browser.after(incoming, self._checked.outgoing))
                principal = self._checked.renewed.principal
                auth.run(put(auth.core, principal.sid, auth_values(principal.subject)))
        return self._checked

    def take_handle(self, incoming: Incoming) -> None:
        """Go on under the handle that a request would present from now on."""
        self._session_key = get_auth().core.browser.credentials(incoming).handle
        self.modified = True

    def disown(self) -> None:
        """Be nobody's: the cookie came twice, and neither of the two is believed."""
        self._go_on_under(None)

    def go_back_to(self, key: str) -> None:
        """Go on from the key that a view began with, as what it did was rolled back."""
        if self.session_key != key:
            self._go_on_under(key)

    def _go_on_under(self, key: str | None) -> None:
        self._forget()
        self._session_key = key
        self.__dict__.pop("_session_cache", None)

    def hand_out(self, response: HttpResponseBase, presented: str | None) -> None:
        """Set the cookie in a response that Django's middleware sets none in: status 500 and above.

        The key may be another one by now, and the old one worthless. Nothing is saved.

        Args:
            response: The response.
            presented: The cookie that came.
        """
        if self.session_key is None or self.session_key == presented:
            return
        is_short = self.get_expire_at_browser_close()
        response.set_cookie(
            settings.SESSION_COOKIE_NAME,
            self.session_key,
            max_age=None if is_short else self.get_expiry_age(),
            domain=settings.SESSION_COOKIE_DOMAIN,
            path=settings.SESSION_COOKIE_PATH,
            secure=settings.SESSION_COOKIE_SECURE,
            httponly=settings.SESSION_COOKIE_HTTPONLY,
            samesite=settings.SESSION_COOKIE_SAMESITE,
        )
        patch_vary_headers(response, ("Cookie",))

    def _forget(self) -> None:
        self._session_key = None
        self._checked = self._kept = None

    def _values(self, *, no_load: bool = False) -> dict[str, Any]:
        values: dict[str, Any] = self._get_session(no_load)  # type: ignore[attr-defined]  # no stub
        return values

    # --- Django's interface -----------------------------------------------------------------------

    def load(self) -> dict[str, Any]:
        """Read the data, of a session that is alive; else there is none, and no key."""
        self._checked = None
        principal = self.identify().principal
        self._kept = get_auth().data(self.presented, principal)
        if not self._kept.sid:
            self._session_key = None
        return dict(self._kept)

    def exists(self, session_key: str | None) -> bool:
        """Tell whether a key is of a session that is alive, by the store."""
        auth = get_auth()
        incoming = presenting(auth.core, session_key, self.client)
        if auth.check(incoming, need=_ASKING, renew=False).principal is not None:
            return True
        return bool(auth.data(incoming).sid)

    def create(self) -> None:
        """Begin a new session; one that was somebody's leaves nothing to it."""
        if self.session_key is not None and self.identify().principal is not None:
            self.clear()
        self.save(must_create=True)
        self.modified = True

    def save(self, must_create: bool = False) -> None:  # noqa: FBT001, FBT002 - Django's signature
        """Save what changed, key by key; sign in or out whom the data say.

        Raises:
            UpdateError: The session was ended meanwhile; nothing brings it back.
            PermissionDenied: The sign-in is refused (`max_sessions`, a revocation meanwhile).
        """
        values = self._values(no_load=must_create)
        if len(encode_json(values, "session data")) > MAX_DATA_BYTES:
            raise too_large()  # before anybody is signed in
        if must_create:
            self._forget()
        elif self._kept is None and self.session_key is not None:
            self.load()  # it was cleared before anybody looked whose it is
        principal = self._checked.principal if self._checked else None
        subject = values.get(SESSION_KEY)
        if subject is not None:
            if principal is None or principal.subject != str(subject):
                self._sign_in(str(subject))
        elif principal is not None:
            self.delete()
            self._forget()
        self._write(values)

    def delete(self, session_key: str | None = None) -> None:
        """End a session: a signed-in one with the reason ``logout``."""
        key = session_key or self.session_key
        if key is None:
            return
        auth = get_auth()
        incoming = presenting(auth.core, key, self.client)
        auth.logout(incoming)
        guest = auth.data(incoming).guest
        if guest is not None:
            auth.run(end_guest(auth.core, guest, reason="logout"))

    def cycle_key(self) -> None:
        """Change the key: at once for whoever is signed in, at the save for a guest."""
        values = self._values()
        self.modified = True
        if self.session_key is None:
            return
        principal = self.identify().principal
        if principal is None:
            self.delete()
            self._forget()
        else:
            auth = get_auth()
            try:
                self._session_key = auth.run(rekey(auth.core, principal.sid))
            except Refused:  # ended meanwhile: nobody is signed in any more
                self._forget()
                values = {}
        self._session_cache = values

    async def acycle_key(self) -> None:
        """See `cycle_key`."""
        await sync_to_async(self.cycle_key)()

    @classmethod
    def clear_expired(cls) -> None:
        """Remove what is dead from the store."""
        get_auth().purge()

    # --- saving -----------------------------------------------------------------------------------

    def _sign_in(self, subject: str) -> None:
        auth = get_auth()
        incoming = self.presented
        remember = not self.get_expire_at_browser_close()
        try:
            signed_in = auth.login(
                incoming, subject, mode="session", transport="cookie", remember=remember
            )
        except Refused as error:
            raise PermissionDenied(str(error)) from error
        self.take_handle(auth.core.browser.after(incoming, signed_in.outgoing))
        self._checked = Checked(principal=signed_in.principal)
        self._kept = SessionData(b"{}", sid=signed_in.principal.sid, guest=None)

    def _write(self, values: dict[str, Any]) -> None:
        auth = get_auth()
        core = auth.core
        kept = SessionData(b"{}", sid="", guest=None) if self._kept is None else self._kept
        for name in kept.keys() - values.keys():
            del kept[name]
        kept.update(values)
        if not kept.sid:
            auth.run(become_guest(core, self.presented, kept))
            assert kept.guest is not None  # noqa: S101 - it is one now
            self._session_key = mint_current(core, kept.guest, Purpose.GUEST)
        self._kept = kept
        try:
            auth.save(self.presented, kept)
            self._end_as_django_says()
        except (Conflict, Refused) as error:
            if isinstance(error, Conflict) and self.exists(self.session_key):
                raise
            raise UpdateError from error

    def _end_as_django_says(self) -> None:
        auth = get_auth()
        auth.run(
            end_after(
                auth.core,
                self.presented,
                seconds=self.get_expiry_age(),
                remember=not self.get_expire_at_browser_close(),
            )
        )
