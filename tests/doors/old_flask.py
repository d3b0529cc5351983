"""The old application: Flask with Flask-Login and, where asked for, Flask-Session."""

from datetime import UTC, datetime

from doors.asking import cookie_in
from flask import Flask, session as flask_session
from flask_login import LoginManager, UserMixin, login_user
from flask_session import Session

SECRET = "the old secret of Flask"


class User(UserMixin):
    def __init__(self, name):
        self.id = name


def new_app(**config):
    """Make an application that signs in with Flask-Login, or by a value of its own."""
    app = Flask("old")
    app.config.update(SECRET_KEY=SECRET, **config)
    LoginManager(app).user_loader(User)
    if "SESSION_TYPE" in config:
        Session(app)

    @app.post("/login/<name>")
    def login(name):
        login_user(User(name))
        flask_session["basket"] = ["tea"]
        if "SESSION_TYPE" not in config:
            flask_session["since"] = datetime.now(UTC)  # Flask writes it as no JSON is
        return ""

    @app.post("/plain/<int:number>")
    def plain(number):
        flask_session["user_id"] = number
        return ""

    @app.get("/basket")
    def basket():
        return {"basket": flask_session.get("basket")}

    return app


def signed_in(app, path="/login/ann"):
    """Sign in and give the browser's cookie."""
    client = app.test_client()
    return cookie_in(client.post(path).headers.getlist("Set-Cookie"), "session")
