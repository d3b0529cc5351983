"""`flask.session` in Sojourn's stores: the data of a session, or of a visitor (a guest)."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

from flask import Flask, Request, Response
from flask.sessions import SessionInterface, SessionMixin

from sojourn.adapting import RequestState, acts, with_outgoing
from sojourn.engine.data import SessionData
from sojourn.flask import kept
from sojourn.flask.installed import Installed, installed_on
from sojourn.wsgi.environ import Environ


class SojournSession(SessionMixin):
    """What `flask.session` is: a dictionary, loaded when it is first looked at.

    Values are what Flask's own sessions hold: JSON, and with it tuples, bytes, dates, UUIDs and
    Markup. Nested values may be changed in place. Where somebody signs in during the request, what
    this request changed goes on with them; where somebody signs out, it is gone with the rest.

    Args:
        installed: What the application has of Sojourn.
        environ: The request.
    """

    def __init__(self, installed: Installed, environ: Environ) -> None:
        """Load nothing."""
        self._installed = installed
        self._environ = environ
        self._data: SessionData | None = None
        self._values: dict[str, Any] = {}
        self._loaded: dict[str, str] = {}
        self.modified = False
        self.accessed = False

    @property
    def new(self) -> bool:  # type: ignore[override]
        """Whether nothing was kept before this request."""
        self._open()
        return not self._loaded

    def __getitem__(self, key: str) -> Any:
        """Read a key."""
        return self._open()[key]

    def __setitem__(self, key: str, value: Any) -> None:
        """Set a key."""
        self._open()[key] = value
        self.modified = True

    def __delitem__(self, key: str) -> None:
        """Remove a key."""
        del self._open()[key]
        self.modified = True

    def __iter__(self) -> Iterator[str]:
        """Go over the keys."""
        return iter(self._open())

    def __len__(self) -> int:
        """Count the keys."""
        return len(self._open())

    def __repr__(self) -> str:
        """Show the keys; values are the application's secrets."""
        return f"SojournSession(keys={sorted(self._values)!r})"

    @property
    def state(self) -> RequestState:
        """The request's state."""
        return self._installed.state_of(self._environ)

    def flush(self) -> None:
        """Put what changed into the data that is saved with the response."""
        if self._data is None or not (changes := self._changes()):
            return
        principal = self.state.principal
        if principal is not None and principal.mode == "jwt":
            return  # a visitor's session has ended with the sign-in, and a JWT has none
        self._open()
        if not (changes := self._changes()):
            return  # signed out in between
        for key, text in changes.items():
            kept.write(self._data, key, text)

    def _open(self) -> dict[str, Any]:
        self.accessed = True
        state = self.state
        if self._data is None or state.data is not self._data:
            changes = self._changes() if state.principal is not None else {}
            sojourn = self._installed.auth.sojourn
            self._data = sojourn.run(acts.load_data(sojourn.core, state))
            self._values = kept.read(self._data)
            self._loaded = {key: kept.encoded(value) for key, value in self._values.items()}
            for key, text in changes.items():
                if text is None:
                    self._values.pop(key, None)
                else:
                    self._values[key] = kept.decoded(text)
        return self._values

    def _changes(self) -> dict[str, str | None]:
        """Give what differs from what was loaded, encoded; None where removed."""
        changes: dict[str, str | None] = {
            key: None for key in self._loaded if key not in self._values
        }
        for key, value in self._values.items():
            text = kept.encoded(value)
            if self._loaded.get(key) != text:
                changes[key] = text
        return changes


class SojournSessionInterface(SessionInterface):
    """Keeps `flask.session` in Sojourn's stores: ``app.session_interface = SojournSessionInterface()``.

    A request that does not look at its session costs no read, and its answer no ``Vary``. Nothing is
    signed with Flask's ``SECRET_KEY``. A visitor's session comes into being at the first write.
    """

    def open_session(self, app: Flask, request: Request) -> SojournSession:
        """Give a session that is not loaded yet."""
        return SojournSession(installed_on(app), request.environ)

    def save_session(self, app: Flask, session: SessionMixin, response: Response) -> None:
        """Have the session saved with the response; by the middleware, just before it begins."""
        assert isinstance(session, SojournSession)  # noqa: S101 - opened above
        session.flush()
        if session.accessed:
            response.vary.add("Cookie")
        installed = installed_on(app)
        if installed.is_late(session._environ):  # noqa: SLF001 - the other half of this module
            sojourn, state = installed.auth.sojourn, session.state
            sojourn.run(acts.save_data(sojourn.core, state))
            headers = with_outgoing(response.headers.to_wsgi_list(), state.outgoing)
            response.headers.clear()
            response.headers.extend(headers)
