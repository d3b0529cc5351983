"""One suite over HTTP for the notes application in every framework, in each mode and transport.

It knows addresses, JSON and forms, and no framework. Time passes by setting the application's clock.
"""

from __future__ import annotations

from examples.applications import PASSWORD
from examples.clients import code_of

ELSEWHERE = {"Origin": "https://elsewhere.example", "Sec-Fetch-Site": "cross-site"}
MINUTE, HOUR = 60, 3600
NEW_PASSWORD = "quite another set of words"
PROTECTED = [
    ("GET", "/"), ("GET", "/me"), ("GET", "/devices"), ("GET", "/admin"), ("POST", "/notes"),
    ("POST", "/notes/clear"), ("POST", "/notes/1/delete"), ("POST", "/devices/end-others"),
    ("POST", "/confirm"), ("POST", "/password"),
]  # fmt: skip


# --- signing in ---------------------------------------------------------------------------------


def test_the_right_password_signs_in(application, person, transport):
    """Who signs in is known from then on, in the mode and over the transport that were asked for."""
    about = person.get("/me").json()
    assert (person.name, application.mode) == (about["name"], about["mode"])
    assert transport == about["transport"]


def test_a_wrong_password_and_an_unknown_name_are_told_alike(application, client_of):
    """Neither signs anybody in, and the answers do not tell which of the two it was."""
    client = client_of(application.new_person(), signed_in=False)
    wrong = client.sign_in("a guess of somebody")
    client.name = "nobody"
    unknown = client.sign_in("a guess of somebody")
    assert (401, "invalid_credentials") == code_of(wrong) == code_of(unknown)
    assert wrong.json() == unknown.json()
    assert wrong.headers["WWW-Authenticate"] == "Bearer"
    assert (401, "unauthenticated") == code_of(client.get("/me"))


def test_secrets_are_in_cookies_or_in_the_body(application, client_of, transport):
    """Cookies are HttpOnly, Lax and for this host alone; tokens are for bearer clients; none is cached."""
    client = client_of(application.new_person(), signed_in=False)
    answer = client.sign_in()
    assert "no-store" in answer.headers["Cache-Control"]
    cookies = answer.headers.get_list("set-cookie")
    if transport == "bearer":
        assert cookies == []
        assert answer.json()["token_type"] == "Bearer"
        assert ("refresh_token" in answer.json()) == (application.mode == "hybrid")
        return
    assert answer.json().keys() == {"subject", "sid", "mode", "expires_at"}
    assert len(cookies) == (2 if application.mode == "hybrid" else 1)
    for cookie in cookies:
        attributes = {part.strip().lower() for part in cookie.split(";")[1:]}
        assert {"path=/", "httponly", "samesite=lax"} <= attributes
        assert not any(attribute.startswith("domain") for attribute in attributes)


def test_nobody_is_refused(application, client_of):
    """Every route that needs somebody says so with a stable code and WWW-Authenticate."""
    nobody = client_of("nobody", signed_in=False)
    for method, path in PROTECTED:
        answer = nobody.http.request(method, path, json={} if method == "POST" else None)
        assert (path, (401, "unauthenticated")) == (path, code_of(answer))
        assert answer.headers["WWW-Authenticate"] == "Bearer"
    assert nobody.get("/static/style.css").status_code == 200


# --- the notes ----------------------------------------------------------------------------------


def test_notes_are_ones_own(application, client_of, person):
    """One sees, adds and deletes one's own notes, and cannot touch another's."""
    note = person.post("/notes", {"text": "buy tea & <b>bread</b>"}).json()
    assert [note] == person.get("/").json()["notes"]
    other = client_of(application.new_person())
    assert [] == other.get("/").json()["notes"]
    assert other.post(f"/notes/{note['id']}/delete").status_code == 404
    assert [note] == person.get("/").json()["notes"]
    assert person.post(f"/notes/{note['id']}/delete").status_code == 200
    assert [] == person.get("/").json()["notes"]


def test_a_page_of_another_origin_does_nothing(application, person, transport):
    """CSRF: a cookie credential counts on the application's own pages only; a bearer is none of it."""
    answer = person.post("/notes", {"text": "from elsewhere"}, headers=ELSEWHERE)
    if transport == "bearer":
        assert answer.status_code == 200
        return
    assert (403, "cross_site") == code_of(answer)
    assert (403, "cross_site") == code_of(person.post("/logout", headers=ELSEWHERE))
    values = {"name": person.name, "password": PASSWORD}
    assert (403, "cross_site") == code_of(person.post("/login", values, headers=ELSEWHERE))
    assert [] == person.get("/").json()["notes"]
    own = {"Origin": application.url, "Sec-Fetch-Site": "same-origin"}
    assert person.post("/notes", {"text": "from here"}, headers=own).status_code == 200


# --- time passes --------------------------------------------------------------------------------


def test_past_the_access_token(application, person, transport):
    """A hybrid sign-in is renewed: in passing over cookies, by the client over bearer. Others go on."""
    application.set_forward(seconds=20 * MINUTE)
    answer = person.get("/me")
    if application.mode == "hybrid" and transport == "cookie":
        assert len(answer.headers.get_list("set-cookie")) == 2
    elif application.mode == "hybrid":
        assert (401, "refresh_required") == code_of(answer)
        assert 'error="invalid_token"' in answer.headers["WWW-Authenticate"]
        assert person.refresh().status_code == 200
    assert person.get("/me").json()["name"] == person.name


def test_a_copied_refresh_token_ends_the_session(application, person, transport):
    """An old handle that comes back after the grace window shows that a copy exists: both are out."""
    if application.mode != "hybrid":
        refused = person.refresh()
        assert (409, "unsupported_in_mode") == code_of(refused)
        return
    thief = person.copy()
    for _ in range(2):
        application.set_forward(seconds=20 * MINUTE)
        if transport == "bearer":
            person.refresh()
        assert person.get("/me").status_code == 200
    answer = thief.refresh() if transport == "bearer" else thief.get("/me")
    assert (401, "refresh_reuse") == code_of(answer)
    assert (401, "revoked") == code_of(person.get("/me"))


def test_everything_ends_some_day(application, person):
    """Past its absolute life nobody is signed in, and is told that it is over."""
    application.set_forward(seconds=13 * HOUR if application.mode == "jwt" else 31 * 24 * HOUR)
    code = code_of(person.refresh() if person.refresh_token else person.get("/me"))
    assert (401, "expired") == code


# --- ending -------------------------------------------------------------------------------------


def test_signing_out_takes_copies_along(person):
    """What was copied before is refused at once."""
    thief = person.copy()
    assert person.post("/logout").status_code == 200
    assert (401, "revoked") == code_of(thief.get("/me"))
    assert person.post("/logout").status_code == 200  # nobody is signed in: that is no error


def test_devices(application, client_of, person):
    """One sees where one is signed in, and ends one of them, which is refused at once."""
    elsewhere = client_of(person.name)
    if application.mode == "jwt":
        assert (409, "unsupported_in_mode") == code_of(person.get("/devices"))
        sid = elsewhere.get("/me").json()["sid"]
        assert (409, "unsupported_in_mode") == code_of(person.post(f"/devices/{sid}/end"))
        return
    devices = person.get("/devices").json()["devices"]
    sids = {device["current"]: device["sid"] for device in devices}
    assert len(devices) == 2
    assert sids[True] == person.get("/me").json()["sid"]
    stranger = client_of(application.new_person())
    for sid in (sids[False], "no-such-sid", "%00", "a" * 500):
        assert stranger.post(f"/devices/{sid}/end").status_code in {400, 404}
    assert elsewhere.get("/me").status_code == 200
    assert person.post(f"/devices/{sids[False]}/end").status_code == 200
    assert (401, "revoked") == code_of(elsewhere.get("/me"))
    assert person.get("/me").status_code == 200
    assert (404, "not_found") == code_of(person.post(f"/devices/{sids[False]}/end"))


def test_ending_all_others(client_of, person):
    """The others are refused at once, and this one goes on."""
    others = [client_of(person.name) for _ in range(2)]
    assert person.post("/devices/end-others").status_code == 200
    for other in others:
        assert (401, "revoked") == code_of(other.get("/me"))
    assert person.get("/me").status_code == 200


def test_a_new_password_ends_the_others(client_of, person):
    """The others end, this one goes on under new proofs; the old password is none any more."""
    elsewhere, thief = client_of(person.name), person.copy()
    wrong = person.post("/password", {"current": "a guess", "new": NEW_PASSWORD})
    assert (401, "invalid_credentials") == code_of(wrong)
    short = person.post("/password", {"current": PASSWORD, "new": "short"})
    assert (400, "bad_input") == code_of(short)
    assert elsewhere.get("/me").status_code == 200
    person.take(person.post("/password", {"current": PASSWORD, "new": NEW_PASSWORD}))
    assert person.get("/me").status_code == 200
    assert (401, "revoked") == code_of(elsewhere.get("/me"))
    assert thief.get("/me").status_code == 401
    assert (401, "invalid_credentials") == code_of(elsewhere.sign_in())
    assert elsewhere.sign_in(NEW_PASSWORD).status_code == 200


# --- roles, and what needs more -----------------------------------------------------------------


def test_an_administrator_signs_somebody_out(application, client_of, person):
    """A role is needed; whoever has it sees counts, not notes, and ends all sign-ins of a person."""
    person.post("/notes", {"text": "private"})
    assert (403, "forbidden") == code_of(person.get("/admin"))
    assert (403, "forbidden") == code_of(person.post(f"/admin/{person.name}/sign-out"))
    administrator = client_of(application.new_person(roles="admin"))
    answer = administrator.get("/admin")
    assert {"name": person.name, "notes": 1} in answer.json()["people"]
    assert "private" not in answer.text
    assert administrator.post(f"/admin/{person.name}/sign-out").status_code == 200
    assert (401, "revoked") == code_of(person.get("/me"))
    assert administrator.get("/me").status_code == 200
    assert person.sign_in().status_code == 200


def test_what_cannot_be_undone_needs_a_fresh_sign_in(application, person):
    """An old sign-in is asked for the password again, and the answer says so in the challenge."""
    person.post("/notes", {"text": "one"})
    application.set_forward(seconds=6 * MINUTE)
    refused = person.post("/notes/clear")
    assert (401, "insufficient_user_authentication") == code_of(refused)
    assert 'error="insufficient_user_authentication"' in refused.headers["WWW-Authenticate"]
    assert (401, "invalid_credentials") == code_of(person.post("/confirm", {"password": "a guess"}))
    assert len(person.get("/").json()["notes"]) == 1
    before = person.copy()
    assert person.take(person.post("/confirm", {"password": PASSWORD})).status_code == 200
    assert before.post("/notes/clear").status_code == 401
    assert {"deleted": 1} == person.post("/notes/clear").json()
