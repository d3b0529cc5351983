"""A login with Authlib against an OpenID provider ends in a Sojourn session, in Flask."""

from urllib.parse import urlsplit

import httpx2
import pytest
from authlib.integrations.flask_client import OAuth
from flask import Flask, redirect
from oauth.provider import CLIENT_ID, CLIENT_SECRET, SUBJECT

from sojourn.flask import Auth, SojournSessionInterface

URL = "http://127.0.0.1:8000"


def application(issuer: str, mode: str) -> Flask:
    """An application whose `flask.session` lives in Sojourn's store."""
    app = Flask(__name__)
    auth = Auth(app, store="memory://", url=URL, mode=mode)
    app.session_interface = SojournSessionInterface()
    oauth = OAuth(app)
    oauth.register(
        "provider",
        client_id=CLIENT_ID,
        client_secret=CLIENT_SECRET,
        server_metadata_url=f"{issuer}/.well-known/openid-configuration",
        client_kwargs={"scope": "openid email"},
    )

    @app.get("/login")
    def login():
        return oauth.provider.authorize_redirect(f"{URL}/callback")

    @app.get("/callback")
    def callback():
        user = oauth.provider.authorize_access_token()["userinfo"]
        auth.login(f"provider:{user['sub']}", claims={"email": user["email"]}, amr=["fed"])
        return redirect("/me")

    @app.get("/me")
    def me():
        user = auth.current()
        return {"subject": user.subject, "email": user.claims["email"], "mode": user.mode}

    return app


@pytest.mark.parametrize("mode", ["session", "jwt", "hybrid"])
def test_login_at_a_provider_ends_in_a_session(issuer, mode):
    """State and nonce are kept in the visitor's data; the answer signs its account in here."""
    browser = application(issuer, mode).test_client()
    assert browser.get("/me", base_url=URL).status_code == 401
    leaving = browser.get("/login", base_url=URL)
    assert leaving.headers["location"].startswith(f"{issuer}/authorize?")
    back = urlsplit(httpx2.get(leaving.headers["location"]).headers["location"])
    stranger = browser.application.test_client()
    stranger.application.config["PROPAGATE_EXCEPTIONS"] = False
    assert stranger.get(f"{back.path}?{back.query}", base_url=URL).status_code == 500
    answer = browser.get(f"{back.path}?{back.query}", base_url=URL, follow_redirects=True)
    assert answer.json == {
        "subject": f"provider:{SUBJECT}",
        "email": "ann@example.com",
        "mode": mode,
    }
