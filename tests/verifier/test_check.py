"""A check: who it is, or why nobody, on both faces; what is remembered is judged at every hit."""

from datetime import timedelta

import pytest
from verifier.scripted import URL, settled

from sojourn import (
    ConfigurationError,
    CredentialNotAccepted,
    Incoming,
    InvalidToken,
    Issuer,
    Need,
    SecurityWarning,
    Unauthenticated,
)
from sojourn.jose import SigningKey


def bearing(token):
    return Incoming(authorization=f"Bearer {token}")


async def test_a_principal(face, authority):
    """A token of Sojourn gives the principal that its own server would give."""
    verifier = authority.verifier(face)
    checked = await settled(verifier.check(bearing(authority.token())))
    principal = checked.require()
    assert checked.refusal is None
    assert ("ann", URL, "sid-of-ann", "hybrid", "bearer") == (
        principal.subject, principal.issuer, principal.sid, principal.mode, principal.transport,
    )  # fmt: skip
    assert ({"editor"}, {"notes", "more"}) == (principal.roles, principal.scopes)
    assert ({"plan": "pro"}, ("pwd",), "web") == (
        principal.claims,
        principal.amr,
        principal.client_id,
    )
    again = await settled(verifier.verify(authority.token()))
    assert principal.subject == again.subject


@pytest.mark.parametrize("authorization", ["", "Basic YTpi", "bearer", "Bearertoken"])
async def test_nobody(authorization, face, authority):
    """No bearer token is nobody; cookies are not looked at; nothing is asked."""
    verifier = authority.verifier(face)
    incoming = Incoming(authorization=authorization, cookies="__Host-sojourn=x")
    refusal = (await settled(verifier.check(incoming))).refusal
    assert isinstance(refusal, InvalidToken if authorization == "bearer" else Unauthenticated)
    assert not authority.asked


async def test_an_empty_bearer(face, authority):
    """A bearer that is empty, or two of them, is no token, not nobody."""
    verifier = authority.verifier(face)
    for text in ("Bearer ", "Bearer a, Bearer b"):
        refusal = (await settled(verifier.check(Incoming(authorization=text)))).refusal
        assert ("invalid_token", "not_three_segments") == (refusal.code, refusal.reason)


async def test_an_opaque_handle(face, authority):
    """An opaque handle of Sojourn is refused with the remedy."""
    verifier = authority.verifier(face)
    refusal = (await settled(verifier.check(bearing("sj_s1_whatever")))).refusal
    assert (refusal.code, refusal.reason) == ("invalid_token", "opaque_handle")
    assert "/auth/access-token" in str(refusal)


async def test_expiry(face, authority, clocks):
    """What is over is told from what a refresh mends, also where it was remembered."""
    verifier = authority.verifier(face, leeway_seconds=0)
    stored, stateless = authority.token(), authority.token(ver=None)
    for token in (stored, stateless):
        assert (await settled(verifier.check(bearing(token)))).principal
    clocks.advance(599.5)
    for token in (stored, stateless):
        assert (await settled(verifier.check(bearing(token)))).principal
    clocks.advance(0.5)
    codes = [
        (await settled(verifier.check(bearing(token)))).refusal.code
        for token in (stored, stateless)
    ]
    assert ["refresh_required", "expired"] == codes


async def test_leeway(face, authority, clocks):
    """Clocks may differ by the leeway, remembered or not, and no more."""
    verifier = authority.verifier(face, leeway_seconds=5)
    token = authority.token()
    assert (await settled(verifier.check(bearing(token)))).principal
    clocks.advance(604)
    assert (await settled(verifier.check(bearing(token)))).principal
    assert (
        await settled(verifier.check(bearing(authority.token(exp=clocks.wall() // 1000 - 4))))
    ).principal
    clocks.advance(2)
    assert (await settled(verifier.check(bearing(token)))).refusal.code == "refresh_required"


async def test_needs(face, authority):
    """Roles, scopes and transports are required as everywhere."""
    verifier = authority.verifier(face)
    incoming = bearing(authority.token())
    lacking = await settled(verifier.check(incoming, need=Need.of(roles={"admin"})))
    assert (lacking.principal, lacking.refusal.code) == (None, "forbidden")
    cookie_only = Need.of(accept={"cookie"})
    with pytest.raises(CredentialNotAccepted):
        await settled(verifier.verify(authority.token(), need=cookie_only))


async def test_whatever_is_wrong_is_one_public_error(face, authority):
    """Another issuer, audience, key or form: `invalid_token`, with a reason for the log."""
    verifier = authority.verifier(face)
    wrong = {
        "unknown_issuer": authority.token(iss="https://evil.example"),
        "wrong_audience": authority.token(aud="shipping"),
        "bad_signature": authority.token(key=SigningKey.generate("ES256", kid="first")),
        "not_three_segments": "garbage",
        "too_large": authority.token()[:20] + "A" * 9000 + authority.token()[20:],
    }
    for reason, token in wrong.items():
        refusal = (await settled(verifier.check(bearing(token)))).refusal
        assert ("invalid_token", reason, "the credential is not valid") == (
            refusal.code, refusal.reason, str(refusal),
        )  # fmt: skip


async def test_an_issuer_without_a_feed(face, authority):
    """Without a feed nothing is known of revocations: good until it expires, and never asked."""
    verifier = authority.verifier(face, issuers=[authority.issuer(feed_token="")])
    authority.append("ended", sid="sid-of-ann")
    assert (await settled(verifier.check(bearing(authority.token())))).principal
    assert 0 == authority.asked["/auth/revocations"]
    assert (0.0, None, True) == (
        verifier.lag_seconds,
        verifier.issuers[0].lag_seconds,
        verifier.is_fresh,
    )
    with pytest.raises(ConfigurationError, match="sojourn verifiers add"):
        await settled(verifier.verify(authority.token(), need=Need.of(max_lag=timedelta(0))))


async def test_max_lag_of_an_issuer_that_tells_of_no_revocations(face, authority):
    """A bound on what nobody knows is the developer's mistake, and says so."""
    foreign = Issuer.oidc(
        URL, typ="at+jwt", algorithms={"ES256"}, jwks_uri=f"{URL}/.well-known/jwks.json"
    )
    verifier = authority.verifier(face, issuers=[foreign])
    assert "ann" == (await settled(verifier.verify(authority.token()))).subject
    with pytest.raises(ConfigurationError, match="tells of none"):
        await settled(verifier.verify(authority.token(), need=Need.of(max_lag=timedelta(9))))


async def test_context_managers(face, authority, caplog):
    """Entering warms up; an issuer that is away is logged, and asked when it is needed."""
    verifier = authority.verifier(face)
    authority.down()
    if face == "sync":
        with verifier:
            pass
    else:
        async with verifier:
            pass
    assert "starting without an issuer" in caplog.text
    assert not verifier.is_fresh
    authority.answers.clear()
    if face == "sync":
        with verifier:
            assert verifier.is_fresh
    else:
        async with verifier:
            assert verifier.is_fresh
    asked = authority.asked.total()
    await settled(verifier.warm())
    assert asked == authority.asked.total(), "what is there is not asked for again"
    assert (await settled(verifier.verify(authority.token()))).subject == "ann"


def test_nothing_secret_is_shown(authority):
    """No repr of issuer or verifier holds the feed token."""
    verifier = authority.verifier()
    shown = repr(authority.issuer()) + repr(verifier) + repr(verifier.issuers)
    assert "sjv_good" not in shown
    assert URL in repr(verifier)


def test_two_issuers_of_one_name(authority):
    """Which of two would be meant is not guessed."""
    with pytest.raises(ConfigurationError, match="same iss"):
        authority.verifier(issuers=[authority.issuer(), authority.issuer()])


@pytest.mark.parametrize(
    ("given", "said"),
    [
        ({"max_lag_seconds": 61}, "max_lag_seconds"),
        ({"max_lag_seconds": -1}, "max_lag_seconds"),
        ({"when_stale": "maybe"}, "when_stale"),
        ({"leeway_seconds": 1.5}, "leeway_seconds"),
        ({"leeway_seconds": 61}, "leeway_seconds"),
        ({"cache_seconds": 61}, "cache_seconds"),
        ({"audience": ""}, "audience"),
        ({"issuers": ["https://auth.example.com"]}, "Issuer.sojourn"),
    ],
)
def test_rules_out_of_range(given, said, authority):
    """A verifier that would be lenient is not made."""
    with pytest.raises(ConfigurationError, match=said):
        authority.verifier(**given)


def test_trust_is_warned_of(authority):
    """What is legal but weak is said at the start, where it was written."""
    with pytest.warns(SecurityWarning, match="when_stale='trust'") as warned:
        authority.verifier(when_stale="trust")
    assert warned[0].filename.endswith("scripted.py")


def test_a_verifier_of_nobody():
    """Without an issuer there is nothing to verify."""
    from sojourn import Verifier

    with pytest.raises(ConfigurationError, match="at least one issuer"):
        Verifier(audience="billing")
    assert Verifier(audience="billing", issuers=[Issuer.sojourn(URL)])._core.fetcher
