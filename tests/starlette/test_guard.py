"""A service with a verifier in place of a store: the same `current`, `require` and `install`."""

import msgspec
import pytest
from starlette.applications import Starlette
from starlette.requests import Request
from starlette.responses import JSONResponse
from starlette.routing import Route
from starlette.testclient import TestClient

from sojourn import AsyncVerifier, ConfigurationError, Incoming, Issuer, Sojourn, Verifier
from sojourn.starlette import Auth, Guard
from sojourn.verifier import Answer, FetchError

URL = "http://127.0.0.1:8000"


class Wire:
    """The issuer's key set over no network; None while it is away."""

    def __init__(self, issuer):
        self.issuer = issuer

    def fetch(self, fetch):
        if self.issuer is None:
            raise FetchError("the issuer is away")
        return Answer(200, msgspec.json.encode(self.issuer.jwks()))


@pytest.fixture
def issuer():
    with Sojourn("memory://", mode="jwt", url=URL, audience="billing") as sojourn:
        yield sojourn


def application(wire):
    """Make a service's application."""
    verifier = AsyncVerifier(
        audience="billing",
        issuers=[Issuer.sojourn(URL, jwks_uri=f"{URL}/keys")],
        fetcher=wire,
    )
    guard = Guard(verifier)

    async def me(request: Request) -> JSONResponse:
        return JSONResponse({"subject": (await guard.current(request)).subject})

    async def public(request: Request) -> JSONResponse:
        principal = await guard.optional(request)
        return JSONResponse({"subject": principal.subject if principal else None})

    @guard.requires(roles={"admin"})
    def admin(request: Request) -> JSONResponse:
        return JSONResponse({"subject": request.user.identity})

    app = Starlette(routes=[Route("/me", me), Route("/public", public), Route("/admin", admin)])
    guard.install(app)
    return app


@pytest.fixture
def service(issuer):
    """A service, as a client meets it."""
    with TestClient(application(Wire(issuer))) as client:
        yield client


def bearer(issuer, **options):
    token = issuer.login(Incoming(), "ann", transport="bearer", **options).access_token
    return {"Authorization": f"Bearer {token}"}


def test_a_token_of_the_issuer_is_somebody(service, issuer):
    """Who is signed in elsewhere is known here, with their roles."""
    assert {"subject": "ann"} == service.get("/me", headers=bearer(issuer)).json()
    assert 403 == service.get("/admin", headers=bearer(issuer)).status_code
    answer = service.get("/admin", headers=bearer(issuer, roles={"admin"}))
    assert {"subject": "ann"} == answer.json()


def test_nobody_is_answered_with_a_problem(service):
    """Without a credential, and with one of nobody's, the answer is a problem document."""
    assert "unauthenticated" == service.get("/me").json()["code"]
    garbage = {"Authorization": "Bearer a.b.c"}
    answer = service.get("/me", headers=garbage)
    assert (401, "invalid_token") == (answer.status_code, answer.json()["code"])
    assert {"subject": None} == service.get("/public", headers=garbage).json()


def test_an_issuer_that_is_away_is_not_a_refusal(issuer):
    """What cannot be known now is 503 with a time to come back; a public page works without."""
    headers = bearer(issuer)
    with TestClient(application(Wire(None))) as service:
        answer = service.get("/me", headers=headers)
        assert (503, "issuer_unavailable") == (answer.status_code, answer.json()["code"])
        assert "1" == answer.headers["Retry-After"]
        assert URL not in answer.text
        assert {"subject": None} == service.get("/public", headers=headers).json()


def test_a_blocking_verifier_is_refused():
    """It would stop the event loop; the message names the other one."""
    with pytest.raises(ConfigurationError, match="AsyncVerifier"):
        Guard(Verifier(audience="billing", issuers=[Issuer.sojourn(URL)]))


def test_auth_is_a_guard():
    """What takes a guard takes an application's own `Auth`, too."""
    assert isinstance(Auth("memory://", url=URL), Guard)


def test_why_a_token_is_not_good_is_in_the_log(service, issuer, caplog):
    """The client is told that it is not valid; who runs the service finds the reason."""
    caplog.set_level("INFO", "sojourn.requests")
    headers = {"Authorization": "Bearer a.b.c"}
    assert "malformed" not in service.get("/me", headers=headers).text
    (line,) = (r.getMessage() for r in caplog.records if r.name == "sojourn.requests")
    assert line.startswith("GET /me: ")
    assert line.endswith(")")
    assert "a.b.c" not in line
