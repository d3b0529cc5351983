"""Sojourn for Flask: an extension, with Flask-Login's patterns.

    auth = Auth()

    def create_app():
        app = Flask(__name__)
        app.config["SOJOURN_STORE"] = "sqlite:///app.db"
        app.config["SOJOURN_URL"] = "http://127.0.0.1:5000"
        auth.init_app(app)
        return app

    @app.get("/me")
    @login_required
    def me():
        return {"subject": current_user.get_id()}

`flask.session` lives in Sojourn's stores with ``app.session_interface = SojournSessionInterface()``.
A service that has no store, and verifies what another one issued, has a `Guard` instead.
"""

try:
    import flask  # noqa: F401 - looked at only to say what to install
except ModuleNotFoundError as error:
    raise ModuleNotFoundError(
        "sojourn.flask needs Flask; install it with: pip install 'sojourn[flask]'"
    ) from error

from sojourn.adapting.acts import LoginOptions
from sojourn.flask.auth import Auth
from sojourn.flask.guard import Guard
from sojourn.flask.installed import current_user
from sojourn.flask.login import (
    confirm_login,
    fresh_login_required,
    login_required,
    login_user,
    logout_user,
)
from sojourn.flask.refusing import safe_next
from sojourn.flask.session import SojournSession, SojournSessionInterface
from sojourn.flask.signals import (
    session_renewed,
    user_logged_in,
    user_logged_out,
    user_login_confirmed,
    user_needs_refresh,
    user_unauthorized,
)
from sojourn.flask.users import AnonymousUser, SignedInUser, UserMixin

__all__ = [
    "AnonymousUser",
    "Auth",
    "Guard",
    "LoginOptions",
    "SignedInUser",
    "SojournSession",
    "SojournSessionInterface",
    "UserMixin",
    "confirm_login",
    "current_user",
    "fresh_login_required",
    "login_required",
    "login_user",
    "logout_user",
    "safe_next",
    "session_renewed",
    "user_logged_in",
    "user_logged_out",
    "user_login_confirmed",
    "user_needs_refresh",
    "user_unauthorized",
]
