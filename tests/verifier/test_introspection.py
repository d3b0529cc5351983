"""Opaque tokens: whoever issued one is asked, once, and the answer never outlives itself."""

import asyncio
import base64
import json
import threading
from datetime import timedelta
from urllib.parse import parse_qs

import pytest
from verifier.scripted import FACES, settled
from verifier.served import Reply, served

from sojourn import (
    ConfigurationError,
    GitHubApp,
    Incoming,
    IssuerUnavailable,
    Need,
    Rfc7662,
    Verifier,
)
from sojourn.verifier import Answer, FetchError, Introspector, asking

AT_ONCE = Need.of(max_lag=timedelta(0))
ENDPOINT = "https://id.example.com/introspect"
GITHUB_TOKEN = "gho_" + "a1B2" * 9
NOW_MS = 1_800_000_000_000


def rfc7662(**more):
    given = {
        "endpoint": ENDPOINT, "issuer": "https://id.example.com", "audience": "billing",
        "client_id": "billing", "client_secret": "s3cret:%",
    }  # fmt: skip
    return Rfc7662(**(given | more))


def active(**more):
    return {"active": True, "sub": "ann", "aud": "billing", "scope": "notes"} | more


class Endpoint:
    """An introspection endpoint as a value: what it answers, and how often it was asked."""

    def __init__(self, clocks):
        self.clocks = clocks
        self.says = active()
        self.status = 200
        self.error = None
        self.asked = []

    def fetch(self, request):
        self.asked.append(request)
        if self.error is not None:
            raise self.error
        return Answer(self.status, json.dumps(self.says).encode())

    def verifier(self, face, **more):
        given = {"introspectors": [rfc7662()], "audience": "billing", "fetcher": self}
        return FACES[face](**(given | self.clocks.given | more))


@pytest.fixture
def endpoint(clocks):
    return Endpoint(clocks)


async def code_of(verifier, token="opaque-token", **more):
    checked = await settled(verifier.check(Incoming(authorization=f"Bearer {token}"), **more))
    return "good" if checked.principal else checked.refusal.code


# --- RFC 7662 -------------------------------------------------------------------------------------


def test_the_question_of_rfc_7662():
    """A form, with the client's credentials encoded as RFC 6749 section 2.3.1 asks, or a bearer."""
    request = rfc7662().request("opaque token")
    assert ("POST", ENDPOINT) == (request.method, request.url)
    assert {"token": ["opaque token"], "token_type_hint": ["access_token"]} == parse_qs(
        request.body.decode()
    )
    encoded = request.headers["Authorization"].removeprefix("Basic ")
    assert b"billing:s3cret%3A%25" == base64.b64decode(encoded)
    bearing = rfc7662(client_id="", client_secret="", bearer="b")
    assert "Bearer b" == bearing.request("t").headers["Authorization"]
    assert "s3cret" not in repr(rfc7662()) + repr(request)
    assert "opaque" not in repr(request)


def test_the_answer_of_rfc_7662():
    """Its members are read as a foreign token's claims are."""
    said = active(
        exp=NOW_MS // 1000 + 60, client_id="web", username="ann", iss="https://id.example.com",
        groups=["staff"], token_type="Bearer",
    )  # fmt: skip
    answer = Answer(200, json.dumps(said).encode())
    principal = rfc7662(roles_from=("groups", ("no", "such"))).read(answer, now_ms=NOW_MS)
    assert ("ann", "https://id.example.com", "web") == (
        principal.subject, principal.issuer, principal.client_id,
    )  # fmt: skip
    assert ({"staff"}, {"notes"}) == (principal.roles, principal.scopes)
    assert {"username": "ann", "groups": ["staff"]} == principal.claims
    assert NOW_MS // 1000 + 60 == principal.expires_at


INVALID = {
    "not active": {"active": False},
    "another audience": active(aud="shipping"),
    "audiences without ours": active(aud=["shipping", 7]),
    "an audience of another kind": active(aud=7),
    "no audience": {"active": True, "sub": "ann"},
    "another issuer": active(iss="https://evil.example"),
    "no subject": {"active": True, "aud": "billing"},
    "an empty subject": active(sub=""),
    "over": active(exp=NOW_MS // 1000),
    "an expiry of another kind": active(exp="never"),
    "not yet": active(nbf=NOW_MS // 1000 + 1),
    "a beginning of another kind": active(nbf=True),
}


@pytest.mark.parametrize("what", INVALID)
def test_answers_that_say_no(what):
    """Active is not enough: it has to be for us, from the issuer, of somebody, and now."""
    answer = Answer(200, json.dumps(INVALID[what]).encode())
    assert rfc7662().read(answer, now_ms=NOW_MS) is None


def test_an_endpoint_that_never_says_an_audience():
    """Where that was said, an answer without one is taken."""
    answer = Answer(200, b'{"active": true, "sub": "ann", "nbf": 1}')
    assert "ann" == rfc7662(audience=None).read(answer, now_ms=NOW_MS).subject


@pytest.mark.parametrize(
    ("status", "body"),
    [
        (200, b"{}"),
        (200, b'{"active": "true", "sub": "ann"}'),
        (200, b"[]"),
        (200, b'{"active": true, "active": false}'),
        (401, b'{"active": false}'),
        (404, b'{"active": false}'),
        (429, b""),
        (500, b""),
        (302, b""),
    ],
)
def test_answers_that_are_none(status, body):
    """A failure of the endpoint is a failure, never "invalid"."""
    with pytest.raises(FetchError):
        rfc7662().read(Answer(status, body), now_ms=NOW_MS)


@pytest.mark.parametrize(
    "wrong",
    [
        {"endpoint": "http://id.example.com/introspect"},
        {"issuer": ""},
        {"audience": ""},
        {"client_secret": ""},
        {"bearer": "and the client too"},
    ],
)
def test_an_endpoint_that_is_refused(wrong):
    """https, with credentials of one kind, for a named issuer and audience."""
    with pytest.raises(ConfigurationError):
        rfc7662(**wrong)


def test_which_tokens_are_shown():
    """Only what has the form of a token, and the prefix that was named."""
    assert rfc7662().takes("abc.DEF_~+/-==")
    assert not any(rfc7662().takes(text) for text in ("", "a b", 'a"b', "a" * 5000, "a\n"))
    assert rfc7662(prefix="idt_").takes("idt_x")
    assert not rfc7662(prefix="idt_").takes("gho_x")


# --- GitHub ---------------------------------------------------------------------------------------


def github(**more):
    return GitHubApp(**({"client_id": "Iv1.abc", "client_secret": "s3cret"} | more))


def github_says(**more):
    return {
        "id": 1,
        "url": "https://api.github.com/authorizations/1",
        "scopes": ["repo", "user"],
        "token": "",
        "hashed_token": "25f94a2a5c7fbaf499c665bc73d67c1c87e496da8985131633ee0a95819db2e8",
        "app": {"name": "notes", "url": "http://notes.example.com", "client_id": "Iv1.abc"},
        "expires_at": None,
        "user": {"login": "ann", "id": 583231, "type": "User", "site_admin": False},
    } | more


def test_the_question_of_github():
    """Its own call: basic authentication of the application, the token in JSON."""
    request = github().request(GITHUB_TOKEN)
    assert ("POST", "https://api.github.com/applications/Iv1.abc/token") == (
        request.method, request.url,
    )  # fmt: skip
    assert {"access_token": GITHUB_TOKEN} == json.loads(request.body)
    assert "Basic SXYxLmFiYzpzM2NyZXQ=" == request.headers["Authorization"]
    assert "s3cret" not in repr(github())


def test_the_answer_of_github():
    """The subject is the number, which stays; scopes and login are there."""
    answer = Answer(200, json.dumps(github_says()).encode())
    principal = github().read(answer, now_ms=NOW_MS)
    assert ("583231", "https://github.com", "Iv1.abc", 0) == (
        principal.subject, principal.issuer, principal.client_id, principal.expires_at,
    )  # fmt: skip
    assert ({"repo", "user"}, {"login": "ann"}) == (principal.scopes, principal.claims)
    limited = json.dumps(github_says(expires_at="2027-01-15T08:00:01Z", scopes=None)).encode()
    assert github().read(Answer(200, limited), now_ms=NOW_MS).expires_at == NOW_MS // 1000 + 1
    assert github().read(Answer(200, limited), now_ms=NOW_MS + 1000) is None
    enterprise = github(api="https://github.example.com/api/v3")
    assert "https://github.example.com/api/v3" == enterprise.name


def test_what_github_says_of_an_invalid_token():
    """404 is "invalid"; anything else that is no answer is a failure."""
    assert github().read(Answer(404, b"{}"), now_ms=NOW_MS) is None
    wrong = [
        Answer(status, json.dumps(github_says()).encode()) for status in (401, 403, 422, 500, 301)
    ]
    wrong += [
        Answer(200, json.dumps(github_says(**more)).encode())
        for more in (
            {"user": None},
            {"user": {"id": "583231"}},
            {"app": None},
            {"app": {"client_id": "Iv1.another"}},
            {"expires_at": "soon"},
            {"expires_at": 7},
        )
    ]
    for answer in wrong:
        with pytest.raises(FetchError):
            github().read(answer, now_ms=NOW_MS)


def test_which_tokens_github_is_shown():
    """Those that an application is given for a user, by their form."""
    assert github().takes(GITHUB_TOKEN)
    assert github().takes("ghu_" + "a" * 36)
    others = ("ghp_" + "a" * 36, "ghs_" + "a" * 36, "gho_a", "sj_x", GITHUB_TOKEN + "!")
    assert not any(github().takes(text) for text in others)


@pytest.mark.parametrize("wrong", [{"api": "http://github.example.com"}, {"client_secret": ""}])
def test_an_application_that_is_refused(wrong):
    """https, and complete."""
    with pytest.raises(ConfigurationError):
        github(**wrong)


# --- asking ---------------------------------------------------------------------------------------


async def test_an_answer_is_kept_shortly(face, endpoint, clocks):
    """Ten seconds by default, good and bad alike, and then asked again."""
    verifier = endpoint.verifier(face)
    for says, code in ((active(), "good"), ({"active": False}, "invalid_token")):
        endpoint.says = says
        asked = len(endpoint.asked)
        for _ in range(5):
            assert code == await code_of(verifier)
        assert asked + 1 == len(endpoint.asked)
        clocks.advance(10.1)
    endpoint.says = active()
    assert "good" == await code_of(verifier)


async def test_an_answer_never_outlives_its_own_expiry(face, endpoint, clocks):
    """Two seconds are left: after two seconds it is asked again."""
    endpoint.says = active(exp=clocks.wall() // 1000 + 2)
    verifier = endpoint.verifier(face)
    assert "good" == await code_of(verifier)
    clocks.advance(1.9)
    assert ("good", 1) == (await code_of(verifier), len(endpoint.asked))
    clocks.advance(0.1)
    assert ("invalid_token", 2) == (await code_of(verifier), len(endpoint.asked))


async def test_a_route_that_asks_each_time(face, endpoint, clocks):
    """`max_lag` bounds what is believed of opaque tokens too; 0 always asks."""
    verifier = endpoint.verifier(face)
    for asked in (1, 2, 3):
        assert ("good", asked) == (
            await code_of(verifier, need=AT_ONCE),
            len(endpoint.asked),
        )
    clocks.advance(3)
    assert "good" == await code_of(verifier, need=Need.of(max_lag=timedelta(seconds=5)))
    assert 3 == len(endpoint.asked)
    assert "good" == await code_of(verifier, need=Need.of(max_lag=timedelta(seconds=2)))
    assert 4 == len(endpoint.asked)
    endpoint.says = {"active": False}
    assert "invalid_token" == await code_of(verifier, need=AT_ONCE)


async def test_nothing_is_kept(face, endpoint):
    """`cache_seconds=0` asks at each check."""
    verifier = endpoint.verifier(face, cache_seconds=0)
    for asked in (1, 2):
        assert ("good", asked) == (await code_of(verifier), len(endpoint.asked))


async def test_an_endpoint_that_fails(face, endpoint):
    """503, never "invalid", and nothing is kept of it."""
    verifier = endpoint.verifier(face)
    endpoint.error = FetchError("connection refused")
    for _ in range(2):
        with pytest.raises(IssuerUnavailable, match=r"https://id\.example\.com cannot be asked"):
            await code_of(verifier)
    endpoint.error, endpoint.status = None, 500
    with pytest.raises(IssuerUnavailable):
        await code_of(verifier)
    endpoint.status = 200
    assert "good" == await code_of(verifier)
    assert 4 == len(endpoint.asked)


async def test_tokens_that_nobody_takes(face, endpoint):
    """Without an introspector that takes it, an opaque token is no token; nobody is shown it."""
    verifier = endpoint.verifier(face, introspectors=[github(), rfc7662(prefix="idt_")])
    for token in ("opaque", "sj_s1_handle", "idt_" + "x" * 5000, "idt_é", 'idt_"'):
        assert "invalid_token" == await code_of(verifier, token)
    assert [] == endpoint.asked
    endpoint.says = github_says()
    assert "good" == await code_of(verifier, GITHUB_TOKEN)


async def test_memory_is_bounded(face, endpoint, monkeypatch):
    """A flood of made-up tokens pushes no good one out, and grows nothing."""
    monkeypatch.setattr(asking, "KEPT_ANSWERS", 50)
    verifier = endpoint.verifier(face)
    assert "good" == await code_of(verifier, "good-token")
    endpoint.says = {"active": False}
    for number in range(200):
        assert "invalid_token" == await code_of(verifier, f"made-up-{number}")
    assert 201 == len(endpoint.asked)
    assert "good" == await code_of(verifier, "good-token")
    assert 201 == len(endpoint.asked)
    memory = verifier._core.asking
    assert (1, 50, {}) == (
        len(memory._good.entries),
        len(memory._bad.entries),
        memory._under_way,
    )
    assert not any("token" in key or "made-up" in key for key in memory._good.entries)


async def test_too_many_questions_at_once(face, endpoint, monkeypatch):
    """A flood is not passed on: beyond a bound it is 503."""
    monkeypatch.setattr(asking, "MOST_AT_ONCE", 2)
    verifier = endpoint.verifier(face)
    memory = verifier._core.asking
    held = [memory.flights(rfc7662(), f"token-{number}") for number in range(2)]
    for flights in held:
        flights.board(joins_sent=True)
    with pytest.raises(IssuerUnavailable, match="too many"):
        await code_of(verifier, "a-third")
    assert memory.flights(rfc7662(), "token-0") is held[0]


async def test_one_question_for_a_burst(endpoint):
    """A hundred requests with one token are one question."""
    through = threading.Event()
    inner = endpoint.fetch

    def slowly(request):
        through.wait(10)
        return inner(request)

    endpoint.fetch = slowly
    verifier = endpoint.verifier("async")
    checks = [asyncio.create_task(code_of(verifier)) for _ in range(100)]
    await asyncio.sleep(0)
    through.set()
    assert ({"good"}, 1) == (set(await asyncio.gather(*checks)), len(endpoint.asked))


async def test_an_answer_that_is_gone_already(face, endpoint, monkeypatch):
    """Where memory keeps nothing, a check ends with a failure instead of asking for ever."""
    verifier = endpoint.verifier(face)
    monkeypatch.setattr(verifier._core.asking, "known", lambda _, max_age_ms: None)  # noqa: ARG005
    with pytest.raises(IssuerUnavailable, match="keeps changing"):
        await code_of(verifier)
    assert len(endpoint.asked) <= 10


def test_over_the_network():
    """The same against servers: GitHub's 404, an endpoint's answer, in one verifier."""

    def introspect(handler):
        token = parse_qs(handler.sent.decode())["token"][0]
        return Reply(active() if token == "good" else {"active": False})

    def check_token(handler):
        said = json.loads(handler.sent)["access_token"]
        return Reply(github_says()) if said == GITHUB_TOKEN else Reply({}, status=404)

    routes = {"/introspect": introspect, "/applications/Iv1.abc/token": check_token}
    with served(routes) as server:
        one = rfc7662(endpoint=f"{server.url}/introspect")
        verifier = Verifier(introspectors=[github(api=server.url), one])
        assert ("ann", "583231") == (
            verifier.verify("good").subject,
            verifier.verify(GITHUB_TOKEN).subject,
        )
        for token in ("bad", "gho_" + "b" * 36):
            checked = verifier.check(Incoming(authorization=f"Bearer {token}"))
            assert ("invalid_token", "not_active") == (
                checked.refusal.code,
                checked.refusal.reason,
            )


def test_the_port():
    """Both are introspectors, and so is whatever has their shape."""
    each: list[Introspector] = [rfc7662(), github()]
    assert ["https://id.example.com", "https://github.com"] == [one.name for one in each]
