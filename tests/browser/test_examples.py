"""The pages of the notes application, which all examples share, in a real browser."""

from __future__ import annotations

from collections.abc import Iterator

import pytest
from examples.applications import PASSWORD, Application, running

pytestmark = pytest.mark.browser

WIDTHS = [360, 1280]
SCHEMES = ["light", "dark"]
AXE = "async () => (await axe.run(document, {rules: {'target-size': {enabled: true}}})).violations"
SMALL_TARGETS = """() => [...document.querySelectorAll(
    'button, .button, nav a, .brand, input:not([type=hidden], [hidden]), textarea'
)].filter(e => e.getBoundingClientRect().height < 44 || e.getBoundingClientRect().width < 44)
  .map(e => e.outerHTML)"""
OVERFLOW = "() => document.documentElement.scrollWidth - document.documentElement.clientWidth"
INLINE = "() => document.querySelectorAll('style, [style], script:not([src], [data-test])').length"


@pytest.fixture(scope="module")
def server(browser, tmp_path_factory) -> Iterator[Application]:
    """The application, in place of Sojourn's server."""
    with running("starlette", "hybrid", tmp_path_factory.mktemp("notes")) as application:
        yield application


@pytest.fixture
def member(somebody, server):
    """Make people of the application, signed in at a browser of their own."""

    def make(*, roles: str = "", **options):
        person = somebody(**options)
        person.email = server.new_person(roles=roles)
        sign_in(person)
        return person

    return make


def sign_in(person, password: str = PASSWORD) -> None:
    person.go("/login")
    person.page.get_by_label("Name").fill(person.email)
    person.page.get_by_label("Password").fill(password)
    person.submit("Sign in")


def add(person, text: str) -> None:
    person.page.get_by_label("A new note").fill(text)
    person.submit("Add")


def pages(person) -> Iterator[str]:
    """Visit every page of an administrator, in each state it has; yields its name."""
    yield "/, empty"
    add(person, "Ask Bob about the roof; " + "a long word: " + "x" * 60)
    yield "/"
    with person.page.expect_navigation():
        person.page.get_by_role("button", name="Delete: Ask").click()
    for path in ("/devices", "/password", "/confirm", "/admin"):
        person.go(path)
        yield path
    for path, label in (("/confirm", "Password"), ("/password", "Current password")):
        person.go(path)
        person.page.get_by_label(label, exact=True).fill("a guess")
        if path == "/password":
            person.page.get_by_label("New password").fill("another guess of mine")
        with person.page.expect_navigation():
            person.page.locator("main button").click()
        yield f"{path}, wrong"
    person.submit("Sign out")
    yield "/login"
    sign_in(person, "a guess")
    yield "/login, wrong"
    person.go("/login?why=revoked")
    yield "/login, told why"


@pytest.mark.parametrize("scheme", SCHEMES)
@pytest.mark.parametrize("width", WIDTHS)
def test_axe_finds_nothing(member, axe_source, width, scheme):
    """0 violations on every page, light and dark, on a phone and a desktop; targets are large."""
    person = member(
        roles="admin",
        java_script_enabled=True,
        bypass_csp=True,
        color_scheme=scheme,
        viewport={"width": width, "height": 800},
    )
    found = {}
    for name in pages(person):
        person.page.evaluate(axe_source)
        violations = person.page.evaluate(AXE)
        if violations:
            found[name] = [(v["id"], [n["html"] for n in v["nodes"]]) for v in violations]
        assert (name, []) == (name, person.page.evaluate(SMALL_TARGETS))
        assert (name, 0) == (name, person.page.evaluate(OVERFLOW))
        assert (name, 0) == (name, person.page.evaluate(INLINE))
    assert found == {}


def test_dark_and_light_look_different(member):
    """The reader's own setting decides the colours."""
    colours = {
        member(java_script_enabled=True, color_scheme=scheme).page.evaluate(
            "() => getComputedStyle(document.body).backgroundColor"
        )
        for scheme in SCHEMES
    }
    assert len(colours) == 2


def test_without_javascript_one_stays_signed_in(member, server):
    """Past the access token's life the next page is shown as before, and a form still works."""
    person = member()
    add(person, "the first")
    server.set_forward(seconds=20 * 60)
    person.drop_cookie("access")
    add(person, "the second")
    assert ["the second", "the first"] == person.page.locator(".notes .text").all_inner_texts()
    server.set_forward(seconds=20 * 60)
    person.drop_cookie("access")
    person.go("/devices")
    assert person.page.get_by_text("this one").count() == 1


def test_a_note_written_elsewhere_appears_and_the_end_is_told(member, somebody):
    """With JavaScript on, an open page shows what another device adds, and says when it is over."""
    here = member(java_script_enabled=True)
    there = somebody(email=here.email)
    sign_in(there)
    add(there, "<i>from the other device</i>")
    here.page.get_by_text("<i>from the other device</i>").wait_for()
    assert here.page.get_by_role("button", name="Delete").first.is_visible()
    there.go("/devices")
    there.submit("End all others")
    here.page.get_by_role("alert").get_by_text("You have been signed out").wait_for()
    here.follow(here.page.get_by_role("alert").get_by_role("link", name="Sign in"))
    assert here.path == "/login"


def test_an_open_page_goes_on_past_the_access_token(member, somebody, server):
    """A connection that ends with nothing revoked is opened again, with a token renewed in passing."""
    here = member(java_script_enabled=True)
    server.set_forward(seconds=20 * 60)
    here.drop_cookie("access")
    with here.page.expect_websocket():
        here.page.evaluate("() => closed()")  # as when the connection was lost
    there = somebody(email=here.email)
    sign_in(there)
    add(there, "long after")
    here.page.get_by_text("long after").wait_for()
