"""Administration over HTTP: a role, a fresh sign-in, and everything in force at once."""

import asyncio
from functools import partial

import httpx2
import pytest
from server.conftest import PASSWORD, Person
from starlette.testclient import TestClient

from sojourn.server.app import Server
from sojourn.server.config import load_config
from sojourn.testing import ManualClock


def make_admin(server, person: Person) -> None:
    """Give the role from beside the server, as the command line does."""

    async def give() -> None:
        environ = {"SOJOURN_DATA": str(server.data), "SOJOURN_URL": server.url}
        beside = Server(load_config(environ=environ))
        await beside.open()
        try:
            account = await beside.accounts.find(person.email)
            await beside.service.set_roles(account, ("admin",), by="test")
        finally:
            await beside.close()

    asyncio.run(give())


@pytest.fixture(scope="module")
def admin(server):
    person = Person(server.url).register()
    make_admin(server, person)
    with httpx2.Client(base_url=server.url, timeout=20) as client:
        person.login(client, mode="session", transport="bearer")
        yield client


CALLS = [
    ("GET", "/admin/users"),
    ("PATCH", "/admin/users/x"),
    ("GET", "/admin/users/x/sessions"),
    ("DELETE", "/admin/users/x/sessions"),
    ("DELETE", "/admin/sessions/x"),
    ("GET", "/admin/keys"),
    ("POST", "/admin/keys/rotate"),
    ("GET", "/admin/audit"),
]


@pytest.mark.parametrize(("method", "path"), CALLS)
def test_it_takes_the_role(method, path, server, person, http):
    """Nobody, and somebody without the role, get nothing."""
    assert "unauthenticated" == http.request(method, path).json()["code"]
    person.login(http)
    refused = http.request(method, path)
    assert (403, "forbidden") == (refused.status_code, refused.json()["code"])


def test_accounts_and_roles(server, person, http, admin):
    """Roles change in live sessions at once; what no sign-in could carry is refused whole."""
    person.login(http, mode="session")
    listed = admin.get("/admin/users").json()["users"]
    assert person.email in {user["email"] for user in listed}
    path = f"/admin/users/{person.subject}"
    assert ["editor"] == admin.patch(path, json={"roles": ["editor"]}).json()["roles"]
    assert ["editor"] == http.get("/auth/session").json()["roles"]
    refused = admin.patch(path, json={"roles": [f"r{n}" for n in range(101)]})
    assert (400, "invalid_input") == (refused.status_code, refused.json()["code"])
    assert ["editor"] == http.get("/auth/session").json()["roles"]
    assert 404 == admin.patch("/admin/users/nobody", json={"roles": []}).status_code


def test_disabling_and_ending(server, person, http, admin):
    """Disabled is signed out; a session, or all of them, end by an administrator's word."""
    path = f"/admin/users/{person.subject}"
    person.login(http, mode="session")
    [session] = admin.get(f"{path}/sessions").json()["sessions"]
    assert 204 == admin.delete(f"/admin/sessions/{session['sid']}").status_code
    assert "revoked" == http.get("/auth/session").json()["code"]
    person.login(http, mode="hybrid")
    assert 204 == admin.delete(f"{path}/sessions").status_code
    assert "revoked" == http.get("/auth/session").json()["code"]
    person.login(http, mode="jwt")
    assert admin.patch(path, json={"is_disabled": True}).json()["is_disabled"] is True
    assert "revoked" == http.get("/auth/session").json()["code"]
    assert 400 == admin.delete("/admin/sessions/nonsense").status_code


def test_the_trail(server, person, http, admin):
    """It is read in pages and by subject, and a place no store counts to is a bad request."""
    person.login(http)
    lines = admin.get("/admin/audit", params={"subject": person.subject}).json()["lines"]
    assert ["registered", "login"] == [line["action"] for line in lines]
    after = admin.get(
        "/admin/audit", params={"after": lines[0]["number"], "subject": person.subject}
    )
    assert ["login"] == [line["action"] for line in after.json()["lines"]]
    for bad in ("x", "-1", str(2**63), "1.5"):
        refused = admin.get("/admin/audit", params={"after": bad})
        assert (400, "invalid_request") == (refused.status_code, refused.json()["code"])


def test_keys(server, admin):
    """Keys are listed without their private part, and rotated."""
    before = admin.get("/admin/keys").json()["keys"]
    assert {"kid", "alg", "created_at", "signs_from", "signs_until", "dies_at"} == set(before[0])
    assert 204 == admin.post("/admin/keys/rotate", json={}).status_code
    assert len(before) + 1 == len(admin.get("/admin/keys").json()["keys"])


def test_what_changes_something_needs_a_fresh_sign_in(tmp_path):
    """Reading goes on with an older sign-in; changing asks to confirm (RFC 9470)."""
    clock = ManualClock()
    environ = {"SOJOURN_DATA": str(tmp_path), "SOJOURN_URL": "http://127.0.0.1:8000"}
    parts = Server(load_config(environ=environ), clock=clock)
    with TestClient(parts.app(), base_url="http://127.0.0.1:8000") as client:
        account = {"email": "ann@example.com", "password": PASSWORD}
        client.portal.call(partial(parts.service.register, *account.values(), roles=("admin",)))
        body = {**account, "mode": "session", "transport": "bearer"}
        told = client.post("/auth/login", json=body).json()
        client.headers["Authorization"] = f"Bearer {told['access_token']}"
        assert 204 == client.post("/admin/keys/rotate", json={}).status_code
        clock.advance(seconds=16 * 60)
        assert 200 == client.get("/admin/users").status_code
        refused = client.post("/admin/keys/rotate", json={})
        assert "insufficient_user_authentication" == refused.json()["code"]
        confirmed = client.post("/auth/confirm", json={"password": PASSWORD}).json()
        client.headers["Authorization"] = f"Bearer {confirmed['access_token']}"
        assert 204 == client.post("/admin/keys/rotate", json={}).status_code
