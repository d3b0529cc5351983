"""A login with Authlib against an OpenID provider ends in a Sojourn session, in FastAPI."""

from typing import Annotated
from urllib.parse import urlsplit

import httpx2
import pytest
from authlib.integrations.starlette_client import OAuth
from fastapi import Depends, FastAPI, Request
from fastapi.responses import RedirectResponse
from oauth.provider import CLIENT_ID, CLIENT_SECRET, SUBJECT

from sojourn import Principal
from sojourn.fastapi import Auth
from sojourn.testing import Client

URL = "http://127.0.0.1:8000"


def application(auth: Auth, issuer: str) -> FastAPI:
    """An application as the recipe has it."""
    oauth = OAuth()
    oauth.register(
        "provider",
        client_id=CLIENT_ID,
        client_secret=CLIENT_SECRET,
        server_metadata_url=f"{issuer}/.well-known/openid-configuration",
        client_kwargs={"scope": "openid email"},
    )
    app = FastAPI()
    auth.install(app)

    @app.get("/login", dependencies=[Depends(auth.session)])
    async def login(request: Request):
        return await oauth.provider.authorize_redirect(request, f"{URL}/callback")

    @app.get("/callback", dependencies=[Depends(auth.session)])
    async def callback(request: Request):
        token = await oauth.provider.authorize_access_token(request)
        user = token["userinfo"]
        await auth.login(
            request, f"provider:{user['sub']}", claims={"email": user["email"]}, amr=["fed"]
        )
        return RedirectResponse("/me")

    @app.get("/me")
    async def me(user: Annotated[Principal, Depends(auth.current)]):
        return {"subject": user.subject, "email": user.claims["email"], "mode": user.mode}

    return app


@pytest.mark.parametrize("mode", ["session", "jwt", "hybrid"])
def test_login_at_a_provider_ends_in_a_session(issuer, mode):
    """State and nonce are kept in the visitor's data; the answer signs its account in here."""
    auth = Auth("memory://", mode=mode, url=URL)
    with Client(application(auth, issuer), auth) as browser:
        assert browser.get("/me").status_code == 401
        leaving = browser.get("/login", follow_redirects=False)
        assert leaving.headers["location"].startswith(f"{issuer}/authorize?")
        coming = httpx2.get(leaving.headers["location"]).headers["location"]
        back = urlsplit(coming)
        assert f"{back.scheme}://{back.netloc}" == URL
        answer = browser.get(f"{back.path}?{back.query}")
        assert answer.json() == {
            "subject": f"provider:{SUBJECT}",
            "email": "ann@example.com",
            "mode": mode,
        }


def test_answer_of_another_browser_signs_nobody_in(issuer):
    """A stolen or made-up answer has no state here (login CSRF)."""
    auth = Auth("memory://", url=URL)
    with Client(application(auth, issuer), auth, raise_server_exceptions=False) as browser:
        leaving = browser.get("/login", follow_redirects=False)
        back = urlsplit(httpx2.get(leaving.headers["location"]).headers["location"])
        browser.cookies.clear()
        assert browser.get(f"{back.path}?{back.query}").status_code == 500
        assert browser.get("/me").status_code == 401
