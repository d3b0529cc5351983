"""The server's accounts inside an application: its calls, beside the application's own routes."""

from typing import Annotated

import pytest
from fastapi import Depends, FastAPI, Request

from sojourn import Principal
from sojourn.accounts import Accounts
from sojourn.fastapi import Auth
from sojourn.testing import Client

URL = "http://127.0.0.1:8000"
ANN = {"email": "ann@example.com", "password": "seven unrelated words"}


@pytest.fixture(params=["session", "jwt", "hybrid"])
def client(request, tmp_path):
    """An application with a route of its own, and a form's login."""
    url = f"sqlite:///{tmp_path}/app.db"
    auth = Auth(
        url, mode=request.param, url=URL, secret="Jq7-a-secret-of-the-tests-0123456789abcdef"
    )
    accounts = Accounts(auth, url)
    app = FastAPI()

    @app.get("/me")
    async def me(user: Annotated[Principal, Depends(auth.current)]):
        return {"subject": user.subject, "roles": sorted(user.roles)}

    @app.post("/own-login")
    async def own_login(request: Request, body: dict):
        return (await accounts.login(request, body["email"], body["password"])).public()

    @app.post("/own-confirm")
    async def own_confirm(request: Request, body: dict):
        return (await accounts.confirm(request, body["password"])).public()

    @app.post("/own-password")
    async def own_password(request: Request, body: dict):
        return (await accounts.change_password(request, body["current"], body["new"])).public()

    @app.post("/promote")
    async def promote(user: Annotated[Principal, Depends(auth.current)]):
        await accounts.set_roles(await accounts.find(user.subject), {"admin"}, by="test")

    @app.post("/disable")
    async def disable(user: Annotated[Principal, Depends(auth.current)]):
        account = await accounts.find(user.subject)
        await accounts.set_disabled(account, is_disabled=True, by="test")

    @app.post("/remove")
    async def remove(user: Annotated[Principal, Depends(auth.current)]):
        await accounts.remove(await accounts.find(user.subject))

    accounts.install(app)
    auth.install(app)
    with Client(app, auth) as client:
        client.accounts = accounts
        yield client


def test_register_and_sign_in_by_the_servers_calls(client):
    """The calls of the standalone server are there, on the application's own accounts."""
    subject = client.post("/auth/register", json=ANN).json()["subject"]
    assert client.get("/me").status_code == 401
    wrong = client.post("/auth/login", json={**ANN, "password": "not the right words"})
    assert (401, "invalid_credentials") == (wrong.status_code, wrong.json()["code"])
    assert client.post("/auth/login", json=ANN).json()["subject"] == subject
    assert client.get("/me").json() == {"subject": subject, "roles": []}


def test_application_calls_them_itself(client):
    """A form of the application's own signs in, confirms and changes the password."""
    account = client.portal.call(lambda: client.accounts.register(**ANN, roles={"editor"}))
    assert client.post("/own-login", json=ANN).json()["subject"] == account.subject
    assert client.get("/me").json()["roles"] == ["editor"]
    assert client.post("/own-confirm", json=ANN).status_code == 200
    new = "eight other unrelated words"
    changed = client.post("/own-password", json={"current": ANN["password"], "new": new})
    assert changed.status_code == 200
    assert client.get("/me").status_code == 200
    assert client.post("/own-login", json=ANN).status_code == 401
    assert client.post("/own-login", json={**ANN, "password": new}).status_code == 200


@pytest.mark.parametrize("path", ["/disable", "/remove"])
def test_account_that_goes_is_signed_out(client, path):
    """Disabling or removing an account ends everything of it at once."""
    client.post("/auth/register", json=ANN)
    client.post("/auth/login", json=ANN)
    assert client.post(path).status_code == 200
    assert client.get("/me").json()["code"] == "revoked"
    assert client.post("/auth/login", json=ANN).json()["code"] == "invalid_credentials"


def test_roles_reach_live_sessions(client):
    """A role that is given reaches whoever is signed in, as the mode has it."""
    client.post("/auth/register", json=ANN)
    client.post("/auth/login", json=ANN)
    client.post("/promote")
    now = client.get("/me").json()
    assert now.get("roles") == ["admin"] or now["code"] == "revoked"
