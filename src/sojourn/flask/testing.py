"""Testing a Flask application: a client that is signed in, without its login page."""

from __future__ import annotations

from typing import Any

from flask.testing import FlaskClient

from sojourn.adapting.acts import LoginOptions
from sojourn.flask.installed import installed_on
from sojourn.flask.users import subject_of
from sojourn.messages import Incoming


class SignedInClient(FlaskClient):
    """A test client that is somebody: ``app.test_client_class = SignedInClient``.

    Then ``app.test_client(user=user, roles={"admin"})`` gives a client with a real session of that
    user's, over cookies or with ``transport="bearer"``: what follows is checked as in production.

    Args:
        user: The application's user object, or a subject; nobody by default.
        **options: What `AsyncSojourn.login` takes, and what Flask's client does.
    """

    def __init__(self, *args: Any, user: Any = None, **options: Any) -> None:
        """Sign the user in."""
        login: Any = {
            name: options.pop(name) for name in LoginOptions.__annotations__ if name in options
        }
        super().__init__(*args, **options)
        if user is None:
            return
        sojourn = installed_on(self.application).auth.sojourn
        signed_in = sojourn.login(Incoming(), subject_of(user), **login)
        if signed_in.transport == "bearer":
            self.environ_base["HTTP_AUTHORIZATION"] = f"Bearer {signed_in.access_token}"
            return
        domain = (self.application.config["SERVER_NAME"] or "localhost").partition(":")[0]
        for name, text in signed_in.outgoing.headers:
            if name == "Set-Cookie":
                key, _, value = text.partition(";")[0].partition("=")
                self.set_cookie(key, value, domain=domain)
