"""What fails on the way is tried again and throws nothing away; tokens go nowhere they should not."""

import ssl

import httpx2
import pytest
import trustme
from client.carriers import CARRIERS
from client.conftest import Client
from client.serving import PASSWORD, Service, in_this_process
from servers import free_port
from starlette.responses import JSONResponse, RedirectResponse, Response
from starlette.routing import Route, Router

from sojourn.client import Answer, InMemory, SignIn, Urllib
from sojourn.client.httpx2 import BearerAuth
from sojourn.errors import (
    InvalidCredentials,
    InvalidInput,
    InvalidToken,
    IssuerUnavailable,
    RefreshReuse,
    SojournError,
    Unauthenticated,
    UnsupportedInMode,
)

SESSION = "/auth/session"
REFRESH = "/auth/refresh"


class Losing:
    """A network that loses the answers to the next refreshes, after the server has acted."""

    def __init__(self):
        self.losing = 0
        self._send = Urllib()

    def __call__(self, url, body, *, authorization=""):
        answer = self._send(url, body, authorization=authorization)
        if url.endswith(REFRESH) and self.losing:
            self.losing -= 1
            raise IssuerUnavailable("the answer was lost")
        return answer


@pytest.fixture
def expired(client):
    """Somebody whose access token is over."""
    client.login()
    client.outlive_access()
    return client


def test_a_lost_answer_is_asked_for_again(service, caplog):
    """The caller gets the 401; the next request refreshes again and gets the same successor."""
    network = Losing()
    client = Client(service, send=network)
    client.login()
    client.outlive_access()
    carrier = CARRIERS["httpx2"](client.sign_in)
    network.losing = 1
    assert "refresh_required" == carrier.send("GET", service.url + SESSION).code
    assert "the answer was lost" in caplog.text
    assert 200 == carrier.send("GET", service.url + SESSION).status
    assert (2, []) == (service.refreshes, client.ends)
    carrier.close()


def test_an_answer_lost_before_the_end_costs_no_request(service):
    """Shortly before the end the old access token still does: the request goes out with it."""
    network = Losing()
    client = Client(service, send=network)
    client.login()
    client.clock.advance(seconds=15 * 60)
    carrier = CARRIERS["httpx2"](client.sign_in)
    network.losing = 1
    assert 200 == carrier.send("GET", service.url + SESSION).status
    assert 1 == service.refreshes
    carrier.close()


@pytest.mark.parametrize(
    "answer",
    [
        JSONResponse(
            {"code": "store_unavailable", "detail": "later"}, 503,
            media_type="application/problem+json",
        ),
        JSONResponse(
            {"code": "rate_limited", "detail": "later"}, 429, media_type="application/problem+json"
        ),
        Response("<h1>Sign in to the hotel's network</h1>", 200, media_type="text/html"),
        JSONResponse({"access_token": "a", "refresh_token": "b"}, 200),
        Response(b"[1]", 502, media_type="application/problem+json"),
        Response(b"{", 500, media_type="application/problem+json"),
        JSONResponse({"code": 7}, 401, media_type="application/problem+json"),
        Response("gone", 401),
    ],
)  # fmt: skip
def test_an_answer_that_decides_nothing_changes_nothing(answer, service, expired):
    """Later, a captive portal, half an answer: the tokens stay, and the next refresh goes well."""
    service.refusing[REFRESH] = answer
    with pytest.raises(SojournError):
        expired.sign_in.refresh()
    assert ([], True) == (expired.ends, expired.sign_in.is_signed_in)
    del service.refusing[REFRESH]
    expired.sign_in.refresh()


def test_a_refresh_follows_no_redirect(service, expired, tmp_path):
    """The refresh token is not shown to whoever the answer points to."""
    other = Service(tmp_path)
    with in_this_process(other, other.url):
        service.refusing[REFRESH] = RedirectResponse(other.url + REFRESH, 307)
        with pytest.raises(IssuerUnavailable, match="307"):
            expired.sign_in.refresh()
        assert 0 == other.refreshes


def test_a_server_that_is_away_loses_nobody():
    """No connection: the tokens stay."""
    sign_in = SignIn(f"http://127.0.0.1:{free_port()}")
    sign_in.adopt({"access_token": "a", "refresh_token": "b", "expires_in": 60})
    with pytest.raises(IssuerUnavailable, match="does not answer"):
        sign_in.refresh()
    assert sign_in.is_signed_in


class Full(InMemory):
    """A storage that cannot save for a while."""

    is_full = False

    def save(self, tokens):
        if self.is_full:
            raise OSError("no space left on device")
        super().save(tokens)


def test_renewed_tokens_are_saved_before_they_are_used(service):
    """Where that fails the caller is told, nothing new was used, and it can be repeated."""
    storage = Full()
    client = Client(service, storage=storage)
    client.login()
    client.outlive_access()
    before = storage.load()
    carrier = CARRIERS["httpx2"](client.sign_in)
    storage.is_full = True
    with pytest.raises(OSError, match="no space left"):
        carrier.send("GET", service.url + SESSION)
    assert before == storage.load()
    storage.is_full = False
    assert 200 == carrier.send("GET", service.url + SESSION).status
    assert (2, []) == (service.refreshes, client.ends)
    carrier.close()


# --- the end, in a word ---------------------------------------------------------------------------


def test_a_copy_of_the_refresh_token_is_called_that(service, client):
    """An old handle came back: the error says theft, and so does the callback."""
    client.login()
    copied = client.sign_in.ready().refresh_token
    for _ in range(2):
        client.sign_in.refresh()
    thief = SignIn(service.url)
    thief.adopt({"access_token": "x", "refresh_token": copied, "expires_in": 60})
    with pytest.raises(RefreshReuse):
        thief.refresh()
    with pytest.raises(RefreshReuse):
        client.sign_in.refresh()
    assert ["refresh_reuse"] == [code for code, _ in client.ends]
    with pytest.raises(RefreshReuse):
        client.sign_in.refresh()  # why, as long as nobody has signed in again


def test_a_refresh_token_that_never_was_one_ends_the_sign_in(service):
    """What the server does not know is not kept."""
    sign_in = SignIn(service.url)
    sign_in.adopt({"access_token": "a", "refresh_token": "b", "expires_in": 60})
    with pytest.raises(InvalidToken):
        sign_in.refresh()
    assert not sign_in.is_signed_in


def test_what_has_no_refresh_token_is_not_refreshed(service, client):
    """Asking for it is a mistake, and costs nobody the sign-in."""
    client.login(mode="session")
    with pytest.raises(UnsupportedInMode):
        client.sign_in.refresh()
    assert client.sign_in.is_signed_in


def test_a_late_refusal_is_not_told_again(service, client):
    """A 401 that comes after the end was noticed, of a request that was under way, is no second end."""
    told = client.login()
    used = client.sign_in.ready()
    client.revoke(told["sid"])
    late = Answer(401, "application/problem+json", b'{"code": "revoked"}')
    assert [None, None] == [client.sign_in.mended(used, late) for _ in range(2)]
    assert (1, ["revoked"]) == (service.refreshes, [code for code, _ in client.ends])
    assert "revoked" == client.sign_in.why_signed_out.code


def test_the_callback_may_sign_in_again(service):
    """It is called outside of every lock."""
    client = Client(service)
    told = client.login()

    def again(code, detail):
        client.sign_in.login(client.email, PASSWORD)

    client.sign_in._on_signed_out = again
    client.revoke(told["sid"])
    carrier = CARRIERS["httpx2"](client.sign_in)
    assert "revoked" == carrier.send("GET", service.url + SESSION).code
    assert client.sign_in.is_signed_in
    assert client.sign_in.why_signed_out is None
    assert 200 == carrier.send("GET", service.url + SESSION).status
    carrier.close()


def test_whoever_shares_the_storage_can_sign_out(service):
    """A sign-out elsewhere ends nothing that anybody has to be told of, also with a request under way."""
    storage = InMemory()
    one, other = (Client(service, storage=storage) for _ in range(2))
    one.login()
    used = one.sign_in.ready()
    other.sign_in.logout()
    with pytest.raises(Unauthenticated, match="nobody is signed in"):
        one.sign_in.refresh()
    late = Answer(401, "application/problem+json", b'{"code": "revoked"}')
    assert one.sign_in.mended(used, late) is None
    assert [] == one.ends


# --- login and logout -----------------------------------------------------------------------------


def test_login_says_who_and_shows_no_tokens(service, client):
    """The answer is for the program's log or screen; the tokens are with the sign-in."""
    told = client.login()
    assert {"subject", "sid", "mode", "expires_at"} == set(told)
    assert ("hybrid", True) == (told["mode"], client.sign_in.is_signed_in)


def test_a_wrong_password_is_the_librarys_own_error(service, client):
    """Refusals have the same classes as in the library."""
    with pytest.raises(InvalidCredentials, match="do not belong together"):
        client.sign_in.login(client.email, "a guess that is wrong")
    assert not client.sign_in.is_signed_in


@pytest.mark.parametrize(("status", "expected"), [(429, IssuerUnavailable), (409, InvalidInput)])
def test_codes_of_the_server_alone(status, expected, service, client):
    """A code that is none of the library's is in the message; "later" has a class of its own."""
    service.refusing["/auth/login"] = JSONResponse(
        {"code": "of_its_own", "detail": "so it is"}, status,
        media_type="application/problem+json",
    )  # fmt: skip
    with pytest.raises(expected, match=r"so it is \(of_its_own\)"):
        client.login()


def test_a_login_that_hands_out_cookies_is_refused(service, client):
    """A server that has another idea of the client is a mistake that shows at once."""
    service.refusing["/auth/login"] = JSONResponse({"subject": "1", "sid": "x"})
    with pytest.raises(InvalidInput, match="'transport': 'bearer'"):
        client.login()


def test_logout_ends_the_session_at_the_server(service, client):
    """Also with an access token that is over; the callback is for ends that nobody asked for."""
    client.login()
    used = client.sign_in.ready()
    client.outlive_access()
    client.sign_in.logout()
    assert (False, []) == (client.sign_in.is_signed_in, client.ends)
    copy = SignIn(service.url)
    copy.adopt({"access_token": "x", "refresh_token": used.refresh_token, "expires_in": 60})
    with pytest.raises(SojournError, match="you signed out"):
        copy.refresh()
    client.sign_in.logout()  # nobody is signed in, nothing is asked
    assert 1 == service.asked["POST /auth/logout"]


def test_logout_forgets_though_the_server_is_away(service, client):
    """The device is given away: the tokens go in any case, and the caller hears of the rest."""
    client.login()
    service.refusing["/auth/logout"] = Response("bad gateway", 502)
    with pytest.raises(IssuerUnavailable):
        client.sign_in.logout()
    assert not client.sign_in.is_signed_in


def test_tokens_of_another_call_are_adopted(service, client):
    """A changed password ends earlier proofs: the sign-in goes on with those of the answer."""
    client.login()
    service.clock.advance(seconds=1)
    with httpx2.Client(auth=BearerAuth(client.sign_in), timeout=20) as http:
        body = {"current": PASSWORD, "new": "another four calm words"}
        answer = http.post(service.url + "/auth/password", json=body)
        assert 200 == answer.status_code, answer.text
        client.sign_in.adopt(answer.json())
        assert 200 == http.get(service.url + SESSION).status_code
    assert 0 == service.refreshes


def test_the_paths_are_where_the_application_has_them():
    """`prefix` is for an application that has them elsewhere."""
    asked = []

    def send(url, body, *, authorization=""):
        asked.append(url)
        raise IssuerUnavailable("nobody is there")

    sign_in = SignIn("https://app.example.com/", prefix="/api/account", send=send)
    with pytest.raises(IssuerUnavailable):
        sign_in.login("ann@example.com", PASSWORD)
    assert ["https://app.example.com/api/account/login"] == asked


@pytest.mark.parametrize("url", ["http://app.example.com", "ftp://app.example.com", "app", ""])
def test_tokens_are_not_sent_in_the_clear(url):
    """Plain http to another machine, and what is no web address, is refused at once."""
    with pytest.raises(SojournError, match="https"):
        SignIn(url)


@pytest.mark.parametrize(
    ("url", "is_own"),
    [
        ("https://app.example.com/notes?x=1", True),
        ("https://APP.example.com:443/", True),
        ("https://app.example.com:444/", False),
        ("http://app.example.com/", False),
        ("https://app.example.com.evil.example/", False),
        ("https://app.example.com@evil.example/", False),
        ("//app.example.com/", False),
    ],
)
def test_what_the_own_origin_is(url, is_own):
    """Scheme, host and port together."""
    assert is_own == SignIn("https://app.example.com").is_own(url)


def test_the_clock_is_the_machines_by_default():
    """Tokens that were just handed out are not due."""
    sign_in = SignIn("https://app.example.com")
    sign_in.adopt({"access_token": "a", "refresh_token": "b", "expires_in": 600})
    assert "b" == sign_in.ready().refresh_token


def test_an_authority_of_ones_own(tmp_path):
    """`Urllib(ssl_context=…)` is for a certificate authority that the system does not know."""
    authority = trustme.CA()
    certificate = authority.issue_cert("localhost")
    certificate.private_key_pem.write_to_path(tmp_path / "key")
    certificate.cert_chain_pems[0].write_to_path(tmp_path / "cert")
    trusting = ssl.create_default_context()
    authority.configure_trust(trusting)
    port = free_port()

    async def refresh(request):
        return JSONResponse({"access_token": "c", "refresh_token": "d", "expires_in": 60})

    url = f"https://localhost:{port}"
    files = {"ssl_keyfile": str(tmp_path / "key"), "ssl_certfile": str(tmp_path / "cert")}
    app = Router([Route(REFRESH, refresh, methods=["POST"])])
    with in_this_process(app, url, **files):
        sign_in = SignIn(url, send=Urllib(ssl_context=trusting))
        sign_in.adopt({"access_token": "a", "refresh_token": "b", "expires_in": 60})
        sign_in.refresh()
        assert "d" == sign_in.ready().refresh_token
        unknown = SignIn(url)
        unknown.adopt({"access_token": "a", "refresh_token": "b", "expires_in": 60})
        with pytest.raises(IssuerUnavailable, match="certificate"):
            unknown.refresh()
