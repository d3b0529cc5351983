"""The pages without a browser: hostile forms, headers, where they lead, and what they never show."""

from __future__ import annotations

import html
import re
import secrets
from collections.abc import Iterator
from pathlib import Path

import pytest
from starlette.testclient import TestClient

from sojourn.server.app import Server
from sojourn.server.config import load_config
from sojourn.server.forms import safe_next

URL = "http://127.0.0.1:8000"
PASSWORD = "four unrelated words here"
FORM = "application/x-www-form-urlencoded"
FORMS = {
    "/register": ("email", "password"),
    "/login": ("email", "password"),
    "/confirm": ("password",),
    "/password": ("current", "new"),
}
HEADERS = {
    "cache-control": "no-store",
    "content-security-policy": "default-src 'none'; style-src 'self'; img-src 'self'; "
    "form-action 'self'; base-uri 'none'; frame-ancestors 'none'",
    "x-frame-options": "DENY",
    "x-content-type-options": "nosniff",
    "content-type": "text/html; charset=utf-8",
}


@pytest.fixture(scope="module")
def server(tmp_path_factory) -> Iterator[Server]:
    """An open server of this process."""
    environ = {"SOJOURN_DATA": str(tmp_path_factory.mktemp("data"))}
    server = Server(load_config(environ=environ))
    with TestClient(server.app(), base_url=URL):
        yield server


@pytest.fixture
def visitor(server) -> TestClient:
    """A browser that nobody is signed in with."""
    return _browser(server)


@pytest.fixture
def member(server) -> TestClient:
    """A browser that somebody is signed in with."""
    return _signed_in(server)


def _browser(server: Server) -> TestClient:
    # The server is open already; each client is a browser with cookies of its own.
    return TestClient(
        server.app(), base_url=URL, follow_redirects=False, headers={"Accept": "text/html"}
    )


def _signed_in(server: Server, *, mode: str = "hybrid", email: str = "") -> TestClient:
    client = _browser(server)
    if not email:
        email = f"{secrets.token_hex(6)}@example.com"
        form = {"email": email, "password": PASSWORD}
        assert client.post("/register", data=form).status_code == 303
    client.email = email
    form = {"email": email, "password": PASSWORD, "mode": mode, "remember": "yes"}
    assert client.post("/login", data=form).status_code == 303
    return client


def _post(client: TestClient, path: str, body: str | bytes, content_type: str = FORM, **headers):
    headers = {name.replace("_", "-"): value for name, value in headers.items()}
    return client.post(path, content=body, headers={"Content-Type": content_type} | headers)


def _is_whole_page(answer) -> bool:
    """Whether an answer is one of our pages, with every header it must have."""
    missing = {name for name, value in HEADERS.items() if answer.headers.get(name) != value}
    assert missing == set()
    return answer.text.count("<h1>") == 1 and "</html>" in answer.text


# --- every page ----------------------------------------------------------------------------------


@pytest.mark.parametrize("path", ["/", "/login", "/register"])
def test_a_public_page_has_all_headers(visitor, path):
    """A page has the strict policy, is not framed and is kept by no cache."""
    answer = visitor.get(path)
    assert answer.status_code == 200
    assert _is_whole_page(answer)


@pytest.mark.parametrize("path", ["/", "/devices", "/password", "/confirm"])
def test_a_members_page_has_all_headers(member, path):
    """So has a page of whoever is signed in."""
    answer = member.get(path)
    assert answer.status_code == 200
    assert _is_whole_page(answer)


@pytest.mark.parametrize("mode", ["session", "jwt", "hybrid"])
@pytest.mark.parametrize("path", ["/", "/devices", "/password", "/confirm"])
def test_no_secret_stands_in_a_page(server, mode, path):
    """No handle, token or password is in the HTML of any page, in any mode."""
    client = _signed_in(server, mode=mode)
    values = [cookie.value for cookie in client.cookies.jar]
    assert values
    text = html.unescape(client.get(path).text)
    assert [value for value in (*values, PASSWORD) if value in text] == []
    assert re.search(r"sj_|eyJ", text) is None


def test_pages_load_little_and_only_from_here(visitor, member):
    """All that a page loads is well below 50 kB, from this origin and named by its content."""
    for client, path in ((visitor, "/login"), (member, "/devices")):
        page = client.get(path)
        sources = set(re.findall(r'(?:src|href)="(/static/[^"]+)"', page.text))
        assert len(sources) == 2
        assert re.findall(r'(?:src|href)="(?![/#])', page.text) == []
        loaded = [client.get(source) for source in sources]
        assert {answer.status_code for answer in loaded} == {200}
        assert len(page.content) + sum(len(answer.content) for answer in loaded) < 25_000


# --- static files --------------------------------------------------------------------------------


def test_static_files_are_kept_under_their_present_address_only(visitor):
    """The versioned address is kept for a year; another one is asked about each time."""
    page = visitor.get("/").text
    style = re.search(r'href="(/static/style\.css\?v=[0-9a-f]+)"', page).group(1)
    answer = visitor.get(style)
    assert answer.headers["content-type"] == "text/css; charset=utf-8"
    assert answer.headers["cache-control"] == "public, max-age=31536000, immutable"
    plain = visitor.get("/static/style.css")
    assert plain.headers["cache-control"] == "no-cache"
    again = visitor.get(style, headers={"If-None-Match": f'W/{answer.headers["etag"]}, "other"'})
    assert (again.status_code, again.content) == (304, b"")
    icon = visitor.get("/static/icon.svg")
    assert icon.headers["content-type"] == "image/svg+xml"


@pytest.mark.parametrize("name", ["nothing.css", "%2e%2e%2fpages.py", "..%2f..%2fpages.py", "%00"])
def test_static_serves_its_own_files_only(visitor, name):
    """No other file of the machine is reached."""
    assert visitor.get(f"/static/{name}").status_code == 404


# --- hostile forms -------------------------------------------------------------------------------


@pytest.mark.parametrize("path", FORMS)
def test_a_form_without_its_fields_is_shown_again(member, path):
    """A missing field is named in the form, with 400."""
    answer = _post(member, path, "")
    assert answer.status_code == 400
    assert _is_whole_page(answer)
    assert 'role="alert" tabindex="-1" autofocus' in answer.text
    assert f'<a href="#{FORMS[path][0]}">' in answer.text
    assert "<title>Error: " in answer.text


@pytest.mark.parametrize("path", [*FORMS, "/devices"])
@pytest.mark.parametrize(
    "body",
    [
        b"password=a%00b&email=a%00b&current=%00&new=%00&end=%00&next=%00",
        b"password=%ED%A0%80&email=x&current=%ED%A0%80&end=%ED%A0%80",
        b"next=%FF",
        b"\xff\xfe=1",
        b"password=a&password=b&current=a&current=b&end=a&end=b",
        b"&".join(b"x%d=1" % n for n in range(17)),
    ],
)
def test_a_form_of_what_no_keyboard_types_is_a_400_page(member, path, body):
    """NUL, lone surrogates, broken UTF-8, a field twice and too many fields are 400, never 500."""
    answer = _post(member, path, body)
    assert answer.status_code == 400
    assert _is_whole_page(answer)


@pytest.mark.parametrize("path", [*FORMS, "/devices", "/logout"])
@pytest.mark.parametrize(
    "kind", ["application/json", "multipart/form-data; boundary=x", "text/plain", ""]
)
def test_a_form_of_another_type_is_refused(member, path, kind):
    """Only URL-encoded forms are read."""
    answer = _post(member, path, b"{}", kind)
    assert answer.status_code == 415
    assert _is_whole_page(answer)


@pytest.mark.parametrize("path", [*FORMS, "/devices"])
def test_a_huge_form_is_refused(member, path):
    """Over 64 KiB is 413."""
    answer = _post(member, path, b"password=" + b"x" * 65_536)
    assert answer.status_code == 413
    assert _is_whole_page(answer)


@pytest.mark.parametrize("path", ["/register", "/login"])
@pytest.mark.parametrize(
    "email",
    [
        "x" * 10_000,
        "a" * 9_990 + "@example.com",
        "no address",
        "a@b",
        "<b>x</b>",
        "a@@b.cd",
    ],
)
def test_an_impossible_address_is_refused(visitor, path, email):
    """It is refused at its field with 400, and kept as typed."""
    answer = visitor.post(path, data={"email": email, "password": PASSWORD})
    assert answer.status_code == 400
    assert '<a href="#email">' in answer.text
    assert f'value="{html.escape(email)}"' in answer.text
    assert PASSWORD not in answer.text


@pytest.mark.parametrize("path", ["/register", "/login"])
def test_html_in_an_address_is_text(visitor, path):
    """What was typed comes back escaped."""
    typed = "\"><script>alert(1)</script><img src=x onerror='1'>"
    answer = visitor.post(path, data={"email": typed, "password": PASSWORD})
    assert "<script" not in answer.text
    assert "<img src=x" not in answer.text
    assert html.escape(typed).replace("&quot;", "&#34;").replace("&#x27;", "&#39;") in answer.text


def test_html_in_an_accepted_address_is_text(server):
    """An address that the rules take is escaped wherever it is shown."""
    client = _browser(server)
    email = f"<b>{secrets.token_hex(6)}@example.com"
    client.post("/register", data={"email": email, "password": PASSWORD})
    client.post("/login", data={"email": email, "password": PASSWORD})
    for path in ("/", "/confirm", "/password"):
        text = client.get(path).text
        assert "<b>" not in text
        assert f"&lt;b&gt;{email[3:]}" in text


def test_html_in_a_user_agent_is_text(server):
    """A client cannot write HTML into the list of devices by its name."""
    client = _browser(server)
    client.headers["User-Agent"] = "<script>x</script>/1.0"
    email = f"{secrets.token_hex(6)}@example.com"
    client.post("/register", data={"email": email, "password": PASSWORD})
    client.post("/login", data={"email": email, "password": PASSWORD})
    answer = client.get("/devices")
    assert "<script" not in answer.text
    assert "An unknown program" in answer.text


def test_an_unknown_mode_is_refused_in_the_form(visitor):
    """A mode that is not offered is 400 in the form."""
    form = {"email": "a@example.com", "password": PASSWORD, "mode": "nonsense"}
    answer = visitor.post("/login", data=form)
    assert answer.status_code == 400
    assert "Choose one of these" in answer.text


def test_overlong_passwords_are_refused_at_their_field(member):
    """A password over 256 characters is 400 at the field that holds it."""
    answer = member.post("/password", data={"current": PASSWORD, "new": "x" * 300})
    assert answer.status_code == 400
    assert '<a href="#new">' in answer.text
    answer = member.post("/password", data={"current": "x" * 300, "new": PASSWORD})
    assert '<a href="#current">' in answer.text


# --- CSRF ----------------------------------------------------------------------------------------


@pytest.mark.parametrize("path", [*FORMS, "/devices", "/logout"])
@pytest.mark.parametrize(
    "headers",
    [
        {"Origin": "https://evil.example"},
        {"Origin": "null"},
        {"Origin": URL.upper()},
        {"Origin": "http://127.0.0.1:8001", "Sec_Fetch_Site": "same-site"},
        {"Sec_Fetch_Site": "cross-site"},
    ],
)
def test_a_form_of_another_site_is_refused(server, path, headers):
    """Another origin's form is 403, signed in or not, and nothing happens."""
    member = _signed_in(server)
    body = f"email={member.email}&password={PASSWORD}&current={PASSWORD}&new=x&end=everywhere"
    for client in (member, _browser(server)):
        answer = _post(client, path, body.replace(" ", "+"), **headers)
        assert answer.status_code == 403
        assert _is_whole_page(answer)
        assert "SOJOURN_TRUSTED_ORIGINS" in answer.text
        assert "set-cookie" not in answer.headers
    assert member.get("/").text.count(member.email) == 1


def test_a_foreign_form_names_both_origins(visitor):
    """Who opened the server under another name is told under which to open it."""
    answer = _post(visitor, "/login", "", Origin="http://localhost:8000")
    assert "http://localhost:8000" in answer.text
    assert URL in answer.text


def test_a_form_of_this_site_is_taken(visitor):
    """A browser's own headers for a form of ours pass."""
    answer = _post(visitor, "/login", "", Origin=URL, Sec_Fetch_Site="same-origin")
    assert answer.status_code == 400


# --- where pages lead ----------------------------------------------------------------------------

BAD_NEXT = [
    "//evil.example", "///evil.example", "/\\evil.example", "\\\\evil.example", "https://evil.example",
    "javascript:alert(1)", "/\t/evil.example", "/\n/evil.example", " //evil.example", "/a b", "evil",
    "", "/é", "/\x00", "/" + "x" * 5_000, "/\x7f", "@evil.example", "/a\\..\\b",
    "/.//evil.example", "/%2e%2E//evil.example",
]  # fmt: skip


@pytest.mark.parametrize("path", BAD_NEXT)
def test_next_never_leaves_this_origin(path):
    """Anything but a plain path of this origin becomes the home page."""
    assert safe_next(path) == "/"


@pytest.mark.parametrize("path", ["/", "/devices", "/a?b=c&d=%2F%2Fe", "/a//b", "/@x", "/a#b"])
def test_next_keeps_paths_of_this_origin(path):
    """A path of this origin is kept as it is."""
    assert safe_next(path) == path


@pytest.mark.parametrize("path", [p for p in BAD_NEXT if "\x00" not in p])
def test_signing_in_leads_to_this_origin_only(server, member, path):
    """An open redirect is not to be had from the sign-in or the confirmation."""
    client = _browser(server)
    form = {"email": member.email, "password": PASSWORD, "next": path}
    assert client.get("/login", params={"next": path}).text.count("evil") == 0
    assert client.post("/login", data=form).headers["location"] == "/"
    assert client.get("/login", params={"next": path}).headers["location"] == "/"
    confirmed = client.post("/confirm", data={"password": PASSWORD, "next": path})
    assert confirmed.headers["location"] == "/"


def test_signing_in_goes_on_to_where_one_wanted(server, member):
    """A page that needs a sign-in leads there and back, its query too."""
    client = _browser(server)
    asked = client.get("/devices?a=1&b=2")
    assert asked.status_code == 303
    assert asked.headers["location"] == "/login?next=%2Fdevices%3Fa%3D1%26b%3D2"
    page = client.get(asked.headers["location"])
    assert 'name="next" value="/devices?a=1&amp;b=2"' in page.text
    form = {"email": member.email, "password": PASSWORD, "next": "/devices?a=1&b=2"}
    assert client.post("/login", data=form).headers["location"] == "/devices?a=1&b=2"


@pytest.mark.parametrize("path", ["/devices", "/password", "/confirm"])
def test_a_form_of_who_is_not_signed_in_is_a_401_page(visitor, path):
    """A form sent after the sign-in ended is 401, and offers to sign in and come back."""
    answer = _post(visitor, path, "")
    assert answer.status_code == 401
    assert answer.headers["www-authenticate"] == "Bearer"
    assert f'href="/login?next=%2F{path[1:]}"' in answer.text


def test_done_is_not_said_to_visitors_from_elsewhere(visitor):
    """Another site's link cannot have us say that something was done; unknown words say nothing."""
    said = 'role="status">You are signed out.'
    assert said in visitor.get("/?done=signed-out").text
    elsewhere = visitor.get("/?done=signed-out", headers={"Sec-Fetch-Site": "cross-site"})
    assert said not in elsewhere.text
    assert "<b>" not in visitor.get("/?done=<b>x</b>").text


# --- what forms answer ---------------------------------------------------------------------------


def test_registering_twice_is_told(visitor, member):
    """An address that has an account is 409 at its field."""
    answer = visitor.post("/register", data={"email": member.email, "password": PASSWORD})
    assert answer.status_code == 409
    assert '<a href="#email">' in answer.text


def test_a_short_password_is_refused(visitor):
    """A password below the least length is 400, says what would do, and keeps the address."""
    answer = visitor.post("/register", data={"email": "kept@example.com", "password": "short"})
    assert answer.status_code == 400
    assert 'value="kept@example.com"' in answer.text
    assert "15 characters" in answer.text
    assert "short" not in answer.text


def test_a_wrong_password_keeps_what_was_chosen(visitor, member):
    """401 keeps the address, the mode and the choice to be remembered; never the password."""
    form = {"email": member.email, "password": "wrong wrong wrong", "mode": "session"}
    answer = visitor.post("/login", data=form)
    assert answer.status_code == 401
    assert f'value="{member.email}"' in answer.text
    assert re.search(r'value="session"[^>]* checked', answer.text)
    assert not re.search(r'name="remember"[^>]* checked', answer.text)
    assert "wrong wrong" not in answer.text


def test_unknown_accounts_look_like_wrong_passwords(visitor, member):
    """The page does not tell whether there is an account."""
    answers = [
        visitor.post("/login", data={"email": email, "password": "wrong wrong wrong"})
        for email in (member.email, "nobody-at-all@example.com")
    ]
    assert answers[0].status_code == answers[1].status_code == 401
    shown = [answer.text.replace(member.email, "nobody-at-all@example.com") for answer in answers]
    assert shown[0] == shown[1]


def test_too_many_attempts_are_429(server):
    """After ten failures the form answers 429, with Retry-After and minutes in words."""
    visitor, email = _browser(server), f"{secrets.token_hex(6)}@example.com"
    form = {"email": email, "password": "wrong wrong wrong"}
    statuses = [visitor.post("/login", data=form).status_code for _ in range(10)]
    assert statuses == [401] * 10
    answer = visitor.post("/login", data=form)
    assert answer.status_code == 429
    assert 1 <= int(answer.headers["retry-after"]) <= 900
    assert re.search(r"Try again in \d+ minutes", answer.text)


@pytest.mark.parametrize("mode", ["session", "jwt", "hybrid"])
def test_changing_the_password_ends_others_in_every_mode(server, mode):
    """The other sign-in is out, this one goes on, and the old password is refused."""
    here = _signed_in(server, mode=mode)
    other = _signed_in(server, mode=mode, email=here.email)
    wrong = here.post("/password", data={"current": "wrong", "new": "four other words there"})
    assert (wrong.status_code, '<a href="#current">' in wrong.text) == (401, True)
    weak = here.post("/password", data={"current": PASSWORD, "new": "aaaaaaaaaaaaaaaaaaaa"})
    assert (weak.status_code, '<a href="#new">' in weak.text) == (400, True)
    done = here.post("/password", data={"current": PASSWORD, "new": "four other words there"})
    assert (done.status_code, done.headers["location"]) == (303, "/?done=password-changed")
    assert here.get("/password").status_code == 200
    assert other.get("/password").status_code == 303
    form = {"email": here.email, "password": PASSWORD}
    assert other.post("/login", data=form).status_code == 401


@pytest.mark.parametrize("mode", ["session", "jwt", "hybrid"])
def test_confirming_goes_on(server, mode):
    """The right password leads on with new cookies; a wrong one is 401 in the form."""
    client = _signed_in(server, mode=mode)
    before = {cookie.name: cookie.value for cookie in client.cookies.jar}
    wrong = client.post("/confirm", data={"password": "wrong", "next": "/devices"})
    assert wrong.status_code == 401
    assert 'name="next" value="/devices"' in wrong.text
    right = client.post("/confirm", data={"password": PASSWORD, "next": "/devices"})
    assert (right.status_code, right.headers["location"]) == (303, "/devices")
    after = {cookie.name: cookie.value for cookie in client.cookies.jar}
    assert before.keys() == after.keys()
    assert not set(before.values()) & set(after.values())
    assert client.get("/devices").status_code == 200


def test_ending_a_session_of_somebody_else_is_404(server, member):
    """A sid is not a permission; another's is not told from an unknown or malformed one."""
    other = _signed_in(server)
    sid = re.search(r'name="end" value="([^"]+)"', other.get("/devices").text).group(1)
    for hostile in (sid, sid[:-1] + ("a" if sid[-1] != "a" else "b"), "x", "", "../x"):
        answer = member.post("/devices", data={"end": hostile})
        assert answer.status_code == 404
    assert other.get("/devices").status_code == 200


def test_ending_ones_own_session_signs_out(member):
    """The row of this device signs out, and takes the cookies back."""
    sid = re.search(r'name="end" value="([^"]+)"', member.get("/devices").text).group(1)
    answer = member.post("/devices", data={"end": sid})
    assert answer.headers["location"] == "/?done=signed-out"
    assert list(member.cookies.jar) == []


def test_a_jwt_cannot_end_one_session_but_everything(server):
    """In mode jwt one session is 409; everywhere ends stored sessions and the token itself."""
    stored = _signed_in(server, mode="session")
    token = _signed_in(server, mode="jwt", email=stored.email)
    sid = re.search(r'name="end" value="([^"]+)"', stored.get("/devices").text).group(1)
    assert "no single device to end" in token.get("/devices").text
    assert token.post("/devices", data={"end": sid}).status_code == 409
    kept = {cookie.name: cookie.value for cookie in token.cookies.jar}
    answer = token.post("/devices", data={"end": "everywhere"})
    assert answer.headers["location"] == "/?done=signed-out-everywhere"
    assert stored.get("/devices").status_code == 303
    token.cookies.update(kept)
    assert token.get("/devices").status_code == 303


def test_the_sign_in_page_says_why(server):
    """Who was signed out from elsewhere is told so at the next sign-in page."""
    here = _signed_in(server, mode="session")
    other = _signed_in(server, mode="session", email=here.email)
    here.post("/devices", data={"end": "others"})
    page = other.get(other.get("/devices").headers["location"])
    assert "The session was ended: you signed out your other sessions." in page.text
    assert 'role="status"' not in _browser(server).get("/login").text


# --- errors --------------------------------------------------------------------------------------


def test_errors_are_pages_for_browsers_only(visitor):
    """An unknown address is a page for a browser, and a problem document for others."""
    page = visitor.get("/nothing/here")
    assert page.status_code == 404
    assert _is_whole_page(page)
    plain = visitor.get("/nothing/here", headers={"Accept": "*/*"})
    assert plain.headers["content-type"] == "application/problem+json"
    for path in ("/auth/session", "/auth/nothing", "/admin/users"):
        assert visitor.get(path).headers["content-type"] == "application/problem+json"


@pytest.mark.parametrize(
    ("method", "path"), [("GET", "/logout"), ("PUT", "/login"), ("DELETE", "/")]
)
def test_another_method_is_a_405_page(visitor, method, path):
    """It says which methods there are."""
    answer = visitor.request(method, path)
    assert answer.status_code == 405
    assert answer.headers["allow"]
    assert _is_whole_page(answer)


def test_a_path_of_odd_bytes_is_a_404_page(visitor):
    """Bytes that are no text do not upset the page."""
    for path in ("/%ED%A0%80", "/%00", "/%FF?x=%ED%A0%80", "/<script>"):
        answer = visitor.get(path)
        assert answer.status_code == 404
        assert "<script" not in answer.text


def test_closed_registration_is_not_offered(tmp_path: Path):
    """Where registration is closed no page links to it, and its address is 404."""
    environ = {"SOJOURN_DATA": str(tmp_path), "SOJOURN_OPEN_REGISTRATION": "no"}
    with TestClient(Server(load_config(environ=environ)).app(), base_url=URL) as client:
        assert "/register" not in client.get("/").text + client.get("/login").text
        assert client.get("/register").status_code == 404
        form = {"email": "a@example.com", "password": PASSWORD}
        assert client.post("/register", data=form).status_code == 404


def test_only_allowed_modes_are_offered(tmp_path: Path):
    """Where one mode is allowed, there is nothing to choose."""
    environ = {"SOJOURN_DATA": str(tmp_path), "SOJOURN_MODE": "jwt", "SOJOURN_MODES": "jwt"}
    with TestClient(Server(load_config(environ=environ)).app(), base_url=URL) as client:
        assert 'name="mode"' not in client.get("/login").text
        form = {"email": "a@example.com", "password": PASSWORD}
        client.post("/register", data=form)
        refused = client.post("/login", data=form | {"mode": "hybrid"})
        assert refused.status_code == 400
        client.post("/login", data=form)
        assert "Devices are listed" not in client.get("/devices").text
