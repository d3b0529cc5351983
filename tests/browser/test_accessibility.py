"""Every page for everybody: axe finds nothing, targets are large, nothing overflows a small screen."""

from __future__ import annotations

import pytest

pytestmark = pytest.mark.browser

WIDTHS = [360, 1280]
SCHEMES = ["light", "dark"]
AXE = "async () => (await axe.run(document, {rules: {'target-size': {enabled: true}}})).violations"
SMALL_TARGETS = """() => [...document.querySelectorAll(
    'button, .button, .menu a, .brand, input:not([type=hidden], [hidden], [type=radio], [type=checkbox]), label.choice, label.tick'
)].filter(e => e.getBoundingClientRect().height < 44 || e.getBoundingClientRect().width < 44)
  .map(e => e.outerHTML)"""
OVERFLOW = "() => document.documentElement.scrollWidth - document.documentElement.clientWidth"
STRUCTURE = """() => ({
    lang: document.documentElement.lang,
    h1: document.querySelectorAll('h1').length,
    main: document.querySelectorAll('main').length,
    header: document.querySelectorAll('header').length,
    scripts: document.querySelectorAll('script:not([data-test])').length,
})"""


def _pages(person):
    """Visit every page, in each state it has; yields its name."""
    for path in ("/", "/login", "/register", "/nothing", "/?done=signed-out"):
        person.go(path)
        yield path
    person.follow(person.page.get_by_role("link", name="Create an account"))
    person.submit("Create the account")
    yield "/register, empty"
    person.register()
    yield "/login, registered"
    person.submit("Sign in")
    yield "/login, empty"
    person.sign_in(password="wrong wrong wrong")
    yield "/login, wrong"
    person.sign_in(mode="JWT")
    person.go("/devices")
    yield "/devices, jwt"
    person.submit("Sign out everywhere")
    person.sign_in()
    for path in ("/", "/devices", "/password", "/confirm"):
        person.go(path)
        yield f"{path}, signed in"
    for path, button in (("/password", "Change the password"), ("/confirm", "Confirm")):
        person.go(path)
        person.submit(button)
        yield f"{path}, empty"


@pytest.mark.parametrize("scheme", SCHEMES)
@pytest.mark.parametrize("width", WIDTHS)
def test_axe_finds_nothing(somebody, axe_source, width, scheme):
    """0 violations on every page in every state; landmarks, one h1, a title of its own."""
    person = somebody(
        java_script_enabled=True,
        bypass_csp=True,
        color_scheme=scheme,
        viewport={"width": width, "height": 800},
    )
    found, titles = {}, set()
    for name in _pages(person):
        person.page.evaluate(axe_source)
        violations = person.page.evaluate(AXE)
        if violations:
            found[name] = [(v["id"], [n["html"] for n in v["nodes"]]) for v in violations]
        structure = person.page.evaluate(STRUCTURE)
        assert structure == {"lang": "en", "h1": 1, "main": 1, "header": 1, "scripts": 0}
        titles.add(person.page.title())
    assert found == {}
    assert len(titles) == 12


@pytest.mark.parametrize("width", [320, *WIDTHS])
def test_targets_are_large_and_nothing_overflows(somebody, width):
    """Every target is 44 px or more, and no page scrolls sideways."""
    person = somebody(
        java_script_enabled=True, bypass_csp=True, viewport={"width": width, "height": 800}
    )
    for name in _pages(person):
        assert (name, []) == (name, person.page.evaluate(SMALL_TARGETS))
        assert (name, 0) == (name, person.page.evaluate(OVERFLOW))
