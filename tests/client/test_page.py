"""The functions of docs/clients.md do what the page says, against a real server."""

import asyncio
from pathlib import Path

import httpx2
import pytest
from docs.pages import DOCS, blocks_of


@pytest.fixture
def page(service, tmp_path, monkeypatch):
    """What the page's blocks define, in an empty folder, with the account they sign in to."""
    monkeypatch.chdir(tmp_path)
    account = {"email": "ann@example.com", "password": "seven unrelated words"}
    httpx2.post(service.url + "/auth/register", json=account)
    namespace = {}
    for block in blocks_of(DOCS / "clients.md", "python"):
        code = block.padded.replace("http://127.0.0.1:8000", service.url)
        exec(compile(code, str(block.page), "exec"), namespace)  # noqa: S102 - the page is ours
    return namespace


def test_each_way_says_who_it_is(page):
    """Signed in once, by the first of them."""
    subject = page["whoami"]()
    assert Path("tokens").exists()
    assert [subject] * 2 == [asyncio.run(page["whoami_awaited"]()), page["whoami_by_requests"]()]


def test_what_a_login_raises(page, service):
    """The errors of the library, told apart."""
    assert "wrong password" == page["try_to_sign_in"]("a guess that is wrong")
    assert "signed in" == page["try_to_sign_in"]("seven unrelated words")
