"""The applications in a browser with JavaScript off: pages, forms, and the way on."""

from __future__ import annotations

import re

import httpx2
import pytest
from examples.applications import PASSWORD
from examples.clients import BROWSER, Client

MINUTE = 60


@pytest.fixture
def visitor(application) -> Client:
    """Somebody at a browser, not signed in."""
    with Client(application, "cookie", application.new_person()) as client:
        yield client


def form_sign_in(
    visitor: Client, path: str = "/login", password: str = PASSWORD
) -> httpx2.Response:
    return visitor.submit(path, {"name": visitor.name, "password": password})


def test_pages_lead_to_the_sign_in_and_back(visitor):
    """A visitor of a page signs in by a form and is there; a wrong password is told in the form."""
    asked = visitor.look("/devices?tab=1")
    assert asked.status_code == 303
    assert asked.headers["location"] == "/login?next=%2Fdevices%3Ftab%3D1"
    form = visitor.look(asked.headers["location"])
    (action,) = re.findall(r'action="(/login[^"]*)"', form.text)
    wrong = form_sign_in(visitor, action, "a guess")
    assert (401, True) == (wrong.status_code, "do not belong together" in wrong.text)
    assert [action] == re.findall(r'action="(/login[^"]*)"', wrong.text)
    right = form_sign_in(visitor, action)
    assert (303, "/devices?tab=1") == (right.status_code, right.headers["location"])
    assert visitor.name in visitor.look("/").text
    out = visitor.submit("/logout")
    assert (303, "/login") == (out.status_code, out.headers["location"])
    assert visitor.look("/").status_code == 303


@pytest.mark.parametrize(
    "elsewhere", ["//evil.example", "/%5Cevil.example", "https://evil.example", "/%09/evil.example"]
)
def test_the_sign_in_leads_nowhere_else(visitor, elsewhere):
    """`next` is a path of this site, or the first page."""
    assert form_sign_in(visitor, f"/login?next={elsewhere}").headers["location"] == "/"


def test_notes_by_forms(visitor):
    """Notes are added and deleted without a script; what they hold is text, never markup."""
    form_sign_in(visitor)
    added = visitor.submit("/notes", {"text": "<script>alert(1)</script>"})
    assert (303, "/") == (added.status_code, added.headers["location"])
    page = visitor.look("/")
    assert page.headers["content-type"].startswith("text/html")
    assert "&lt;script&gt;alert(1)&lt;/script&gt;" in page.text
    assert "no-store" in page.headers["Cache-Control"]
    policy = page.headers["Content-Security-Policy"]
    assert policy.startswith("default-src 'none'")
    assert "unsafe" not in policy
    (delete,) = set(re.findall(r'action="(/notes/\w+/delete)"', page.text))
    assert visitor.submit(delete).status_code == 303
    assert "&lt;script" not in visitor.look("/").text
    assert visitor.submit("/notes", {"text": ""}).status_code == 400


def test_without_javascript_one_stays_signed_in(application, visitor):
    """Past the access token's life a page is shown as before, and hands the next one out."""
    form_sign_in(visitor)
    if application.mode == "hybrid":
        visitor.drop_access_cookie()
    else:
        application.set_forward(seconds=20 * MINUTE)
    page = visitor.look("/")
    assert (200, True) == (page.status_code, visitor.name in page.text)
    if application.mode == "hybrid":
        assert len(page.headers.get_list("set-cookie")) == 2
        assert visitor.submit("/notes", {"text": "still here"}).status_code == 303


def test_a_page_asks_for_the_password_again(application, visitor):
    """What needs a fresh sign-in leads to the form, and on from there."""
    form_sign_in(visitor)
    application.set_forward(seconds=6 * MINUTE)
    asked = visitor.submit("/notes/clear")
    assert asked.headers["location"].startswith("/confirm?next=%2F&why=")
    assert visitor.look(asked.headers["location"]).status_code == 200
    wrong = visitor.submit("/confirm", {"password": "a guess"})
    assert (401, True) == (wrong.status_code, "do not belong together" in wrong.text)
    assert visitor.submit("/confirm", {"password": PASSWORD}).headers["location"] == "/"
    assert visitor.submit("/notes/clear").headers["location"] == "/"


def test_every_page_is_there(application, visitor):
    """Each page of the account is shown; one that is refused is a page too."""
    form_sign_in(visitor)
    for path, status in (
        ("/devices", 409 if application.mode == "jwt" else 200),
        ("/password", 200),
        ("/confirm", 200),
        ("/admin", 403),
    ):
        page = visitor.look(path)
        assert (path, status) == (path, page.status_code)
        assert "<h1>" in page.text


def test_a_page_says_why_one_was_signed_out(application, visitor):
    """Whoever was signed out from elsewhere is told so at the sign-in."""
    form_sign_in(visitor)
    with Client(application, "cookie", visitor.name) as elsewhere:
        elsewhere.sign_in()
        elsewhere.post("/devices/end-others")
    asked = visitor.look("/")
    assert asked.headers["location"] == "/login?next=%2F&why=revoked"
    assert "You were signed out" in visitor.look(asked.headers["location"]).text


def test_whoever_asks_for_json_gets_no_page(application):
    """The same address answers both kinds of clients, each in its own kind."""
    as_page = httpx2.get(application.url, headers=BROWSER)
    as_json = httpx2.get(application.url, headers={"Accept": "application/json"})
    assert (303, 401) == (as_page.status_code, as_json.status_code)
