"""What people do, in a browser without JavaScript."""

from __future__ import annotations

import re

import pytest
from playwright.sync_api import expect

pytestmark = pytest.mark.browser

NEW_PASSWORD = "other words that were chosen"
COOKIES = {"Session": 1, "JWT": 1, "Hybrid": 2}


def _heading(person):
    return person.page.get_by_role("heading", level=1)


def _alert(person):
    return person.page.get_by_role("alert")


def test_register_leads_to_signing_in(somebody):
    """An account is made, nobody is signed in yet, and the next page says so."""
    person = somebody()
    person.register()
    assert person.path == "/login"
    expect(person.page.get_by_role("status")).to_have_text(
        "Your account is ready. Sign in with it."
    )
    assert not person.is_signed_in()


@pytest.mark.parametrize("mode", ["Session", "JWT", "Hybrid"])
def test_sign_in_and_out_in_each_mode(member, mode):
    """Each mode signs in, says which it is, and signs out."""
    member.sign_in(mode=mode)
    assert member.path == "/"
    expect(_heading(member)).to_contain_text(member.email)
    expect(member.page.locator(".facts")).to_contain_text(mode)
    assert len(member.cookies()) == COOKIES[mode]
    assert all(c["httpOnly"] and c["sameSite"] == "Lax" for c in member.context.cookies())
    kept = member.context.cookies()
    member.submit("Sign out")
    expect(member.page.get_by_role("status")).to_have_text("You are signed out.")
    assert member.cookies() == {}
    member.context.add_cookies(kept)
    assert not member.is_signed_in()


@pytest.mark.parametrize("mode", ["Session", "JWT", "Hybrid"])
def test_not_remembered_ends_with_the_browser(member, mode):
    """Without "keep me signed in" the cookies have no life beyond the browser's."""
    member.go("/login")
    member.page.get_by_label("E-mail address").fill(member.email)
    member.page.get_by_label("Password").fill("four unrelated words here")
    member.page.get_by_role("radio", name=mode, exact=True).check()
    member.page.get_by_role("checkbox", name="Keep me signed in").uncheck()
    member.submit("Sign in")
    assert {c["expires"] for c in member.context.cookies()} == {-1}
    member.submit("Sign out")
    member.sign_in(mode=mode)
    assert all(c["expires"] > 0 for c in member.context.cookies())


def test_wrong_password(member):
    """401 in the form: an alert that has the focus, the address kept, the password not."""
    with member.page.expect_response(lambda r: r.request.method == "POST") as answered:
        member.sign_in(password="wrong wrong wrong")
    assert answered.value.status == 401
    expect(_alert(member)).to_contain_text("do not belong together")
    expect(_alert(member)).to_be_focused()
    expect(member.page.get_by_label("E-mail address")).to_have_value(member.email)
    expect(member.page.get_by_label("Password")).to_have_value("")
    expect(member.page).to_have_title("Error: Sign in · Sojourn")


def test_an_error_leads_to_its_field(somebody):
    """The alert's link leads to the field, which names the error as its description."""
    person = somebody()
    person.go("/register")
    person.page.get_by_label("E-mail address").fill("a@example.com")
    person.page.get_by_label("Password").fill("short")
    person.submit("Create the account")
    field = person.page.get_by_label("Password")
    expect(field).to_have_accessible_description(re.compile("fewer than 15.*At least 15"))
    expect(field).to_have_attribute("aria-invalid", "true")
    _alert(person).get_by_role("link").click()
    expect(field).to_be_focused()


@pytest.mark.parametrize("mode", ["Session", "Hybrid"])
def test_one_device_ends_another(member, somebody, mode):
    """Two browsers see each other; one ends the other, which is out at its next page and told why."""
    phone = "Mozilla/5.0 (iPhone; CPU iPhone OS 18_0 like Mac OS X) AppleWebKit/605.1.15 (KHTML, like Gecko) Version/18.0 Mobile/15E148 Safari/604.1"
    other = somebody(email=member.email, user_agent=phone)
    member.sign_in(mode=mode)
    other.sign_in(mode=mode)
    member.go("/devices")
    rows = member.page.get_by_role("listitem")
    expect(rows).to_have_count(2)
    expect(rows.nth(0)).to_contain_text("This device")
    expect(rows.nth(1)).to_contain_text("Safari on iPhone")
    expect(rows.nth(1)).to_contain_text("127.0.0.1")
    end = rows.nth(1).get_by_role("button", name=re.compile("End this session: Safari on iPhone"))
    member.follow(end)
    expect(member.page.get_by_role("status")).to_have_text("That session is ended.")
    expect(rows).to_have_count(1)
    other.go("/devices")
    assert other.path == "/login"
    if mode == "Session":
        expect(other.page.get_by_role("status")).to_contain_text("was ended: you signed out")
    assert not other.is_signed_in()
    assert member.is_signed_in()


def test_end_all_others(member, somebody):
    """Every other sign-in ends, in whichever mode; this one goes on."""
    others = [somebody(email=member.email) for _ in range(3)]
    for other, mode in zip(others, COOKIES, strict=True):
        other.sign_in(mode=mode)
    member.sign_in(mode="Hybrid")
    member.go("/devices")
    member.submit("End all others")
    expect(member.page.get_by_role("status")).to_contain_text("other sessions are ended")
    expect(member.page.get_by_role("listitem")).to_have_count(1)
    assert [other.is_signed_in() for other in others] == [False, False, False]
    assert member.is_signed_in()


def test_a_jwt_signs_out_everywhere(member, somebody):
    """A JWT cannot be listed; the page says so and ends everything."""
    other = somebody(email=member.email)
    other.sign_in(mode="Session")
    member.sign_in(mode="JWT")
    member.go("/devices")
    expect(member.page.get_by_role("main")).to_contain_text("No session is stored for it")
    member.submit("Sign out everywhere")
    assert member.path == "/"
    expect(member.page.get_by_role("status")).to_contain_text("here and everywhere else")
    assert not other.is_signed_in()


@pytest.mark.parametrize("mode", ["Session", "JWT", "Hybrid"])
def test_change_the_password(member, somebody, mode):
    """The other browser is out, this one goes on, and only the new password signs in."""
    other = somebody(email=member.email)
    other.sign_in(mode=mode)
    member.sign_in(mode=mode)
    member.follow(member.page.get_by_role("link", name="Password", exact=True))
    member.page.get_by_label("Current password").fill("four unrelated words here")
    member.page.get_by_label("New password").fill(NEW_PASSWORD)
    member.submit("Change the password")
    expect(member.page.get_by_role("status")).to_contain_text("Your password is changed")
    assert member.is_signed_in()
    assert not other.is_signed_in()
    other.sign_in()
    expect(_alert(other)).to_be_visible()
    other.sign_in(password=NEW_PASSWORD)
    assert other.is_signed_in()


def test_an_access_token_is_renewed_in_passing(member):
    """In hybrid a page renews what is over, without JavaScript, and keeps the session."""
    member.sign_in(mode="Hybrid")
    before = member.cookies()
    member.drop_cookie("access")
    member.go("/devices")
    assert member.path == "/devices"
    expect(member.page.get_by_role("listitem")).to_have_count(1)
    after = member.cookies()
    assert after.keys() == before.keys()
    assert after["refresh"] != before["refresh"]
    assert after["access"] != before["access"]


def test_a_form_is_sent_with_an_access_token_that_is_over(member):
    """A form passes too: the renewal and the change happen in one request."""
    member.sign_in(mode="Hybrid")
    member.go("/password")
    member.page.get_by_label("Current password").fill("four unrelated words here")
    member.page.get_by_label("New password").fill(NEW_PASSWORD)
    member.drop_cookie("access")
    member.submit("Change the password")
    expect(member.page.get_by_role("status")).to_contain_text("Your password is changed")
    assert member.is_signed_in()


def test_two_tabs_renew_at_once(member):
    """Two tabs that renew with the same cookie are both signed in, and stay so."""
    member.sign_in(mode="Hybrid")
    kept = [c for c in member.context.cookies() if c["name"].endswith("-refresh")]
    for _ in range(2):
        member.context.clear_cookies()
        member.context.add_cookies(kept)
        assert member.is_signed_in()
    assert member.is_signed_in()


def test_confirm_and_go_on(member):
    """Confirming asks for the password again and leads to the page that wanted it."""
    member.sign_in()
    member.go("/confirm?next=/devices")
    expect(member.page.get_by_role("main")).to_contain_text(member.email)
    member.page.get_by_label("Password").fill("four unrelated words here")
    member.submit("Confirm")
    assert member.path == "/devices"


def test_a_page_that_needs_a_sign_in_is_reached_after_it(member):
    """The way there survives registering and a wrong password."""
    member.go("/devices")
    assert member.path == "/login"
    member.follow(member.page.get_by_role("link", name="Create an account"))
    member.follow(member.page.get_by_role("link", name="Sign in", exact=True))
    for password in ("wrong wrong wrong", "four unrelated words here"):
        member.page.get_by_label("E-mail address").fill(member.email)
        member.page.get_by_label("Password").fill(password)
        member.submit("Sign in")
    assert member.path == "/devices"


def test_signing_in_by_keyboard_alone(member):
    """Tab, type, arrows and Enter are enough; the skip link comes first and the focus is seen."""
    keyboard = member.page.keyboard
    member.go("/login")
    focused = member.page.locator(":focus-visible")
    keyboard.press("Tab")
    expect(focused).to_have_text("Skip to the content")
    expect(focused).to_be_in_viewport()
    keyboard.press("Enter")
    expect(member.page.get_by_role("main")).to_be_focused()
    keyboard.press("Tab")
    expect(focused).to_have_css("outline-width", "3px")
    keyboard.type(member.email)
    keyboard.press("Tab")
    keyboard.type("four unrelated words here")
    keyboard.press("Tab")
    expect(focused).to_have_value("hybrid")
    keyboard.press("ArrowUp")
    keyboard.press("ArrowUp")
    expect(focused).to_have_value("session")
    keyboard.press("Tab")
    keyboard.press("Space")
    expect(member.page.get_by_role("checkbox")).not_to_be_checked()
    keyboard.press("Tab")
    with member.page.expect_navigation():
        keyboard.press("Enter")
    expect(member.page.locator(".facts")).to_contain_text("Session")


def test_password_managers_know_the_fields(member):
    """Each field says what it holds, and whose password it is."""
    for path, expected in {
        "/login": ["username", "current-password"],
        "/register": ["username", "new-password"],
    }.items():
        member.go(path)
        fields = member.page.locator("input[autocomplete]").all()
        assert [field.get_attribute("autocomplete") for field in fields] == expected
    member.sign_in()
    member.go("/password")
    fields = member.page.locator("input[autocomplete]").all()
    kinds = [field.get_attribute("autocomplete") for field in fields]
    assert kinds == ["username", "current-password", "new-password"]
    assert fields[0].get_attribute("value") == member.email
