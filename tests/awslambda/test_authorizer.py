"""The Lambda authorizer: what API Gateway is told, and what happens where nothing can be said."""

import json
import re
from datetime import timedelta

import pytest
from awslambda.shapes import (
    ARN,
    http_authorizer_event,
    request_event,
    token_event,
    websocket_event,
)
from verifier.scripted import Authority, Clocks

from sojourn import (
    ANY,
    AsyncSojourn,
    AsyncVerifier,
    ConfigurationError,
    Incoming,
    Issuer,
    IssuerUnavailable,
    Need,
    Sojourn,
    Stale,
    StoreError,
    Verifier,
)
from sojourn.awslambda import Unauthorized, authorizer

URL = "http://127.0.0.1:8000"


@pytest.fixture
def clocks():
    return Clocks()


@pytest.fixture
def authority(clocks):
    return Authority(clocks)


@pytest.fixture
def verifier(authority):
    return authority.verifier()


def bearer(authority, **claims):
    return f"Bearer {authority.token(**claims)}"


POLICY_EVENTS = {
    "token": token_event,
    "request": lambda authorization: request_event(Authorization=authorization),
    "websocket": lambda authorization: websocket_event(Authorization=authorization),
}


@pytest.mark.parametrize("kind", POLICY_EVENTS)
def test_a_policy(kind, verifier, authority, clocks):
    """Who is signed in is allowed, and reaches the backend as flat values of the context."""
    handler = authorizer(verifier)
    told = handler(POLICY_EVENTS[kind](bearer(authority)), object())
    statement = {
        "Action": "execute-api:Invoke",
        "Effect": "Allow",
        "Resource": f"{ARN}/prod/*",
    }
    now = clocks.wall() // 1000
    assert told == {
        "principalId": "ann",
        "policyDocument": {"Version": "2012-10-17", "Statement": [statement]},
        "context": {
            "subject": "ann",
            "sid": "sid-of-ann",
            "issuer": authority.url,
            "mode": "hybrid",
            "roles": "editor",
            "scopes": "more notes",
            "auth_time": now,
            "expires_at": now + 600,
        },
    }
    assert json.loads(json.dumps(told)) == told


@pytest.mark.parametrize("kind", POLICY_EVENTS)
def test_nobody_is_unauthorized(kind, verifier, authority, clocks, caplog):
    """Without a credential, with garbage, after its end: exactly the exception that makes a 401."""
    caplog.set_level("INFO", "sojourn.requests")
    handler, make = authorizer(verifier), POLICY_EVENTS[kind]
    over = bearer(authority)
    clocks.advance(700)
    for authorization in ("", "Bearer a.b.c", "Basic YTpi", over):
        with pytest.raises(Unauthorized) as raised:
            handler(make(authorization), None)
        assert "Unauthorized" == str(raised.value)
    assert re.search(r"not valid \(\w+\)", caplog.text), "who runs it finds the reason"
    assert "a.b.c" not in caplog.text


def test_who_may_not_is_denied(verifier, authority):
    """Signed in, without the role: a policy that denies, and so a 403 that says not to sign in."""
    handler = authorizer(verifier, need=Need.of(roles={"admin"}))
    told = handler(token_event(bearer(authority)), None)
    (statement,) = told["policyDocument"]["Statement"]
    assert ("Deny", "nobody", {}) == (statement["Effect"], told["principalId"], told["context"])
    told = handler(token_event(bearer(authority, roles=["admin"])), None)
    assert "Allow" == told["policyDocument"]["Statement"][0]["Effect"]


def test_a_simple_response(verifier, authority):
    """An HTTP API with payload 2.0 is told yes with a context, or no."""
    handler = authorizer(verifier, need=Need.of(roles={"editor"}))
    told = handler(http_authorizer_event(Authorization=bearer(authority)), None)
    assert told["isAuthorized"] is True
    assert ("ann", "sid-of-ann", "more notes") == tuple(
        told["context"][name] for name in ("subject", "sid", "scopes")
    )
    for refused in ({}, {"Authorization": "Bearer x"}, {"Authorization": bearer(authority, roles=[])}):  # fmt: skip
        assert {"isAuthorized": False} == handler(http_authorizer_event(**refused), None)


def test_what_is_revoked_is_refused_by_the_next_call(verifier, authority, clocks):
    """A call polls in passing beyond the bound; a need of no lag polls at every call."""
    event = token_event(bearer(authority))
    handler, at_once = (
        authorizer(verifier),
        authorizer(verifier, need=Need.of(max_lag=timedelta(0))),
    )
    handler(event)
    authority.append("ended", sid="sid-of-ann")
    handler(event)
    with pytest.raises(Unauthorized):
        at_once(event)
    clocks.advance(6)
    with pytest.raises(Unauthorized):
        handler(event)


@pytest.mark.parametrize("error", [IssuerUnavailable, Stale])
def test_what_cannot_be_known_is_no_refusal(error, verifier, authority, clocks):
    """The issuer is away: the function fails, so that clients see 500 and nobody is signed out."""
    handler, event = authorizer(verifier), token_event(bearer(authority))
    if error is Stale:
        handler(event)
        clocks.advance(6)
    authority.down()
    for make in (event, http_authorizer_event(Authorization=event["authorizationToken"])):
        with pytest.raises(error):
            handler(make)


def test_a_store_of_its_own(monkeypatch):
    """A `Sojourn` is asked alike: cookies too, nothing is renewed, another site is denied."""
    with Sojourn("memory://", url=URL) as auth:
        handler = authorizer(auth)
        signed_in = auth.login(Incoming(), "ann", roles={"staff"})
        headers = signed_in.outgoing.headers
        cookies = [value.partition(";")[0] for name, value in headers if name == "Set-Cookie"]
        told = handler(http_authorizer_event(cookies=cookies))
        assert ("ann", "staff") == (told["context"]["subject"], told["context"]["roles"])
        foreign = {"Origin": "https://evil.example", "Cookie": "; ".join(cookies)}
        denied = handler(request_event(method="POST", **foreign))
        assert "Deny" == denied["policyDocument"]["Statement"][0]["Effect"]
        assert "Deny" == handler(websocket_event(**foreign))["policyDocument"]["Statement"][0]["Effect"]  # fmt: skip
        auth.revoke(signed_in.principal.sid, subject=ANY)
        assert {"isAuthorized": False} == handler(http_authorizer_event(cookies=cookies))
        bearer = auth.login(Incoming(), "ann", transport="bearer").access_token

        def away(*_, **__):
            raise StoreError("the store is away")

        monkeypatch.setattr(auth, "check", away)
        with pytest.raises(StoreError):
            handler(token_event(f"Bearer {bearer}"))


def test_a_policy_for_cookies_is_for_one_method_alone():
    """A cached Allow of a GET serves no POST of another site, and that one's Deny locks nobody out."""
    with Sojourn("memory://", url=URL) as auth:
        handler, signed_in = authorizer(auth), auth.login(Incoming(), "ann")
        cookies = auth.core.browser.after(Incoming(), signed_in.outgoing).cookies
        for method, origin, effect in (
            ("GET", "https://evil.example", "Allow"),
            ("POST", URL, "Allow"),
            ("POST", "https://evil.example", "Deny"),
        ):
            # What is no bearer's beside them counts for nothing.
            event = request_event(
                method=method, Cookie=cookies, Origin=origin, Authorization="Basic YTpi"
            )
            (statement,) = handler(event)["policyDocument"]["Statement"]
            assert (effect, f"{ARN}/prod/{method}/orders") == (
                statement["Effect"],
                statement["Resource"],
            )


def test_what_a_lambda_cannot_use_is_refused_with_the_remedy():
    """A thread that follows would be frozen; an asynchronous checker would never be awaited."""
    issuers = [Issuer.sojourn(URL, feed_token="sjv_x")]
    with pytest.raises(ConfigurationError, match=r"Verifier\(…, is_following=False\)"):
        authorizer(Verifier(audience="billing", issuers=issuers))
    for checker in (
        AsyncVerifier(audience="billing", issuers=issuers),
        AsyncSojourn("memory://", url=URL),
    ):
        with pytest.raises(ConfigurationError, match="give Verifier or Sojourn"):
            authorizer(checker)
