"""Signing in with another provider, as the recipe does it, against an OpenID provider on this machine."""

import base64
import hashlib
import json
import secrets
import threading
import time
import urllib.parse
from contextlib import contextmanager
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer

import httpx2
import pytest
from docs.pages import DOCS, blocks_of
from docs.test_quickstarts import free_port, served

from sojourn.jose import KeySet, RegisteredClaims, SigningKey, issue

CLIENT = ("the-client", "its-secret")


class IdClaims(RegisteredClaims, frozen=True, kw_only=True):
    """What an ID token says."""

    iat: int
    nonce: str
    email: str
    email_verified: bool


class Provider(ThreadingHTTPServer):
    """An OpenID provider that asks nobody anything: authorization code, PKCE, nonce."""

    def __init__(self):
        super().__init__(("127.0.0.1", 0), Endpoints)
        self.issuer = f"http://127.0.0.1:{self.server_port}"
        self.key = SigningKey.generate("RS256")
        self.is_verified = True
        self.asked = {}

    def id_token(self, nonce):
        """Say who it is: always the same person."""
        now = int(time.time())
        claims = IdClaims(
            iss=self.issuer, sub="1234", aud=CLIENT[0], iat=now, exp=now + 60, nonce=nonce,
            email="ann@example.com", email_verified=self.is_verified,
        )  # fmt: skip
        return issue(claims, self.key, typ="JWT")


class Endpoints(BaseHTTPRequestHandler):
    """Its four endpoints."""

    def log_message(self, *args):
        """Say nothing."""

    def do_GET(self):
        """Answer metadata, keys, and the browser that is sent here."""
        provider, parts = self.server, urllib.parse.urlsplit(self.path)
        if parts.path == "/authorize":
            asked = dict(urllib.parse.parse_qsl(parts.query))
            code = secrets.token_urlsafe()
            provider.asked[code] = asked
            query = urllib.parse.urlencode({"code": code, "state": asked["state"]})
            self.send_response(302)
            self.send_header("Location", f"{asked['redirect_uri']}?{query}")
            self.end_headers()
        elif parts.path == "/jwks":
            self.answer(KeySet([provider.key.verifying]).to_jwks())
        else:
            self.answer(
                {
                    "issuer": provider.issuer,
                    "authorization_endpoint": f"{provider.issuer}/authorize",
                    "token_endpoint": f"{provider.issuer}/token",
                    "jwks_uri": f"{provider.issuer}/jwks",
                    "id_token_signing_alg_values_supported": ["RS256"],
                }
            )

    def do_POST(self):
        """Give tokens for a code, once, to the client that can prove that it asked."""
        body = self.rfile.read(int(self.headers["Content-Length"])).decode()
        form = dict(urllib.parse.parse_qsl(body))
        asked = self.server.asked.pop(form["code"])
        digest = hashlib.sha256(form["code_verifier"].encode()).digest()
        challenge = base64.urlsafe_b64encode(digest).rstrip(b"=").decode()
        basic = base64.b64encode(":".join(CLIENT).encode()).decode()
        assert self.headers["Authorization"] == f"Basic {basic}"
        assert (asked["code_challenge"], asked["code_challenge_method"]) == (challenge, "S256")
        self.answer(
            {
                "access_token": "of the provider, and never kept",
                "token_type": "Bearer",
                "id_token": self.server.id_token(asked["nonce"]),
            }
        )

    def answer(self, values):
        """Answer with JSON."""
        body = json.dumps(values).encode()
        self.send_response(200)
        self.send_header("Content-Type", "application/json")
        self.send_header("Content-Length", str(len(body)))
        self.end_headers()
        self.wfile.write(body)


@pytest.fixture
def provider():
    """A provider that answers."""
    server = Provider()
    thread = threading.Thread(target=server.serve_forever)
    thread.start()
    yield server
    server.shutdown()
    thread.join()
    server.server_close()


@contextmanager
def recipe(folder, provider, monkeypatch):
    """Serve the application of the recipe, for this provider."""
    folder.mkdir()
    url = f"http://127.0.0.1:{free_port()}"
    (block,) = (b for b in blocks_of(DOCS / "recipes" / "google.md", "python") if b.file)
    (folder / block.file).write_text(block.code)
    settings = {"OIDC_ISSUER": provider.issuer, "APP_URL": url}
    for name, value in settings.items():
        monkeypatch.setenv(name, value)
    monkeypatch.setenv("GOOGLE_CLIENT_ID", CLIENT[0])
    monkeypatch.setenv("GOOGLE_CLIENT_SECRET", CLIENT[1])
    with served(folder, f"uvicorn app:app --port {url.rpartition(':')[2]}", f"{url}/me") as log:
        yield url, log


def test_a_login_at_the_provider_ends_in_a_session(tmp_path, provider, monkeypatch):
    """A browser is sent to the provider and back, and is then signed in here; nobody else is."""
    with recipe(tmp_path / "app", provider, monkeypatch) as (url, log):
        with httpx2.Client(base_url=url, follow_redirects=True) as browser:
            assert browser.get("/me").status_code == 401
            at_home = browser.get("/login/google")
            assert at_home.json() == {"subject": "google:1234", "email": "ann@example.com"}, (
                log.read_text()
            )
            assert at_home.url.path == "/me"
            assert all("of the provider" not in value for value in browser.cookies.values())
        with httpx2.Client(base_url=url) as victim:  # login CSRF: another's answer, without a state
            code = "stolen"
            answer = victim.get("/login/google/back", params={"code": code, "state": "other"})
            assert (answer.status_code, answer.json()["code"]) == (401, "invalid_credentials")
            assert victim.get("/me").status_code == 401


def test_an_address_that_is_not_verified_signs_nobody_in(tmp_path, provider, monkeypatch):
    """What the provider does not vouch for is refused."""
    provider.is_verified = False
    with (
        recipe(tmp_path / "app", provider, monkeypatch) as (url, _),
        httpx2.Client(base_url=url, follow_redirects=True) as browser,
    ):
        assert browser.get("/login/google").json()["code"] == "invalid_credentials"
        assert browser.get("/me").status_code == 401
